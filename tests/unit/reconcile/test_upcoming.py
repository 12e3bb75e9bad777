"""A condition that depends on `now` is evaluated again when it becomes true, without a change of the object."""

from __future__ import annotations

import pytest

from engine.model.objects import annotations_of, metadata
from tests.unit.reconcile.test_remembered import CONFIG, config, rules
from tests.world import POD, World, pod

EMIT = """\
      when: [object.data.word == 'a', "{}"]
      oncePer: object.metadata.uid
      actions:
        - emitEvent: {{type: Normal, reason: Due, message: it is due}}
"""


async def due(text: str, more: str = "description: Tests.") -> World:
    """A world with one object, and a rule with this condition; it is 2026-01-24T22:00:00Z."""
    world = World(rules(EMIT.format(text), more=more))
    await world.create(config())
    await world.settle()
    assert await world.events() == []
    return world


@pytest.mark.parametrize(
    "text",
    [
        "now > timestamp('2026-01-25T08:00:00Z')",
        "timestamp('2026-01-25T08:00:00Z') <= now",
        "now - timestamp(object.metadata.creationTimestamp) >= duration('10h')",
        "timestamp(object.metadata.creationTimestamp) + duration('10h') < now",
        "has(object.spec) || now >= timestamp('2026-01-25T08:00:00Z')",
    ],
)
async def test_it_fires_when_the_comparison_becomes_true(text: str) -> None:
    """After ten hours, to a second or two, with one evaluation in between at most."""
    world = await due(text)
    await world.settle(36_000 - 60, step=600)
    assert await world.events() == []
    evaluations = len(world.seen.evaluations)
    await world.settle(62, step=1)
    assert [reason for _, reason, _ in await world.events()] == ["Due"]
    assert evaluations == 1


async def test_vars_count_too() -> None:
    """A condition may depend on `now` through them."""
    world = await due("vars.age > duration('10h')", "vars: {age: now - timestamp(object.metadata.creationTimestamp)}")
    await world.settle(36_002, step=600)
    await world.settle(5)
    assert [reason for _, reason, _ in await world.events()] == ["Due"]


@pytest.mark.parametrize("text", ["now < timestamp('2026-01-24T21:00:00Z')", "object.data.missing == 'x' && now == now"])
async def test_what_time_alone_does_not_make_true_is_not_waited_for(text: str) -> None:
    """No timer is set for it."""
    world = await due(text)
    await world.settle(90_000, step=3600)
    assert len(world.seen.evaluations) == 1


async def test_another_clause_that_is_false_is_waited_for_first() -> None:
    """The object has to change before time matters; then it does."""
    world = World(rules(EMIT.format("now > timestamp('2026-01-24T23:00:00Z')")))
    await world.create(config("b"))
    await world.settle(600, step=60)
    await world.patch(CONFIG, "c", {"data": {"word": "a"}})
    await world.settle(2940, step=60)
    assert await world.events() == []
    await world.settle(120, step=1)
    assert [reason for _, reason, _ in await world.events()] == ["Due"]


TOTALS = """\
      {when}
      aggregate:
        by: "'total'"
        target: {{apiVersion: v1, kind: Pod, namespace: ns, name: '${{groupKey}}'}}
        counts: {{old: "{old}"}}
      {more}
      actions:
        - annotate: {{annotations: {{old: '${{string(group.old)}}'}}}}
"""
AGE = "now - timestamp(object.metadata.creationTimestamp)"


async def counted(when: str = "when: 'true'", old: str = "true", more: str = "retry: {}") -> World:
    """A world with one object, counted in a group: it is 2026-01-24T22:00:00Z."""
    text = TOTALS.format(when=when, old=old, more=more)
    world = World(rules(text, more="targets: [{apiVersion: v1, kind: Pod, verbs: [get, list, patch]}]"))
    await world.create(pod("total"), config())
    await world.settle()
    return world


async def old(world: World) -> str | None:
    """What is written about the group."""
    return annotations_of(await world.get(POD, "total")).get("old")


@pytest.mark.parametrize("restart", [False, True])
async def test_an_object_counts_when_its_condition_becomes_true(restart: bool) -> None:
    """Without a change of it; also one that was counted with all others at the start."""
    world = await counted(f"when: {AGE} >= duration('1h')")
    if restart:
        world.restart()
    await world.settle(3540, step=600)
    early = await old(world)
    await world.settle(62, step=1)
    assert (early, await old(world)) == (None, "1")


async def test_an_object_counts_no_more_when_its_condition_becomes_false() -> None:
    """The message names its group."""
    world = await counted(f"when: {AGE} < duration('1h')")
    await world.settle(3540, step=600)
    early = await old(world)
    await world.settle(62, step=1)
    assert (early, await old(world)) == ("1", "0")


async def test_resync_counts_anew_what_depends_on_now() -> None:
    """What an object contributes may depend on it too."""
    world = await counted(old=f"{AGE} >= duration('1h')", more="resync: 5m")
    await world.settle(3300, step=60)
    early = await old(world)
    await world.settle(660, step=60)
    assert (early, await old(world)) == ("0", "1")


async def test_what_was_generated_goes_when_its_condition_becomes_false() -> None:
    """Without a change of its source."""
    text = f"""\
      when: [object.metadata.name == 'c', "{AGE} < duration('1h')"]
      actions:
        - apply: {{prune: true, manifest: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: copy}}, data: {{word: x}}}}}}
"""
    verbs = "[get, list, watch, create, patch, delete]"
    world = World(rules(text, more=f"targets: [{{apiVersion: v1, kind: ConfigMap, verbs: {verbs}}}]"))
    await world.create(config())
    await world.settle(3540, step=600)
    early = [metadata(obj)["name"] for obj in await world.all(CONFIG)]
    await world.settle(62, step=1)
    assert (early, [metadata(obj)["name"] for obj in await world.all(CONFIG)]) == (["c", "copy"], ["c"])


@pytest.mark.parametrize("back", [0.0, -7200.0])
async def test_a_time_that_is_set_is_what_conditions_go_by(back: float) -> None:
    """Once it is noticed: what has become true fires at once, what is further away waits for longer."""
    world = await due("now > timestamp('2026-01-25T08:00:00Z')")
    for seconds in (36_001.0, back):
        world.clock.set_on(seconds)
    world.reconciler.time_was_set()
    await world.settle()
    assert len(await world.events()) == (0 if back else 1)
    await world.settle(36_000, step=600)
    assert len(await world.events()) == 1
