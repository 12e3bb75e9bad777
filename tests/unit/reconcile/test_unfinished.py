"""What a process has begun and what waits, by the record on the object: the next one goes on with it, or says why not."""

from __future__ import annotations

import json

import pytest

from engine.model.flags import Mode
from engine.model.objects import Kind
from tests.unit.reconcile.test_remembered import CONFIG, config, records, rules
from tests.world import World, pod

POD = Kind("v1", "Pod")
TARGETS = "targets: [{apiVersion: v1, kind: Pod, verbs: [get, patch]}]"
LABEL = """\
      when: object.data.word != 'off'
      oncePer: object.metadata.uid
      existing: Ignore
      loop: object.data.word.split(',')
      loopKey: item
      actions:
        - patch:
            target: {apiVersion: v1, kind: Pod, name: '${item}'}
            guard: label(target, 'lock') == ''
            patch: {metadata: {labels: {word: done}}}
"""
PACK = rules(LABEL, more=TARGETS)


async def world_of(word: str = "free,locked") -> World:
    """A world in which what is to be done for one of two pods waits; the object came after the rule."""
    world = World(PACK)
    await world.settle(60, step=30)
    await world.create(pod("free"), pod("locked", lock="theirs"), pod("other"), config(word))
    await world.settle(120, step=5)
    assert list(waiting(await records(world))) == ["locked"]
    return world


def waiting(found: dict[str, str]) -> dict[str, object]:
    """The items that wait, as the record says."""
    items: dict[str, object] = json.loads(found["p.r"]).get("waiting", {})
    return items


async def reported(world: World) -> list[str]:
    """What `RuleDropped` says."""
    return [message for _, reason, message in await world.events() if reason == "RuleDropped"]


async def test_a_rule_that_came_into_force_anew_says_that_it_leaves_what_waited() -> None:
    """As where Lease rulepack-state was deleted: `existing` leaves it, it is reported once, and the record says no more."""
    world = await world_of()
    world.use(PACK, modes={"p": Mode.OFF})
    world.restart()
    world.use(PACK)
    await world.settle(60, step=5)
    ((message,), found) = await reported(world), await records(world)
    assert message.startswith(
        "Rule p/r no longer waits with locked, and does not do it: it does not apply any more (was created at "
    )
    assert waiting(found) == {} and json.loads(found["p.r"])["items"] == {"free": "Done"}

    world.restart()
    await world.settle(600, step=30)
    assert await reported(world) == [message]
    assert len(world.seen.acts) == 0


@pytest.mark.parametrize(("word", "why"), [
    ("off", "it does not apply any more (when[1] is false: object.data.word != 'off')"),
    ("free", "it is no longer among what the rule is to do"),
    ("free,other", "it is no longer among what the rule is to do"),
])  # fmt: skip
@pytest.mark.parametrize("restart", [False, True], ids=["the same process", "another process"])
async def test_what_is_not_to_be_done_any_more_is_reported(word: str, why: str, restart: bool) -> None:
    """Also where the process that began it is gone; once, and in words that name what it is."""
    world = await world_of()
    if restart:
        world.restart()
    await world.patch(CONFIG, "c", {"data": {"word": word}})
    await world.settle(60, step=5)
    assert waiting(await records(world)) == {}
    assert await reported(world) == [f"Rule p/r no longer waits with locked, and does not do it: {why}"]

    world.restart()
    await world.settle(60, step=5)
    assert len(await reported(world)) == 1


async def test_what_somebody_else_has_done_meanwhile_is_not_reported_as_dropped() -> None:
    """Another operator has put it on record as done."""
    world = await world_of()
    (text,) = (await records(world)).values()
    body = json.loads(text) | {"by": "other/rulepack", "items": {"free": "Done", "locked": "Done"}}
    del body["waiting"]
    await world.patch(CONFIG, "c", {"metadata": {"annotations": {"fired.rules.mlops.dev/p.r": json.dumps(body)}}})
    await world.settle(60, step=5)
    assert await reported(world) == []


async def test_what_waits_by_the_record_goes_on_with_the_time_that_it_has_waited() -> None:
    """A restart neither forgets it nor does it twice."""
    world = await world_of()
    world.restart()
    await world.settle(10)
    await world.patch(POD, "locked", {"metadata": {"labels": {"lock": None}}})
    await world.settle(30)
    assert (await world.get(POD, "locked"))["metadata"]["labels"]["word"] == "done"
    assert (waiting(await records(world)), await reported(world)) == ({}, [])


async def test_what_waits_of_another_operator_is_left_to_it() -> None:
    """Its record stays as it is, whatever this one makes of the object."""
    world = await world_of()
    (text,) = (await records(world)).values()
    theirs = json.dumps(json.loads(text) | {"by": "other/rulepack"})
    await world.patch(CONFIG, "c", {"metadata": {"annotations": {"fired.rules.mlops.dev/p.r": theirs}}})
    world.restart()
    await world.patch(CONFIG, "c", {"data": {"word": "off"}})
    await world.settle(60, step=5)
    assert (await records(world), await reported(world)) == ({"p.r": theirs}, [])
