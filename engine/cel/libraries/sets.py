"""Lists taken as sets: the order and number of equal items do not matter."""

from __future__ import annotations

from typing import Any

from engine.cel.budget import each_pair
from engine.cel.declarations import GO_SETS, function
from engine.cel.operators import contained_in_list


def _contains(value: list[Any], other: list[Any]) -> bool:
    return all(contained_in_list(each, value) for each in other)


def _equivalent(value: list[Any], other: list[Any]) -> bool:
    return _contains(value, other) and _contains(other, value)


def _intersects(value: list[Any], other: list[Any]) -> bool:
    return any(contained_in_list(each, other) for each in value)


FUNCTIONS = (
    function("sets.contains", "Whether every item of the second list is in the first.", "sets.contains([1, 2], [2])", GO_SETS,
             {"sets.contains(list(A), list(A)) -> bool": _contains}, each_pair),
    function("sets.equivalent", "Whether two lists hold the same items.", "sets.equivalent([1, 2, 2], [2, 1])", GO_SETS,
             {"sets.equivalent(list(A), list(A)) -> bool": _equivalent}, each_pair),
    function("sets.intersects", "Whether two lists have an item in common.", "sets.intersects([1, 2], [2, 3])", GO_SETS,
             {"sets.intersects(list(A), list(A)) -> bool": _intersects}, each_pair),
)  # fmt: skip
