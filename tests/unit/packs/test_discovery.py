"""The values of params that the cluster says."""

from __future__ import annotations

from typing import Any

import pytest

from engine.model.flags import Mode
from engine.model.objects import Kind
from engine.packs.catalog import Catalog
from engine.packs.discovery import discovered, discoveries
from engine.packs.rbac import granted
from tests.unit.packs.packs import faults, pack, parsed

NAMESPACES = {"apiVersion": "v1", "kind": "Namespace", "labelSelector": {"owner": "a"}}
NAME = {"home": {"type": "string", "pattern": "^[a-z]+$", "default": "none"}}
OWNERS = {"owners": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}}}


def catalog(discover: dict[str, Any], params: dict[str, Any] = NAME, mode: Mode = Mode.ENFORCE, **given: Any) -> Catalog:
    """A catalog of one pack, with these params set."""
    found = parsed(pack(params=params, discover=discover))
    return Catalog.of({"example": found}, {"example": mode}, {"example": given})


def namespace(name: str, created: str = "2026-01-24T22:00:00Z", **labels: str) -> dict[str, Any]:
    """A namespace."""
    return {"metadata": {"name": name, "creationTimestamp": created, "labels": labels}}


def test_a_mapping_holds_all_objects() -> None:
    """With a key the param is a mapping of all that is found; of two with one key the older one counts."""
    key, value = "label(object, 'owner')", "object.metadata.name"
    given = catalog({"owners": {**NAMESPACES, "key": key, "value": value}}, OWNERS)
    objects = [namespace("late", "2026-02-01T00:00:00Z", owner="a"), namespace("early", owner="a"), namespace("other", owner="b")]

    result, wrong = discovered(given, lambda _: objects)

    assert result.params["example"]["owners"] == {"a": "early", "b": "other"}
    assert wrong == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("object.metadata.name + '1'", "does not match"),
        ("object.metadata.missing", "missing"),
        ("1", "integer"),
    ],
)
def test_a_value_that_does_not_fit_leaves_the_default(value: str, message: str) -> None:
    """What does not fit the param's schema, and an expression without an answer, are faults that name the param."""
    given = catalog({"home": {**NAMESPACES, "value": value}})

    result, (wrong,) = discovered(given, lambda _: [namespace("a")])

    assert result is given
    assert wrong.location.file == "configmap/rulepack-params/example"
    assert "'home'" in wrong.message


def test_a_key_that_is_no_text_is_a_fault() -> None:
    """A mapping's keys are texts."""
    given = catalog({"owners": {**NAMESPACES, "key": "size(object.metadata.name)", "value": "'x'"}}, OWNERS)

    _, (wrong,) = discovered(given, lambda _: [namespace("a")])

    assert "gives 1, and a key is a text" in wrong.message


@pytest.mark.parametrize(("mode", "given", "wanted"), [(Mode.AUDIT, {}, 1), (Mode.OFF, {}, 0), (Mode.ENFORCE, {"home": "a"}, 0)])
def test_only_what_is_needed_is_looked_for(mode: Mode, given: dict[str, Any], wanted: int) -> None:
    """Nothing for a pack that is Off, and nothing for a param that somebody has set."""
    assert len(discoveries(catalog({"home": {**NAMESPACES, "value": "object.metadata.name"}}, mode=mode, **given))) == wanted


def test_what_a_discovery_needs() -> None:
    """The right to list and watch what it looks for."""
    text = pack(params=NAME, discover={"home": {**NAMESPACES, "value": "object.metadata.name"}})

    verbs = granted([parsed(text)]).by_resource["", "namespaces"]

    assert verbs == {verb: {"example/parameter home": None} for verb in ("list", "watch")}


@pytest.mark.parametrize(
    ("discover", "expected"),
    [
        ({"hom": {**NAMESPACES, "value": "object.metadata.name"}}, "the pack declares no parameter 'hom'; expected 'home'"),
        ({"home": {**NAMESPACES, "value": "params.home"}}, "unknown variable 'params'"),
        ({"home": {"apiVersion": "v1", "kind": "Namespace"}}, "'value' is missing"),
    ],
)
def test_what_is_refused(discover: dict[str, Any], expected: str) -> None:
    """A param that is not declared, another variable than `object`, and a discovery without a value."""
    (fault,) = faults(pack(params=NAME, discover=discover))

    assert expected in fault


def test_the_kind_of_what_is_looked_for() -> None:
    """By name and labels, in all namespaces."""
    (found,) = discoveries(catalog({"home": {**NAMESPACES, "name": "a", "value": "object.metadata.name"}}))

    assert (found.kind, found.fields, found.labels) == (Kind("v1", "Namespace"), "metadata.name=a", "owner=a")
