"""docs/debugging.md: its commands work in order, and `explain` and the engine say what it says that they do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tutorial.play import ROOT, missing, play

PAGE = "docs/debugging.md"
TEXT = (ROOT / PAGE).read_text()
SOURCES = "".join(path.read_text() for path in (ROOT / "engine").rglob("*.py"))


def first_column(heading: str) -> list[str]:
    """The first cells of the table of a section."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| ")][1:]


def test_every_command_does_what_the_page_says(tmp_path: Path) -> None:
    """The outputs that it shows are those that come, and the test at its end passes."""
    output, _ = play(PAGE, tmp_path)
    assert missing(PAGE, output) == []
    assert "1 of 1 tests passed" in output or "1 passed" in output, output


@pytest.mark.parametrize("cell", first_column("2. Read the reason"))
def test_explain_has_each_reason(cell: str) -> None:
    """The words of each reason, up to what differs, are words of the engine."""
    reason = cell.strip("`").partition("…")[0]
    words = re.sub(r"when\[1\] |\d+ s yet", "", reason).strip()
    assert words in SOURCES, words


@pytest.mark.parametrize("event", sorted(set(re.findall(r"an Event `(\w+)`", TEXT))))
def test_each_event_is_emitted(event: str) -> None:
    """By the engine, under this name."""
    assert f'"{event}"' in SOURCES
