"""What counts as the same, and how a difference is reported."""

from __future__ import annotations

from typing import Any

import pytest

from engine.testing.match import Difference, differences, unmatched


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({}, {"a": 1}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}),
        ({"a": None}, {}),
        ({"a": None}, {"a": None}),
        ({"a": {"b": None}}, {}),
        ([{"a": 1}], [{"a": 1, "b": 2}]),
        ({"$matches": "^x.z$"}, "xyz"),
        ({"$matches": "y"}, "xyz"),
        (1, 1.0),
    ],
)
def test_a_subset_is_enough(expected: Any, found: Any) -> None:
    """Mappings match by the keys that are named, lists item by item, null what is absent, $matches by RE2."""
    assert list(differences(expected, found)) == []


@pytest.mark.parametrize(
    ("expected", "found", "path"),
    [
        ({"a": 1}, {}, ("a",)),
        ({"a": None}, {"a": 1}, ("a",)),
        ({"a": {"b": 1}}, {"a": "text"}, ("a",)),
        ([1, 2], [1], ()),
        ([1, {"a": 2}], [1, {"a": 3}], (1, "a")),
        ({"$matches": "^y"}, "xyz", ()),
        ({"$matches": "["}, "[", ()),
        ({"$matches": "1"}, 1, ()),
        (True, 1, ()),
        ("1", 1, ()),
    ],
)
def test_a_difference_has_its_place(expected: Any, found: Any, path: tuple[str | int, ...]) -> None:
    """The path of the first value that differs."""
    assert [difference.path for difference in differences(expected, found)] == [path]


def test_a_difference_is_reported_in_three_lines() -> None:
    """Where, what was expected, what was found."""
    difference = Difference(("metadata", "annotations", "a/b"), '"3"', "absent")
    assert difference.lines() == ('metadata.annotations["a/b"]:', '  - expected "3"', "  + found    absent")


def test_each_pattern_takes_one_thing() -> None:
    """What is there twice must be expected twice."""
    assert unmatched([{"a": 1}], [{"a": 1}, {"a": 1}]) == ([], [{"a": 1}])
    assert unmatched([{"a": 1}, {"a": 2}], [{"a": 2}]) == ([0], [])
