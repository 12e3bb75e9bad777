"""What a running operator says of one object: timers, what waits and what is suspended, and `rulepack explain` with that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cel import backend
from engine.cli.running import ask as ask_engine
from engine.errors import UsageError
from engine.model.flags import Mode
from engine.model.objects import Kind, ObjectKey, Ref
from engine.operator import overview
from engine.operator.activity import Activity
from engine.operator.wiring import Operator
from engine.packs.catalog import Catalog
from engine.packs.parse import parse_pack
from engine.reconcile.budget import Terms
from engine.testing.explain import explain
from engine.testing.known import joined
from tests.unit.operator.test_operator import WIDGET, Fixture, ask

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: widgets}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets: [{apiVersion: v1, kind: ConfigMap, verbs: [get, patch]}]
  rules:
    - name: late
      when: object.spec.size > 0
      for: 1h
      oncePer: object.metadata.uid
      actions: [{annotate: {annotations: {example.com/late: 'yes'}}}]
    - name: patches
      oncePer: object.metadata.uid
      existing: CatchUp
      retry: {timeout: 1h}
      actions: [{patch: {target: {apiVersion: v1, kind: ConfigMap, name: missing}, patch: {data: {a: b}}, guard: 'false'}}]
"""
OBJECT = Ref(Kind("example.com/v1", "Widget"), "default", "w")
QUERY = "/packs?apiVersion=example.com/v1&kind=Widget&namespace=default&name="


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    """A cluster whose operators have the pack."""
    fixture = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(PACK)
    return fixture


async def begin(fixture: Fixture) -> None:
    """Create the object, and let ten seconds pass."""
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    await fixture.cluster.create(WIDGET, "default", body)
    await fixture.clock.advance(10)


async def known(operator: Operator, name: str = "w") -> dict[str, Any]:
    """What is said of an object."""
    status, text = await ask(operator, QUERY + name)
    assert status == 200
    return dict(json.loads(text))


async def test_timers_and_waits_of_an_object_are_said(fixture: Fixture) -> None:
    """Since when conditions hold, when a rule fired last, what waits and when it is tried again; of another object nothing."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await begin(fixture)
        found, other = await known(operator), await known(operator, "x")
    rules = found["packs"]["widgets"]["rules"]
    assert found["leading"] is True
    assert rules["late"]["trueSince"].endswith("Z")
    assert rules["late"]["waiting"] == []
    (wait,) = rules["patches"]["waiting"]
    assert (wait["reason"], wait["items"]) == ("TargetMissing", 1)
    assert wait["since"] < wait["retryAt"]
    assert other["packs"] == {}


async def test_explain_joins_what_a_running_engine_knows(fixture: Fixture) -> None:
    """The lines stand with those of the timers that a rule has."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await begin(fixture)
        found = await ask_engine(f"http://127.0.0.1:{operator.server.port}", "", OBJECT)
        assert not isinstance(found, str), found
        obj = await fixture.cluster.get(WIDGET, "default", "w")
        (pack,) = parse_pack(PACK, "pack.yaml", backend())
        catalog = Catalog({"widgets": pack}, {"widgets": Mode.ENFORCE}, {"widgets": {}})
        explanation = joined(await explain(fixture.cluster, fixture.clock, catalog, obj), found)
    timing = {rule.name: rule.timing for pack in explanation.packs for rule in pack.rules}
    assert any(line.startswith("running: its conditions have held since ") for line in timing["late"])
    assert any(line.startswith("running: it waits since ") and "(TargetMissing)" in line for line in timing["patches"])


async def test_an_engine_that_cannot_be_asked_is_no_fault(fixture: Fixture) -> None:
    """Nobody there, one that stands by, and what is no URL."""
    assert isinstance(await ask_engine("https://127.0.0.1:1", "", OBJECT), str)
    with pytest.raises(UsageError, match="is no URL"):
        await ask_engine("localhost:8443", "", OBJECT)


def test_what_is_suspended_is_said(fixture: Fixture) -> None:
    """Of a namespace whose budget is spent, for each object in it, and for none of another."""
    activity = Activity(fixture.clock, enforced={"widgets"}, terms={"widgets": Terms(1, "")})
    activity.suspended("widgets", "default", OBJECT)
    keys = [ObjectKey(OBJECT.kind, namespace, "other") for namespace in ("default", "elsewhere")]
    found = [overview.known(activity, key, ()) for key in keys]
    assert found == [
        {"widgets": {"suspended": "namespace default", "rules": {}}},
        {},
    ]
