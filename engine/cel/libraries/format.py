"""`format()` of strings: cel-go's, whose clauses are those of Go's fmt."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.cel.budget import weigh
from engine.cel.declarations import GO_STRINGS, function
from engine.cel.operators import MAX_TEXT
from engine.cel.times import duration_text, timestamp_text
from engine.cel.types import Named
from engine.cel.values import Mismatch, UInt, of_key, type_name
from engine.model.mappings import is_mapping

_CLAUSE = re.compile(r"%(%|(?:\.(\d+))?([a-zA-Z])?)")
_WHOLE = frozenset({int, UInt})
#: Digits after the point of a number: more than any has.
_MAX_PRECISION = 1000


def formatted(text: str, arguments: list[Any]) -> str:
    """The text with each clause replaced by the argument of its turn. Raises Mismatch where one is missing or does not fit."""
    rest = iter(arguments)
    used = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal used
        if match[1] == "%":
            return "%"
        verb, precision = match[3], match[2]
        clause = _CLAUSES.get(verb)
        if clause is None or (precision is not None and verb not in "fe"):
            raise Mismatch(f"format() knows no clause {match[0]!r}; expected one of {', '.join(f'%{name}' for name in _CLAUSES)}")
        if used == len(arguments):
            raise Mismatch(f"format() has no argument for {match[0]!r}: it is given {used}")
        used += 1
        digits = 6 if precision is None else int(precision)
        if digits > _MAX_PRECISION:
            raise Mismatch(f"format() writes at most {_MAX_PRECISION} digits")
        return clause(next(rest), digits)

    result = _CLAUSE.sub(replace, text)
    if len(result) > MAX_TEXT:
        raise Mismatch(f"the result has more than {MAX_TEXT} characters")
    return result


def _special(value: Any) -> str | None:
    if type(value) is float and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return None


def plain(value: Any) -> str:  # noqa: C901 (a case for each type)
    """A value as `%s` writes it."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case int():
            return str(int(value))
        case float():
            return _special(value) or _digits(value)
        case str():
            return value
        case bytes():
            return value.decode("utf-8", "replace")
        case datetime():
            return timestamp_text(value)
        case timedelta():
            return duration_text(value)
        case Named():
            return str(value)
        case list():
            return f"[{', '.join(map(plain, value))}]"
    if is_mapping(value):
        return _plain_map(value)
    raise Mismatch(f"format() does not write a value of type {type_name(value)}")


def _plain_map(value: Mapping[Any, Any]) -> str:
    entries = sorted((plain(of_key(key)), plain(item)) for key, item in value.items())
    return "{" + ", ".join(f"{key}: {item}" for key, item in entries) + "}"


def _digits(value: float) -> str:
    """A double without an exponent, in the shortest digits that name it."""
    text = f"{Decimal(repr(value)):f}"
    return text.removesuffix(".0")


def _unfit(verb: str, value: Any) -> Mismatch:
    return Mismatch(f"format() writes no value of type {type_name(value)} with %{verb}")


def _decimal(value: Any, _: int) -> str:
    if type(value) in _WHOLE or type(value) is float:
        return plain(value)
    raise _unfit("d", value)


def _fixed(verb: str) -> Callable[[Any, int], str]:
    def write(value: Any, digits: int) -> str:
        if type(value) not in _WHOLE and type(value) is not float:
            raise _unfit(verb, value)
        return _special(value) or f"{float(value):.{digits}{verb}}"

    return write


def _based(verb: str, base: str) -> Callable[[Any, int], str]:
    def write(value: Any, _: int) -> str:
        if type(value) is bool and verb == "b":
            return "1" if value else "0"
        if type(value) not in _WHOLE:
            raise _unfit(verb, value)
        return f"{int(value):{base}}"

    return write


def _hexadecimal(verb: str) -> Callable[[Any, int], str]:
    def write(value: Any, _: int) -> str:
        if type(value) in _WHOLE:
            return f"{int(value):{verb}}"
        if type(value) not in (str, bytes):
            raise _unfit(verb, value)
        digits = (value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value).hex()
        return digits.upper() if verb == "X" else digits

    return write


_CLAUSES: Mapping[str | None, Callable[[Any, int], str]] = {
    "s": lambda value, _: plain(value), "d": _decimal, "f": _fixed("f"), "e": _fixed("e"), "b": _based("b", "b"),
    "o": _based("o", "o"), "x": _hexadecimal("x"), "X": _hexadecimal("X"),
}  # fmt: skip

FUNCTIONS = (
    function("format",
             "A string with its clauses replaced by the items of a list: %s any, %d whole, %f and %.2f fixed, %e with an "
             "exponent, %b binary, %o octal, %x and %X hexadecimal, %% a percent sign.",
             "'%s: %.2f'.format(['a', 1.5]) == 'a: 1.50'",
             GO_STRINGS, {"string.format(list(dyn)) -> string": formatted}, lambda text, values: len(text) // 50 + weigh(values)),
)  # fmt: skip
