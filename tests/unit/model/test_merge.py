"""Merge patches: what they make of a value, and whether they would change it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.model.merge import added, changes, merged


@pytest.mark.parametrize(
    ("value", "patch", "after"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": "text"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({}, {"a": {"b": None}}, {"a": {}}),
    ],
)
def test_a_merge_patch_is_that_of_the_rfc(value: Any, patch: Any, after: Any) -> None:
    """RFC 7386, and the value itself stays as it was."""
    before = repr(value)
    assert merged(value, patch) == after
    assert repr(value) == before


@pytest.mark.parametrize(
    ("value", "patch", "change"),
    [
        ({"a": 1}, {"a": 1}, False),
        ({"a": 1}, {"a": True}, True),
        ({"a": "1"}, {"a": "1"}, False),
        ({"a": "1"}, {"a": "2"}, True),
        ({"a": 1}, {"a": "1"}, True),
        ({}, {"a": ""}, True),
        ({"a": 1}, {"a": None}, True),
        ({}, {"a": None}, False),
        ({"metadata": {"name": "x"}}, {"metadata": {"labels": {"a": None}}}, False),
        ({"metadata": {"name": "x"}}, {"metadata": {"labels": {"a": None, "b": "c"}}}, True),
        ({}, {"operation": {"sync": {}}}, True),
        ({"a": {}}, {"a": {}}, False),
        ({"a": "text"}, {"a": {"b": None}}, True),
    ],
)
def test_a_patch_that_changes_nothing_is_known(value: Any, patch: Any, change: bool) -> None:
    """Removing what is not there is no change, also where the mapping that would hold it is missing."""
    assert changes(value, patch) is change


def test_two_patches_are_one() -> None:
    """One patch that does what both do, the later one winning."""
    assert added({"a": {"b": 1, "c": 1}}, {"a": {"b": None}}) == {"a": {"b": None, "c": 1}}
