"""Build the image from the Dockerfile: `make image`, by buildah, podman or docker, whichever is there first.

Two builds of one commit on one base are the same, digest for digest: every time in the image is that of the commit.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.project import project  # noqa: E402

#: What images call the architectures of uname(2).
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
BUILDERS = ("buildah", "podman", "docker")


def main() -> None:
    """Build, and print the image's name, its id and how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--tag", default=f"{project().image}:v{project().version}", help="the image's name; default: %(default)s")
    parser.add_argument("--platform", default="", help="such as linux/arm64; default: this machine's")
    arguments, further = parser.parse_known_args()
    builder = next(filter(shutil.which, BUILDERS), None)
    if builder is None:
        sys.exit(f"image: none of {', '.join(BUILDERS)} is on PATH; install one of them, such as Debian's package buildah")
    target = [f"--platform={arguments.platform}"] if arguments.platform else []
    build(builder, arguments.tag, [*target, *further])
    print(f"{arguments.tag}: {identity(builder, arguments.tag)}")


def build(builder: str, tag: str, further: Sequence[str]) -> None:
    """Build the image under a name, with further options of the builder. Ends the program where the build fails."""
    created, revision = moment(), _git("rev-parse", "HEAD")
    options = [f"--build-arg=VERSION={project().version}", f"--build-arg=REVISION={revision}", f"--tag={tag}", *further]
    # Docker sets it by itself.
    own = f"--build-arg=BUILDPLATFORM=linux/{ARCHITECTURES.get(platform.machine(), platform.machine())}"
    command = {
        "buildah": ["buildah", "build", f"--timestamp={created}", own, *options],
        "podman": ["podman", "build", f"--timestamp={created}", own, *options],
        "docker": ["docker", "buildx", "build", "--provenance=false", "--output=type=docker,rewrite-timestamp=true", *options],
    }[builder]  # fmt: skip
    done = subprocess.run([*command, "."], cwd=ROOT, env={**os.environ, "SOURCE_DATE_EPOCH": created}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def moment() -> str:
    """The time of the commit, in seconds since 1970: every time in an image is this."""
    return _git("log", "-1", "--format=%ct")


def identity(builder: str, tag: str) -> str:
    """The digest of an image's configuration, which names all that is in it."""
    found = inspect(builder, tag)
    return str(found.get("FromImageID") or found["Id"])


def inspect(builder: str, tag: str) -> Mapping[str, Any]:
    """What the builder knows of an image."""
    command = [builder, "inspect", "--type=image", tag]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    answer: Mapping[str, Any] = found[0] if isinstance(found, list) else found
    return answer


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
