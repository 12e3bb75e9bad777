"""A file-based catalog with two versions of the operator, as a community catalog would publish it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from scripts.bundle import CHANNEL, PACKAGE, ROOT
from tests.controlplane.gobuild import Programs

OLD, NEW = "0.0.1", "0.0.2"


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
    catalog = folder / "catalog"
    catalog.mkdir()
    readme, icon = ROOT / "README.md", ROOT / "config/manifests/icon.svg"
    texts = [_opm(tools, "init", PACKAGE, "-c", CHANNEL, "-d", str(readme), "-i", str(icon), "-o", "yaml")]
    entries = []
    for version, before in zip(versions, ("", *versions), strict=False):
        replaces = {"replaces": name(before)} if before else {}
        texts.append(_opm(tools, "render", str(write_bundle(folder, version, replaces.get("replaces", ""))), "-o", "yaml"))
        entries.append({"name": name(version), **replaces})
    texts.append(yaml.safe_dump({"schema": "olm.channel", "package": PACKAGE, "name": CHANNEL, "entries": entries}))
    (catalog / "catalog.yaml").write_text("\n---\n".join(text.removeprefix("---\n") for text in texts))
    _opm(tools, "validate", str(catalog))
    return catalog


def _opm(tools: Programs, *arguments: str) -> str:
    done = subprocess.run([tools["opm"], *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"opm {' '.join(arguments)}: {done.stderr}"
    return done.stdout
