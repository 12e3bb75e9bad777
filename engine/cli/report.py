"""How commands show faults and differences: plain text, with colours on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import click

from engine.errors import Fault

_COLOURS = (
    (re.compile(r"^\s*- "), {"fg": "green"}),
    (re.compile(r"^\s*\+ "), {"fg": "red"}),
    (re.compile(r"^FAIL "), {"fg": "red", "bold": True}),
)


def say(line: str) -> None:
    """Print a line of a report; what was expected is green, what was found is red."""
    style = next((style for pattern, style in _COLOURS if pattern.match(line)), {})
    click.echo(click.style(line, **style) if style else line)


def fault_lines(faults: Iterable[Fault]) -> Iterator[str]:
    """Faults as `file:line:column: error: what; expected what`."""
    for fault in faults:
        expected = f"; expected {fault.expected}" if fault.expected else ""
        yield f"{fault.location}: error: {fault.message}{expected}"
