"""Mathematics: cel-go's math library. Bits are those of integers of 64 bits in two's complement."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from engine.cel.budget import each_item
from engine.cel.declarations import GO_MATH, Function, function
from engine.cel.operators import compare, whole
from engine.cel.values import Mismatch, UInt, type_name

_BITS = 2**64 - 1
_NUMBERS = frozenset({int, UInt, float})


def _extreme(name: str, sign: int) -> Callable[..., Any]:
    def extreme(*values: Any) -> Any:
        numbers = values[0] if len(values) == 1 and type(values[0]) is list else values
        if not numbers:
            raise Mismatch(f"{name}() takes at least one number")
        found = numbers[0]
        for each in numbers:
            if type(each) not in _NUMBERS:
                raise Mismatch(f"{name}() works on numbers, not on {type_name(each)}")
            if compare(each, found) * sign > 0:
                found = each
        return found

    return extreme


def _signed(value: int) -> int:
    """The int of these 64 bits."""
    value &= _BITS
    return value - 2**64 if value >= 2**63 else value


def _unsigned(value: int) -> UInt:
    return UInt(value & _BITS)


def _round(value: float) -> float:
    """The nearest whole number, a half away from zero."""
    if not math.isfinite(value) or abs(value) >= 2**52:
        return value
    return math.copysign(math.floor(abs(value) + 0.5), value)


def _rounded(compute: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(compute(value)) if math.isfinite(value) else value


def _shift(name: str, shift: Callable[[int, int], int], made: Callable[[int], int]) -> Callable[[int, int], int]:
    def shifted(value: int, count: int) -> int:
        if count < 0:
            raise Mismatch(f"{name}() takes no negative number of bits")
        return made(shift(int(value) & _BITS, count) if count < 64 else 0)

    return shifted


def _shifts(name: str, text: str, example: str, shift: Callable[[int, int], int]) -> Function:
    return function(name, text, example, GO_MATH, {
        f"{name}(int, int) -> int": _shift(name, shift, _signed), f"{name}(uint, int) -> uint": _shift(name, shift, _unsigned),
    })  # fmt: skip


def _bits(name: str, text: str, example: str, compute: Callable[[int, int], int]) -> Function:
    return function(name, text, example, GO_MATH, {
        f"{name}(int, int) -> int": compute, f"{name}(uint, uint) -> uint": lambda a, b: _unsigned(compute(int(a), int(b))),
    })  # fmt: skip


def _of_double(name: str, text: str, example: str, result: str, compute: Callable[[float], Any]) -> Function:
    return function(name, text, example, GO_MATH, {f"{name}(double) -> {result}": compute})


def _sign(value: float) -> float:
    return value if value == 0 or math.isnan(value) else math.copysign(1.0, value)


def _square_root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def _extremes(name: str, text: str, example: str, sign: int) -> Function:
    compute = _extreme(name, sign)
    return function(name, text, example, GO_MATH, {
        f"{name}(list(A)) -> A": compute, f"{name}(A...) -> A": compute, f"{name}(dyn...) -> dyn": compute,
    }, lambda *values: each_item(list(values)))  # fmt: skip


FUNCTIONS = (
    _extremes("math.greatest", "The greatest of its arguments, or of the numbers of a list.", "math.greatest(1, 3, 2) == 3", 1),
    _extremes("math.least", "The least of its arguments, or of the numbers of a list.", "math.least([3, 1, 2]) == 1", -1),
    _of_double("math.ceil", "The next whole number that is not less.", "math.ceil(1.2) == 2.0", "double", _rounded(math.ceil)),
    _of_double("math.floor", "The next whole number that is not greater.", "math.floor(1.8) == 1.0", "double",
             _rounded(math.floor)),
    _of_double("math.round", "The nearest whole number, a half away from zero.", "math.round(-1.5) == -2.0", "double", _round),
    _of_double("math.trunc", "The whole number towards zero.", "math.trunc(-1.8) == -1.0", "double", _rounded(math.trunc)),
    _of_double("math.isInf", "Whether a number is infinite.", "math.isInf(1.0 / 0.0)", "bool", math.isinf),
    _of_double("math.isNaN", "Whether a double is not a number.", "math.isNaN(0.0 / 0.0)", "bool", math.isnan),
    _of_double("math.isFinite", "Whether a number is neither infinite nor none.", "math.isFinite(1.5)", "bool", math.isfinite),
    function("math.abs", "A number without its sign.", "math.abs(-1) == 1", GO_MATH, {
        "math.abs(int) -> int": lambda value: whole(abs(value)), "math.abs(uint) -> uint": lambda value: value,
        "math.abs(double) -> double": abs,
    }),
    function("math.sign", "1, 0 or -1 by the sign of a number.", "math.sign(-5) == -1", GO_MATH, {
        "math.sign(int) -> int": lambda value: (value > 0) - (value < 0),
        "math.sign(uint) -> uint": lambda value: UInt(value > 0),
        "math.sign(double) -> double": _sign,
    }),
    function("math.sqrt", "The square root of a number; not a number of a negative one.", "math.sqrt(16) == 4.0", GO_MATH, {
        f"math.sqrt({kind}) -> double": _square_root for kind in ("double", "int", "uint")
    }),
    _bits("math.bitAnd", "The bits that both numbers have.", "math.bitAnd(6, 3) == 2", operator.and_),
    _bits("math.bitOr", "The bits that one of both numbers has.", "math.bitOr(6, 3) == 7", operator.or_),
    _bits("math.bitXor", "The bits that only one of both numbers has.", "math.bitXor(6, 3) == 5", operator.xor),
    function("math.bitNot", "The bits that a number does not have.", "math.bitNot(0) == -1", GO_MATH, {
        "math.bitNot(int) -> int": operator.invert, "math.bitNot(uint) -> uint": lambda value: _unsigned(~int(value)),
    }),
    _shifts("math.bitShiftLeft", "A number with its bits moved up.", "math.bitShiftLeft(1, 3) == 8", operator.lshift),
    _shifts("math.bitShiftRight", "A number with its bits moved down; zeros follow.", "math.bitShiftRight(8, 3) == 1",
             operator.rshift),
)  # fmt: skip
