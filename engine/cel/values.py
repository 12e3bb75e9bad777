"""The values of expressions.

Most are plain Python: None, bool, int, float, str, bytes, list, dict, datetime (UTC) and timedelta. Here are the others: unsigned
integers, times and durations of single nanoseconds, optionals, map keys that are bools. What libraries add stands with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from engine.cel import types
from engine.cel.types import Named, Type
from engine.model.mappings import is_mapping


class Mismatch(Exception):
    """A function or operator has no answer for its arguments; the text says why, and becomes part of an EvaluationError."""


class UInt(int):
    """CEL's uint: equal to the int of the same value, but of another type."""

    __slots__ = ()


class NanoTime(datetime):
    """A time with a number of nanoseconds, 1 to 999, beyond the microseconds that a datetime holds."""

    nanosecond: int


class NanoSpan(timedelta):
    """A duration with a number of nanoseconds, 1 to 999, beyond the microseconds that a timedelta holds."""

    nanosecond: int


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO: Final = timedelta(microseconds=1)


def fits_int(value: int) -> bool:
    """Whether an int of 64 bits holds a number. (`in range(…)` would count up to a uint, which is no plain int.)"""
    return -0x8000_0000_0000_0000 <= value <= 0x7FFF_FFFF_FFFF_FFFF


def fits_uint(value: int) -> bool:
    """Whether a uint of 64 bits holds a number."""
    return 0 <= value <= 0xFFFF_FFFF_FFFF_FFFF


def nanoseconds(value: datetime | timedelta) -> int:
    """The nanoseconds of a duration, or of a time since 1970."""
    span = value - EPOCH if isinstance(value, datetime) else value
    return span // _MICRO * 1000 + getattr(value, "nanosecond", 0)


def time_of(nanos: int) -> datetime:
    """The time so many nanoseconds after 1970. Raises Mismatch outside the years 1 to 9999."""
    micros, rest = divmod(nanos, 1000)
    try:
        time = EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        raise Mismatch("the result is not a time between the years 1 and 9999") from None
    if not rest:
        return time
    exact = NanoTime(time.year, time.month, time.day, time.hour, time.minute, time.second, time.microsecond, UTC)
    exact.nanosecond = rest
    return exact


def span_of(nanos: int) -> timedelta:
    """The duration of so many nanoseconds. Raises Mismatch beyond what 64 bits hold of them, which is 292 years."""
    if not fits_int(nanos):
        raise Mismatch("the duration is longer than 292 years")
    micros, rest = divmod(nanos, 1000)
    if not rest:
        return timedelta(microseconds=micros)
    exact = NanoSpan(microseconds=micros)
    exact.nanosecond = rest
    return exact


@dataclass(frozen=True, slots=True)
class Optional:
    """CEL's optional: a value, or none."""

    value: Any = None
    present: bool = True


NONE: Final = Optional(present=False)


@dataclass(frozen=True, slots=True)
class BoolKey:
    """A bool as a key of a map: Python takes `True` and 1 for the same key, and CEL does not."""

    value: bool


_BOOL_KEYS: Final = {True: BoolKey(True), False: BoolKey(False)}


def to_key(value: Any) -> Any:
    """A value as the key of a dict. Numbers of equal value are the same key. Raises Mismatch where it cannot be one."""
    kind = type(value)
    if kind is str or kind is int or kind is UInt:
        return value
    if kind is bool:
        return _BOOL_KEYS[value]
    if kind is float and value.is_integer():
        return int(value)
    raise Mismatch(f"a key of a map is a string, an int, a uint or a bool, not {type_name(value)}")


def of_key(key: Any) -> Any:
    """The value that the key of a dict stands for."""
    return key.value if type(key) is BoolKey else key


def sorted_keys(value: Mapping[Any, Any]) -> list[Any]:
    """A map's keys in a fixed order, since JSON gives them none: bools, numbers, strings."""
    try:
        return sorted(value)
    except TypeError:
        return [of_key(key) for key in sorted(value, key=_key_order)]


def _key_order(key: Any) -> tuple[int, Any]:
    kind = type(key)
    return (0, key.value) if kind is BoolKey else (2, key) if kind is str else (1, key)


_TYPES: Final[dict[type, Named]] = {
    type(None): types.NULL, bool: types.BOOL, int: types.INT, UInt: types.UINT, float: types.DOUBLE, str: types.STRING,
    bytes: types.BYTES, list: types.LIST, dict: types.MAP, datetime: types.TIMESTAMP, NanoTime: types.TIMESTAMP,
    timedelta: types.DURATION, NanoSpan: types.DURATION, Optional: types.OPTIONAL, Named: types.TYPE,
}  # fmt: skip


def register(python: type, term: Named) -> None:
    """Say of which CEL type the values of a Python class are."""
    _TYPES[python] = term


def type_of(value: Any) -> Named:
    """The CEL type of a value, without what it holds."""
    return _TYPES.get(type(value)) or (types.MAP if is_mapping(value) else types.DYN)


def type_name(value: Any) -> str:
    """The short name of a value's type, for messages."""
    return types.short(type_of(value))


def python_types(term: Type) -> frozenset[type] | None:
    """The Python classes that values of a CEL type have; None where they may have any."""
    if not isinstance(term, Named) or term.name == "dyn":
        return None
    return frozenset(python for python, name in _TYPES.items() if name.name == term.name)
