"""docs/decisions: each record has one form, and the table shows what they say."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from scripts.project import ROOT

FOLDER = ROOT / "docs/decisions"
RECORDS = sorted(FOLDER.glob("0*.md"))
FORM = re.compile(r"# (\d+)\. (.+)\n\n- \*\*Status:\*\* (.+)\n- \*\*Date:\*\* (\d{4}-\d\d-\d\d)\n\n\*\*Question\.\*\* ")
ROWS = dict(re.findall(r"^\| \[\d+\]\((0\S+)\) \| .* \| (.*) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE))


def parts(record: Path) -> tuple[str, ...]:
    """Number, title, status and date."""
    found = FORM.match(record.read_text())
    assert found, f"{record.name}: expected the title, then Status, Date and Question as in {RECORDS[0].name}"
    return found.groups()


def superseding(status: str) -> list[str]:
    """The records that a status, or a row of the table, names."""
    return re.findall(r"\]\((0[^)]+)\)", status)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_has_the_form(record: Path) -> None:
    """Status, date, question, decision and alternatives; the number is that of the file."""
    number, _, status, day = parts(record)
    assert int(number) == int(record.name[:4])
    assert date.fromisoformat(day)
    assert status == "accepted" or re.match(r"(accepted; )?superseded .*by \[decision ", status)
    assert all((FOLDER / name).exists() and name != record.name for name in superseding(status))
    for heading in ("Decision", "Alternatives"):
        assert re.search(rf"^\*\*{heading}\.\*\*\s+\S", record.read_text(), re.MULTILINE), f"{record.name}: no **{heading}.**"


def test_dates_follow_the_numbers() -> None:
    """A record gets the next number."""
    days = [parts(record)[3] for record in RECORDS]
    assert days == sorted(days)


def test_the_table_shows_each_record_with_its_status() -> None:
    """A row says `accepted`, or by which record it is superseded."""
    assert list(ROWS) == [record.name for record in RECORDS]
    for record in RECORDS:
        status = parts(record)[2]
        assert superseding(ROWS[record.name]) == superseding(status)
        assert ROWS[record.name].startswith(status.partition(";")[0].partition(" ")[0])
