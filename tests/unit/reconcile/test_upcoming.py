"""A condition that depends on `now` is evaluated again when it becomes true, without a change of the object."""

from __future__ import annotations

import pytest

from tests.unit.reconcile.test_remembered import CONFIG, config, rules
from tests.world import World

TELL = """\
      when: [object.data.word == 'a', "{}"]
      oncePer: object.metadata.uid
      actions:
        - emitEvent: {{type: Normal, reason: Due, message: it is due}}
"""


async def due(text: str, more: str = "description: Tests.") -> World:
    """A world with one object, and a rule with this condition; it is 2026-01-24T22:00:00Z."""
    world = World(rules(TELL.format(text), more=more))
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
    world = World(rules(TELL.format("now > timestamp('2026-01-24T23:00:00Z')")))
    await world.create(config("b"))
    await world.settle(600, step=60)
    await world.patch(CONFIG, "c", {"data": {"word": "a"}})
    await world.settle(2940, step=60)
    assert await world.events() == []
    await world.settle(120, step=1)
    assert [reason for _, reason, _ in await world.events()] == ["Due"]
