"""scripts/prose.py: what it finds on a page, and that it checks each page for people."""

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


def test_a_page_with_a_fault_fails_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its name and line; generated pages and decisions are not checked."""
    for name, text in {
        "docs/a.md": "It acts.",
        "docs/reference/b.md": "What it is.",
        "docs/decisions/c.md": "What it is.",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert check(tmp_path) == 0

    (tmp_path / "docs/a.md").write_text("What it is.")
    assert check(tmp_path) == 1
    assert capsys.readouterr().err.startswith("docs/a.md:1: a sentence begins with 'What'")
