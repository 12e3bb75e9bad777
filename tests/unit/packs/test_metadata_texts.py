"""Labels and annotations in what actions write, whose values have to be texts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.packs.packs import faults, pack, rule

TARGETS = [
    {"apiVersion": each, "kind": kind, "verbs": ["get", "list", "create", "patch"]}
    for each, kind in (("v1", "ConfigMap"), ("apps/v1", "Deployment"), ("example.com/v1", "Widget"))
]
LABELS = {"a": True}


def manifest(version: str, kind: str, **keys: Any) -> dict[str, Any]:
    """The action `apply` of an object with a name, and further keys."""
    return {
        "apply": {
            "manifest": {"apiVersion": version, "kind": kind, **keys, "metadata": {"name": "x", **keys.get("metadata", {})}}
        }
    }


def patch(operations: Any, **keys: Any) -> dict[str, Any]:
    return {"patch": {"target": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}, "patch": operations, **keys}}


TEMPLATE = {"template": {"metadata": {"labels": LABELS}}}


@pytest.mark.parametrize(
    ("action", "what"),
    [
        (manifest("v1", "ConfigMap", metadata={"labels": LABELS}), "the label a has true"),
        (manifest("v1", "ConfigMap", metadata={"annotations": {"n": 1.5}}), "the annotation n has the number 1.5"),
        (manifest("example.com/v1", "Widget", metadata={"labels": {"a": ["x"]}}), "the label a has a list of 1"),
        (patch({"metadata": {"labels": {"a": False}}}), "the label a has false"),
        (manifest("apps/v1", "Deployment", spec=TEMPLATE), "the label a has true"),
        (manifest("apps/v1", "Deployment", spec={"selector": {"matchLabels": LABELS}}), "the label a has true"),
    ],
    ids=["label", "annotation", "custom kind", "patch", "template", "selector"],
)
def test_a_value_that_is_no_text_is_refused(action: dict[str, Any], what: str) -> None:
    """`a: yes` is true to kubectl: the API server would refuse the object each time, or has another value than was typed."""
    (fault,) = faults(pack(targets=TARGETS, rules=[rule(actions=[action])]))

    assert fault.endswith(
        f"{what}, not a text; expected a text in quotes; kubectl reads yes, no, on and off without them as true and false"
    )


@pytest.mark.parametrize(
    "action",
    [
        manifest("v1", "ConfigMap", metadata={"labels": {"a": "yes", "b": "${object.metadata.name}"}}),
        patch({"metadata": {"labels": {"a": None}}}),
        patch({"data": {"labels": LABELS}}),
        manifest("example.com/v1", "Widget", spec=TEMPLATE),
    ],
    ids=["text", "removed", "no metadata", "within a custom kind"],
)
def test_what_may_be_meant_is_not_refused(action: dict[str, Any]) -> None:
    assert faults(pack(targets=TARGETS, rules=[rule(actions=[action])])) == []
