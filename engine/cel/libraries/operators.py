"""The operators, under CEL's internal names, with the types that they work on."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from engine.cel import operators
from engine.cel.budget import comparison, membership, putting_together
from engine.cel.declarations import CEL, OPTIONALS, Compute, Function, function
from engine.cel.libraries.optionals import index_of_optional, optional_index, optional_key
from engine.cel.operators import (
    contained_in_list,
    contained_in_map,
    divide,
    divide_double,
    earlier,
    element,
    equal,
    joined,
    joined_bytes,
    later,
    longer,
    modulo,
    ordering,
    shorter,
    since,
    unsigned,
    whole,
)


def _order(name: str, text: str, example: str, compare: Callable[[Any, Any], bool]) -> Function:
    overloads = {f"{name}({types}) -> bool": compute for types, compute in ordering(compare).items()}
    return function(name, text, example, CEL, overloads)


def _absent(*_: Any) -> Any:
    raise AssertionError("`&&`, `||` and `?:` do not evaluate all of their arguments, so that the compiler has them")


_ADD: dict[str, Compute] = {
    "_+_(int, int) -> int": lambda a, b: whole(a + b),
    "_+_(uint, uint) -> uint": lambda a, b: unsigned(int(a) + int(b)),
    "_+_(double, double) -> double": operator.add,
    "_+_(string, string) -> string": joined,
    "_+_(bytes, bytes) -> bytes": joined_bytes,
    "_+_(list(A), list(A)) -> list(A)": operator.add,
    "_+_(timestamp, duration) -> timestamp": later,
    "_+_(duration, timestamp) -> timestamp": lambda span, time: later(time, span),
    "_+_(duration, duration) -> duration": longer,
}
_SUBTRACT: dict[str, Compute] = {
    "_-_(int, int) -> int": lambda a, b: whole(a - b),
    "_-_(uint, uint) -> uint": lambda a, b: unsigned(int(a) - int(b)),
    "_-_(double, double) -> double": operator.sub,
    "_-_(timestamp, timestamp) -> duration": since,
    "_-_(timestamp, duration) -> timestamp": earlier,
    "_-_(duration, duration) -> duration": shorter,
}

FUNCTIONS = (
    function("_+_", "The sum of numbers or durations, a time moved by a duration; strings, bytes or lists put together.",
             "'a' + 'b' == 'ab'", CEL, _ADD, putting_together),
    function("_-_", "The difference of numbers, times or durations; a time moved back by a duration.", "3 - 1 == 2", CEL,
             _SUBTRACT),
    function("_*_", "The product of numbers.", "2 * 3 == 6", CEL, {
        "_*_(int, int) -> int": lambda a, b: whole(a * b),
        "_*_(uint, uint) -> uint": lambda a, b: unsigned(int(a) * int(b)),
        "_*_(double, double) -> double": operator.mul,
    }),
    function("_/_", "The quotient of numbers; of whole ones towards zero.", "7 / 2 == 3", CEL, {
        "_/_(int, int) -> int": divide,
        "_/_(uint, uint) -> uint": lambda a, b: unsigned(divide(int(a), int(b))),
        "_/_(double, double) -> double": divide_double,
    }),
    function("_%_", "What remains of a division of whole numbers.", "7 % 2 == 1", CEL, {
        "_%_(int, int) -> int": modulo,
        "_%_(uint, uint) -> uint": lambda a, b: unsigned(modulo(int(a), int(b))),
    }),
    function("-_", "A number or a duration with the other sign.", "-(1) == 0 - 1", CEL, {
        "-_(int) -> int": lambda a: whole(-a), "-_(double) -> double": operator.neg,
        "-_(duration) -> duration": operators.negated,
    }),
    function("!_", "true for false, and false for true.", "!false", CEL, {"!_(bool) -> bool": operator.not_}),
    function("_==_", "Whether two values are equal: numbers by value, lists and maps item by item.", "1 == 1.0", CEL,
             {"_==_(A, A) -> bool": equal}, comparison),
    function("_!=_", "Whether two values differ.", "1 != 2", CEL,
             {"_!=_(A, A) -> bool": lambda a, b: not equal(a, b)}, comparison),
    _order("_<_", "Whether the left value is less.", "1 < 2", operator.lt),
    _order("_<=_", "Whether the left value is not greater.", "1 <= 1", operator.le),
    _order("_>_", "Whether the left value is greater.", "'b' > 'a'", operator.gt),
    _order("_>=_", "Whether the left value is not less.", "2 >= 2", operator.ge),
    function("_in_", "Whether a value is an item of a list, or a key of a map.", "1 in [1, 2]", CEL, {
        "_in_(A, list(A)) -> bool": contained_in_list, "_in_(A, map(A, B)) -> bool": contained_in_map,
    }, membership),
    function("_[_]", "An item of a list, counted from 0, or the value of a map's key.", "[1, 2][1] == 2", CEL, {
        "_[_](list(A), int) -> A": element, "_[_](map(A, B), A) -> B": element,
        "_[_](optional(list(A)), int) -> optional(A)": index_of_optional,
        "_[_](optional(map(A, B)), A) -> optional(B)": index_of_optional,
        "_[_](dyn, dyn) -> dyn": element,
    }),
    function("_[?_]", "An optional of an item or value; none where it is not there.", "[1][?3] == optional.none()", OPTIONALS, {
        "_[?_](list(A), int) -> optional(A)": optional_index, "_[?_](map(A, B), A) -> optional(B)": optional_index,
        "_[?_](optional(list(A)), int) -> optional(A)": optional_index,
        "_[?_](optional(map(A, B)), A) -> optional(B)": optional_index,
        "_[?_](dyn, dyn) -> optional(dyn)": optional_index,
    }),
    function("_?._", "An optional of a field; none where it is not there.", "{'a': 1}.?b.orValue(2) == 2", OPTIONALS, {
        "_?._(map(string, A), string) -> optional(A)": optional_key,
        "_?._(optional(map(string, A)), string) -> optional(A)": optional_key,
        "_?._(dyn, string) -> optional(dyn)": optional_key,
    }),
    function("_&&_", "Whether both are true; false as soon as one is, even where the other has no answer.", "true && true", CEL,
             {"_&&_(bool, bool) -> bool": _absent}),
    function("_||_", "Whether one of both is true, even where the other has no answer.", "true || false", CEL,
             {"_||_(bool, bool) -> bool": _absent}),
    function("_?_:_", "One of two values, by a condition.", "(true ? 1 : 2) == 1", CEL, {"_?_:_(bool, A, A) -> A": _absent}),
)  # fmt: skip
