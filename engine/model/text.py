"""How messages quote what users wrote, and name what was expected instead."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Self

#: What a terminal obeys: escape sequences (ECMA-48) with their parameters, and single control characters but tab and newline.
_CONTROL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[@-_]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
#: What makes a text look like another one: marks of direction (Unicode UAX #9), separators of lines, lone surrogates.
_INVISIBLE = re.compile("[\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

SHORT = 4
"""Characters of a name that is short."""


class Quoting(str):
    """A text for people that may quote an object; `plain` is as much of it as quotes none."""

    plain: str

    def __new__(cls, text: str, plain: str = "") -> Self:
        """Make it of both texts."""
        made = super().__new__(cls, text)
        made.plain = plain
        return made


def after(start: str, text: str | Exception) -> Quoting:
    """Return a text after a start that quotes no object."""
    rest = getattr(text, "plain", "")
    return Quoting(f"{start}: {text}", f"{start}: {rest}" if rest else start)


def plain(text: str) -> Quoting:
    """Return a text that quotes no object."""
    return Quoting(text, text)


def clean(text: str) -> str:
    """Return a text without escape sequences, control characters and marks of direction; tabs and newlines stay."""
    if text.isascii() and text.isprintable():
        return text
    return _INVISIBLE.sub("", _CONTROL.sub("", text))


def cut(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters: two thirds of them from its beginning, a mark, and its end.

    The end of a text often says why, as the last line of a traceback does.
    """
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 3
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def shown(text: str, limit: int = 80) -> str:
    """Return a user's text quoted for a message, on one line, of at most `limit` characters and a mark."""
    return repr(cut(" ".join(clean(text).split()), limit + 1))


def field_text(path: Sequence[str]) -> str:
    """Return a path of fields as expressions write it, such as `metadata.annotations["a/b"]`."""
    return path[0] + "".join(f".{step}" if step.isidentifier() else f'["{step}"]' for step in path[1:])


def found(value: Any) -> str:
    """Return in a few plain words what stands somewhere."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {cut(value, 40)!r}" if value else "an empty text"
        case dict():
            return "a mapping" if value else "an empty mapping"
    return f"a list of {len(value)}" if value else "an empty list"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that was probably meant, '' where none is near enough.

    Of a short one most letters occur in many a longer name, so that one is at most a letter longer or shorter.
    """
    alike = [each for each in known if len(each) > SHORT or abs(len(each) - len(name)) <= 1]
    return next(iter(get_close_matches(name[:60], alike, n=1)), "")


def suggestion(name: str, known: Collection[str]) -> str:
    """Return what was expected where a name is unknown: the one that was probably meant, or all that there are."""
    if close := nearest(name, known):
        return f"{close!r} (did you mean that?)"
    names = sorted(known)
    if len(names) < 2:
        return repr(names[0]) if names else "no name: none is declared"
    return f"one of {', '.join(names)}"


def one_of(value: Any, choices: Iterable[Any]) -> str:
    """Return what was expected where a value is not one of a few."""
    texts = [str(choice) for choice in choices]
    close = get_close_matches(value[:60], texts, n=1, cutoff=0.5) if isinstance(value, str) else []
    text = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}" if texts else "nothing"
    return f"{text} (did you mean {close[0]!r}?)" if close and len(texts) > 1 else text
