"""Events are best effort: in nobody's way, one series for each cause, each incident reported, and only so many for one object."""

from __future__ import annotations

import pytest

from engine.errors import ApiError
from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.observe import ActResult
from engine.reconcile.events import ASIDE_EACH, MOST
from tests.unit.reconcile.test_rule_fields import CONFIG, EMIT, config, mark, rule, say, world_of
from tests.world import EVENT, World

BEFORE = """\
      oncePer: object.data.word
      actions:
        - emitEvent: {type: Normal, reason: Seen, message: 'saw ${object.data.word}'}
        - annotate: {annotations: {mark: '${object.data.word}'}}
"""
INCIDENT = "      when: object.data.word == 'bad'\n" + EMIT
GONE = ApiError(
    403, "Forbidden", 'events "x" is forbidden: unable to create new content in namespace ns',
    details={"causes": [{"reason": "NamespaceTerminating"}]},
)  # fmt: skip


def refused(effect: Effect | int | ApiError, times: int | None = None) -> InjectedFault:
    """A fault that Events meet."""
    return InjectedFault(effect, verb="create", kind="Event", times=times)


async def series(world: World) -> list[tuple[str, int]]:
    """The messages of the Events, with their counts."""
    return sorted((event["message"], event["count"]) for event in await world.all(EVENT))


def asked(world: World) -> int:
    """How many requests were made for Events."""
    return len([call for call in world.engine.calls if call.ref.kind == EVENT and call.verb != "discover"])


@pytest.mark.parametrize("effect", [Effect.CUT_BEFORE, 401, 403, 429, 500, 503])
async def test_a_refused_event_is_not_in_the_way_of_the_next_action(effect: Effect | int) -> None:
    """What comes after it is done at once, and the Event itself when there is an answer again, an hour later."""
    world = World(rule(BEFORE))
    world.engine.faults.add(refused(effect))
    await world.create(config())
    await world.settle()
    assert (await mark(world), await world.events()) == ("a", [])
    assert [act.result for act in world.seen.acts if act.action == "emitEvent"] == [ActResult.RETRYING]

    await world.settle(3600, step=5)
    assert asked(world) <= 20
    world.engine.faults.clear()
    await world.settle(305, step=5)

    assert await series(world) == [("saw a", 1)]


@pytest.mark.parametrize(
    "answer", [GONE, ApiError(422, "Invalid", 'Event "x" is invalid: message: too long')], ids=["403", "422"]
)
async def test_an_event_that_is_refused_for_good_is_not_tried_again(answer: ApiError) -> None:
    """It fails neither the rule nor the next action."""
    world = World(rule(BEFORE))
    world.engine.faults.add(refused(answer))
    await world.create(config())
    await world.settle(600, step=5)
    assert (await mark(world), asked(world)) == ("a", 1)


async def test_an_event_whose_answer_is_lost_is_reported_once() -> None:
    """It is named by its cause."""
    world = World(rule(BEFORE))
    world.engine.faults.add(refused(Effect.CUT_AFTER, times=1))
    await world.create(config())
    await world.settle(60)
    assert await series(world) == [("saw a", 1)]


async def test_an_event_about_what_is_not_there_holds_nothing_up() -> None:
    """The object that it regards has half a minute to come; then the next action is done without the Event."""
    text = BEFORE.replace("saw ${object.data.word}'", "saw', regarding: {apiVersion: v1, kind: Pod, name: missing}")
    world = World(rule(text))
    await world.create(config())
    await world.settle(20)
    assert await mark(world) is None
    await world.settle(20)
    assert (await mark(world), await world.events()) == ("a", [])


async def test_a_few_wait_for_one_object_and_the_rest_is_counted() -> None:
    """What is kept for a server that refuses Events is bounded; how many were left out is reported."""
    text = BEFORE.replace("oncePer", "loop: '[1,2,3,4,5,6,7,8,9,10,11,12]'\n      oncePer").replace("saw", "${string(item)} saw")
    world = World(rule(text))
    world.engine.faults.add(refused(503))
    await world.create(config())
    await world.settle(600, step=5)
    world.engine.faults.clear()
    await world.settle(700, step=5)

    found = [message for message, _ in await series(world)]
    assert len([message for message in found if "saw" in message]) == ASIDE_EACH
    assert any("Events about this object were left out" in message for message in found)


async def test_each_incident_is_reported() -> None:
    """An Event that is there already has its count raised, with the time: one series, however often the object flaps."""
    world = await world_of(INCIDENT, config("bad"))
    for _ in range(3):
        await say(world, "good")
        await world.settle(120, step=5)
        await say(world, "bad")

    assert await series(world) == [("saw bad", 4)]
    (event,) = await world.all(EVENT)
    assert (event["firstTimestamp"], event["lastTimestamp"]) == ("2026-01-24T22:00:00Z", "2026-01-24T22:06:00Z")


async def test_an_object_that_flaps_is_one_series() -> None:
    """500 times within a minute: one Event, and not more requests than are allowed."""
    world = await world_of(INCIDENT, config("bad"))
    for _ in range(500):
        await say(world, "good")
        await say(world, "bad")
    assert len(await world.all(EVENT)) == 1
    assert asked(world) <= MOST
    await world.settle(120, step=5)

    left_out = [message for message, _ in await series(world) if "left out" in message]
    assert left_out == [f"{501 - MOST} Events about this object were left out: there are at most {MOST} within a minute"]


async def test_a_repeat_raises_the_count_at_most_once_a_minute() -> None:
    """A rule without oncePer fires at each change while its conditions hold; that is one incident."""
    world = await world_of(INCIDENT.replace("'bad'", "'bad' && size(object.data) > 0"), config("bad"))
    for number in range(12):
        await world.patch(CONFIG, "c", {"data": {"other": str(number)}})
        await world.settle(10)
    await world.settle(60)
    await world.patch(CONFIG, "c", {"data": {"other": "last"}})
    await world.settle()
    assert await series(world) == [("saw bad", 14)]
    assert asked(world) <= 5


async def test_a_restart_raises_no_count() -> None:
    """An incident that an earlier process has reported is reported."""
    world = await world_of(INCIDENT, config("bad"))
    before = len(world.writes)
    world.restart()
    await world.settle(600, step=30)
    assert world.writes[before:] == []

    await say(world, "good")
    await say(world, "bad")
    assert await series(world) == [("saw bad", 2)]


@pytest.mark.parametrize("hold", ["", "      for: 30s\n", "      for: 5m\n"], ids=["at once", "after a while", "after 5 minutes"])
async def test_an_incident_after_a_restart_between_two_is_reported(hold: str) -> None:
    """The new process sees at first that the conditions do not hold; it knows nothing of the first incident."""
    world = await world_of(hold + INCIDENT, config("bad"))
    await world.settle(300, step=5)
    await say(world, "good")
    world.restart()
    await world.settle(60, step=5)
    assert await series(world) == [("saw bad", 1)]

    await say(world, "bad")
    await world.settle(300, step=5)
    assert await series(world) == [("saw bad", 2)]


@pytest.mark.parametrize("hold", ["      for: 30s\n", "      for: 5m\n"])
async def test_a_restart_while_an_incident_lasts_raises_no_count(hold: str) -> None:
    """Neither at the first evaluation nor once the conditions have held for long enough again."""
    world = await world_of(hold + INCIDENT, config("bad"))
    await world.settle(300, step=5)
    world.restart()
    await world.settle(20, step=5)
    await world.patch(CONFIG, "c", {"data": {"other": "x"}})
    await world.settle(600, step=5)
    assert await series(world) == [("saw bad", 1)]


async def test_a_firing_key_is_reported_once_whatever_happens() -> None:
    """A rule with oncePer reports each occasion, and never again."""
    world = await world_of(BEFORE, config())
    await say(world, "b")
    await say(world, "a")
    assert await series(world) == [("saw a", 1), ("saw b", 1)]


async def test_a_series_that_the_server_has_forgotten_begins_anew() -> None:
    """It keeps Events for an hour."""
    world = await world_of(INCIDENT, config("bad"))
    await say(world, "good")
    (event,) = await world.all(EVENT)
    await world.delete(EVENT, event["metadata"]["name"])
    await say(world, "bad")
    assert await series(world) == [("saw bad", 1)]


async def test_too_many_events_about_one_object_are_left_out_and_counted() -> None:
    """Other objects have theirs; the next minute has its own."""
    text = EMIT.replace("actions:", "oncePer: object.data.word\n      actions:")
    world = await world_of(text, config("0"), config("other", name="d"))
    for number in range(1, MOST + 20):
        await say(world, str(number))
    assert len(await world.all(EVENT)) == MOST + 1
    await world.settle(70)

    assert [message for message, _ in await series(world) if "left out" in message] == [
        f"20 Events about this object were left out: there are at most {MOST} within a minute"
    ]
    await say(world, "next")
    assert ("saw next", 1) in await series(world)


async def test_audit_emits_none() -> None:
    """It asks what an Event would do."""
    world = World(rule(BEFORE), modes={"p": Mode.AUDIT})
    world.engine.faults.add(refused(503))
    await world.create(config())
    await world.settle(600, step=30)
    assert [call for call in world.engine.writes if not call.dry_run] == []
    assert [act.action for act in world.seen.acts if act.result is ActResult.AUDITED] == ["annotate"]
