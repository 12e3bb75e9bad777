"""A release of a clone of this commit, from the names of who publishes it to the images in a registry.

`make node` runs this, since it has what that needs. The commit is what is released: what is not committed is not in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import semver
import yaml

from engine import __version__
from scripts.bundle import CSV, PACKAGE, ROOT
from scripts.project import DEVELOPMENT
from scripts.release import ELF_MACHINES, PLACEHOLDERS
from tests.controlplane import olm
from tests.image.registry import Registry
from tests.node.images import BASES, Images

pytestmark = pytest.mark.node

VERSION = str(semver.Version.parse(__version__).next_version("minor"))
REPOSITORY, MAILBOX = "https://git.example.com/acme/rulepack", "operators@example.com"


@dataclass(frozen=True, slots=True)
class Clone:
    """A clone of this repository, and where it will publish."""

    folder: Path
    image: str
    images: Images

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in the clone, with the store of images of the tests."""
        return subprocess.run(command, cwd=self.folder, env=self.images.environment, capture_output=True, text=True, check=False)

    def must(self, *command: str) -> str:
        """What a command prints that has to succeed."""
        done = self.run(*command)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def release(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A step of scripts/release.py."""
        return self.run(sys.executable, "scripts/release.py", *arguments)

    def commit_names(self, repository: str, image: str, mailbox: str, reviewers: str) -> None:
        """What whoever publishes does once: set who that is, and write it where else it stands."""
        pyproject = self.folder / "pyproject.toml"
        text = pyproject.read_text()
        text = re.sub(r"(?m)^Repository = .*", f'Repository = "{repository}"', text)
        text = re.sub(r"(?m)^image = \S+", f'image = "{image}"', text)
        text = re.sub(r"(?m)^reviewers = \[.*?\]", f"reviewers = {reviewers}", text)
        text = re.sub(r"maintainers = .*", f'maintainers = [{{name = "Acme", email = "{mailbox}"}}]', text)
        pyproject.write_text(text)
        self.must(sys.executable, "scripts/project.py")
        self.must(sys.executable, "scripts/bundle.py")
        self.must("git", "add", "--all")
        self.must("git", "commit", "--quiet", "--message=Say who publishes it")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An empty one."""
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def clone(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone that nobody has set the names in, or no longer, with a change that is not released."""
    folder = tmp_path_factory.mktemp("clone") / "rulepack"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    images = Images()
    images.prepare_bases()
    clone = Clone(folder, f"{registry.address}/acme/rulepack", images)
    for key in ("name", "email"):
        clone.must("git", "config", f"user.{key}", "release@example.com")
    (folder / "changes/of-this-test.added.md").write_text("Something new.\n")
    image, repository, mailbox = PLACEHOLDERS
    clone.commit_names(f"https://{repository}rulepack", f"{image}rulepack", f"maintainers{mailbox}", "[]")
    return clone


@pytest.fixture(scope="module")
def refusal(clone: Clone) -> str:
    """What a release says before the names are set."""
    done = clone.release("prepare", VERSION)
    assert (done.returncode, clone.must("git", "status", "--porcelain")) == (1, "")
    return done.stderr


@pytest.fixture(scope="module")
def prepared(clone: Clone, refusal: str) -> Clone:
    """The clone with the names set and the release's commit made."""
    assert refusal
    clone.commit_names(REPOSITORY, clone.image, MAILBOX, '["somebody"]')
    done = clone.release("prepare", VERSION)
    assert done.returncode == 0, done.stderr
    return clone


@pytest.fixture(scope="module")
def built(prepared: Clone) -> Path:
    """The folder of the release."""
    done = prepared.release("build", *prepared.images.options(BASES))
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return prepared.folder / "dist" / VERSION


def last_release() -> str:
    """The name of the release that comes before: this one, or what this one will replace once it is released."""
    csv = yaml.safe_load((ROOT / "bundle" / CSV).read_text())
    return str(csv["spec"]["replaces"] if __version__.endswith(DEVELOPMENT) else csv["metadata"]["name"])


def blob(folder: Path, digest: str) -> Any:
    """A JSON document of an OCI layout."""
    return json.loads((folder / "blobs" / digest.replace(":", "/")).read_text())


def index(built: Path) -> tuple[str, dict[str, Any]]:
    """The digest of the image's index, and the index."""
    (entry,) = json.loads((built / "image/index.json").read_text())["manifests"]
    return entry["digest"], blob(built / "image", entry["digest"])


def test_a_placeholder_is_refused(refusal: str) -> None:
    """Each line that names nobody is listed, and nothing is changed."""
    assert refusal.startswith("release: these lines name a placeholder; ")
    assert "\npyproject.toml:" in refusal
    assert "\nconfig/manager/deployment.yaml:" in refusal


def test_an_older_version_is_refused(prepared: Clone) -> None:
    """A release is never made twice."""
    done = prepared.release("prepare", VERSION)
    assert (done.returncode, f"expected a semantic version newer than {VERSION}" in done.stderr) == (1, True)


def test_the_commit_of_a_release(prepared: Clone) -> None:
    """It has the version, the changes under its heading instead of in changes/, and a bundle that replaces the one before."""
    assert prepared.must("git", "log", "-1", "--format=%s").strip() == f"Release {VERSION}"
    assert [path.name for path in (prepared.folder / "changes").iterdir()] == ["README.md"]
    changelog = (prepared.folder / "CHANGELOG.md").read_text()
    for path in (ROOT / "changes").glob("*.*.md"):
        assert path.read_text().split("\n")[0] in changelog.partition(f"## [{VERSION}]")[2], path.name
    csv = yaml.safe_load((prepared.folder / "bundle" / CSV).read_text())
    assert csv["spec"]["replaces"] == last_release()
    prepared.must(sys.executable, "scripts/project.py", "--check")
    prepared.must(sys.executable, "scripts/bundle.py", "--check")


def test_the_output(prepared: Clone, built: Path) -> None:
    """All that is published, with sums that are right, and the tag."""
    assert sorted(path.name for path in built.iterdir()) == [
        "SHA256SUMS", "bundle", "bundle-image", "bundle.Dockerfile", "image", "install.yaml", "notes.md",
        "sbom-amd64.cdx.json", "sbom-arm64.cdx.json",
    ]  # fmt: skip
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=built, check=True)
    assert prepared.must("git", "rev-parse", f"v{VERSION}^{{commit}}") == prepared.must("git", "rev-parse", "HEAD")
    assert (built / "notes.md").read_text().startswith("### Added\n\n- ")


def test_the_image_is_of_two_architectures(built: Path) -> None:
    """One index, whose images say what they are."""
    _, images = index(built)
    configurations = {
        entry["platform"]["architecture"]: blob(built / "image", blob(built / "image", entry["digest"])["config"]["digest"])
        for entry in images["manifests"]
    }
    assert {name: one["architecture"] for name, one in configurations.items()} == {"amd64": "amd64", "arm64": "arm64"}
    assert {one["config"]["Labels"]["version"] for one in configurations.values()} == {VERSION}


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_each_has_programs_of_its_own(prepared: Clone, built: Path, architecture: str) -> None:
    """No library in it is of the machine that has built it, and it starts; arm64 by an emulator."""
    assert built
    with prepared.images.mounted(f"{prepared.image}:v{VERSION}-{architecture}") as root:
        libraries = list((root / "opt/venv/lib").rglob("*.so"))
        assert libraries
        machines = {int.from_bytes(path.read_bytes()[18:20], "little") for path in libraries}
        assert machines == {ELF_MACHINES[architecture]}
        emulator = [] if architecture == "amd64" else ["/usr/bin/qemu-aarch64-static"]
        for program in emulator:
            shutil.copy(program, root / "usr/bin")
        command = ["/usr/sbin/chroot", str(root), *emulator, "/usr/bin/python3.11", "/opt/venv/bin/rulepack", "--version"]
        env = {
            "PYTHONPATH": str(next(Path("/", path.relative_to(root)) for path in (root / "opt/venv/lib").glob("*/site-packages")))
        }
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"rulepack, version {VERSION}", done.stderr


def test_all_name_the_image_by_its_digest(prepared: Clone, built: Path) -> None:
    """The bundle and install.yaml name the index, which no push changes, and no tag."""
    digest, _ = index(built)
    csv = yaml.safe_load((built / "bundle" / CSV).read_text())
    assert csv["spec"]["relatedImages"] == [{"name": "rulepack", "image": f"{prepared.image}@{digest}"}]
    assert csv["spec"]["replaces"] == last_release()
    for text in ((built / "install.yaml").read_text(), (built / "bundle" / CSV).read_text()):
        assert set(re.findall(r"\bimage: (\S+)", text)) == {f"{prepared.image}@{digest}"}
    kinds = {document["kind"] for document in yaml.safe_load_all((built / "install.yaml").read_text())}
    assert {"Namespace", "Deployment", "ClusterRole", "Role", "Service", "PodDisruptionBudget"} <= kinds


def test_the_validators_find_nothing(built: Path, tmp_path: Path) -> None:
    """Multiarch included, which asks `docker` for the platforms of each image: here it answers with the index that was built."""
    digest, _ = index(built)
    docker = tmp_path / "docker"
    manifest = built / "image/blobs" / digest.replace(":", "/")
    docker.write_text(f'#!/bin/sh\ncase "$1" in pull) ;; manifest) cat {manifest} ;; *) exit 1 ;; esac\n')
    docker.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command: list[str | Path] = [olm.tools()["validate"], built / "bundle", "multiarch"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout or "null") == [], done.stderr
    docker.write_text('#!/bin/sh\necho \'{"manifests": [{"platform": {"os": "linux", "architecture": "amd64"}}]}\'\n')
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert "arm64" in done.stdout


def test_the_bundle_is_built_and_pushed_by_make(prepared: Clone, registry: Registry) -> None:
    """As users of operator-sdk do it, from the root: the image holds the manifests that the repository has."""
    image = f"{registry.address}/acme/by-make"
    (prepared.folder / ".venv").symlink_to(ROOT / ".venv")
    try:
        prepared.must("make", "bundle-build", "bundle-push", f"IMAGE_TAG_BASE={image}", "ARGS=--tls-verify=false")
    finally:
        (prepared.folder / ".venv").unlink()
    assert registry.manifest(f"{image}-bundle:v{VERSION}")
    with prepared.images.mounted(f"{image}-bundle:v{VERSION}") as root:
        assert (root / CSV).read_text() == (prepared.folder / "bundle" / CSV).read_text()
        assert (root / "tests/scorecard/config.yaml").is_file()


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_bill_of_materials(built: Path, architecture: str) -> None:
    """Each Python package has its licence, and the base is in it: on amd64 with each of its packages."""
    bill = json.loads((built / f"sbom-{architecture}.cdx.json").read_text())
    components = {component["name"]: component for component in bill["components"]}
    python = [one for one in bill["components"] if one.get("purl", "").startswith("pkg:pypi/")]
    assert [one["name"] for one in python if not one.get("licenses")] == []
    assert components["debian"]["type"] == "operating-system"
    if architecture == "amd64":
        debian = [one for one in bill["components"] if one.get("purl", "").startswith("pkg:deb/debian/")]
        assert len(debian) > 50
        assert [one["name"] for one in debian if not one.get("licenses")] == []


def test_published_images_are_what_was_built(prepared: Clone, built: Path, registry: Registry) -> None:
    """A registry has the index by its digest, byte for byte, and so each image of it; and the bundle's image."""
    done = prepared.release("publish", "--dest-tls-verify=false")
    assert done.returncode == 0, done.stderr
    digest, images = index(built)
    assert f"sha256:{hashlib.sha256(registry.manifest(f'{prepared.image}@{digest}')).hexdigest()}" == digest
    assert registry.manifest(f"{prepared.image}:v{VERSION}") == registry.manifest(f"{prepared.image}@{digest}")
    for entry in images["manifests"]:
        assert registry.manifest(f"{prepared.image}@{entry['digest']}")
    (bundle,) = json.loads((built / "bundle-image/index.json").read_text())["manifests"]
    assert registry.manifest(f"{prepared.image}-bundle:v{VERSION}") == registry.manifest(
        f"{prepared.image}-bundle@{bundle['digest']}"
    )


def test_what_comes_after_a_release(prepared: Clone, built: Path) -> None:
    """`begin` commits the least version that can follow, which is not released: its bundle replaces the release."""
    assert built
    done = prepared.release("begin")
    assert done.returncode == 0, done.stderr
    version = f"{semver.Version.parse(VERSION).bump_patch()}{DEVELOPMENT}"
    assert prepared.must("git", "log", "-1", "--format=%s").strip() == f"Begin {version}"
    csv = yaml.safe_load((prepared.folder / "bundle" / CSV).read_text())
    assert (csv["spec"]["version"], csv["spec"]["replaces"]) == (version, f"{PACKAGE}.v{VERSION}")
    for script in ("project.py", "bundle.py"):
        prepared.must(sys.executable, f"scripts/{script}", "--check")
    deployment = (prepared.folder / "config/manager/deployment.yaml").read_text()
    assert f"image: {prepared.image}:v{version}\n" in deployment
