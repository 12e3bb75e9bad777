"""Write what the image holds as a CycloneDX 1.6 bill of materials (cyclonedx.org), from the lock alone: no network is needed.

`python scripts/sbom.py FILE`; the same lock and version give the same file, byte for byte.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"

_ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9_.-]+)==(?P<version>[^\s;]+)(?P<rest>(?:.*\n(?=[ \t]))*.*)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_WANTED_BY = re.compile(r"^\s+#\s+(?:via\s+)?([A-Za-z0-9_.-]+)(?:\[[^]]*\])?(?:\s+\(pyproject\.toml\))?\s*$", re.MULTILINE)


def bill(lock: str, version: str) -> dict[str, Any]:
    """The document for a lock file's text and the version of rulepack."""
    root = f"pkg:pypi/rulepack@{version}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, root + lock)}",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": root, "name": "rulepack", "version": version, "purl": root}},
        "components": list(_components(lock)),
        "dependencies": _dependencies(lock, root),
    }


def _components(lock: str) -> Iterator[dict[str, Any]]:
    for entry in _ENTRY.finditer(lock):
        purl = _purl(entry)
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": entry["name"],
            "version": entry["version"],
            "purl": purl,
            "hashes": [{"alg": "SHA-256", "content": digest} for digest in _HASH.findall(entry["rest"])],
        }


def _dependencies(lock: str, root: str) -> list[dict[str, Any]]:
    """Who needs whom, from the comments that pip-compile leaves."""
    purls = {_normal(entry["name"]): _purl(entry) for entry in _ENTRY.finditer(lock)}
    needs: dict[str, list[str]] = {root: [], **{purl: [] for purl in purls.values()}}
    for entry in _ENTRY.finditer(lock):
        for name in _WANTED_BY.findall(entry["rest"]):
            wanting = root if _normal(name) == "rulepack" else purls.get(_normal(name))
            if wanting is not None:
                needs[wanting].append(_purl(entry))
    return [{"ref": ref, "dependsOn": sorted(set(others))} for ref, others in needs.items()]


def _purl(entry: re.Match[str]) -> str:
    return f"pkg:pypi/{_normal(entry['name'])}@{entry['version']}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write the file that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/sbom.py FILE")
    found = re.search(r'^__version__ = "([^"]+)"', (ROOT / "engine" / "__init__.py").read_text(), re.MULTILINE)
    if found is None:
        sys.exit('engine/__init__.py has no line __version__ = "…"')
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bill(LOCK.read_text(), found[1]), indent=2) + "\n")
    print(f"{path}: {len(list(_components(LOCK.read_text())))} components")


if __name__ == "__main__":
    main()
