"""The images of the node's pods: the operator's, built by `make image` as for a release, and a base for it made on this machine.

The base stands for python:3.11-slim-bookworm where no registry can be reached: Debian's minimal system with Debian's Python.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.bundle import ROOT
from tests.bundle import released
from tests.controlplane.gobuild import Say
from tests.node.programs import cache, environment

BASE = "localhost/rulepack-base:bookworm-1"
#: The same for another architecture, which this machine cannot run, and an index of both.
BASE_ARM64 = f"{BASE}-arm64"
BASES = f"{BASE}-index"
#: The image that keeps a pod's namespaces open; it only sleeps.
PAUSE = "localhost/rulepack-pause:1"
#: The operator's image, built from the Dockerfile as it is here.
OPERATOR = "localhost/rulepack:test"
#: That of the last release, built from its own Dockerfile and code on the same base.
RELEASED = f"localhost/rulepack-released:{released.VERSION}"
#: The name under which pods may have the base, for its Python.
PYTHON_IMAGE = "example.com/python:3.11"
PYTHON = "python3.11-minimal,python3-pip,python3-venv"
#: No package's own scripts can be run, so these are the ones that Python needs.
PYTHON_ARM64 = "base-files,libc6,libexpat1,libgcc-s1,libpython3.11-stdlib,libssl3,libstdc++6,python3.11-minimal,zlib1g"
#: What the build needs of this machine: whom it trusts, and where pip installs from.
MACHINE = ("/etc/ssl/certs", "/etc/pip.conf")


class Images:
    """A store of images, kept between runs, that only the tests use."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache() / "images"
        self.folder.mkdir(parents=True, exist_ok=True)
        conf = self.folder / "storage.conf"
        conf.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{self.folder}/graph"\nrunroot = "{self.folder}/run"\n')
        self.environment = {**environment(), "CONTAINERS_STORAGE_CONF": str(conf), "BUILDAH_ISOLATION": "chroot"}

    def prepare(self, say: Say = print) -> None:
        """Make the base and the pause image, where the store has none, and the operator's image from the Dockerfile."""
        with self._locked():
            if not self.has(BASE):
                say("images: making a base image with mmdebstrap; the first time takes about 2 minutes")
                self._make_base()
            if not self.has(PAUSE):
                self._commit(BASE, PAUSE, "--entrypoint", '["sleep", "infinity"]', "--cmd", "")
            say("images: building the operator's")
            self.build(OPERATOR)

    def prepare_released(self, say: Say = print) -> None:
        """Build the image of the last release, where the store has none; its commit never changes. Needs what `prepare` makes."""
        with self._locked(), tempfile.TemporaryDirectory() as folder:
            if not self.has(RELEASED):
                say(f"images: building that of release {released.VERSION}; the first time takes about 2 minutes")
                source = released.unpack(Path(folder))
                settings = [f"--build-arg=VERSION={released.VERSION}", f"--build-arg=REVISION={released.COMMIT}"]
                self._buildah("build", "--quiet", f"--tag={RELEASED}", *settings, *self.options(BASE), str(source))

    def prepare_bases(self, say: Say = print) -> None:
        """Make the bases of both architectures, and their index, where the store has none."""
        with self._locked():
            if not self.has(BASE):
                say("images: making a base image with mmdebstrap; the first time takes about 2 minutes")
                self._make_base()
            if not self.has(BASE_ARM64):
                say("images: making a base image for arm64")
                self._make_base(BASE_ARM64, "--variant=extract", f"--include={PYTHON_ARM64}", architecture="arm64")
            if not self.has(BASES):
                self._buildah("manifest", "create", BASES, BASE, BASE_ARM64)

    def options(self, base: str) -> list[str]:
        """The builder's options on this machine."""
        volumes = [f"--volume={path}:{path}:ro" for path in MACHINE if Path(path).exists()]
        return [f"--build-arg=BASE={base}", "--pull-never", *volumes]

    def build(self, tag: str) -> str:
        """Build the Dockerfile on the base by scripts/image.py under a name; the image's id."""
        command = [sys.executable, "scripts/image.py", f"--tag={tag}", *self.options(BASE)]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        return done.stdout.rstrip().rpartition(" ")[2]

    def has(self, image: str) -> bool:
        """Whether an image is in the store."""
        return self._buildah("images", "--quiet", "--filter", f"reference={image}") != ""

    def save(self, image: str, name: str, archive: Path) -> None:
        """Write an image, under a name, to an archive that containerd can import."""
        self._buildah("push", "--quiet", image, f"docker-archive:{archive}:{name}")

    def size(self, image: str) -> int:
        """The bytes of an image's layers, as they are before compression."""
        return sum(layer["size"] for layer in self._inspect(image, "Manifest")["layers"])

    def digests(self, image: str) -> list[str]:
        """The digests of an image's configuration and of its layers."""
        manifest = self._inspect(image, "Manifest")
        return [part["digest"] for part in (manifest["config"], *manifest["layers"])]

    def labels(self, image: str) -> Mapping[str, str]:
        """An image's labels."""
        labels: Mapping[str, str] = self._inspect(image, "Config")["config"]["Labels"]
        return labels

    def run(self, image: str, user: int, *command: str) -> str:
        """What a command prints in a container of an image, as a user of group 0."""
        container = self._buildah("from", "--pull-never", image)
        try:
            return self._run("buildah", "run", f"--user={user}:0", container, "--", *command)
        finally:
            self._buildah("rm", container)

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """The folder of a new container of an image."""
        container = self._buildah("from", "--pull-never", image)
        try:
            yield Path(self._buildah("mount", container))
        finally:
            self._buildah("rm", container)

    def _make_base(self, name: str = BASE, *options: str, architecture: str = "") -> None:
        chosen = options or ("--variant=minbase", f"--include={PYTHON}")
        of = [f"--architectures={architecture}"] if architecture else []
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            archive = Path(folder) / "base.tar"
            self._run("mmdebstrap", "--quiet", *chosen, *of, "bookworm", str(archive))
            container = self._buildah("from", "scratch")
            self._buildah("add", "--quiet", container, str(archive), "/")
            programs = Path(self._buildah("mount", container)) / "usr/local/bin"
            programs.mkdir(parents=True, exist_ok=True)
            for program in ("python", "python3"):
                (programs / program).symlink_to("/usr/bin/python3.11")
            self._buildah("umount", container)
            settings = [f"--arch={architecture}"] if architecture else []
            self._buildah("config", "--env", "PATH=/usr/local/bin:/usr/bin:/bin", *settings, container)
            self._buildah("commit", "--quiet", "--rm", container, name)

    def _commit(self, image: str, name: str, *settings: str) -> None:
        container = self._buildah("from", "--pull-never", image)
        self._buildah("config", *settings, container)
        self._buildah("commit", "--quiet", "--rm", container, name)

    def _inspect(self, image: str, part: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(json.loads(self._buildah("inspect", "--type=image", image))[part])
        return found

    def _buildah(self, *arguments: str) -> str:
        return self._run("buildah", *arguments)

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-4000:]}"
        return done.stdout.removesuffix("\n")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold a lock among processes; the kernel frees it when its holder dies."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
