"""Timers of five minutes and more: how long a condition has held, and when a rule fired, outlive the process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.cli.main import run_command
from engine.kube.faults import InjectedFault
from engine.model.objects import ObjectKey, metadata
from engine.model.observe import ActResult
from tests.unit.reconcile import record_0_1
from tests.unit.reconcile.test_remembered import CONFIG, PACK, config, messages, records, rules
from tests.world import World

CASES = Path(__file__).parents[2] / "cases"
FOR = """\
      when: object.data.word == 'stale'
      for: 1h
      oncePer: object.metadata.uid
      actions:
        - emitEvent: {type: Normal, reason: Stale, message: stale for an hour}
"""
THROTTLE = """\
      throttle: {every: 1h}
      actions:
        - annotate: {annotations: {seen: '${object.data.word}'}}
        - emitEvent: {type: Normal, reason: Seen, message: 'saw ${object.data.word}'}
"""
TIMED = ["c: stale for an hour"]


async def say(world: World, word: str) -> None:
    """Change the word, and let the engine see it."""
    await world.patch(CONFIG, "c", {"data": {"word": word}})
    await world.settle()


async def world_of(text: str, word: str = "stale") -> World:
    """A world with a rule and an object."""
    world = World(rules(text))
    await world.create(config(word))
    await world.settle()
    return world


def patches(world: World) -> int:
    """How often the object was written."""
    return len([write for write in world.writes if write == "patch ConfigMap ns/c"])


@pytest.mark.parametrize("case", sorted(CASES.glob("*/tests.yaml")), ids=lambda path: path.parent.name)
def test_cases(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each suite of tests/cases passes."""
    assert run_command(["test", str(case)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("minutes", [2, 40, 59])
async def test_a_restart_does_not_begin_an_hour_anew(minutes: int) -> None:
    """It fires after an hour, whenever the engine was restarted; that takes one write, and one for the firing."""
    world = await world_of(FOR)
    await world.settle(minutes * 60.0, step=30)
    world.restart()
    await world.settle((60 - minutes) * 60.0 - 30, step=30)
    assert await messages(world) == []
    await world.settle(60, step=30)
    assert (await messages(world), patches(world)) == (TIMED, 2)


async def test_what_has_held_while_the_engine_was_down_counts() -> None:
    """The hour goes on without it."""
    world = await world_of(FOR)
    await world.settle(120, step=30)
    await world.clock.advance(7200)
    world.restart()
    await world.settle()
    assert await messages(world) == TIMED


async def test_what_was_false_in_between_has_not_held() -> None:
    """The record says so at once, and a restart then begins with the later time."""
    world = await world_of(FOR)
    await world.settle(1800, step=30)
    await say(world, "fresh")
    assert "trueSince" not in json.loads((await records(world))["p.r"])
    await say(world, "stale")
    await world.settle(1800, step=30)
    world.restart()
    await world.settle(1740, step=30)
    assert await messages(world) == []
    await world.settle(120, step=30)
    assert await messages(world) == TIMED


async def test_what_became_false_while_the_engine_was_down_is_no_longer_on_record() -> None:
    """It does not count when the condition is true again, though an index rules the rule out meanwhile."""
    world = await world_of(FOR)
    await world.settle(1800, step=30)
    await world.patch(CONFIG, "c", {"data": {"word": "fresh"}})
    world.restart()
    await world.settle()
    await say(world, "stale")
    await world.settle(3540, step=30)
    assert await messages(world) == []
    await world.settle(120, step=30)
    assert await messages(world) == TIMED


async def test_what_flickers_is_hardly_written() -> None:
    """A condition that holds for less than a minute is not, and one that comes and goes once in five minutes at most."""
    world = await world_of(FOR, "fresh")
    for _ in range(30):
        await say(world, "stale")
        await world.settle(50, step=10)
        await say(world, "fresh")
    assert patches(world) == 0
    for _ in range(15):  # half an hour
        await say(world, "stale")
        await world.settle(90, step=10)
        await say(world, "fresh")
        await world.settle(30, step=10)
    assert patches(world) <= 2 * 6


async def test_the_timers_of_an_object_are_put_on_record_together() -> None:
    """Any number of rules of any packs write once in five minutes; what holds by then goes along, and a restart has all of it."""
    second = FOR.replace("== 'stale'", "!= 'fresh'").replace("stale for", "not fresh for")
    world = World(rules(FOR), rules(second, name="q"))
    await world.create(config("bad"))
    await world.settle(90, step=10)
    assert patches(world) == 1
    await say(world, "stale")
    await world.settle(240, step=10)
    assert patches(world) == 1
    await world.settle(60, step=10)
    assert patches(world) == 2
    assert all("trueSince" in text for text in (await records(world)).values())
    world.restart()
    await world.settle(3600, step=30)
    assert sorted(await messages(world)) == ["c: not fresh for an hour", *TIMED]


async def test_timers_that_are_due_at_once_are_one_write() -> None:
    """Rules whose conditions began to hold together."""
    world = World(rules(FOR), rules(FOR, name="q"))
    await world.create(config("stale"))
    await world.settle(600, step=10)
    assert (patches(world), len(await records(world))) == (1, 2)


async def test_a_short_timer_begins_anew() -> None:
    """Under five minutes nothing is written for it."""
    world = await world_of(FOR.replace("1h", "4m"))
    await world.settle(200, step=10)
    world.restart()
    await world.settle(200, step=10)
    assert (await messages(world), patches(world)) == ([], 0)
    await world.settle(60, step=10)
    assert patches(world) == 1  # the firing's


@pytest.mark.parametrize("jump", [86400.0, -86400.0])
async def test_a_time_that_is_set_does_not_reach_a_durable_timer(jump: float) -> None:
    """Within a process the hour is an hour; a time on record that is in the future counts as now."""
    world = await world_of(FOR)
    await world.settle(600, step=30)
    world.clock.set_on(jump)
    await world.settle(2970, step=30)
    assert await messages(world) == []
    await world.settle(60, step=30)
    assert await messages(world) == TIMED


async def test_a_time_in_the_future_counts_as_now() -> None:
    """A restart after the time was set back waits for at most the whole hour."""
    world = await world_of(FOR)
    await world.settle(600, step=30)
    world.clock.set_on(-86400.0)
    world.restart()
    await world.settle(3570, step=30)
    assert await messages(world) == []
    await world.settle(60, step=30)
    assert await messages(world) == TIMED


async def test_a_throttle_goes_on_after_a_restart() -> None:
    """At most once an hour, and the last state lands when the hour is over."""
    world = await world_of(THROTTLE, "a")
    await world.settle(1200, step=60)
    world.restart()
    await say(world, "b")
    assert (await messages(world), patches(world)) == (["c: saw a"], 1)
    await world.settle(2460, step=60)
    assert (await messages(world), patches(world)) == (["c: saw a", "c: saw b"], 2)


async def test_0_1_takes_a_timer_for_nothing_done() -> None:
    """Going back while a timer runs loses the timer only."""
    world = await world_of(FOR)
    await world.settle(120, step=30)
    assert patches(world) == 1
    obj = await world.get(CONFIG, "c")
    assert record_0_1.recorded(obj, "p", "r") == record_0_1.Record()
    await world.settle(3600, step=60)
    assert record_0_1.recorded(await world.get(CONFIG, "c"), "p", "r").ended(metadata(obj)["uid"], "")


async def test_what_waits_survives_a_restart() -> None:
    """An item that began to wait before the restart times out when it would have; no write is made for that alone."""
    text = """\
      oncePer: object.data.word
      loop: "['one', 'two']"
      loopKey: item
      retry: {timeout: 1h}
      actions:
        - patch:
            target: {apiVersion: v1, kind: ConfigMap, name: '${item}'}
            guard: target.data.word == 'open'
            patch: {data: {seen: 'yes'}}
"""
    more = "targets: [{apiVersion: v1, kind: ConfigMap, verbs: [get, patch]}]"
    world = World(rules(text, more=more))
    await world.create(config("open", "one"), config("shut", "two"))
    await world.settle()
    await world.settle(2400, step=60)
    world.restart()
    await world.settle(1080, step=60)
    waits = [json.loads(text).get("waiting") for text in (await records(world, "one")).values()]
    assert [list(wait) for wait in waits if wait] == [["two"]]
    assert "RuleFailed" not in [reason for _, reason, _ in await world.events()]
    await world.settle(180, step=60)
    assert "RuleFailed" in [reason for _, reason, _ in await world.events()]


async def test_a_kind_that_is_away_for_a_moment_does_not_begin_an_hour_anew() -> None:
    """An object that an informer loses and finds again goes on with its timer, and is not acted on again."""
    world = await world_of(FOR)
    for _ in range(3):
        await world.settle(1230, step=30)
        key = ObjectKey(CONFIG, "ns", "c")
        world.caches.put(key, None)
        await world.reconciler.reconcile(key)
        world.relist()
    await world.settle()
    assert (await messages(world), patches(world)) == (TIMED, 2)


LEVEL = FOR.replace("      oncePer: object.metadata.uid\n", "")
FORBIDDEN = InjectedFault(403, verb="patch", kind="ConfigMap", times=None)


def refused(world: World) -> list[str]:
    """What is said of timers that cannot be put on record."""
    return [act.detail for act in world.seen.acts if (act.action, act.result) == ("timer", ActResult.REFUSED)]


async def test_without_the_right_to_patch_a_timer_is_not_durable() -> None:
    """It runs in memory, and fires; that it is not durable is said once for the rule, and a restart begins it anew."""
    world = World(rules(LEVEL))
    world.engine.faults.add(FORBIDDEN)
    await world.create(config("stale"), config("stale", "d"))
    await world.settle(1800, step=60)
    (reason,) = refused(world)
    assert "the timer is not durable, since the right to patch the object is missing" in reason
    assert await world.events() == []
    (note,) = world.reconciler.waits.notes("p")
    assert note == f"rule r: {reason}"
    world.restart()
    await world.settle(3540, step=60)
    assert await messages(world) == []
    await world.settle(120, step=60)
    assert await messages(world) == ["c: stale for an hour", "d: stale for an hour"]


async def test_a_right_that_is_granted_later_makes_the_timer_durable() -> None:
    """The next write, within five minutes, puts it on record; if the right goes again, that is said again."""
    world = World(rules(LEVEL))
    world.engine.faults.add(FORBIDDEN)
    await world.create(config("stale"))
    await world.settle(600, step=60)
    world.engine.faults.clear()
    await world.settle(360, step=60)
    assert world.reconciler.waits.notes("p") == []
    world.restart()
    await world.settle(2700, step=60)
    assert await messages(world) == TIMED


async def test_a_timer_that_is_refused_is_tried_again_every_five_minutes() -> None:
    """Not more often, however often the object changes."""
    world = World(rules(LEVEL))
    world.engine.faults.add(FORBIDDEN)
    await world.create(config("stale"))
    for _ in range(50):
        await world.patch(CONFIG, "c", {"metadata": {"labels": {"n": str(world.clock.time())}}})
        await world.settle(30, step=30)
    assert 4 <= len([call for call in world.engine.calls if (call.verb, call.ref.kind) == ("patch", CONFIG)]) <= 5


def test_the_right_that_a_timer_needs_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`rulepack rbac` has patch on the watched kind for a `for` of five minutes, and not for a shorter one."""
    text = PACK.format(name="p", rule="r", more="description: Tests.", fields=LEVEL)
    roles = []
    for length in ("5m", "4m"):
        (tmp_path / "pack.yaml").write_text(text.replace("for: 1h", f"for: {length}"))
        assert run_command(["rbac", str(tmp_path)]) == 0
        roles.append(
            capsys.readouterr().out.partition("kind: Role\n")[0].split("resources: [configmaps]")[1].split("apiGroups")[0]
        )
    assert [("- patch  # p: r" in role) for role in roles] == [True, False]
