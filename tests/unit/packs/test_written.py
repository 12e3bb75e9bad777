"""Against which kind lint compares what an action writes."""

from __future__ import annotations

from typing import Any

import pytest

from engine.model.objects import Kind, Resource
from engine.packs.crds import Definition
from engine.packs.kinds import built_in
from engine.packs.lint import lint, type_faults
from engine.packs.lint.scope import types_of_kinds
from engine.packs.parse import parse_text
from engine.packs.sources import Text
from tests.unit.packs.packs import CEL, pack

DEPLOYMENT, STATEFUL_SET = ({"apiVersion": "apps/v1", "kind": kind} for kind in ("Deployment", "StatefulSet"))
TARGETS = [{**kind, "verbs": ["get", "create", "patch"]} for kind in (DEPLOYMENT, STATEFUL_SET)]


def said(patch: dict[str, Any], *watched: dict[str, Any], part: str = "actions", **rule: Any) -> list[str]:
    """What lint says of a patch of the watched objects."""
    actions = {"actions": [{"annotate": {"annotations": {"a": "b"}}}]} | {part: [{"patch": {"patch": patch}}]}
    rules = [{"name": "r", "throttle": {"every": "1m"}, **actions, **rule}]
    text = pack(watch=list(watched), targets=TARGETS, rules=rules)
    faults = lint([Text("pack.yaml", text, "pack.yaml")], CEL)[1]
    return [fault.message for fault in faults if fault.code in ("unknown-field", "wrong-type")]


@pytest.mark.parametrize("part", ["actions", "rescue"])
def test_a_patch_is_compared_with_the_watched_kind(part: str) -> None:
    """In the rescue too."""
    assert said({"spec": {"replica": 1}}, DEPLOYMENT, part=part) == ["Deployment has no field spec.replica"]


def test_of_several_watched_kinds_one_has_to_take_it() -> None:
    """An action may be for some of them only."""
    assert said({"spec": {"podManagementPolicy": "Parallel"}}, DEPLOYMENT, STATEFUL_SET) == []
    assert said({"spec": {"replica": 1}}, DEPLOYMENT, STATEFUL_SET) == ["Deployment has no field spec.replica"]


def test_a_patch_for_a_group_is_compared_with_the_kind_of_its_target() -> None:
    """Of an aggregate without a target nothing is known."""
    aggregate = {"by": "object.metadata.name", "target": {**DEPLOYMENT, "name": "x"}, "counts": {"n": "true"}}
    assert said({"spec": {"replicas": "3"}}, STATEFUL_SET, throttle={"every": "1m"}, aggregate=aggregate) == [
        "spec.replicas of Deployment is the text '3'"
    ]


def test_a_custom_kind_is_compared_with_its_definition() -> None:
    """Of a kind without a definition nothing is said."""
    widget = Kind("example.com/v1", "Widget")
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    target = {"apiVersion": "example.com/v1", "kind": "Widget", "name": "w"}
    patch = {"target": target, "patch": {"spec": {"size": "1", "seize": 1}}}
    rule = {"name": "r", "throttle": {"every": "1m"}, "actions": [{"patch": patch}]}
    targets = [{"apiVersion": "example.com/v1", "kind": "Widget", "verbs": ["get", "patch"]}]
    text = Text("pack.yaml", pack(targets=targets, rules=[rule]), "pack.yaml")
    found = lint([text], CEL, {widget: Definition(Resource(widget, "widgets", namespaced=True), schema)})[1]
    assert [fault.message for fault in found] == ["spec.size of Widget is the text '1'", "Widget has no field spec.seize"]
    assert lint([text], CEL)[1] == []


def test_the_operator_compares_with_the_types_of_its_cluster() -> None:
    """By the same checks that it has for expressions."""
    rule = {"name": "r", "throttle": {"every": "1m"}, "actions": [{"patch": {"patch": {"spec": {"replica": 1}}}}]}
    packs, faults = parse_text(pack(watch=DEPLOYMENT, targets=TARGETS[:1], rules=[rule]), "pack.yaml", CEL)
    kind = Kind("apps/v1", "Deployment")
    assert (faults, built_in(kind) is None) == ([], False)
    assert [fault.code for fault in type_faults(packs, types_of_kinds({}, {}))] == ["unknown-field"]
