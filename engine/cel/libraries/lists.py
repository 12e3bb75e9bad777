"""Lists: Kubernetes' list library and cel-go's."""

from __future__ import annotations

from datetime import timedelta
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from engine.cel.budget import MAX_WORK, each_item, each_pair, membership
from engine.cel.declarations import GO_LISTS, KUBERNETES_INCLUDES, KUBERNETES_LISTS, function
from engine.cel.operators import compare, contained_in_list, equal, longer, unsigned, whole
from engine.cel.values import Mismatch, type_name, type_of

_NUMBERS = ("int", "uint", "double", "duration")
_ORDERED = (*_NUMBERS, "bool", "timestamp", "string", "bytes")


def _is_sorted(value: list[Any]) -> bool:
    return all(compare(one, other) <= 0 for one, other in pairwise(value))


def _sum(value: list[Any]) -> Any:
    kinds = {type_name(each) for each in value}
    if not kinds <= {"int", "uint", "double", "duration"} or len(kinds) > 1:
        raise Mismatch(f"sum() works on a list of numbers or of durations, not of {' and '.join(sorted(kinds))}")
    if kinds == {"duration"}:
        total = timedelta(0)
        for each in value:
            total = longer(total, each)
        return total
    if kinds == {"double"}:
        return sum(value, 0.0)
    total_number = sum(map(int, value))
    return unsigned(total_number) if kinds == {"uint"} else whole(total_number)


def _extreme(name: str, sign: int) -> Any:
    def extreme(value: list[Any]) -> Any:
        if not value:
            raise Mismatch(f"{name}() works on a list that is not empty")
        found = value[0]
        for each in value[1:]:
            if compare(each, found) * sign > 0:
                found = each
        return found

    return extreme


def _index_of(value: list[Any], item: Any) -> int:
    return next((index for index, each in enumerate(value) if equal(each, item)), -1)


def _last_index_of(value: list[Any], item: Any) -> int:
    return next((index for index in range(len(value) - 1, -1, -1) if equal(value[index], item)), -1)


def _includes(value: Any, item: Any) -> bool:
    return contained_in_list(item, value) if type(value) is list else equal(value, item)


def _slice(value: list[Any], start: int, end: int) -> list[Any]:
    if not 0 <= start <= end <= len(value):
        raise Mismatch(f"slice() is out of range: {start} to {end} of {len(value)} items")
    return value[start:end]


def _flatten(value: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise Mismatch("flatten() takes no negative depth")
    result: list[Any] = []
    for each in value:
        result.extend(_flatten(each, depth - 1) if type(each) is list and depth else [each])
    return result


def _sort(value: list[Any]) -> list[Any]:
    return _by_keys(value, value)


def _by_keys(value: list[Any], keys: list[Any]) -> list[Any]:
    if len({type_of(key) for key in keys}) > 1:
        raise Mismatch("a list is sorted by values of one type only")
    if keys:
        compare(keys[0], keys[0])

    def by_key(one: tuple[Any, Any], other: tuple[Any, Any]) -> int:
        return compare(one[0], other[0])

    return [item for _, item in sorted(zip(keys, value, strict=True), key=cmp_to_key(by_key))]


def _distinct(value: list[Any]) -> list[Any]:
    result: list[Any] = []
    for each in value:
        if not any(equal(each, other) for other in result):
            result.append(each)
    return result


def _range(count: int) -> list[int]:
    if not 0 <= count <= MAX_WORK:
        raise Mismatch(f"lists.range() makes from 0 to {MAX_WORK} numbers, not {count}")
    return list(range(count))


def _index_cost(value: Any, item: Any) -> int:
    return each_item(value) if type(value) is list else 0


FUNCTIONS = (
    function("isSorted", "Whether each item of a list is no less than the one before.", "[1, 2, 2].isSorted()", KUBERNETES_LISTS,
             {f"list({kind}).isSorted() -> bool": _is_sorted for kind in _ORDERED}, each_item),
    function("sum", "The sum of a list of numbers or durations; 0 of an empty one.", "[1, 2].sum() == 3", KUBERNETES_LISTS,
             {f"list({kind}).sum() -> {kind}": _sum for kind in _NUMBERS}, each_item),
    function("min", "The least item of a list that is not empty.", "[3, 1].min() == 1", KUBERNETES_LISTS,
             {f"list({kind}).min() -> {kind}": _extreme("min", -1) for kind in _ORDERED}, each_item),
    function("max", "The greatest item of a list that is not empty.", "[3, 1].max() == 3", KUBERNETES_LISTS,
             {f"list({kind}).max() -> {kind}": _extreme("max", 1) for kind in _ORDERED}, each_item),
    function("indexOf", "The index of the first item that equals a value; -1 where there is none.",
             "['a', 'b'].indexOf('b') == 1",
             KUBERNETES_LISTS, {"list(A).indexOf(A) -> int": _index_of}, _index_cost),
    function("lastIndexOf", "The index of the last item that equals a value; -1 where there is none.",
             "['a', 'b', 'a'].lastIndexOf('a') == 2", KUBERNETES_LISTS, {"list(A).lastIndexOf(A) -> int": _last_index_of},
             _index_cost),
    function("includes", "Whether a list holds a value; of anything else, whether it equals that value.",
             "[1, 2].includes(2) && 'a'.includes('a') && !'ab'.includes('a')", KUBERNETES_INCLUDES,
             {"dyn.includes(dyn) -> bool": _includes}, lambda value, item: membership(item, value)),
    function("slice", "The items from one index up to another.", "[1, 2, 3].slice(1, 3) == [2, 3]", GO_LISTS,
             {"list(A).slice(int, int) -> list(A)": _slice}),
    function("flatten", "The items of the lists in a list, to a depth of 1 or another.",
             "[[1], [2, [3]]].flatten() == [1, 2, [3]]",
             GO_LISTS, {"list(A).flatten() -> list(dyn)": _flatten, "list(A).flatten(int) -> list(dyn)": _flatten}, each_item),
    function("sort", "The items of a list in order.", "[3, 1, 2].sort() == [1, 2, 3]", GO_LISTS,
             {"list(A).sort() -> list(A)": _sort},
             each_pair),
    function("@sortByAssociatedKeys", "The items of a list in the order of the keys of another; what `sortBy` becomes.",
             "[1].sortBy(x, -x) == [1]", GO_LISTS, {"list(A).@sortByAssociatedKeys(list(B)) -> list(A)": _by_keys}, each_pair),
    function("distinct", "The items of a list, each once.", "[1, 2, 1].distinct() == [1, 2]", GO_LISTS,
             {"list(A).distinct() -> list(A)": _distinct}, each_pair),
    function("reverse", "The items of a list in the opposite order.", "[1, 2].reverse() == [2, 1]", GO_LISTS,
             {"list(A).reverse() -> list(A)": lambda value: value[::-1]}, each_item),
    function("lists.range", "The whole numbers from 0 up to another.", "lists.range(3) == [0, 1, 2]", GO_LISTS,
             {"lists.range(int) -> list(int)": _range}, lambda count: max(0, count) // 100),
)  # fmt: skip
