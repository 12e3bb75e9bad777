"""CEL's conversions between types, on plain Python values, as cel-go does them (common/types of github.com/google/cel-go)."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.cel.times import duration_text, timestamp_text
from engine.cel.values import EPOCH, Mismatch, UInt, fits_int, fits_uint, type_name

_WHOLE = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_DOUBLE = re.compile(
    r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?|nan|0x([0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?\d+)",
    re.ASCII | re.IGNORECASE,
)

_SEPARATOR = re.compile(r"(?<=\d)_(?=\d)", re.ASCII)


def int_of_double(value: float) -> int:
    """The int of a double, towards zero. Raises Mismatch where it does not fit."""
    if not -(2.0**63) < value < 2.0**63:
        raise Mismatch(f"{value} does not fit an integer of 64 bits")
    return int(value)


def int_of_uint(value: int) -> int:
    """The int of a uint, or of a bool or another whole number. Raises Mismatch where it does not fit."""
    if not fits_int(value):
        raise Mismatch(f"{value} does not fit an integer of 64 bits")
    return int(value)


def int_of_string(value: str) -> int:
    """The int that a decimal text says."""
    if not _WHOLE.fullmatch(value):
        raise Mismatch(f"{value!r:.50} is not a whole number")
    if not fits_int(int(value)):
        raise Mismatch(f"{value!r:.50} does not fit an integer of 64 bits")
    return int(value)


def int_of_time(value: datetime) -> int:
    """The whole seconds since 1970."""
    return (value - EPOCH) // timedelta(seconds=1)


def int_of_duration(value: timedelta) -> int:
    """The nanoseconds of a duration, as cel-go has it."""
    return value // timedelta(microseconds=1) * 1000 + getattr(value, "nanosecond", 0)


def uint_of_double(value: float) -> UInt:
    """The uint of a double, towards zero."""
    if not 0 <= value < 2.0**64:
        raise Mismatch(f"{value} does not fit an unsigned integer of 64 bits")
    return UInt(value)


def uint_of_int(value: int) -> UInt:
    """The uint of an int."""
    if not fits_uint(value):
        raise Mismatch(f"{value} does not fit an unsigned integer of 64 bits")
    return UInt(value)


def uint_of_string(value: str) -> UInt:
    """The uint that a decimal text says."""
    if not value.isascii() or not value.isdigit() or len(value) > 20:
        raise Mismatch(f"{value!r:.50} is not a whole number from 0 on")
    return uint_of_int(int(value))


def double_of_string(value: str) -> float:
    """The double that a text says; as in Go, `_` may stand between digits."""
    value = _SEPARATOR.sub("", value)
    if not _DOUBLE.fullmatch(value):
        raise Mismatch(f"{value!r:.50} is not a number")
    number = float.fromhex(value) if "x" in value.lower() else float(value)
    if math.isinf(number) and "inf" not in value.lower():
        raise Mismatch(f"{value!r:.50} does not fit a double")
    return number


def bool_of_string(value: str) -> bool:
    """The bool that a text says: "true", "t", "1", "false", "f", "0", as Go's strconv.ParseBool reads it."""
    if value in ("true", "TRUE", "True", "t", "T", "1"):
        return True
    if value in ("false", "FALSE", "False", "f", "F", "0"):
        return False
    raise Mismatch(f"{value!r:.50} is not a bool")


def string_of_bytes(value: bytes) -> str:
    """The text that bytes hold in UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Mismatch("the bytes are not text in UTF-8") from None


def to_string(value: Any) -> str:
    """CEL's `string()`: timestamps as RFC 3339 with Z, durations as seconds with `s`, doubles in their shortest form."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return double_text(value)
        case bytes():
            return string_of_bytes(value)
        case datetime():
            return timestamp_text(value)
        case timedelta():
            return duration_text(value)
    raise Mismatch(f"string() does not work on {type_name(value)}")


def double_text(value: float) -> str:
    """As cel-go writes a double: the shortest digits that name it, with an exponent below 1e-4 and from 1e6 on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    power = len(text) - 1 + int(exponent)
    if value == 0 or -4 <= power < 6:
        return f"{'-' if sign else ''}{abs(value):.{max(0, -int(exponent))}f}"
    return f"{'-' if sign else ''}{text[0]}{'.' + text[1:] if text[1:] else ''}e{'-' if power < 0 else '+'}{abs(power):02}"
