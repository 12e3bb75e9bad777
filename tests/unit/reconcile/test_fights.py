"""Fights: somebody undoes what a rule writes. It waits ever longer before it writes that again; new values never wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from engine.cel import backend
from engine.model.objects import Kind, metadata
from engine.packs.parse import parse_pack
from tests.unit.reconcile.test_rule_fields import CONFIG, HEAD, config, rule, say
from tests.world import EVENT, POD, World, pod

OWN = """\
      actions:
        - label: {labels: {team: '${object.data.word}'}}
"""
OTHER = """\
      resync: 2s
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, name: web}, labels: {team: '${object.data.word}'}}
"""
WANTS = """\
      when: "label(object, 'team') != 'red'"
      actions:
        - label: {labels: {team: red}}
"""
HOUR = 3600


def undoing(kind: Kind, name: str) -> Callable[[World], Awaitable[None]]:
    """Another controller that puts a label back whenever it sees it changed."""

    async def undo(world: World) -> None:
        found = metadata(await world.get(kind, name))
        if found["labels"].get("team") not in (None, "theirs"):
            fields: dict[str, Any] = {"f:metadata": {"f:labels": {"f:team": {}}}}
            entry = {"manager": "team-controller", "operation": "Update", "apiVersion": "v1", "time": "2026-01-24T22:00:00Z",
                     "fieldsType": "FieldsV1", "fieldsV1": fields}  # fmt: skip
            await patched(world, kind, name, {"metadata": {"labels": {"team": "theirs"}}}, entry)

    return undo


async def patched(world: World, kind: Kind, name: str, body: dict[str, Any], entry: dict[str, Any]) -> None:
    """Patch an object as another field manager, which the embedded cluster knows of for server-side apply only."""
    await world.patch(kind, name, body)
    stored = world.cluster._registry._find(await world.cluster.discover(kind), "ns", name)[2]
    stored.object["metadata"]["managedFields"] = [entry]


def writes(world: World, kind: Kind) -> int:
    """How often the engine has patched objects of a kind."""
    return len([call for call in world.engine.writes if call.verb == "patch" and call.ref.kind == kind])


async def contested(world: World) -> list[str]:
    """What was reported of fights."""
    return [event["message"] for event in await world.all(EVENT) if event["reason"] == "WriteContested"]


async def test_a_fight_over_another_object_slows_down_and_names_the_manager() -> None:
    """A handful of writes, then ever longer pauses of at most five minutes."""
    world = World(rule(OTHER))
    world.simulators.append(undoing(POD, "web"))
    await world.create(pod("web"), config())
    await world.settle(HOUR, step=5)

    assert 10 <= writes(world, POD) <= 30
    (message,) = await contested(world)
    assert message == (
        "Rule p/r writes the same on Pod ns/web again and again, as it is undone by field manager team-controller. "
        "It now waits ever longer between two writes."
    )
    assert world.seen.contests.count("p/r") == writes(world, POD) - 3


async def test_a_fight_over_the_objects_own_labels_slows_down() -> None:
    """The firing record's own patch carries them."""
    world = World(rule(OWN))
    world.simulators.append(undoing(CONFIG, "c"))
    own = config()
    own["metadata"]["labels"] = {"app": "web"}
    await world.create(own)
    await world.settle(HOUR, step=5)

    assert 10 <= writes(world, CONFIG) <= 60  # those that only read who it is included
    (message,) = await contested(world)
    assert "undone by field manager team-controller" in message


async def test_two_packs_that_undo_each_other_are_reported() -> None:
    """Each names the other one."""
    (other,) = parse_pack(HEAD.replace("name: p", "name: q") + WANTS.replace("red", "blue"), "pack.yaml", backend())
    world = World(rule("      resync: 2s\n" + WANTS), other)
    await world.create(config())
    await world.settle(HOUR, step=5)

    assert 10 <= writes(world, CONFIG) <= 100
    assert sorted(message.split(". It now")[0] for message in await contested(world)) == [
        "Rule p/r writes the same on ConfigMap ns/c again and again, as it is undone by rule q/r",
        "Rule q/r writes the same on ConfigMap ns/c again and again, as it is undone by rule p/r",
    ]


async def test_new_values_never_wait() -> None:
    """However fast they come, and where they return to an earlier one."""
    world = World(rule(OWN))
    await world.create(config())
    await world.settle()
    for number in range(200):
        await say(world, ("red", "blue", f"n{number}")[number % 3])
        found = metadata(await world.get(CONFIG, "c"))["labels"]["team"]
        assert found == ("red", "blue", f"n{number}")[number % 3]
    assert world.seen.contests == []


async def test_what_is_undone_now_and_then_is_put_back_at_once() -> None:
    """Three times in a quarter of an hour is no fight."""
    world = World(rule(OWN))
    await world.create(config())
    await world.settle()
    for _ in range(20):
        await world.patch(CONFIG, "c", {"metadata": {"labels": {"team": "theirs"}}})
        await world.settle()
        assert metadata(await world.get(CONFIG, "c"))["labels"]["team"] == "a"
        await world.settle(1000, step=100)
    assert world.seen.contests == []


async def test_a_fight_that_is_over_is_forgotten() -> None:
    """The last value stands, and the next change is written at once."""
    world = World(rule(OTHER))
    world.simulators.append(undoing(POD, "web"))
    await world.create(pod("web"), config())
    await world.settle(600, step=5)
    world.simulators.clear()
    await world.settle(305, step=5)
    assert metadata(await world.get(POD, "web"))["labels"]["team"] == "a"
    await say(world, "b")
    assert metadata(await world.get(POD, "web"))["labels"]["team"] == "b"
