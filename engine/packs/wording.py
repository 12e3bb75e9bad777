"""How faults name what was found and what was expected."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any


def found(value: Any) -> str:
    """What stands there, in plain words, shortened."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {value if len(value) <= 40 else value[:37] + '...'!r}" if value else "an empty text"
        case dict():
            return "a mapping" if value else "an empty mapping"
    return f"a list of {len(value)}" if value else "an empty list"


def suggestion(name: str, known: Collection[str]) -> str:
    """What was expected where a name is unknown: the one that was probably meant, or all that there are."""
    close = get_close_matches(name[:60], known, n=1)
    if close:
        return f"{close[0]!r} (did you mean that?)"
    names = sorted(known)
    if len(names) < 2:
        return repr(names[0]) if names else "no name: none is declared"
    return f"one of {', '.join(names)}"


def one_of(value: Any, choices: Iterable[Any]) -> str:
    """What was expected where a value is not one of a few."""
    texts = [str(choice) for choice in choices]
    close = get_close_matches(value[:60], texts, n=1, cutoff=0.5) if isinstance(value, str) else []
    text = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}" if texts else "nothing"
    return f"{text} (did you mean {close[0]!r}?)" if close and len(texts) > 1 else text
