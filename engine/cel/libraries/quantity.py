"""Kubernetes' quantities: `500Mi`, `1.5`, `100m` (k8s.io/apimachinery, pkg/api/resource/quantity.go)."""

from __future__ import annotations

import re
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, order=True)
class Quantity:
    """A number that is exact to a billionth."""

    nanos: int


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
    return Quantity(-nanos if sign == "-" else nanos)


def _is_quantity(text: str) -> bool:
    try:
        quantity(text)
    except Mismatch:
        return False
    return True


def _as_integer(value: Quantity) -> int:
    if not _is_integer(value):
        raise Mismatch("the quantity is not an integer of 64 bits")
    return value.nanos // _NANO


def _is_integer(value: Quantity) -> bool:
    return value.nanos % _NANO == 0 and fits_int(value.nanos // _NANO)


def _as_float(value: Quantity) -> float:
    try:
        return value.nanos / _NANO
    except OverflowError:
        return float("inf") if value.nanos > 0 else float("-inf")


def compare(value: Any, other: Any) -> int:
    """-1, 0 or 1 by the order of two quantities or versions."""
    return int(value > other) - int(value < other)


FUNCTIONS = (
    function("quantity", "The quantity that a text says.", "quantity('1Gi').isGreaterThan(quantity('500Mi'))",
             KUBERNETES_QUANTITY,
             {"quantity(string) -> quantity": quantity}),
    function("isQuantity", "Whether a text is a quantity.", "isQuantity('500Mi') && !isQuantity('500 MB')", KUBERNETES_QUANTITY,
             {"isQuantity(string) -> bool": _is_quantity}),
    function("isInteger", "Whether a quantity is a whole number that an int holds.", "quantity('50k').isInteger()",
             KUBERNETES_QUANTITY, {"quantity.isInteger() -> bool": _is_integer}),
    function("asInteger", "A quantity as an int; no answer where it has a fraction.", "quantity('50k').asInteger() == 50000",
             KUBERNETES_QUANTITY, {"quantity.asInteger() -> int": _as_integer}),
    function("asApproximateFloat", "A quantity as a double.", "quantity('1500m').asApproximateFloat() == 1.5",
             KUBERNETES_QUANTITY,
             {"quantity.asApproximateFloat() -> double": _as_float}),
    function("sign", "1, 0 or -1 by the sign of a quantity.", "sign(quantity('-1')) == -1", KUBERNETES_QUANTITY,
             {form: lambda value: compare(value.nanos, 0) for form in ("sign(quantity) -> int", "quantity.sign() -> int")}),
    function("add", "The sum of quantities, or of a quantity and an int.",
             "quantity('1k').add(quantity('1')).asInteger() == 1001",
             KUBERNETES_QUANTITY, {
        "quantity.add(quantity) -> quantity": lambda value, other: Quantity(value.nanos + other.nanos),
        "quantity.add(int) -> quantity": lambda value, other: Quantity(value.nanos + other * _NANO),
    }),
    function("sub", "The difference of quantities, or of a quantity and an int.", "quantity('1k').sub(1).asInteger() == 999",
             KUBERNETES_QUANTITY, {
        "quantity.sub(quantity) -> quantity": lambda value, other: Quantity(value.nanos - other.nanos),
        "quantity.sub(int) -> quantity": lambda value, other: Quantity(value.nanos - other * _NANO),
    }),
    function("isGreaterThan", "Whether a quantity is greater than another.", "quantity('50Mi').isGreaterThan(quantity('50M'))",
             KUBERNETES_QUANTITY, {"quantity.isGreaterThan(quantity) -> bool": lambda value, other: value > other}),
    function("isLessThan", "Whether a quantity is less than another.", "quantity('50M').isLessThan(quantity('50Mi'))",
             KUBERNETES_QUANTITY, {"quantity.isLessThan(quantity) -> bool": lambda value, other: value < other}),
    function("compareTo", "-1, 0 or 1 by the order of quantities.", "quantity('200M').compareTo(quantity('0.2G')) == 0",
             KUBERNETES_QUANTITY, {"quantity.compareTo(quantity) -> int": compare}),
)  # fmt: skip
