"""Kubernetes' quantities: `500Mi`, `1.5`, `100m` (k8s.io/apimachinery, pkg/api/resource: quantity.go and amount.go)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from engine.cel import types
from engine.cel.declarations import KUBERNETES_QUANTITY, function
from engine.cel.values import Mismatch, fits_int, register

#: Digits may be missing: Kubernetes takes `Mi`, `.` and `+` for 0, but not an empty text.
_QUANTITY = re.compile(r"(?=.)([+-]?)(\d*\.?\d*)(?:[eE]([+-]?\d{1,4})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII)
_NANO = 10**9
_SUFFIXES: dict[str | None, int] = {
    None: _NANO, "n": 1, "u": 10**3, "m": 10**6, "k": _NANO * 10**3, "M": _NANO * 10**6, "G": _NANO * 10**9, "T": _NANO * 10**12,
    "P": _NANO * 10**15, "E": _NANO * 10**18, **{f"{prefix}i": _NANO * 2 ** (10 * power) for power,
    prefix in enumerate("KMGTPE", 1)},
}  # fmt: skip
#: Digits of a quantity: more than any has, and few enough to be quick.
_LONGEST = 100
#: Digits that Kubernetes surely keeps in 64 bits: of a decimal number, and of one with a suffix such as `Ki` and no fraction.
_DECIMAL_DIGITS, _BINARY_DIGITS = 18, 14


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """A number that is exact to a billionth.

    `exponent` is the power of ten that Kubernetes counts it in with 64 bits, None where it keeps any number of digits. The value
    does not depend on it, but only what is counted in ones or more is an integer: `1000m` and `1.0` are not.
    """

    nanos: int
    exponent: int | None = field(default=None, compare=False)


register(Quantity, types.QUANTITY)


def quantity(text: str) -> Quantity:
    """The quantity that a text says, rounded up to a billionth as Kubernetes does. Raises Mismatch where it says none."""
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise Mismatch(f"{text!r:.50} is not a quantity such as 500Mi or 1.5")
    sign, number, exponent, suffix = match.groups()
    ratio = Decimal(f"0{number}").as_integer_ratio()
    top, bottom = ratio[0] * _SUFFIXES[suffix], ratio[1]
    if exponent is not None:
        power = int(exponent)
        top, bottom = (top * 10**power, bottom) if power >= 0 else (top, bottom * 10**-power)
    nanos = -(-top // bottom)
    if suffix is not None and suffix.endswith("i"):
        nanos = min(nanos, (2**63 - 1) * _NANO)
    return Quantity(-nanos if sign == "-" else nanos, _exponent(number, exponent, suffix))


def _exponent(number: str, exponent: str | None, suffix: str | None) -> int | None:
    """The power of ten that Kubernetes counts a quantity of this text in, None where it keeps any number of digits."""
    whole, _, fraction = number.partition(".")
    digits = len(whole.lstrip("0")) or 1
    if suffix is not None and suffix.endswith("i"):
        shift = 3 * (1 + "KMGTPE".index(suffix[0]))
        return 0 if not fraction and digits + shift <= _BINARY_DIGITS else None
    power = int(exponent) if exponent is not None else len(str(_SUFFIXES[suffix])) - 10
    power -= len(fraction)
    return power if power >= -9 and digits + len(fraction) <= _DECIMAL_DIGITS else None


def _is_quantity(text: str) -> bool:
    try:
        quantity(text)
    except Mismatch:
        return False
    return True


def _as_integer(value: Quantity) -> int:
    if not _is_integer(value):
        raise Mismatch("the quantity is not an integer of 64 bits, or is written with a fraction, as 1000m and 1.0 are")
    return value.nanos // _NANO


def _is_integer(value: Quantity) -> bool:
    return value.exponent is not None and value.exponent >= 0 and fits_int(value.nanos // _NANO)


def _as_float(value: Quantity) -> float:
    try:
        if value.exponent is None:
            return value.nanos / _NANO
        return float(_count(value.nanos, value.exponent)) * 10.0**value.exponent
    except OverflowError:
        return float("inf") if value.nanos > 0 else float("-inf")


def _count(nanos: int, exponent: int) -> int:
    """How many of a power of ten make a number of billionths."""
    return nanos // int(10 ** (9 + exponent))


def _sum(value: Quantity, other: Quantity) -> Quantity:
    """The sum, counted as Kubernetes counts it: in the smaller of both powers of ten, where 64 bits hold that."""
    if value.exponent is None or other.exponent is None:
        return Quantity(value.nanos + other.nanos)
    if not value.nanos or not other.nanos:
        return value if not other.nanos else other
    exponent = min(value.exponent, other.exponent)
    total = value.nanos + other.nanos
    fits = all(fits_int(_count(nanos, exponent)) for nanos in (value.nanos, other.nanos, total))
    return Quantity(total, exponent if fits else None)


def _of_int(value: int) -> Quantity:
    return Quantity(value * _NANO, 0)


def _negated(value: Quantity) -> Quantity:
    return replace(value, nanos=-value.nanos)


def compare(value: Any, other: Any) -> int:
    """-1, 0 or 1 by the order of two quantities or versions."""
    return int(value > other) - int(value < other)


FUNCTIONS = (
    function("quantity", "The quantity that a text says.", "quantity('1Gi').isGreaterThan(quantity('500Mi'))",
             KUBERNETES_QUANTITY,
             {"quantity(string) -> quantity": quantity}),
    function("isQuantity", "Whether a text is a quantity.", "isQuantity('500Mi') && !isQuantity('500 MB')", KUBERNETES_QUANTITY,
             {"isQuantity(string) -> bool": _is_quantity}),
    function("isInteger", "Whether a quantity is a whole number that an int holds, and written as one: `1000m`, `1.0` and "
             "`100Ti`, which Kubernetes keeps otherwise, are not.",
             "quantity('50k').isInteger() && !quantity('1000m').isInteger()",
             KUBERNETES_QUANTITY, {"quantity.isInteger() -> bool": _is_integer}),
    function("asInteger", "A quantity as an int; no answer where it is not what `isInteger` asks for.",
             "quantity('50k').asInteger() == 50000",
             KUBERNETES_QUANTITY, {"quantity.asInteger() -> int": _as_integer}),
    function("asApproximateFloat", "A quantity as a double.", "quantity('1500m').asApproximateFloat() == 1.5",
             KUBERNETES_QUANTITY,
             {"quantity.asApproximateFloat() -> double": _as_float}),
    function("sign", "1, 0 or -1 by the sign of a quantity.", "sign(quantity('-1')) == -1", KUBERNETES_QUANTITY,
             {form: lambda value: compare(value.nanos, 0) for form in ("sign(quantity) -> int", "quantity.sign() -> int")}),
    function("add", "The sum of quantities, or of a quantity and an int.",
             "quantity('1k').add(quantity('1')).asInteger() == 1001",
             KUBERNETES_QUANTITY, {
        "quantity.add(quantity) -> quantity": _sum,
        "quantity.add(int) -> quantity": lambda value, other: _sum(value, _of_int(other)),
    }),
    function("sub", "The difference of quantities, or of a quantity and an int.", "quantity('1k').sub(1).asInteger() == 999",
             KUBERNETES_QUANTITY, {
        "quantity.sub(quantity) -> quantity": lambda value, other: _sum(value, _negated(other)),
        "quantity.sub(int) -> quantity": lambda value, other: _sum(value, _of_int(-other)),
    }),
    function("isGreaterThan", "Whether a quantity is greater than another.", "quantity('50Mi').isGreaterThan(quantity('50M'))",
             KUBERNETES_QUANTITY, {"quantity.isGreaterThan(quantity) -> bool": lambda value, other: value > other}),
    function("isLessThan", "Whether a quantity is less than another.", "quantity('50M').isLessThan(quantity('50Mi'))",
             KUBERNETES_QUANTITY, {"quantity.isLessThan(quantity) -> bool": lambda value, other: value < other}),
    function("compareTo", "-1, 0 or 1 by the order of quantities.", "quantity('200M').compareTo(quantity('0.2G')) == 0",
             KUBERNETES_QUANTITY, {"quantity.compareTo(quantity) -> int": compare}),
)  # fmt: skip
