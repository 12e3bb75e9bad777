"""Differences between two states of an object, as people read them."""

from __future__ import annotations

import pytest

from engine.model.diff import diff


def test_each_difference_has_a_line() -> None:
    """Path, old and new value; what is not there is ∅, and what the API server changes by itself is left out."""
    before = {"metadata": {"resourceVersion": "1", "labels": {"a": "1"}}, "spec": {"size": 1, "gone": True}}
    after = {"metadata": {"resourceVersion": "2", "labels": {"a": "1", "b/c": "x"}}, "spec": {"size": 2}}

    assert diff(before, after) == ('metadata.labels["b/c"]: ∅ → "x"', "spec.gone: true → ∅", "spec.size: 1 → 2")


@pytest.mark.parametrize("before", [{}, {"kind": "Secret", "data": {"password": "b2xk"}}])
def test_of_a_secret_only_paths_are_reported(before: dict[str, object]) -> None:
    """Neither the old value nor the new one, nor what `kubectl apply` keeps of them in an annotation."""
    kept = {"kubectl.kubernetes.io/last-applied-configuration": "password: b2xk"}
    after = {"kind": "Secret", "metadata": {"annotations": kept}, "data": {"password": "bmV3"}}

    lines = diff(before, after)

    assert lines
    assert all(line.endswith(": (hidden)") for line in lines)
    assert not any(value in line for line in lines for value in ("b2xk", "bmV3"))
