"""scripts/prose.py: what it finds on a page, and that its list of pages only becomes shorter."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.prose import LONGEST_MEDIAN, check, faults

LONG = "Word" + " word" * (LONGEST_MEDIAN - 1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# A\n\nIt acts. What it does is right.", "a sentence begins with 'What': 'What it does is right.'"),
        ("- Whoever reads this knows.", "a sentence begins with 'Whoever'"),
        ("| a | b |\n|---|---|\n| c | That is so. |", "a sentence begins with 'That'"),
        ("The engine judges each object.", "'judges' is not written here: 'The engine judges each object.'; write evaluate"),
        ("## It is told once\n\nA b.", "'is told' is not written here"),
        (f"Short. {LONG}. {LONG}.", "the median sentence has 18 words, expected fewer than 18"),
    ],
)
def test_a_fault_is_found(text: str, complaint: str) -> None:
    """The message says what it is and what to write instead."""
    assert [message for _, message in faults(text) if complaint in message]


@pytest.mark.parametrize(
    "text",
    [
        "# What a pack watches\n\nChoose the kind.",
        "Whatever happens, it goes on.",
        "Write `What` and `judge`.\n\n```sh\nWhat is told\n```",
        f"Short. Short too. {LONG}.",
        f"| a | b |\n|---|---|\n| {LONG} | c |",
    ],
)
def test_what_is_no_fault(text: str) -> None:
    """Headings may be questions, code is no prose, cells are no sentences, and one sentence may be long."""
    assert faults(text) == []


def test_the_line_is_that_of_the_text() -> None:
    """By which an editor opens it."""
    assert [line for line, _ in faults("# A\n\nIt acts.\n\n- One.\n- What is it?\n")] == [6]


def pages(root: Path, text: str) -> Path:
    """A checkout with one page."""
    (root / "docs").mkdir()
    (root / "docs/a.md").write_text(text)
    return root


def test_a_page_of_the_list_is_left_alone(tmp_path: Path) -> None:
    """Any other page with a fault fails the check, with its name and line."""
    root = pages(tmp_path, "What it is.")
    assert check(root, ["docs/a.md"]) == 0
    assert check(root, []) == 1


def test_a_page_that_is_clean_has_to_leave_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So has one that is gone."""
    root = pages(tmp_path, "It acts.")
    assert check(root, ["docs/a.md", "docs/b.md"]) == 1
    told = capsys.readouterr().err
    assert "docs/a.md has no fault any more; remove it from NOT_YET" in told
    assert "docs/b.md is in NOT_YET and there is no such page" in told
