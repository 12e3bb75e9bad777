"""A file-based catalog with versions of the operator, as a community catalog would publish it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts import catalog
from scripts.bundle import PACKAGE, ROOT
from tests.bundle import released
from tests.controlplane.gobuild import Programs

#: The first was released once; the others are made of what is here.
FIRST, OLD, SKIPPED, NEW = released.VERSION, "0.2.0", "0.3.0", "0.4.0"


def name(version: str) -> str:
    """The name of a version's ClusterServiceVersion."""
    return f"{PACKAGE}.v{version}"


def write_bundle(folder: Path, version: str, replaces: str = "") -> Path:
    """A bundle of a version, written by scripts/bundle.py into a folder of its own; that of the first as it was released."""
    if version == FIRST:
        return released.unpack(folder) / "bundle"
    into = folder / version
    script, before = str(ROOT / "scripts/bundle.py"), ["--replaces", replaces] if replaces else []
    subprocess.run([sys.executable, script, version, "--into", str(into), *before], check=True)
    return into


def write_catalog(folder: Path, tools: Programs, *versions: str) -> Path:
    """A catalog that `opm` has rendered from bundles of these versions, each of which replaces the one before it."""
    before = ["", *map(name, versions)]
    bundles = [write_bundle(folder, version, replaces) for version, replaces in zip(versions, before, strict=False)]
    return catalog.write_catalog(folder, tools["opm"], bundles)
