"""Plain YAML scalars as values: YAML 1.2's core schema, in which `on`, `yes` and dates are text."""

from __future__ import annotations

import re
from typing import Any

_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGERS = ((re.compile(r"[-+]?[0-9]+\Z"), 10), (re.compile(r"0o[0-7]+\Z"), 8), (re.compile(r"0x[0-9a-fA-F]+\Z"), 16))
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_TWO_MEANINGS = re.compile(r"[-+]?0[0-9]+\Z")
_NUMBER_BEGINS = frozenset("+-.0123456789")
_NAMES = {dict: "map", list: "seq", str: "str", bool: "bool", int: "int", float: "float"}
_LONGEST_NUMBER = 40


class NotAScalar(ValueError):
    """A plain scalar that is no value: what is wrong, and what was expected."""

    def __init__(self, message: str, expected: str) -> None:
        super().__init__(message)
        self.message, self.expected = message, expected


def resolve(text: str) -> Any:
    """The value of a plain scalar. Raises NotAScalar where readers differ on it, or where JSON has no place for it."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMBER_BEGINS:
        return text
    if _TWO_MEANINGS.match(text):
        raise NotAScalar(f"{text[:40]} is octal for some readers and decimal for others", "0o… for octal, or quotes for a text")
    for pattern, base in _INTEGERS:
        if pattern.match(text):
            value = int(text, base) if len(text) <= _LONGEST_NUMBER else 2**64
            if -(2**63) <= value < 2**64:
                return value
            raise _too_large(text)
    if _NOT_FINITE.match(text):
        raise _too_large(text)
    if _FLOAT.match(text):
        number = float(text)
        if abs(number) == float("inf"):
            raise _too_large(text)
        return number
    return text


def type_name(value: Any) -> str:
    """The short name of YAML's tag for a value's type."""
    return _NAMES.get(type(value), "null")


def _too_large(text: str) -> NotAScalar:
    return NotAScalar(f"the number {text[:40]} does not fit", "a finite number, an integer within 64 bits, or quotes for a text")
