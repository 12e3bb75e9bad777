"""The image as it is really built, by buildah from the Dockerfile: `make node` runs this, since it has what that needs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import __version__
from scripts.bundle import ROOT
from tests.image.confined import USER
from tests.node.images import BASE, OPERATOR, Images

pytestmark = pytest.mark.node

SECOND = "localhost/rulepack:second"
LIMIT = 90_000_000
#: What is a program and no module.
PROGRAM = "engine.cli.__main__"
IMPORT_ALL = f"""
import importlib, pkgutil, engine
names = [found.name for found in pkgutil.walk_packages(engine.__path__, "engine.") if found.name != {PROGRAM!r}]
for name in names:
    importlib.import_module(name)
print(*sorted(names))
"""


@pytest.fixture(scope="module")
def images() -> Images:
    """The store, with the base and the operator's image."""
    images = Images()
    images.prepare()
    return images


@pytest.fixture(scope="module")
def root(images: Images) -> Iterator[Path]:
    """The root of a container of the image."""
    with images.mounted(OPERATOR) as root:
        yield root


def test_two_builds_are_one(images: Images) -> None:
    """A second build has the same configuration and the same layers, digest for digest."""
    images.build(SECOND)
    assert images.digests(SECOND) == images.digests(OPERATOR)


def test_it_is_small(images: Images) -> None:
    """What it adds to its base."""
    assert images.size(OPERATOR) - images.size(BASE) < LIMIT


def test_its_labels_are_filled_in(images: Images) -> None:
    """Version and revision are those of this commit, and what Red Hat's preflight requires is there.

    Source: openshift-preflight, internal/policy/container/has_required_labels.go.
    """
    labels = images.labels(OPERATOR)
    required = ("name", "vendor", "version", "release", "summary", "description", "maintainer")
    assert [name for name in required if not labels.get(name)] == []
    assert labels["version"] == labels["org.opencontainers.image.version"] == __version__
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    assert labels["org.opencontainers.image.revision"] == revision


def test_it_holds_a_license(root: Path) -> None:
    """In the folder that preflight reads."""
    assert (root / "licenses/LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_every_module_can_be_imported(images: Images) -> None:
    """By a user that owns nothing: nothing that the engine imports was left out of the client library."""
    paths = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "engine").rglob("*.py")]
    names = {".".join(path.parts).removesuffix(".__init__") for path in paths}
    assert {*images.run(OPERATOR, USER, "python", "-c", IMPORT_ALL).split()} == names - {"engine", PROGRAM}
    assert images.run(OPERATOR, USER, "rulepack", "--version") == f"rulepack, version {__version__}"


def test_its_code_is_compiled(root: Path) -> None:
    """Each module once, in the form that is not checked against a time (PEP 552), so that a start compiles nothing."""
    packages = next((root / "opt/venv/lib").glob("python3*/site-packages"))
    sources = [path for path in packages.rglob("*.py") if "/lib2to3/" not in str(path)]
    missing = [path for path in sources if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))]
    assert missing == []
    assert {path.read_bytes()[4:8] for path in packages.rglob("*.pyc")} == {b"\x01\x00\x00\x00"}


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_each_locked_wheel_exists(architecture: str, tmp_path: Path) -> None:
    """pip finds a wheel of each package for both architectures, with a hash of the lock: no build needs a compiler."""
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:",
        "--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3", "--abi=none",
        *(f"--platform=manylinux{tag}_{architecture}" for tag in ("2014", "_2_17", "_2_24", "_2_26", "_2_28", "_2_34")),
        f"--dest={tmp_path}", "--requirement=requirements.lock",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    locked = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line and line[0] not in "# "]
    assert len(list(tmp_path.glob("*.whl"))) == len(locked)
