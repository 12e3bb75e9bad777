"""A file-based catalog of bundles, rendered and checked by `opm`: `python scripts/catalog.py INTO BUNDLE…`, oldest first.

INTO gets what `make catalog-build` makes an image of: the catalog and its Dockerfile.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.bundle import CHANNEL, CSV, PACKAGE  # noqa: E402
from tests.controlplane import olm  # noqa: E402
from tests.controlplane.gobuild import MissingProgram  # noqa: E402


def write_catalog(into: Path, opm: Path, bundles: Sequence[Path]) -> Path:
    """Write the catalog of one channel below a folder; the catalog's own folder. Ends the program where opm finds it wrong."""
    catalog = into / "catalog"
    package = catalog / PACKAGE
    package.mkdir(parents=True)
    readme, icon = ROOT / "README.md", ROOT / "config/manifests/icon.svg"
    texts = [_opm(opm, "init", PACKAGE, "-c", CHANNEL, "-d", str(readme), "-i", str(icon), "-o", "yaml")]
    texts += [_opm(opm, "render", str(bundle), "-o", "yaml") for bundle in bundles]
    channel = {"schema": "olm.channel", "package": PACKAGE, "name": CHANNEL, "entries": [_entry(bundle) for bundle in bundles]}
    texts.append(yaml.safe_dump(channel, sort_keys=False))
    (package / "catalog.yaml").write_text("\n---\n".join(text.removeprefix("---\n") for text in texts))
    _opm(opm, "validate", str(catalog))
    return catalog


def _entry(bundle: Path) -> dict[str, Any]:
    """What the channel says of a bundle: its name, and which versions it is an upgrade for."""
    csv = yaml.safe_load((bundle / CSV).read_text())
    skips = csv["metadata"]["annotations"].get("olm.skipRange")
    replaces = csv["spec"].get("replaces")
    return {
        "name": csv["metadata"]["name"],
        **({"replaces": replaces} if replaces else {}),
        **({"skipRange": skips} if skips else {}),
    }


def _opm(opm: Path, *arguments: str) -> str:
    done = subprocess.run([opm, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"opm {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def main() -> None:
    """Write the catalog and its Dockerfile anew."""
    if len(sys.argv) < 3:
        sys.exit("usage: python scripts/catalog.py INTO BUNDLE…")
    into, *bundles = map(Path, sys.argv[1:])
    shutil.rmtree(into, ignore_errors=True)
    try:
        opm = Path(shutil.which("opm") or olm.tools()["opm"])
    except MissingProgram as missing:
        sys.exit(str(missing))
    write_catalog(into, opm, bundles)
    subprocess.run([opm, "generate", "dockerfile", "catalog"], cwd=into, check=True)


if __name__ == "__main__":
    main()
