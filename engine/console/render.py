"""Templates as HTML: whatever comes from the cluster is escaped, and cannot change the direction of what stands beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from engine import __version__
from engine.console.firings import Firing, Hidden
from engine.model.text import clean, cut

FOLDER = Path(__file__).parent
PIECES = 40
"""How many parts of a template are written before others have their turn."""
VARIANTS = 4
"""For how many groups of viewers, who may see the same, a firing is kept as HTML."""
SHOWN = 1_000
"""Characters of a text that are shown at most."""


def text(value: object) -> str:
    """Return a value as text without control characters and marks of direction, and not longer than anybody reads."""
    return cut(clean(str(value)), SHOWN)


def _time(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _seconds(seconds: float) -> str:
    """Return a duration in words, to two digits at least."""
    if seconds < 0.05:
        return "at once"
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.0f} h"


_environment = Environment(
    loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True, auto_reload=False, finalize=lambda value: text(value) if type(value) is str else value,
)  # fmt: skip
_environment.filters |= {"time": _time, "seconds": _seconds}
_environment.globals["version"] = __version__


def page(template: str, **values: Any) -> Iterator[bytes]:
    """Yield a page in pieces."""
    stream = _environment.get_template(template).stream(**values)
    stream.enable_buffering(PIECES)
    return (piece.encode(errors="replace") for piece in stream)


async def part(template: str, **values: Any) -> Markup:
    """Return a part of a page; others have their turn in between."""
    pieces, made = [], _environment.get_template(template)
    await asyncio.sleep(0)  # the first time, that has compiled it
    for piece in made.generate(**values):
        pieces.append(piece)
        if len(pieces) % PIECES == 0:
            await asyncio.sleep(0)
    return Markup("".join(pieces))


def firing(shown: Firing, hidden: Hidden, *, replaces: bool = False) -> Markup:
    """Return a firing as an item of a list, without what the viewer may not see.

    Where it `replaces` the item of the same firing, it says so to htmx.
    """
    key = hidden, replaces
    found = shown.rendered.get(key)
    if found is None:
        template = _environment.get_template("firing.html")
        found = Markup(template.render(firing=shown, hidden=hidden, replaces=replaces))
        if len(shown.rendered) >= VARIANTS:
            shown.rendered.clear()
        shown.rendered[key] = found
    return found


def removed(numbers: Sequence[int]) -> str:
    """Return what removes the items of firings from the list."""
    return _environment.get_template("removed.html").render(numbers=numbers)


def ended(why: str) -> str:
    """Return why no news come any more."""
    return _environment.get_template("ended.html").render(why=why)


def gone() -> str:
    """Return what stands in the place of an object that is not there any more."""
    return _environment.get_template("gone.html").render()
