"""The action `wait`: what it reads, for how long, and what the actions after it get."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.cel import backend
from engine.errors import InvalidText
from engine.model.objects import Kind
from engine.packs.lint import lint
from engine.packs.parse import parse_pack
from engine.packs.sources import Text
from tests.world import World, named, pod

CONFIG = Kind("v1", "ConfigMap")
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "other"}


def text_of(wait: dict[str, Any], note: str = "${string(results.found.met)}: ${results.found.value}") -> str:
    """A pack whose one rule waits, and then writes what came of it on the watched ConfigMap `c`."""
    actions = [{"wait": wait, "register": "found"}, {"annotate": {"annotations": {"note": note}}}]
    rule = {"name": "r", "when": "object.metadata.name == 'c'", "oncePer": "object.metadata.uid", "actions": actions}
    targets = [{"apiVersion": "v1", "kind": kind, "verbs": ["get", "list"]} for kind in ("ConfigMap", "Pod")]
    return json.dumps({
        "apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "p"},
        "spec": {"watch": {"apiVersion": "v1", "kind": "ConfigMap"}, "params": {"patience": {"type": "string", "default": "1m"}},
                 "targets": targets, "rules": [rule]},
    }, indent=1)  # fmt: skip


IS_NULL = "${string(results.found.met)}: ${results.found.value == null ? 'null' : results.found.value}"
"""A note that says so where there is no value."""


async def world_of(**wait: Any) -> World:
    """A cluster with the watched ConfigMap, evaluated once."""
    (pack,) = parse_pack(text_of(wait, IS_NULL), "pack.yaml", backend())
    world = World(pack)
    await world.create(named(CONFIG, "c"))
    await world.settle()
    return world


async def note(world: World) -> str | None:
    """What the rule wrote in the end."""
    return (await world.annotations(CONFIG, "c")).get("note")


async def test_it_goes_on_once_the_condition_is_true() -> None:
    """What is looked up is read again until then; the value is that of the last read."""
    world = await world_of(
        lookup={"other": OTHER},
        until="get(lookup.other, 'data.ready', '') == 'yes'",
        atMost="1h",
        value="lookup.other.data.model",
    )
    await world.create(named(CONFIG, "other", data={"ready": "no", "model": "one"}))
    await world.settle(600, step=10)
    assert await note(world) is None

    await world.patch(CONFIG, "other", {"data": {"ready": "yes", "model": "two"}})
    await world.settle(10)

    assert await note(world) == "true: two"


async def test_it_goes_on_when_the_time_is_over() -> None:
    """Then `met` is false, and nothing has failed: what that means is up to the actions that follow."""
    world = await world_of(
        lookup={"other": OTHER}, until="lookup.other != null", atMost="${params.patience}", value="'no ' + object.metadata.name"
    )
    await world.settle(58)
    assert await note(world) is None

    await world.settle(2)

    assert await note(world) == "false: no c"
    assert await world.events() == []


async def test_its_own_time_counts_whatever_the_retry_of_the_rule_says() -> None:
    """`retry.timeout` is for what actions act on; a wait ends by `atMost`, and the actions after it go on either way."""
    text = json.loads(text_of({"lookup": {"other": OTHER}, "until": "lookup.other != null", "atMost": "10m"}, IS_NULL))
    text["spec"]["rules"][0]["retry"] = {"timeout": "1m"}
    (pack,) = parse_pack(json.dumps(text), "pack.yaml", backend())
    world = World(pack)
    await world.create(named(CONFIG, "c"))

    await world.settle(598, step=10)
    assert (await note(world), await world.events()) == (None, [])
    await world.settle(10)

    assert (await note(world), await world.events()) == ("false: null", [])


async def test_a_value_of_what_never_came_is_null() -> None:
    """Nothing has failed: `met` says that it is not there, and an expression over it has no answer then."""
    world = await world_of(lookup={"other": OTHER}, until="lookup.other != null", atMost="1m", value="lookup.other.data.model")

    await world.settle(60)

    assert (await note(world), await world.events()) == ("false: null", [])


async def test_a_value_without_an_answer_is_a_failure_where_the_condition_is_true() -> None:
    """Then the expression is wrong."""
    world = await world_of(lookup={"other": OTHER}, until="true", value="lookup.other.data.model")

    assert [message for _, _, message in await world.events()] == [
        "Rule p/r failed: lookup.other is null, so it has no field 'data'"
    ]


async def test_it_reads_once_where_it_has_nothing_to_wait_for() -> None:
    """Without `until` the condition is met at once."""
    world = await world_of(lookup={"other": OTHER}, value="lookup.other == null ? 'none' : 'one'")

    assert await note(world) == "true: none"


async def test_a_lookup_uses_those_above_it() -> None:
    """Such as the selector that another object holds."""
    lookup = {
        "other": OTHER,
        "pods": {"apiVersion": "v1", "kind": "Pod", "labelSelector": {"${lookup.other.data.key}": "${lookup.other.data.value}"}},
    }
    text = text_of({"lookup": lookup, "value": "lookup.pods.map(p, p.metadata.name).join(',')"})
    (pack,) = parse_pack(text, "pack.yaml", backend())
    world = World(pack)
    first, second = pod("first"), pod("second")
    first["metadata"]["labels"], second["metadata"]["labels"] = {"app": "web"}, {"app": "db"}
    await world.create(first, second, named(CONFIG, "other", data={"key": "app", "value": "db"}), named(CONFIG, "c"))

    await world.settle()

    assert await note(world) == "true: second"


@pytest.mark.parametrize(
    ("wait", "message"),
    [
        ({"lookup": {"other": OTHER}, "atMost": "soon"}, "'soon' is not a duration"),
        ({"lookup": {"other": OTHER}, "until": "lookup.others != null"}, "lookup has no 'others'"),
        ({"lookup": {"other": {**OTHER, "kind": "Secret"}}}, "the pack's targets do not have list and watch on Secret (v1)"),
    ],
)
def test_a_pack_that_cannot_work_is_refused(wait: dict[str, Any], message: str) -> None:
    """What is wrong is said before the pack is in force."""
    with pytest.raises(InvalidText) as refused:
        parse_pack(text_of(wait), "pack.yaml", backend())

    assert message in str(refused.value)


async def test_a_time_that_only_a_parameter_gives_and_is_none_is_reported() -> None:
    """The rule fails, and an Event says why."""
    (pack,) = parse_pack(text_of({"lookup": {"other": OTHER}, "until": "false", "atMost": "${params.patience}"}), "p", backend())
    world = World(pack, params={"p": {"patience": "soon"}})
    await world.create(named(CONFIG, "c"))

    await world.settle()

    assert [message for _, _, message in await world.events()] == [
        "Rule p/r failed: atMost: 'soon' is not a duration such as 1h30m or 90s"
    ]


@pytest.mark.parametrize(("note", "known"), [("${string(results.found.met)}", True), ("${results.found.done}", False)])
def test_lint_knows_what_it_gives(note: str, known: bool) -> None:
    """There is no other field than `met` and `value`."""
    text = text_of({"lookup": {"other": OTHER}}, note)

    faults = lint([Text("pack.yaml", text, "pack.yaml")], backend())[1]

    assert all("found" not in fault.message for fault in faults) == known
