"""Make a release: `make release VERSION=0.2.0`, which runs `prepare`, all tests, and `build`; see RELEASING.md.

`prepare` sets the version, writes changelog and bundle, and commits. `build` makes from that commit, in dist/VERSION, all that is
published, and tags it. `publish` copies the images to the registry. Nothing else sends anything anywhere. `begin` sets, and
commits, the version of what comes after a release.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import semver
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts import changelog, image, sbom  # noqa: E402
from scripts.bundle import CSV  # noqa: E402
from scripts.project import DEVELOPMENT, VERSION, project  # noqa: E402
from tests.controlplane import olm  # noqa: E402
from tests.controlplane.gobuild import MissingProgram  # noqa: E402

#: The architectures of the image, with their numbers in programs (elf(5): EM_X86_64, EM_AARCH64).
ELF_MACHINES = {"amd64": 62, "arm64": 183}
#: What stands for whoever publishes until somebody does: no release may name it.
PLACEHOLDERS = ("quay.io/" + "rulepack/", "github.com/" + "rulepack/", "@" + "rulepack.dev")


class Refused(Exception):
    """There can be no release as things are; the text says why, and what to do."""


def prepare(version: str) -> None:
    """Set the version, write changelog and bundle, and commit. Raises Refused."""
    _require_a_clean_tree()
    before = project().version
    valid = semver.Version.is_valid(version) and not version.endswith(DEVELOPMENT)
    if not valid or semver.Version.parse(version) <= semver.Version.parse(before):
        raise Refused(
            f"version {version}: expected a semantic version newer than {before}, without {DEVELOPMENT}: make release VERSION=…"
        )
    _require_names()
    log = ROOT / "CHANGELOG.md"
    paths = changelog.fragments(ROOT / "changes")
    try:
        text = changelog.released(log.read_text(), paths, version, datetime.now(UTC).date().isoformat())
    except changelog.UnknownFragment as unknown:
        raise Refused(str(unknown)) from unknown
    log.write_text(text)
    for path in paths:
        path.unlink()
    _commit(version, f"Release {version}")


def build(options: Sequence[str]) -> Path:
    """Build everything from the commit at hand, with options of buildah, and tag it; the release's folder. Raises Refused."""
    _require_a_clean_tree()
    version = project().version
    into = ROOT / "dist" / version
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    reference = f"{project().image}@{_images(into, version, options)}"
    _bundle(into, version, reference)
    rendered = _run(str(olm.tools()["kustomize"]), "build", "config/default")
    (into / "install.yaml").write_text(rendered.replace(f"{project().image}:v{version}", reference))
    (into / "notes.md").write_text(changelog.notes((ROOT / "CHANGELOG.md").read_text(), version))
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(into)}\n" for path in _files(into)]
    (into / "SHA256SUMS").write_text("".join(sums))
    _run("git", "tag", "--annotate", f"v{version}", f"--message=Release {version}")
    return into


def publish(options: Sequence[str]) -> None:
    """Copy the images of a release that was built to the registry, digest for digest; `options` go to skopeo copy."""
    version, name = project().version, project().image
    into = ROOT / "dist" / version
    for folder, repository in (("image", name), ("bundle-image", f"{name}-bundle")):
        source, target = f"oci:{into / folder}:v{version}", f"docker://{repository}:v{version}"
        _run("skopeo", "copy", "--all", "--preserve-digests", *options, source, target)
        print(target)


def begin() -> None:
    """Set the version to the least that can come after a release, not released yet, and commit. Raises Refused."""
    _require_a_clean_tree()
    version = f"{semver.Version.parse(project().version).next_version('patch')}{DEVELOPMENT}"
    _commit(version, f"Begin {version}")


def _commit(version: str, subject: str) -> None:
    """Set the version wherever it stands, and commit all."""
    init = ROOT / "engine/__init__.py"
    init.write_text(VERSION.sub(version, init.read_text()))
    _run(sys.executable, "scripts/project.py")
    _run(sys.executable, "scripts/bundle.py")
    _run("git", "add", "--all")
    _run("git", "commit", "--quiet", f"--message={subject}")


def _images(into: Path, version: str, options: Sequence[str]) -> str:
    """Write the image of each architecture with its bill of materials, below one index; the index's digest."""
    index = f"localhost/rulepack-release:v{version}"
    subprocess.run(["buildah", "manifest", "rm", index], capture_output=True, check=False)
    _run("buildah", "manifest", "create", index)
    for architecture in ELF_MACHINES:
        tag = f"{project().image}:v{version}-{architecture}"
        image.build("buildah", tag, [f"--platform=linux/{architecture}", *options])
        _run("buildah", "manifest", "add", index, f"containers-storage:{tag}")
        with _mounted(tag) as root:
            _require_a_base_of(architecture, root)
            settings = image.inspect("buildah", tag)["OCIv1"]["config"]["Env"]
            sbom.write(into / f"sbom-{architecture}.cdx.json", version, root, dict(one.split("=", 1) for one in settings))
    _run("buildah", "manifest", "push", "--all", "--format=oci", "--quiet", index, f"oci:{into / 'image'}:v{version}")
    (entry,) = json.loads((into / "image/index.json").read_text())["manifests"]
    return str(entry["digest"])


def _bundle(into: Path, version: str, reference: str) -> None:
    """Write the bundle, which names the image by its digest, and the bundle's own image."""
    csv = yaml.safe_load((ROOT / "bundle" / CSV).read_text())
    replaces, created = csv["spec"].get("replaces", ""), csv["metadata"]["annotations"]["createdAt"]
    options = [f"--image={reference}", f"--replaces={replaces}", f"--created={created}"]
    _run(sys.executable, "scripts/bundle.py", version, f"--into={into / 'bundle'}", *options)
    tag, file = f"{project().image}-bundle:v{version}", str(into / "bundle.Dockerfile")
    _run("buildah", "build", "--quiet", f"--timestamp={image.moment()}", f"--file={file}", f"--tag={tag}", str(into))
    _run("buildah", "push", "--quiet", "--format=oci", tag, f"oci:{into / 'bundle-image'}:v{version}")


def _require_a_base_of(architecture: str, root: Path) -> None:
    """Raise Refused where the Python of an image cannot run on the architecture that the image is for."""
    python = root / "usr/local/bin/python3"
    while python.is_symlink():
        python = root / os.path.join(python.parent.relative_to(root), python.readlink()).lstrip("/")
    machine = int.from_bytes(python.read_bytes()[18:20], "little")
    if machine != ELF_MACHINES[architecture]:
        raise Refused(f"the base of the image for {architecture} is of another one: is BASE an index of both?")


@contextmanager
def _mounted(tag: str) -> Iterator[Path]:
    """The folder of a container of an image."""
    container = _run("buildah", "from", "--pull-never", tag).strip()
    try:
        yield Path(_run("buildah", "mount", container).strip())
    finally:
        _run("buildah", "rm", container)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _require_a_clean_tree() -> None:
    changed = _run("git", "status", "--porcelain")
    if changed:
        raise Refused(f"these files are not committed; commit or remove them first:\n{changed}")


def _require_names() -> None:
    """Raise Refused where anything still names nobody."""
    patterns = [option for name in PLACEHOLDERS for option in ("-e", name)]
    found = subprocess.run(
        ["git", "grep", "-nF", *patterns, "--", ":!tests"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if found.returncode == 0:
        raise Refused(
            "these lines name a placeholder; set in pyproject.toml who publishes it (maintainers, [project.urls], "
            f"[tool.rulepack]) and run `make bundle`; what is left then is for you to change:\n{found.stdout}"
        )
    if not project().reviewers:
        raise Refused("pyproject.toml: [tool.rulepack] reviewers is empty; name who reviews changes in the community catalogs")


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Refused(f"`{' '.join(command)}` failed")
    return done.stdout


def main() -> int:
    """Do one of the four; 1 where that is refused."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("step", choices=["prepare", "build", "publish", "begin"])
    parser.add_argument("version", nargs="?", default="", help="of prepare")
    arguments, options = parser.parse_known_args()
    try:
        if arguments.step == "prepare":
            prepare(arguments.version)
        elif arguments.step == "build":
            print(*_files(build(options)), sep="\n")
        elif arguments.step == "publish":
            publish(options)
        else:
            begin()
    except (Refused, MissingProgram) as refusal:
        print(f"release: {refusal}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
