"""docs/adr-048.md: each statement has an answer, and a test that is there."""

from __future__ import annotations

import re

import pytest

from scripts.project import ROOT

TEXT = (ROOT / "docs/adr-048.md").read_text()
PARTS = [f"Feature {number}" for number in range(1, 6)]
ROWS = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if line.startswith("| ") and "the ADR says" not in line]


def test_every_part_of_the_adr_has_a_table() -> None:
    """Problems, the five features, metrics and success criteria."""
    headings = [heading.partition(":")[0] for heading in re.findall(r"^## (.*)$", TEXT, re.MULTILINE)]
    assert headings == ["Its essence", "Problems", *PARTS, "Metrics", "Roadmap and success criteria"]


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_every_statement_has_an_answer_and_a_test(row: list[str]) -> None:
    """What is different says so, and why or where."""
    statement, answer, tests = row
    assert statement and answer
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert "different" not in answer or re.search(r"since|decision|would|cannot|does|and only if|read", answer)
