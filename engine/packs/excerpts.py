"""The line of a text in which a fault is, and where to put a caret below it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import Location

WIDTH = 120
"""Columns of a line that are shown at most, so that the caret stays in view."""
_STEP = re.compile(r"[^.\[\]]+")


def excerpt(line: str, column: int) -> tuple[str, str]:
    """Return the part of a line around a column that is shown, and the white space that goes before a caret below it."""
    start = max(0, column - 1 - WIDTH // 2)
    return _visible(line[start : start + WIDTH]), _blank(line[start : column - 1])


def lines_at(spec: Mapping[str, Any], location: Location) -> Sequence[str]:
    """Return the lines of the text that a location in an object leads to; none where it leads to something else."""
    value: Any = {"spec": spec}
    for step in _STEP.findall(location.path):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return ()
    return value.splitlines() if isinstance(value, str) else ()


def _visible(line: str) -> str:
    """Return a line without what would move the cursor or change colours."""
    return "".join(char if char == "\t" or char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)


def _blank(text: str) -> str:
    """Return white space as wide as a text: tabs stay, wide characters take two columns, combining ones none."""
    return "".join("\t" if char == "\t" else " " * _columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
