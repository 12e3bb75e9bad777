"""Take the scripts of the console from their npm packages, as engine/console/static/vendored.json says.

`python scripts/vendor.py` writes the files and their digests after a change of a version there. It needs npm, which gets the
packages from the registry that the machine is set up for, and proves their integrity.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "engine/console/static"
RECORD = STATIC / "vendored.json"


class MissingNpm(Exception):
    """A package is needed, and the machine has no npm, or npm cannot get it."""


def tarball(name: str, version: str, folder: Path) -> Path:
    """Return the tarball of a package in a folder, got where it is not there. Raises MissingNpm."""
    path = folder / f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"
    if not path.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise MissingNpm(f"{name} {version} comes from npm, and this machine has none; install Node.js with npm")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as own:
            done = subprocess.run(
                [npm, "pack", "--silent", f"{name}@{version}"], cwd=own, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise MissingNpm(f"npm cannot get {name} {version}: {done.stderr.strip() or done.stdout.strip()}")
            (Path(own) / path.name).replace(path)
    return path


def member(path: Path, name: str) -> bytes:
    """Return a file of a tarball. Raises KeyError where there is none of that name."""
    with tarfile.open(path) as archive:
        file = archive.extractfile(f"package/{name}")
        assert file is not None, name
        return file.read()


def record() -> list[dict[str, Any]]:
    """Return what is vendored: package, version, licence, and its files with their digests."""
    packages: list[dict[str, Any]] = json.loads(RECORD.read_text())
    return packages


def main() -> int:
    """Write the files. Return the exit code."""
    packages = record()
    with tempfile.TemporaryDirectory() as folder:
        for package in packages:
            try:
                path = tarball(package["package"], package["version"], Path(folder))
            except MissingNpm as missing:
                print(f"vendor: {missing}", file=sys.stderr)
                return 1
            for file in package["files"]:
                data = member(path, file["from"])
                (STATIC / file["file"]).write_bytes(data)
                file["sha256"] = hashlib.sha256(data).hexdigest()
    RECORD.write_text(json.dumps(packages, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
