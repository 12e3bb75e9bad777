"""What evaluates an object again: after somebody else's change, after the engine's own write, and after a restart."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cel import backend
from engine.model.objects import Kind
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from tests.world import World, named

CONFIG = Kind("v1", "ConfigMap")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: {name}}}
spec:
  watch: {{apiVersion: v1, kind: ConfigMap, fields: [{fields}]}}
  rules:
    - {{name: r, {rule}}}
"""
WRITER = "when: object.data.word == 'go', actions: [{annotate: {annotations: {a/mark: done}}}]"
READER = """\
when: "annotation(object, 'a/mark') == 'done'", oncePer: object.metadata.uid,
      actions: [{emitEvent: {type: Normal, reason: Marked, message: it is marked}}]"""


def pack(name: str, fields: str, rule: str) -> RulePack:
    """A pack of one rule on ConfigMaps."""
    (found,) = parse_pack(PACK.format(name=name, fields=fields, rule=rule), "pack.yaml", backend())
    return found


def config(word: str) -> Any:
    """A ConfigMap that says a word."""
    return named(CONFIG, "c", data={"word": word})


async def events(world: World) -> list[str]:
    """The reasons of the Events that there are."""
    return [event["reason"] for event in await world.all(Kind("v1", "Event"))]


@pytest.mark.parametrize("fields", ["metadata.annotations", "metadata.annotations, data.word"])
async def test_what_one_pack_writes_is_news_to_others(fields: str) -> None:
    """A pack that had nothing to judge before the engine's own write is asked about it, also where it watches more than that."""
    world = World(pack("writer", "data.word", WRITER), pack("reader", fields, READER))
    await world.create(config("go"))

    await world.settle()

    assert await events(world) == ["Marked"]


async def test_what_a_closed_gate_ends_is_forgotten() -> None:
    """A condition that had begun to hold for some time starts anew where it was false in between, though nobody evaluated it."""
    held = "when: object.data.word == 'go', for: 10s, actions: [{annotate: {annotations: {a/mark: done}}}]"
    world = World(pack("p", "data.word", held))
    await world.create(config("go"))
    await world.settle(6)
    await world.apply(config("stop"))
    await world.settle(1)
    await world.apply(config("go"))

    await world.settle(6)
    assert "a/mark" not in (await world.get(CONFIG, "c"))["metadata"].get("annotations", {})

    await world.settle(5)
    assert (await world.get(CONFIG, "c"))["metadata"]["annotations"]["a/mark"] == "done"


async def test_the_old_object_is_the_last_one_judged() -> None:
    """`oldObject` is the object before a change also for a rule that the object before had ruled out."""
    turned = """\
when: "object.data.word == 'go' && oldObject != null && oldObject.data.word == 'wait'", oncePer: object.metadata.uid,
      actions: [{emitEvent: {type: Normal, reason: Turned, message: it goes}}]"""
    world = World(pack("p", "data.word", turned))
    await world.create(config("stop"))
    await world.settle()
    await world.apply(config("wait"))
    await world.settle()
    await world.apply(config("go"))

    await world.settle()

    assert await events(world) == ["Turned"]


async def test_an_object_of_the_same_name_is_another_one() -> None:
    """What is deleted and created again alike is evaluated again."""
    world = World(pack("p", "data.word", READER.replace("annotation(object, 'a/mark') == 'done'", "object.data.word == 'go'")))
    await world.create(config("go"))
    await world.settle()
    resource = await world.cluster.discover(CONFIG)
    await world.cluster.delete(resource, "ns", "c")
    await world.create(config("go"))

    await world.settle()

    assert await events(world) == ["Marked", "Marked"]
