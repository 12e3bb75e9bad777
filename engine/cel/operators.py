"""CEL's operators on plain Python values.

The semantics are those of the language definition (github.com/google/cel-spec, doc/langdef.md), and where that leaves
room, those of cel-cpp; tests hold both backends together. Values are JSON's, plus datetime and timedelta.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from engine.model.mappings import is_mapping

#: Characters of one string that an expression may make: more than any object in a cluster may hold.
MAX_TEXT = 1_000_000
_MAX_DURATION = timedelta(seconds=315_576_000_000)
#: The integers of CEL.
INT64 = range(-(2**63), 2**63)

NAMES: Mapping[type, str] = {
    type(None): "null", bool: "bool", int: "int", float: "double", str: "string",
    list: "list", dict: "map", datetime: "timestamp", timedelta: "duration",
}  # fmt: skip


class Mismatch(Exception):
    """A function or operator has no answer for its arguments; the text says why, and becomes part of an Unanswered."""


def type_name(value: Any) -> str:
    """The CEL name of a value's type."""
    return NAMES.get(type(value)) or ("map" if isinstance(value, Mapping) else type(value).__name__)


def _int(value: int) -> int:
    if value not in INT64:
        raise Mismatch("the result does not fit an integer of 64 bits")
    return value


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise Mismatch("division by zero")
    quotient = abs(left) // abs(right)
    return _int(quotient if (left < 0) == (right < 0) else -quotient)


def _modulo(left: int, right: int) -> int:
    return left - right * _divide(left, right)


def _divide_double(left: float, right: float) -> float:
    if right != 0:
        return left / right
    return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)


def _instant(value: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def compute(left: Any, right: Any) -> Any:
        try:
            result = value(left, right)
        except OverflowError:
            raise Mismatch("the result is not a time between the years 1 and 9999") from None
        if isinstance(result, timedelta) and abs(result) > _MAX_DURATION:
            raise Mismatch("the result is longer than 10,000 years")
        return result

    return compute


def _text(left: str, right: str) -> str:
    return bounded(left, right)


def bounded(*parts: str) -> str:
    """The parts as one string. Raises Mismatch where it would be longer than MAX_TEXT."""
    if sum(map(len, parts)) > MAX_TEXT:
        raise Mismatch(f"the result has more than {MAX_TEXT} characters")
    return "".join(parts)


_add, _subtract = _instant(operator.add), _instant(operator.sub)
#: Operator -> types of both sides -> what computes it. The checks read the types from here as well.
ARITHMETIC: Mapping[str, Mapping[tuple[type, type], Callable[[Any, Any], Any]]] = {
    "_+_": {
        (int, int): lambda a, b: _int(a + b), (float, float): operator.add, (str, str): _text, (list, list): operator.add,
        (datetime, timedelta): _add, (timedelta, datetime): _add, (timedelta, timedelta): _add,
    },
    "_-_": {
        (int, int): lambda a, b: _int(a - b), (float, float): operator.sub, (datetime, timedelta): _subtract,
        (datetime, datetime): _subtract, (timedelta, timedelta): _subtract,
    },
    "_*_": {(int, int): lambda a, b: _int(a * b), (float, float): operator.mul},
    "_/_": {(int, int): _divide, (float, float): _divide_double},
    "_%_": {(int, int): _modulo},
}  # fmt: skip
_ORDER = {"_<_": operator.lt, "_<=_": operator.le, "_>_": operator.gt, "_>=_": operator.ge}
_ORDERED = (bool, int, float, str, datetime, timedelta)


def fits(name: str, left: type, right: type) -> bool:
    """Whether a binary operator is defined on two types."""
    if name in ARITHMETIC:
        return (left, right) in ARITHMETIC[name]
    if name in _ORDER:
        return left in _ORDERED and (left is right or {left, right} == {int, float})
    return right in (list, dict) and (right is list or left in (str, bool, int, float)) if name == "_in_" else True


def binary(name: str) -> Callable[[Any, Any], Any]:
    """What computes a binary operator other than `&&` and `||`; it raises Mismatch."""
    if name in ARITHMETIC:
        table = ARITHMETIC[name]

        def compute(left: Any, right: Any) -> Any:
            function = table.get((type(left), type(right)))
            if function is None:
                raise _unfit(name, left, right)
            return function(left, right)

        return compute
    if name in _ORDER:
        order = _ORDER[name]

        def compare(left: Any, right: Any) -> bool:
            if type(left) is not type(right):
                if not _numbers(left, right):
                    raise _unfit(name, left, right)
                left, right = float(left), float(right)
            elif type(left) not in _ORDERED:
                raise _unfit(name, left, right)
            return bool(order(left, right))

        return compare
    return {"_==_": equal, "_!=_": lambda a, b: not equal(a, b), "_in_": contained, "_[_]": element}[name]


def _unfit(name: str, left: Any, right: Any) -> Mismatch:
    return Mismatch(f"'{name.strip('_')}' does not work on {type_name(left)} and {type_name(right)}")


def _numbers(left: Any, right: Any) -> bool:
    return type(left) in (int, float) and type(right) in (int, float)


def equal(left: Any, right: Any) -> bool:
    """CEL's `==`: numbers by value, lists and maps deeply, different types are unequal, and `true` is not 1."""
    if type(left) is not type(right):
        if _numbers(left, right):
            return float(left) == float(right)
        return isinstance(left, Mapping) and isinstance(right, Mapping) and _equal_maps(left, right)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if is_mapping(left):
        return _equal_maps(left, right)
    return bool(left == right)


def _equal_maps(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    return len(left) == len(right) and all(key in right and equal(value, right[key]) for key, value in left.items())


def contained(item: Any, container: Any) -> bool:
    """CEL's `in`, on lists and on the keys of maps."""
    if isinstance(container, list):
        return any(equal(item, other) for other in container)
    if isinstance(container, Mapping) and type(item) in (str, bool, int, float):
        return isinstance(item, str) and item in container
    raise _unfit("_in_", item, container)


def element(container: Any, key: Any) -> Any:
    """CEL's `[]`, on lists and maps."""
    if isinstance(container, list):
        if type(key) is float and key.is_integer():
            key = int(key)
        if type(key) is not int:
            raise Mismatch(f"a list has no index of type {type_name(key)}")
        if not 0 <= key < len(container):
            raise Mismatch(f"there is no index {key} in a list of {len(container)}")
        return container[key]
    if is_mapping(container):
        if not isinstance(key, str) or key not in container:
            raise Mismatch(f"there is no key {key!r}")
        return container[key]
    raise Mismatch(f"a value of type {type_name(container)} has no elements")


def negate(value: Any) -> Any:
    """CEL's unary `-`."""
    if type(value) not in (int, float):
        raise Mismatch(f"'-' does not work on {type_name(value)}")
    return _int(-value) if type(value) is int else -value


def invert(value: Any) -> bool:
    """CEL's `!`."""
    if type(value) is not bool:
        raise Mismatch(f"'!' does not work on {type_name(value)}")
    return not value
