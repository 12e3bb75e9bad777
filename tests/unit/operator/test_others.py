"""Two operators in one cluster, from different installations, with the same rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.model.objects import annotations_of
from engine.operator.shards import Shard
from tests.unit.operator.test_operator import NAMESPACE, WIDGET, Fixture, ask

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: counts}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets:
    - {apiVersion: example.com/v1, kind: Widget, verbs: [get, patch]}
  rules:
    - name: count
      oncePer: object.spec.size
      when: object.spec.size > 10
      actions:
        - patch:
            target: {apiVersion: example.com/v1, kind: Widget, name: '${object.metadata.name}'}
            patch: {spec: {runs: "${int(get(target, 'spec.runs', 0)) + 1}"}}
    - name: tell-end
      on: Delete
      actions:
        - emitEvent: {type: Normal, reason: Ended, message: 'size ${object.spec.size}'}
"""
MESSAGE = (
    "Operator first/rulepack acts by pack counts in namespace default too, as its record of rule count shows; this one, "
    "second/rulepack, leaves each firing to it for 60 s. Uninstall one of them, or give each namespaces (WATCH_NAMESPACE) or "
    "packs of its own."
)


@pytest.fixture
async def fixture(tmp_path: Path) -> Fixture:
    """A fixture with a rule whose effect can be counted, and the namespaces of two installations."""
    fixture = Fixture(tmp_path)
    (fixture.rules / "pack.yaml").write_text(PACK)
    for name in ("first", "second"):
        await fixture.cluster.create(NAMESPACE, "", {"metadata": {"name": name}})
    return fixture


async def runs(fixture: Fixture, name: str) -> int:
    """How often the rule has acted for a widget."""
    return int((await fixture.cluster.get(WIDGET, "default", name))["spec"].get("runs", 0))


async def noticed(fixture: Fixture) -> list[tuple[str, str]]:
    """The objects and messages of Events about another operator."""
    found = [event for event in await fixture.events("default") if event["reason"] == "AnotherOperator"]
    return [(event["involvedObject"]["name"], event["message"]) for event in found]


async def by_the_first(fixture: Fixture, name: str) -> None:
    """Make a widget on which the first operator alone acts, while the second one already watches it."""
    await fixture.widget(name, 5)
    await fixture.clock.advance(1)
    record = {"key": "5", "outcome": "Done", "by": "first/rulepack"}
    record["uid"] = (await fixture.cluster.get(WIDGET, "default", name))["metadata"]["uid"]
    patch = {"metadata": {"annotations": {"fired.rules.mlops.dev/counts.count": json.dumps(record)}}}
    await fixture.cluster.patch(WIDGET, "default", name, patch)
    await fixture.clock.advance(1)


async def test_the_second_operator_leaves_what_the_first_one_does(fixture: Fixture) -> None:
    """Once it is noticed nothing is done twice, one Event and /packs and a metric say so, and each record names its author."""
    first, second = (fixture.operator(operator_namespace=name) for name in ("first", "second"))
    async with fixture.running(first, second):
        await by_the_first(fixture, "known")
        for number in range(20):
            await fixture.widget(f"w{number}")
            await fixture.clock.advance(1)
        await fixture.clock.advance(200)
        _, overview = await ask(second, "/packs")
        _, metrics = await ask(second, "/metrics")

        assert [await runs(fixture, f"w{number}") for number in range(20)] == [1] * 20
        record = annotations_of(await fixture.cluster.get(WIDGET, "default", "w19"))["fired.rules.mlops.dev/counts.count"]
        assert json.loads(record)["by"] == "first/rulepack"
        assert await noticed(fixture) == [("known", MESSAGE)]
        assert json.loads(overview)["otherOperators"] == ["first/rulepack"]
        assert 'rulepack_other_operators{operator="first/rulepack",pack="counts"} 1.0' in metrics


async def test_what_the_first_operator_does_not_do_the_second_one_does_after_a_minute(fixture: Fixture) -> None:
    """An operator that has gone, or does not watch an object, holds nothing up for longer; ten minutes later it is forgotten."""
    second = fixture.operator(operator_namespace="second")
    async with fixture.running(second):
        await by_the_first(fixture, "known")
        await fixture.widget("w")
        await fixture.clock.advance(50)
        meanwhile = await runs(fixture, "w")
        await fixture.clock.advance(15)
        after = await runs(fixture, "w")
        await fixture.clock.advance(600)
        await fixture.widget("later")
        await fixture.clock.advance(2)
        _, overview = await ask(second, "/packs")

        assert (meanwhile, after, await runs(fixture, "later")) == (0, 1, 1)
        assert json.loads(overview)["otherOperators"] == []


async def test_the_end_of_an_object_is_reported_by_one_of_them(fixture: Fixture) -> None:
    """No object is left that could hold a record, so all of it is left to the first operator."""
    second = fixture.operator(operator_namespace="second")
    async with fixture.running(second):
        await by_the_first(fixture, "known")
        await fixture.cluster.delete(WIDGET, "default", "known")
        await fixture.clock.advance(100)

        assert [event for event in await fixture.events("default") if event["reason"] == "Ended"] == []


async def test_the_first_operator_goes_on_as_ever(fixture: Fixture) -> None:
    """It notices the second one by a record of that one, says so, and waits for nobody."""
    third = fixture.operator(operator_namespace="earlier")
    await fixture.cluster.create(NAMESPACE, "", {"metadata": {"name": "earlier"}})
    async with fixture.running(third):
        await by_the_first(fixture, "known")
        await fixture.widget("w")
        await fixture.clock.advance(2)

        assert await runs(fixture, "w") == 1
        ((name, message),) = await noticed(fixture)
        assert name == "known"
        assert "it leaves each firing to this one, earlier/rulepack, for 60 s" in message


@pytest.mark.parametrize("records", ["before it started", "of another object", "that are none"])
async def test_old_and_foreign_records_are_no_operator(fixture: Fixture, records: str) -> None:
    """Only a record that comes while it watches, and belongs to the object, shows that somebody acts."""
    second = fixture.operator(operator_namespace="second")
    if records == "before it started":
        await by_the_first(fixture, "w")
    async with fixture.running(second):
        if records != "before it started":
            await fixture.widget("w", 5)
            await fixture.clock.advance(1)
            uid = (
                "other"
                if records == "of another object"
                else (await fixture.cluster.get(WIDGET, "default", "w"))["metadata"]["uid"]
            )
            by = "first/rulepack" if records == "of another object" else "\x1b[31m not a name"
            record = json.dumps({"key": "5", "outcome": "Done", "by": by, "uid": uid})
            patch = {"metadata": {"annotations": {"fired.rules.mlops.dev/counts.count": record}}}
            await fixture.cluster.patch(WIDGET, "default", "w", patch)
        await fixture.cluster.patch(WIDGET, "default", "w", {"spec": {"size": 30}})
        await fixture.clock.advance(5)

        assert await runs(fixture, "w") == 1
        assert await noticed(fixture) == []


async def test_shards_and_replicas_of_one_installation_are_one_operator(fixture: Fixture) -> None:
    """Each shard sees the other one's records, and a standby the leader's; none takes the others for another operator."""
    settings = [{"shard": Shard(0, 2)}, {"shard": Shard(0, 2)}, {"shard": Shard(1, 2)}]
    operators = [fixture.operator(operator_namespace="first", **each) for each in settings]
    async with fixture.running(*operators):
        for number in range(10):
            await fixture.widget(f"w{number}")
        await fixture.clock.advance(30)

        assert [await runs(fixture, f"w{number}") for number in range(10)] == [1] * 10
        assert await noticed(fixture) == []
        assert [operator.overview()["otherOperators"] for operator in operators] == [[], [], []]
