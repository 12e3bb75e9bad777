"""What the root of an image says of its packages: those of its base, and under which licences they and Python's are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

_OSI = re.compile(r"License :: (?:OSI Approved :: )?(?:.* :: )?(.+)")
#: Of a copyright file that machines can read (Debian policy: copyright-format 1.0), and of any other.
_LICENCE = re.compile(r"^License: *(\S.*?)\s*$", re.MULTILINE)
_COMMON = re.compile(r"/usr/share/common-licenses/([\w.+-]*\w)")
_VERSION = re.compile(r"\s*Version (\d[\d.]*)")
#: Above this length it is the text of a licence and not its name.
_LONGEST = 80


def entry(names: Sequence[str]) -> dict[str, Any]:
    """The part of a CycloneDX component that says its licences; none where they are not known."""
    return {"licenses": [{"license": {"name": name}} for name in names]} if names else {}


def of_python(root: Path) -> dict[str, list[str]]:
    """The licences of the Python packages in /opt/venv, by normalized name, as their metadata have them."""
    folders = [str(folder) for folder in (root / "opt/venv/lib").glob("python3*/site-packages")]
    return {re.sub(r"[-_.]+", "-", one.name).lower(): _of(one) for one in distributions(path=folders)}


def _of(distribution: Distribution) -> list[str]:
    metadata = distribution.metadata
    for key in ("License-Expression", "License"):
        name = str(metadata[key] or "").strip()  # None where there is no such line
        if name and name != "UNKNOWN" and len(name) <= _LONGEST and "\n" not in name:
            return [name]
    names = {found[1] for text in metadata.get_all("Classifier") or [] if (found := _OSI.fullmatch(text))}
    return sorted(
        names or {_title(text) for file in metadata.get_all("License-File") or [] if (text := _text(distribution, file))}
    )


def _text(distribution: Distribution, file: str) -> str:
    """The text of a file of licences (PEP 639: in the folder licenses; before it, beside the metadata)."""
    return distribution.read_text(f"licenses/{file}") or distribution.read_text(file) or ""


def _title(text: str) -> str:
    """The first line of a licence, with the version that follows it."""
    title = text.strip().partition("\n")[0].strip()
    found = _VERSION.match(text.strip(), len(title))
    return f"{title} {found[1]}" if found else title


def base(root: Path, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """The components of the base: Debian, its packages, and the Python that python's own image adds to them."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)', (root / "etc/os-release").read_text(), re.MULTILINE))
    about = {"type": "operating-system", "name": release["ID"], "version": release.get("VERSION_ID", "")}
    found = [{**about, "bom-ref": f"os:{release['ID']}@{about['version']}"}]
    if version := environment.get("PYTHON_VERSION"):
        purl = f"pkg:generic/python@{version}"
        python = {"type": "platform", "bom-ref": purl, "name": "python", "version": version, "purl": purl}
        found.append({**python, **entry(["PSF-2.0"])})
    status = root / "var/lib/dpkg/status"
    for paragraph in status.read_text().split("\n\n") if status.exists() else ():
        fields = dict(re.findall(r"^([\w-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            found.append(_debian(root, fields, release))
    return found


def _debian(root: Path, fields: Mapping[str, str], release: Mapping[str, str]) -> dict[str, Any]:
    name, version = fields["Package"], fields["Version"]
    purl = f"pkg:deb/debian/{name}@{version}?arch={fields['Architecture']}&distro={release.get('VERSION_CODENAME', '')}"
    path = root / "usr/share/doc" / name / "copyright"
    text = path.read_text(errors="replace") if path.is_file() else ""
    names = sorted({*_LICENCE.findall(text)} or {*_COMMON.findall(text)})
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, **entry(names)}
