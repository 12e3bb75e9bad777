"""Move the fragments of changes/ into CHANGELOG.md under the heading of a version; see changes/README.md."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

#: The headings of Keep a Changelog, in its order.
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
UNRELEASED = "## [Unreleased]\n"


class UnknownFragment(Exception):
    """The name of a fragment has none of the kinds; the text says which one."""


def fragments(folder: Path) -> list[Path]:
    """The files of the fragments, in the order of their names."""
    return sorted(path for path in folder.glob("*.md") if path.name != "README.md")


def released(changelog: str, paths: Iterable[Path], version: str, date: str) -> str:
    """The text of a changelog in which all that is not released, there and in fragments, has become a version.

    Raises UnknownFragment.
    """
    head, _, rest = changelog.partition(UNRELEASED)
    unreleased, mark, older = rest.partition("\n## [")
    kinds = dict(re.findall(r"^### (\w+)\n\n(.*?)\s*(?=^### |\Z)", unreleased, re.MULTILINE | re.DOTALL))
    for path in paths:
        kind = path.name.split(".")[-2].capitalize()
        if kind not in KINDS:
            raise UnknownFragment(f"{path.name}: expected NAME.KIND.md, with KIND one of {', '.join(KINDS).lower()}")
        item = textwrap.indent(path.read_text().strip(), "  ").replace("  ", "- ", 1)
        kinds[kind] = f"{kinds[kind]}\n{item}" if kind in kinds else item
    return f"{head}{UNRELEASED}\n## [{version}] - {date}\n\n{_sections(kinds)}{mark}{older}"


def notes(changelog: str, version: str) -> str:
    """What a changelog says of a version, '' where it does not."""
    found = re.search(rf"^## \[{re.escape(version)}\][^\n]*\n\n(.*?)(?=^## \[|\Z)", changelog, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def _sections(kinds: Mapping[str, str]) -> str:
    return "\n".join(f"### {kind}\n\n{kinds[kind]}\n" for kind in KINDS if kind in kinds)
