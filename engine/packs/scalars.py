"""Plain scalars of YAML: those of YAML 1.2's core schema, which is what JSON has. `on`, `yes` and dates stay text."""

from __future__ import annotations

import math
import re
from typing import Any

from engine.model.text import cut

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
_LONGEST_NUMBER = 40


def plain_value(text: str) -> Any:
    """Return the value of a plain scalar in YAML 1.2's core schema.

    Raise ValueError(message, expected) where readers differ on it, or where JSON cannot hold it.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[0] not in _NUMBER_BEGINS:
        return text
    if _TWO_MEANINGS.match(text):
        raise ValueError(
            f"{cut(text, 40)} is octal for some readers and decimal for others", "0o… for octal, or quotes for a text"
        )
    value: Any = text
    for pattern, base in _INTEGERS:
        if pattern.match(text):
            value = int(text, base) if len(text) <= _LONGEST_NUMBER else 2**64
            break
    else:
        if _FLOAT.match(text):
            value = float(text)
    if _NOT_FINITE.match(text) or (value is not text and not _fits(value)):
        raise ValueError(
            f"the number {cut(text, 40)} does not fit", "a finite number, an integer within 64 bits, or quotes for a text"
        )
    return value


def _fits(number: int | float) -> bool:
    return -(2**63) <= number < 2**64 if isinstance(number, int) else math.isfinite(number)
