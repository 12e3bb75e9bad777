"""What the checker finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TypeFault:
    """What is wrong with the types of an expression, from an offset of its text on, and what to write instead."""

    offset: int
    message: str
    expected: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A field that is not in the schema: its variable, the path below that, where it stands in the text, and what there is.

    `expected` is what to write instead, where it is not one of those.
    """

    root: str
    path: tuple[str, ...]
    offset: int
    known: Sequence[str]
    expected: str = ""
