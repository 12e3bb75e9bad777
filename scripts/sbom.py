"""Write what the image holds as a CycloneDX 1.6 bill of materials (cyclonedx.org): no network is needed.

`python scripts/sbom.py FILE`, from the lock alone; the same lock and version give the same file, byte for byte. A release adds
what only the image itself says: the packages of its base, and the licences of all (see scripts/licences.py).
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts import licences  # noqa: E402
from scripts.project import project  # noqa: E402

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


def write(path: Path, version: str, root: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Write the document; with the root of the image and its environment also what is found there."""
    document = bill(LOCK.read_text(), version)
    if root is not None:
        known = licences.of_python(root)
        for component in document["components"]:
            component.update(licences.entry(known.get(_normal(component["name"]), [])))
        document["components"] += licences.base(root, environment or {})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{path}: {len(document['components'])} components")


def main() -> None:
    """Write the file that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/sbom.py FILE")
    write(Path(sys.argv[1]), project().version)


if __name__ == "__main__":
    main()
