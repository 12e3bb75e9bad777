"""Rules with a schedule: once for each object and time, through restarts, crashes and outages."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from engine.cel import backend
from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Kind, metadata
from engine.model.observe import ActResult, Evaluated
from engine.packs.parse import parse_pack
from tests.unit.reconcile.test_remembered import CONFIG, PACK, config, messages, records, rules
from tests.world import START, World, pod

POD = Kind("v1", "Pod")
DAILY = """\
      schedule: {cron: '30 22 * * *'}
      when: object.data.word == 'on'
      actions:
        - emitEvent: {type: Normal, reason: Due, message: 'due at ${schedule.time}'}
"""
"""Due half an hour after a world begins (`START`), with the deadline of 10 minutes that there is where none is written."""
FIRST, SECOND = "c: due at 2026-01-24T22:30:00Z", "c: due at 2026-01-25T22:30:00Z"
HALF_AN_HOUR, DAY = 1800.0, 86400.0


async def world_of(text: str = DAILY, word: str = "on", more: str = "description: Tests.") -> World:
    """A world with a rule and an object that is younger than the rule."""
    world = World(rules(text, more=more))
    await world.advance(60)
    await world.create(config(word))
    await world.settle()
    return world


async def at(world: World, seconds: float) -> None:
    """Let the world run until so many seconds after its beginning."""
    await world.advance(START + seconds - world.clock.time())


async def down_until(world: World, seconds: float) -> None:
    """No engine runs until so many seconds after the beginning; then one starts."""
    await world.clock.advance(START + seconds - world.clock.time())
    world.restart()
    await world.settle()


async def say(world: World, word: str) -> None:
    """Change the word, and let the engine see it."""
    await world.patch(CONFIG, "c", {"data": {"word": word}})
    await world.settle()


def reasons(world: World) -> list[str]:
    """Why the rule did not fire, each time."""
    return [reason for _, result, reason in world.seen.evaluations if result is not Evaluated.FIRED]


async def test_it_fires_at_each_time_and_is_evaluated_at_no_other() -> None:
    """One evaluation says when to come again; the record names the time."""
    world = await world_of()
    await at(world, HALF_AN_HOUR - 1)
    assert await messages(world) == []
    await at(world, HALF_AN_HOUR)
    assert await messages(world) == [FIRST]
    assert json.loads((await records(world))["p.r"])["key"] == "2026-01-24T22:30:00Z"
    await at(world, HALF_AN_HOUR + DAY)
    assert await messages(world) == [FIRST, SECOND]
    assert [result for _, result, _ in world.seen.evaluations] == [Evaluated.SKIPPED, Evaluated.FIRED, Evaluated.FIRED]
    assert reasons(world) == ["is due next at 2026-01-24T22:30+00:00 (UTC)"]


@pytest.mark.parametrize("seconds", [HALF_AN_HOUR - 1, HALF_AN_HOUR, HALF_AN_HOUR + 1, HALF_AN_HOUR + 599])
async def test_a_restart_does_nothing_again(seconds: float) -> None:
    """Whenever it comes."""
    world = await world_of()
    await at(world, seconds)
    world.restart()
    await at(world, HALF_AN_HOUR + 3600)
    assert await messages(world) == [FIRST]
    assert len([act for act in world.seen.acts if act.result is ActResult.DONE]) == (seconds < HALF_AN_HOUR)


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
@pytest.mark.parametrize("kind", ["Event", "ConfigMap"])
async def test_a_crash_loses_nothing_and_does_nothing_twice(effect: Effect, kind: str) -> None:
    """Before and after the effect, and before and after the record."""
    world = await world_of()
    world.engine.faults.add(InjectedFault(effect, kind=kind))
    await at(world, HALF_AN_HOUR + 3600)
    assert world.crashes == 1
    assert await messages(world) == [FIRST]


@pytest.mark.parametrize(("seconds", "said"), [
    (HALF_AN_HOUR + 600, [FIRST]), (HALF_AN_HOUR + 601, []), (HALF_AN_HOUR + 3 * DAY, ["c: due at 2026-01-27T22:30:00Z"]),
])  # fmt: skip
async def test_what_was_due_while_no_engine_ran_is_done_once(seconds: float, said: list[str]) -> None:
    """For the last time only, and not when that is longer ago than `startingDeadline`."""
    world = await world_of()
    await down_until(world, seconds)
    assert await messages(world) == said
    assert not said or reasons(world) == []
    await at(world, seconds + 3600)
    assert await messages(world) == said


async def test_what_is_too_late_says_so() -> None:
    """With the time that was missed, and the next one."""
    world = await world_of(DAILY.replace("'}\n      when", "', timeZone: Europe/Berlin, startingDeadline: 1h}\n      when"))
    await down_until(world, DAY)  # 23:00 in Berlin
    assert await messages(world) == ["c: due at 2026-01-25T21:30:00Z"]
    await down_until(world, 2 * DAY + 1801)
    assert await messages(world) == ["c: due at 2026-01-25T21:30:00Z"]
    assert reasons(world) == [
        "was due at 2026-01-26T22:30+01:00 (Europe/Berlin), which is longer ago than startingDeadline; "
        "is due next at 2026-01-27T22:30+01:00 (Europe/Berlin)"
    ]


async def test_what_was_due_before_the_rule_came_into_force_is_not_done() -> None:
    """Nor what was due before the object was made."""
    world = World()
    await world.create(config("on"))
    await at(world, HALF_AN_HOUR + 60)
    world.use(rules(DAILY))
    await world.create(config("on", "young"))
    await at(world, HALF_AN_HOUR + 3600)
    assert await messages(world) == []
    await at(world, HALF_AN_HOUR + DAY)
    assert await messages(world) == [SECOND, SECOND.replace("c:", "young:")]


async def test_what_was_audited_is_not_done_later() -> None:
    """In Audit a time is reported once; with Enforce the rule comes into force anew."""
    pack = rules(DAILY)
    world = World(pack, modes={"p": Mode.AUDIT})
    await world.create(config("on"))
    await at(world, HALF_AN_HOUR + 60)
    assert [act.result for act in world.seen.acts] == [ActResult.AUDITED]
    await say(world, "off")
    await say(world, "on")
    assert [act.result for act in world.seen.acts] == [ActResult.AUDITED]
    world.use(pack)
    await at(world, HALF_AN_HOUR + 3600)
    assert await messages(world) == []
    await at(world, HALF_AN_HOUR + DAY)
    assert await messages(world) == [SECOND]


async def test_conditions_must_hold_at_the_time() -> None:
    """What begins to hold later waits for the next time, also where the object ruled the rule out before."""
    world = await world_of(word="off")
    await at(world, HALF_AN_HOUR + 60)
    await say(world, "on")
    await at(world, HALF_AN_HOUR + 3600)
    assert await messages(world) == []
    await at(world, HALF_AN_HOUR + DAY)
    assert await messages(world) == [SECOND]


async def test_an_engine_that_starts_asks_whether_they_hold_then() -> None:
    """It cannot know what held before it was there."""
    world = await world_of(word="off")
    await at(world, HALF_AN_HOUR)
    await world.patch(CONFIG, "c", {"data": {"word": "on"}})
    await down_until(world, HALF_AN_HOUR + 300)
    assert await messages(world) == [FIRST]


async def test_what_a_selector_picks_newly_is_asked_for_the_last_time_too() -> None:
    """As far back as `startingDeadline`, and no further: for the engine it is there for the first time."""
    (pack,) = parse_pack(PACK.format(name="p", rule="r", more="description: Tests.", fields=DAILY).replace(
        "kind: ConfigMap}", "kind: ConfigMap, labelSelector: due}"
    ), "pack.yaml", backend())  # fmt: skip
    world = World(pack)
    await world.advance(60)
    await world.create(config("on", "soon"), config("on", "late"))
    await at(world, HALF_AN_HOUR + 300)
    assert await messages(world) == []
    await world.patch(CONFIG, "soon", {"metadata": {"labels": {"due": ""}}})
    await at(world, HALF_AN_HOUR + 700)
    await world.patch(CONFIG, "late", {"metadata": {"labels": {"due": ""}}})
    await at(world, HALF_AN_HOUR + 3600)
    assert await messages(world) == [FIRST.replace("c:", "soon:")]


async def test_a_condition_that_has_no_answer_is_asked_again_for_that_time() -> None:
    """Until it has one, as long as a beginning is not too late."""
    world = await world_of(DAILY.replace("object.data.word", "object.data.other"))
    await at(world, HALF_AN_HOUR + 300)
    await world.patch(CONFIG, "c", {"data": {"other": "on"}})
    await world.settle()
    assert await messages(world) == [FIRST]


@pytest.mark.parametrize(("recorded", "said"), [
    ("2026-01-24T22:30:00Z", []), ("2026-01-24T23:00:00Z", []), ("2026-01-24T21:30:00Z", [FIRST]),
    ("2062-01-24T22:30:00Z", [FIRST]),
])  # fmt: skip
async def test_what_a_clock_that_is_ahead_has_done_is_not_done_again(recorded: str, said: list[str]) -> None:
    """Another leader's record of a later time counts; one that only a wrong clock can have written does not."""
    world = await world_of()
    written = json.dumps({"key": recorded, "outcome": "Done"})
    await world.patch(CONFIG, "c", {"metadata": {"annotations": {"fired.rules.mlops.dev/p.r": written}}})
    await down_until(world, HALF_AN_HOUR + 1)
    assert await messages(world) == said


PATCH = """\
      schedule: {cron: '30 22 * * *'}
      when: object.data.word != 'off'
      loop: object.data.word.split(',')
      loopKey: item
      actions:
        - patch:
            target: {apiVersion: v1, kind: Pod, name: '${item}'}
            guard: label(target, 'lock') == ''
            patch: {metadata: {labels: {at: '${string(schedule.time.getDate())}'}}}
"""
TARGETS = "targets: [{apiVersion: v1, kind: Pod, verbs: [get, patch]}]"


async def labels(world: World, name: str) -> str:
    """For which day a pod was labelled."""
    found = metadata(await world.get(POD, name))["labels"].get("at", "")
    return str(found)


@pytest.mark.parametrize("restart", [False, True], ids=["the same process", "another process"])
async def test_what_has_begun_goes_on_however_late(restart: bool) -> None:
    """Items wait for their targets longer than `startingDeadline`, also across a restart."""
    world = await world_of(PATCH, "free,locked", TARGETS)
    await world.create(pod("free"), pod("locked", lock="theirs"))
    await at(world, 2 * HALF_AN_HOUR)
    if restart:
        world.restart()
    await world.patch(POD, "locked", {"metadata": {"labels": {"lock": None}}})
    await at(world, 3 * HALF_AN_HOUR)
    assert (await labels(world, "free"), await labels(world, "locked")) == ("24", "24")


async def test_the_next_time_takes_the_place_of_what_waits() -> None:
    """What nobody has done until then is reported, and done once."""
    world = await world_of(PATCH, "free,locked", TARGETS)
    await world.create(pod("free"), pod("locked", lock="theirs"))
    await at(world, HALF_AN_HOUR + DAY + 1)
    reported = [message for _, reason, message in await world.events() if reason == "RuleDropped"]
    assert reported == ["Rule p/r no longer waits with locked, and does not do it: it is to be done for 2026-01-25T22:30:00Z now"]
    await world.patch(POD, "locked", {"metadata": {"labels": {"lock": None}}})
    await world.advance(3600)
    assert (await labels(world, "free"), await labels(world, "locked")) == ("25", "25")


async def test_an_outage_at_the_time_is_outlasted() -> None:
    """What has begun is tried again without end."""
    world = await world_of(PATCH, "free", TARGETS)
    await world.create(pod("free"))
    world.engine.faults.add(InjectedFault(503, kind="Pod", times=None))
    await at(world, 3 * HALF_AN_HOUR)
    assert await labels(world, "free") == ""
    world.engine.faults.clear()
    await world.advance(600)
    assert await labels(world, "free") == "24"


def test_the_beginning_of_a_world_is_what_these_tests_take_it_for() -> None:
    """Half an hour before the first time."""
    assert datetime.fromisoformat("2026-01-24T22:00:00Z").timestamp() == START


async def test_a_time_that_is_set_past_one_that_is_due_is_noticed() -> None:
    """It is done at once, and the next one when that is due; none is done twice where the time is set back."""
    world = await world_of()
    world.clock.set_on(HALF_AN_HOUR)
    world.reconciler.time_was_set()
    await world.settle()
    assert await messages(world) == [FIRST]
    world.clock.set_on(-HALF_AN_HOUR)
    world.reconciler.time_was_set()
    await at(world, HALF_AN_HOUR + DAY)
    assert await messages(world) == [FIRST, SECOND]
