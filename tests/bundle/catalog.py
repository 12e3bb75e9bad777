"""A file-based catalog with two versions of the operator, as a community catalog would publish it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts import catalog
from scripts.bundle import PACKAGE, ROOT
from tests.controlplane.gobuild import Programs

OLD, SKIPPED, NEW = "0.0.1", "0.0.2", "0.0.3"


def name(version: str) -> str:
    """The name of a version's ClusterServiceVersion."""
    return f"{PACKAGE}.v{version}"


def write_bundle(folder: Path, version: str, replaces: str = "") -> Path:
    """A bundle of a version, written by scripts/bundle.py into a folder of its own."""
    into = folder / version
    script, before = str(ROOT / "scripts/bundle.py"), ["--replaces", replaces] if replaces else []
    subprocess.run([sys.executable, script, version, "--into", str(into), *before], check=True)
    return into


def write_catalog(folder: Path, tools: Programs, *versions: str) -> Path:
    """A catalog that `opm` has rendered from bundles of these versions, each of which replaces the one before it."""
    before = ["", *map(name, versions)]
    bundles = [write_bundle(folder, version, replaces) for version, replaces in zip(versions, before, strict=False)]
    return catalog.write_catalog(folder, tools["opm"], bundles)
