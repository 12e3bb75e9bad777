"""CEL's operators on plain Python values.

The semantics are those of the language definition (github.com/google/cel-spec, doc/langdef.md), and where that leaves
room, those of cel-go, which Kubernetes runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from engine.cel.times import to_timestamp
from engine.cel.values import Mismatch, Optional, UInt, fits_int, fits_uint, nanoseconds, span_of, time_of, to_key, type_name
from engine.model.mappings import is_mapping

#: Characters of one string that an expression may make: more than any object in a cluster may hold.
MAX_TEXT = 1_000_000
_MAX_SPAN = timedelta(microseconds=(2**63 - 1) // 1000)
_NUMBERS = frozenset({int, UInt, float})
_ORDERED = frozenset({bool, int, UInt, float, str, bytes})


def whole(value: int) -> int:
    """The result of arithmetic on ints. Raises Mismatch where it does not fit."""
    if not fits_int(value):
        raise Mismatch("the result does not fit an integer of 64 bits")
    return value


def unsigned(value: int) -> UInt:
    """The result of arithmetic on uints. Raises Mismatch where it does not fit."""
    if not fits_uint(value):
        raise Mismatch("the result does not fit an unsigned integer of 64 bits")
    return UInt(value)


def divide(left: int, right: int) -> int:
    """The quotient of two ints, towards zero."""
    if right == 0:
        raise Mismatch("division by zero")
    quotient = abs(left) // abs(right)
    return whole(quotient if (left < 0) == (right < 0) else -quotient)


def modulo(left: int, right: int) -> int:
    """What remains of a division of ints, with the sign of the left one."""
    return left - right * divide(left, right)


def divide_double(left: float, right: float) -> float:
    """The quotient of two doubles; by zero it is infinite, or not a number."""
    if right != 0:
        return left / right
    return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)


def later(time: datetime, span: timedelta) -> datetime:
    """A time moved by a duration."""
    if type(time) is datetime and type(span) is timedelta:
        try:
            return time + span
        except OverflowError:
            raise Mismatch("the result is not a time between the years 1 and 9999") from None
    return time_of(nanoseconds(time) + nanoseconds(span))


def earlier(time: datetime, span: timedelta) -> datetime:
    """A time moved back by a duration."""
    return later(time, negated(span))


def negated(span: timedelta) -> timedelta:
    """A duration with the other sign."""
    return -span if type(span) is timedelta else span_of(-nanoseconds(span))


def since(left: datetime, right: datetime) -> timedelta:
    """The duration from one time to another."""
    if type(left) is datetime and type(right) is datetime and -_MAX_SPAN <= (span := left - right) <= _MAX_SPAN:
        return span
    return span_of(nanoseconds(left) - nanoseconds(right))


def longer(left: timedelta, right: timedelta) -> timedelta:
    """The sum of two durations."""
    if type(left) is timedelta and type(right) is timedelta and -_MAX_SPAN <= (span := left + right) <= _MAX_SPAN:
        return span
    return span_of(nanoseconds(left) + nanoseconds(right))


def shorter(left: timedelta, right: timedelta) -> timedelta:
    """The difference of two durations."""
    return longer(left, negated(right))


def joined(left: str, right: str) -> str:
    """Two strings as one."""
    return bounded(left, right)


def bounded(*parts: str) -> str:
    """The parts as one string. Raises Mismatch where it would be longer than MAX_TEXT."""
    if sum(map(len, parts)) > MAX_TEXT:
        raise Mismatch(f"the result has more than {MAX_TEXT} characters")
    return "".join(parts)


def joined_bytes(left: bytes, right: bytes) -> bytes:
    """Two bytes values as one."""
    if len(left) + len(right) > MAX_TEXT:
        raise Mismatch(f"the result has more than {MAX_TEXT} bytes")
    return left + right


def equal(left: Any, right: Any) -> bool:
    """CEL's `==`: numbers by value, lists and maps deeply, different types are unequal, and `true` is not 1."""
    kind = type(left)
    if kind is not type(right):
        if kind in _NUMBERS and type(right) in _NUMBERS:
            return equal_numbers(left, right)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            return _equal_maps(left, right)
        if kind is str and isinstance(right, datetime):
            return _says(left, right)
        if isinstance(left, datetime) and type(right) is str:
            return _says(right, left)
        return False  # a time or duration of whole microseconds differs from one that has nanoseconds
    if kind is list:
        return len(left) == len(right) and all(map(equal, left, right))
    if is_mapping(left):
        return _equal_maps(left, right)
    if isinstance(left, datetime | timedelta):
        return nanoseconds(left) == nanoseconds(right)
    if kind is Optional:
        return bool(left.present == right.present) and equal(left.value, right.value)
    return bool(left == right)


def _says(text: str, time: datetime) -> bool:
    """Whether a text, such as that of a `format: date-time` field, says a time."""
    try:
        return nanoseconds(to_timestamp(text)) == nanoseconds(time)
    except Mismatch:
        return False


def equal_numbers(left: Any, right: Any) -> bool:
    """Whether numbers of two types are equal: as doubles where one is a double."""
    if type(left) is float or type(right) is float:
        return float(left) == float(right)
    return bool(int(left) == int(right))


def _equal_maps(left: Mapping[Any, Any], right: Mapping[Any, Any]) -> bool:
    return len(left) == len(right) and all(key in right and equal(value, right[key]) for key, value in left.items())


def ordering(compare: Callable[[Any, Any], bool]) -> Mapping[str, Callable[[Any, Any], bool]]:
    """What compares two values of each pair of types that have an order, by their signatures for `<` and the like."""

    def plain(left: Any, right: Any) -> bool:
        return compare(left, right)

    def doubles(left: Any, right: Any) -> bool:
        return compare(float(left), float(right))

    def times(left: Any, right: Any) -> bool:
        return compare(nanoseconds(left), nanoseconds(right)) if left == right else compare(left, right)

    same = {f"{each}, {each}": plain for each in ("bool", "int", "uint", "double", "string", "bytes")}
    mixed = {f"{one}, double": doubles for one in ("int", "uint")} | {f"double, {one}": doubles for one in ("int", "uint")}
    return {
        **same, **mixed, "int, uint": plain, "uint, int": plain, "timestamp, timestamp": times, "duration, duration": times,
    }  # fmt: skip


def contained_in_list(item: Any, container: list[Any]) -> bool:
    """CEL's `in` on a list."""
    return any(equal(item, other) for other in container)


def contained_in_map(item: Any, container: Mapping[Any, Any]) -> bool:
    """CEL's `in` on the keys of a map."""
    if type(item) is str:
        return item in container
    try:
        return to_key(item) in container
    except Mismatch:
        if type(item) is float:
            return False
        raise Mismatch(f"'in' does not work on {type_name(item)} and map") from None


def element(container: Any, key: Any) -> Any:
    """CEL's `[]`, on lists and maps."""
    if type(container) is list:
        return container[index_of(container, key)]
    if is_mapping(container):
        found = key if type(key) is str else to_key(key)
        if found not in container:
            raise Mismatch(f"there is no key {key!r}")
        return container[found]
    raise Mismatch(f"a value of type {type_name(container)} has no elements")


def index_of(container: list[Any], key: Any) -> int:
    """The index that a value says, of an item that is there."""
    index = int(key) if type(key) is UInt or (type(key) is float and key.is_integer()) else key
    if type(index) is not int:
        raise Mismatch(f"a list has no index of type {type_name(key)}")
    if not 0 <= index < len(container):
        raise Mismatch(f"there is no index {index} in a list of {len(container)}")
    return index


def compare(left: Any, right: Any) -> int:
    """-1, 0 or 1 by the order of two values. Raises Mismatch where they have none."""
    for kind in (datetime, timedelta):
        if isinstance(left, kind) and isinstance(right, kind):
            left, right = nanoseconds(left), nanoseconds(right)
    ordered = type(left) in _ORDERED if type(left) is type(right) else type(left) in _NUMBERS and type(right) in _NUMBERS
    if not ordered:
        raise Mismatch(f"there is no order of {type_name(left)} and {type_name(right)}")
    return int(left > right) - int(left < right)
