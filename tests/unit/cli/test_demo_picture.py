"""The picture of the demo in the README is of the demo as it is now."""

from __future__ import annotations

import html
import re

import yaml

from engine.packs.sources import shipped_demo
from tests.browser.terminal import COLUMNS, PICTURE, drawn

SCRIPT = yaml.safe_load((shipped_demo() / "script.yaml").read_text(encoding="utf-8"))
TERMINAL = """\
A platform
  9.3 s    Pod one: starting

 13.9 s  The engine starts.
 64.5 s    => rule a/b, for c
┏━━━┓
│ ✓ │
└───┘
1 of 1 effects are as expected
"""


def text(picture: str) -> list[str]:
    """The lines of a picture."""
    lines: dict[str, str] = {}
    for line, part in re.findall(r'clip-path="url\(#demo-(line-\d+)\)">(.*?)</text>', picture):
        lines[line] = lines.get(line, "") + html.unescape(part).replace("\xa0", " ")
    return [line.rstrip() for line in lines.values()]


def test_the_picture_shows_what_the_script_says_and_expects() -> None:
    """Every sentence and every effect of the shipped script in their order, and nothing else; if not: `make pictures`."""
    lines = text(PICTURE.read_text(encoding="utf-8"))
    table = [[cell.strip() for cell in line.split("│")[1:3]] for line in lines if line.startswith("│")]
    effects: list[str] = []
    for mark, cell in table:
        if mark:
            effects.append(cell)
        else:
            effects[-1] = f"{effects[-1]} {cell}".rstrip()
    assert effects == [each["effect"] for each in SCRIPT["effects"]]
    assert {mark for mark, _ in table} == {"✓", ""}
    sentences = [SCRIPT["title"], "The engine starts.", *(step["say"] for step in SCRIPT["steps"])]
    top = next(number for number, line in enumerate(lines) if line.startswith("┏"))
    assert [line for line in lines[1:top] if line] == sentences


def test_the_picture_loads_nothing() -> None:
    """No fonts of other servers: readers are not seen by them."""
    assert re.findall(r"url\((?!#)|@import|href|<script", PICTURE.read_text(encoding="utf-8")) == []


def test_what_varies_from_run_to_run_is_left_out() -> None:
    """The seconds, and what lies between the sentences; a line is never broken."""
    lines = [line for line in text(drawn(TERMINAL.encode())) if line]
    assert lines == [
        "$ make demo",
        "A platform",
        "The engine starts.",
        "┏━━━┓",
        "│ ✓ │",
        "└───┘",
        "1 of 1 effects are as expected",
    ]
    assert max(map(len, text(PICTURE.read_text(encoding="utf-8")))) <= COLUMNS
