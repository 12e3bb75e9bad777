"""Each field of a rule, on the whole line: what users write, and what comes of it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from engine.cel import backend
from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Kind, annotations_of, metadata
from engine.model.observe import Evaluated
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from tests.world import POD, START, World, named, names, pod

CONFIG = Kind("v1", "ConfigMap")
HEAD = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  targets:
    - {apiVersion: v1, kind: Pod, verbs: [get, list, delete, patch]}
    - {apiVersion: v1, kind: ConfigMap, verbs: [get, create, patch]}
  metrics: {seen_total: {type: counter, help: Seen., labels: []}}
  rules:
    - name: r
"""
MARK = """\
      actions:
        - annotate: {annotations: {mark: '${object.data.word}'}}
"""
EMIT = """\
      actions:
        - emitEvent: {type: Normal, reason: Seen, message: 'saw ${object.data.word}'}
"""


def rule(text: str) -> RulePack:
    (found,) = parse_pack(HEAD + text, "pack.yaml", backend())
    return found


def config(word: str = "a", name: str = "c", **data: str) -> Any:
    return named(CONFIG, name, data={"word": word, **data})


async def world_of(text: str, *objects: Any) -> World:
    world = World(rule(text))
    await world.create(*objects)
    await world.settle()
    return world


async def mark(world: World, name: str = "c") -> str | None:
    return annotations_of(await world.get(CONFIG, name)).get("mark")


async def say(world: World, word: str, name: str = "c") -> None:
    await world.patch(CONFIG, name, {"data": {"word": word}})
    await world.settle()


async def test_a_rule_without_once_per_keeps_things_as_they_should_be() -> None:
    """It writes where there is a difference, at each change, and only then."""
    world = await world_of(MARK, config())
    assert await mark(world) == "a"
    await say(world, "b")
    assert await mark(world) == "b"
    await world.patch(CONFIG, "c", {"metadata": {"annotations": {"mark": None}}})
    await world.settle()
    assert await mark(world) == "b"
    assert len(world.writes) == 3


async def test_once_per_fires_once_for_each_occasion() -> None:
    """The same key never fires twice; another one does; the record holds the last."""
    world = await world_of(f"      oncePer: object.data.word\n{EMIT}", config())
    await say(world, "b")
    await world.patch(CONFIG, "c", {"data": {"other": "x"}})
    await world.settle()
    world.restart()
    await world.settle()
    assert [message for _, _, message in await world.events()] == ["saw a", "saw b"]
    record = annotations_of(await world.get(CONFIG, "c"))["fired.rules.mlops.dev/p.r"]
    uid = metadata(await world.get(CONFIG, "c"))["uid"]
    assert json.loads(record) == {"key": "b", "outcome": "Done", "uid": uid}


async def test_when_is_a_conjunction_with_three_values() -> None:
    """False holds back, even beside a clause without an answer; without an answer nothing fires, and that is Unknown."""
    world = await world_of(f"      when: [object.data.on != 'no', object.data.missing == 'x']\n{MARK}", config(on="no"))
    assert [result.value for _, result, _ in world.seen.evaluations] == ["skipped"]
    await world.patch(CONFIG, "c", {"data": {"on": "yes"}})
    await world.settle()
    assert [result.value for _, result, _ in world.seen.evaluations] == ["skipped", "unknown"]
    assert "object.data has no field 'missing'" in world.seen.evaluations[-1][2]
    await world.patch(CONFIG, "c", {"data": {"missing": "x"}})
    await world.settle()
    assert await mark(world) == "a"


async def test_for_waits_until_the_condition_has_held() -> None:
    """It fires when the time is up; a condition that was false in between begins anew; one without an answer does not."""
    world = await world_of(f"      when: object.data.word == 'a'\n      for: 60s\n{MARK}", config())
    await world.settle(59)
    assert await mark(world) is None
    await say(world, "b")
    await say(world, "a")
    await world.settle(59)
    assert await mark(world) is None
    await world.patch(CONFIG, "c", {"data": {"word": None}})
    await world.settle()
    await world.patch(CONFIG, "c", {"data": {"word": "a"}})
    await world.settle(1)
    assert await mark(world) == "a"


async def test_throttle_lets_the_first_and_the_last_through() -> None:
    """At once, then at most once per interval; the last state always lands."""
    world = await world_of(f"      throttle: {{every: 60s}}\n{MARK}", config())
    for word in "bcd":
        await say(world, word)
    assert await mark(world) == "a"
    await world.settle(59)
    assert await mark(world) == "a"
    await world.settle(1)
    assert await mark(world) == "d"
    assert len(world.writes) == 2


async def test_resync_repairs_what_others_change() -> None:
    """A target that is not watched is read again after the interval."""
    text = """\
      resync: 5m
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, name: web}, labels: {tier: '${object.data.word}'}}
"""
    world = await world_of(text, pod("web"), config())
    await world.patch(POD, "web", {"metadata": {"labels": {"tier": "wrong"}}})
    await world.settle(299, step=60)
    assert (await world.get(POD, "web"))["metadata"]["labels"]["tier"] == "wrong"
    await world.settle(2)
    assert (await world.get(POD, "web"))["metadata"]["labels"]["tier"] == "a"


async def existing(text: str) -> World:
    """A world in which the rule came into force two hours after one object was created, and just before another was."""
    world = World()
    await world.create(config(name="old"))
    await world.clock.advance(7200)
    world.use(rule(text))
    await world.create(config("later", name="new"))
    await world.settle()
    return world


async def say_all(world: World) -> list[str]:
    """What the Events say."""
    return sorted(message for _, _, message in await world.events())


async def test_existing_ignore_leaves_what_was_there_before_the_rule() -> None:
    """What was created before the rule came into force is left, after a restart too; what came later is not."""
    world = await existing(f"      existing: Ignore\n      oncePer: object.data.word\n{EMIT}")
    world.restart()
    await world.settle()
    assert await say_all(world) == ["saw later"]
    assert "before the rule came into force at 2026-01-25T00:00:00Z (existing has no ageFrom" in str(world.seen.evaluations)


async def test_what_is_older_than_the_rule_is_ignored_whatever_it_becomes_and_the_reason_says_so() -> None:
    """Without `ageFrom` the creation counts, and a later value of `oncePer` is of no use."""
    world = await existing(f"      existing: Ignore\n      oncePer: object.data.word\n{EMIT}")
    await world.apply(config("changed", name="old"))
    await world.settle()
    assert await say_all(world) == ["saw later"]
    created = "was created at 2026-01-24T22:00:00Z, before the rule came into force at 2026-01-25T00:00:00Z"
    assert world.seen.evaluations[-1][2] == f"{created} (existing has no ageFrom, so the creation counts, with 5 s of tolerance)"


async def test_what_is_older_than_max_age_is_left_and_the_reason_gives_both_times() -> None:
    """The age is part of the reason."""
    world = await existing("      existing: {maxAge: 1h}\n      oncePer: object.data.word\n" + EMIT)
    await world.settle()
    assert await say_all(world) == ["saw later"]
    assert "created at 2026-01-24T22:00:00Z, more than 3600 s before the rule came into force at" in str(world.seen.evaluations)


async def test_a_rule_fires_when_the_value_of_once_per_is_another_than_the_last_one() -> None:
    """Only the last one is remembered, so that a value that comes back is a new occasion."""
    world = World(rule(f"      oncePer: object.data.word\n{EMIT}"))
    fired = []
    for word in ("a", "a", "b", "a"):
        await world.apply(config(word))
        world.restart()  # which begins to observe anew
        await world.settle()
        fired.append(Evaluated.FIRED in [result for _, result, _ in world.seen.evaluations])
    assert fired == [True, False, True, True]


async def test_what_happened_while_the_engine_was_down_is_caught_up() -> None:
    """The rule was in force before, so it is news."""
    world = await existing(f"      existing: Ignore\n      oncePer: object.data.word\n{EMIT}")
    await world.clock.advance(7200)
    await world.create(config("meanwhile", name="meanwhile"))
    world.restart()
    await world.settle()
    assert await say_all(world) == ["saw later", "saw meanwhile"]


AGED = "      oncePer: object.data.word\n      existing: {ageFrom: object.data.time}\n"


@pytest.mark.parametrize(
    ("time", "fires"),
    [
        ("2026-01-24T23:00:00Z", False),
        ("2026-01-24T23:59:57Z", True),  # within the tolerance
        ("2026-01-25T00:30:00+01:00", False),
        ("2026-01-25T01:30:00+01:00", True),
        ("2026-01-24T23:00:00", False),  # without a zone: UTC
        ("2036-01-24T23:00:00Z", True),  # in the future: now
    ],
)
async def test_a_rule_with_once_per_and_age_from_ignores_what_was_so_before_it(time: str, fires: bool) -> None:
    """That is the default; times are those that `ageFrom` gives, whenever the object was created."""
    world = await existing(AGED + EMIT)
    await world.create(config("b", "b", time=time))
    await world.settle()
    assert await say_all(world) == (["saw b"] if fires else [])


async def test_a_time_that_is_none_is_no_answer() -> None:
    """Nothing fires, and the reason is said."""
    world = await existing(AGED + EMIT)
    await world.create(config("b", "b", time="yesterday"))
    await world.settle()
    assert "existing.ageFrom gave 'yesterday'; expected a time" in world.seen.evaluations[-1][2]
    assert await say_all(world) == []


@pytest.mark.parametrize("stricter", [Mode.OFF, Mode.AUDIT])
async def test_what_was_so_before_a_rule_returned_to_enforce_is_left(stricter: Mode) -> None:
    """A rule comes into force anew with each return from Off or Audit, also where the engine has restarted meanwhile."""
    world = World()
    pack = rule(f"      existing: Ignore\n      oncePer: object.data.word\n{EMIT}")
    world.use(pack, modes={"p": stricter})
    await world.create(config(name="old"))
    await world.settle(7200, step=600)
    for word, mode in (("first", Mode.ENFORCE), ("second", stricter), ("third", Mode.ENFORCE)):
        world.use(pack, modes={"p": mode})
        await world.create(config(word, word))
        await world.settle(60)
        world.restart()
        await world.settle(60)
    assert await say_all(world) == ["saw first", "saw third"]


async def test_a_rule_with_catch_up_does_what_it_has_audited() -> None:
    """Its author has said so."""
    world = World()
    pack = rule(f"      existing: CatchUp\n      oncePer: object.data.word\n{EMIT}")
    world.use(pack, modes={"p": Mode.AUDIT})
    await world.create(config("meanwhile", name="meanwhile"))
    await world.settle(60)
    world.use(pack, modes={"p": Mode.ENFORCE})
    await world.settle(60)
    assert await say_all(world) == ["saw meanwhile"]


async def test_existing_has_an_age_limit() -> None:
    """What is older than maxAge when the rule comes into force is left."""
    text = f"      existing: {{maxAge: LIMIT}}\n      oncePer: object.data.word\n{EMIT}"
    assert await say_all(await existing(text.replace("LIMIT", "1h"))) == ["saw later"]
    assert await say_all(await existing(text.replace("LIMIT", "3h"))) == ["saw a", "saw later"]


async def test_on_delete_judges_the_last_state() -> None:
    """An object that is gone is evaluated as it was last; its Event still finds it."""
    world = await world_of(f"      on: Delete\n{EMIT}", config(), config("b", "other"))
    assert await world.events() == []
    await world.delete(CONFIG, "c")
    await world.settle()
    assert await world.events() == [("c", "Seen", "saw a")]


async def test_on_delete_is_tried_again() -> None:
    """A server that fails at that moment does not lose it."""
    world = await world_of(f"      on: Delete\n{EMIT}", config())
    world.engine.faults.add(InjectedFault(500, verb="create", kind="Event", times=2))
    await world.delete(CONFIG, "c")
    await world.settle(30)
    assert await world.events() == [("c", "Seen", "saw a")]


async def test_lookup_reads_other_objects() -> None:
    """By name one object or null, by labels a list; a read is at most five seconds old."""
    text = """\
      lookup:
        web: {apiVersion: v1, kind: Pod, name: web}
        pods: {apiVersion: v1, kind: Pod, labelSelector: {component: predictor}}
      resync: 10s
      actions:
        - annotate: {annotations: {mark: "${lookup.web == null ? 'none' : lookup.web.metadata.name} ${size(lookup.pods)}"}}
"""
    world = await world_of(text, config())
    assert await mark(world) == "none 0"
    await world.create(pod("web"), pod("other"))
    await world.settle(11)
    assert await mark(world) == "web 2"


async def test_loop_keeps_its_items_apart() -> None:
    """Each item has its own record; one that fails does not stop the others, and is not done again for their sake."""
    text = """\
      oncePer: "'k'"
      loop: object.data.pods.split(',')
      loopVar: name
      loopKey: name
      retry: {limit: 0}
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, name: '${name}'}, labels: {seen: 'yes'}}
"""
    world = await world_of(text, pod("one"), pod("two"), config(pods="one,missing,two"))
    await world.settle(40)
    record = json.loads(annotations_of(await world.get(CONFIG, "c"))["fired.rules.mlops.dev/p.r"])
    assert record.pop("uid") == metadata(await world.get(CONFIG, "c"))["uid"]
    assert record == {"key": "k", "outcome": "Failed", "items": {"missing": "Failed", "one": "Done", "two": "Done"}}
    assert [reason for _, reason, _ in await world.events()] == ["RuleFailed"]


async def test_register_hands_a_result_on() -> None:
    """A later action reads what an earlier one gave."""
    text = """\
      oncePer: "'k'"
      actions:
        - delete: {target: {apiVersion: v1, kind: Pod, labelSelector: {component: predictor}}}
          register: removed
        - emitEvent: {type: Normal, reason: Removed, message: 'removed ${results.removed.deleted}'}
"""
    world = await world_of(text, pod("one"), pod("two"), config())
    assert await world.events() == [("c", "Removed", "removed 2")]


@pytest.mark.parametrize(("exceed", "left", "reason"), [("Fail", ["p0", "p1", "p2"], ["RuleFailed"]), ("Truncate", ["p2"], [])])
async def test_limits_bound_the_targets(exceed: str, left: list[str], reason: list[str]) -> None:
    """More targets than maxTargets: none is touched, or only the first ones, as the rule says."""
    text = f"""\
      oncePer: "'k'"
      limits: {{maxTargets: 2, onExceed: {exceed}}}
      actions:
        - delete: {{target: {{apiVersion: v1, kind: Pod, labelSelector: {{component: predictor}}}}}}
"""
    world = await world_of(text, *(pod(f"p{number}") for number in range(3)), config())
    assert names(await world.all(POD)) == left
    assert [found for _, found, _ in await world.events()] == reason


async def test_retries_back_off_and_end_in_rescue() -> None:
    """The first attempt and three more, each pause about twice the one before; then rescue, and the record says Failed."""
    text = """\
      oncePer: "'k'"
      retry: {limit: 3, backoff: 10s}
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, name: web}, labels: {seen: 'yes'}}
      rescue:
        - emitEvent: {type: Warning, reason: GaveUp, message: 'gave up: ${error}'}
"""
    world = World(rule(text))
    world.engine.faults.add(InjectedFault(503, verb="patch", kind="Pod", times=None))
    await world.create(pod("web"), config())
    await world.settle(200)
    times = [call.time - START for call in world.engine.calls if call.verb == "patch" and call.ref.kind == POD]
    assert len(times) == 4
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    for pause, nominal in zip(pauses, (10, 20, 40), strict=True):
        assert nominal * 0.75 <= pause <= nominal + 1
    (reason, message), _ = [(reason, message) for _, reason, message in await world.events()]
    assert (reason, message.split(":")[0]) == ("GaveUp", "gave up")
    assert json.loads(annotations_of(await world.get(CONFIG, "c"))["fired.rules.mlops.dev/p.r"])["outcome"] == "Failed"


async def test_retry_after_is_honoured() -> None:
    """Where the server asks to wait longer than the backoff, the engine does."""
    text = (
        "      oncePer: \"'k'\"\n"
        + """\
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, name: web}, labels: {seen: 'yes'}}
"""
    )
    world = World(rule(text))
    world.engine.faults.add(InjectedFault(429, verb="patch", kind="Pod", retry_after=40))
    await world.create(pod("web"), config())
    await world.settle(60)
    times = [call.time - START for call in world.engine.calls if call.verb == "patch" and call.ref.kind == POD]
    assert times[1] - times[0] >= 40


async def test_a_mode_of_its_own_only_holds_a_rule_back() -> None:
    """A rule that is Off in a pack that enforces does nothing."""
    world = await world_of(f"      mode: Off\n{MARK}", config())
    assert await mark(world) is None
    assert world.seen.evaluations == []


async def test_a_write_that_is_refused_is_written_again() -> None:
    """Annotations and record of a round are not lost when their patch fails, and the actions are not done again for it."""
    text = """\
      oncePer: "'k'"
      actions:
        - metric: {name: seen_total}
        - annotate: {annotations: {mark: done}}
"""
    world = World(rule(text))
    world.engine.faults.add(InjectedFault(500, verb="patch", kind="ConfigMap", times=2))
    await world.create(config())
    await world.settle(30)
    assert await mark(world) == "done"
    assert len(world.seen.measurements) == 1


async def test_apply_creates_and_keeps_a_manifest() -> None:
    """Server-side apply: the object is created, and comes to what the manifest says."""
    text = """\
      actions:
        - apply:
            manifest:
              apiVersion: v1
              kind: ConfigMap
              metadata: {name: 'copy-of-${object.metadata.name}', labels: {copy: 'yes'}}
              data: {word: '${object.data.word}'}
"""
    pack = rule(text)
    pack = rule(text.replace("      actions:", "      when: label(object, 'copy') == ''\n      actions:"))
    world = World(pack)
    await world.create(config())
    await world.settle()
    await say(world, "b")
    copies = [obj for obj in await world.all(CONFIG) if obj["metadata"]["name"] == "copy-of-c"]
    assert [obj["data"] for obj in copies] == [{"word": "b"}]


async def test_a_json_patch_holds_to_what_its_guard_saw() -> None:
    """The patch is conditional on the version that the guard was true for; a conflict has it read again."""
    text = """\
      oncePer: "'k'"
      actions:
        - patch:
            target: {apiVersion: v1, kind: Pod, name: web}
            type: json
            guard: label(target, 'lock') == ''
            patch: [{op: add, path: /metadata/labels/lock, value: mine}]
"""
    world = World(rule(text))
    await world.create(pod("web", lock="theirs"), config())
    await world.settle(30)
    assert (await world.get(POD, "web"))["metadata"]["labels"]["lock"] == "theirs"
    await world.patch(POD, "web", {"metadata": {"labels": {"lock": None}}})
    world.engine.faults.add(InjectedFault(409, verb="patch", kind="Pod"))
    await world.settle(5)
    assert (await world.get(POD, "web"))["metadata"]["labels"]["lock"] == "mine"


async def test_a_lost_answer_is_not_done_twice() -> None:
    """A write whose answer is cut off is found done when it is evaluated again."""
    world = World(rule(f"      oncePer: object.data.word\n{EMIT}"))
    world.engine.faults.add(InjectedFault(Effect.CUT_AFTER, verb="create", kind="Event"))
    await world.create(config())
    await world.settle(30)
    assert await world.events() == [("c", "Seen", "saw a")]


async def test_the_engine_does_not_fire_on_its_own_writes() -> None:
    """What it wrote itself is not evaluated again; what somebody else changes at the same time is."""
    world = await world_of(MARK, config())
    before = len(world.seen.evaluations)
    await world.settle(60)
    assert len(world.seen.evaluations) == before == 1


async def test_a_standby_writes_nothing() -> None:
    """Whoever does not hold the Lease takes no step."""
    world = World(rule(MARK))
    world.leading = False
    await world.create(config())
    with pytest.raises(Exception, match="does not hold the Lease"):
        await world.settle()
    assert world.writes == []


async def test_the_event_of_a_rule_that_failed_is_tried_again() -> None:
    """A rule without rescue reports that it has failed, also where the server fails at that moment too."""
    text = """\
      oncePer: "'k'"
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, name: missing}, labels: {seen: 'yes'}}
"""
    world = World(rule(text))
    world.engine.faults.add(InjectedFault(500, verb="create", kind="Event", times=2))
    await world.create(config())
    await world.settle(60)
    assert await world.events() == [("c", "RuleFailed", "Rule p/r failed: Pod ns/missing not found")]


async def test_apply_is_tried_again_unless_another_manager_owns_the_field() -> None:
    """A server that fails is asked again, and so is one that says that something has changed meanwhile; an owner is final."""
    text = """\
      when: object.metadata.name == 'c'
      oncePer: "'k'"
      actions:
        - apply: {manifest: {apiVersion: v1, kind: ConfigMap, metadata: {name: copy}, data: {word: '${object.data.word}'}}}
"""
    world = World(rule(text))
    for status in (500, 409):
        world.engine.faults.add(InjectedFault(status, verb="patch", kind="ConfigMap", name="copy"))
    await world.create(config())
    await world.settle(30)
    assert (await world.get(CONFIG, "copy"))["data"] == {"word": "a"}
    other = World(rule(text))
    await other.create(config("theirs", "copy"), config())
    await other.settle(30)
    assert [reason for _, reason, _ in await other.events()] == ["RuleFailed"]
    assert len([call for call in other.engine.calls if call.verb == "patch" and call.ref.name == "copy"]) == 1


async def test_an_outage_of_the_api_server_costs_no_firing() -> None:
    """However long there is no answer, the actions are carried out when there is one again."""
    text = """\
      oncePer: "'k'"
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, name: web}, labels: {seen: 'yes'}}
"""
    world = World(rule(text))
    world.engine.faults.add(InjectedFault(Effect.CUT_BEFORE, verb="patch", kind="Pod", times=10))
    world.engine.faults.add(InjectedFault(401, verb="patch", kind="Pod", times=10))
    await world.create(pod("web"), config())
    await world.settle(7200, step=5)
    assert (await world.get(POD, "web"))["metadata"]["labels"]["seen"] == "yes"
    assert [reason for _, reason, _ in await world.events()] == ["RuleWaiting", "RuleWaiting"]
