"""Outages of any length: nothing is lost, nothing is done twice, and it is reported once what a rule waits for."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from engine.cel import backend
from engine.cli.explained import as_text
from engine.errors import ApiError
from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.objects import annotations_of, metadata
from engine.model.observe import ActResult
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.testing.explain import explain
from tests.unit.reconcile.test_rule_fields import CONFIG, HEAD, config, rule, say
from tests.world import EVENT, POD, START, World, pod

LABEL = """\
      oncePer: object.data.word
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, name: web}, labels: {word: '${object.data.word}'}}
        - emitEvent: {type: Normal, reason: Labelled, message: '${object.data.word}'}
"""
HOUR = 3600.0
NOMINAL = (2, 4, 8, 16, 32, 64, 128, 256)
QUOTA = ApiError(403, "Forbidden", 'pods "web" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1')
WEBHOOK = ApiError(500, "InternalError", 'Internal error occurred: failed calling webhook "w": connection refused')
DENIAL = ApiError(400, "", 'admission webhook "w.example.com" denied the request: not today')
POLICY = ApiError(422, "Invalid", "pods \"web\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no")
NOT_SERVED = ApiError(404, "NotFound", "the server could not find the requested resource")
RIGHT = ApiError(
    403, "Forbidden", 'pods "web" is forbidden: User "system:serviceaccount:ns:robot" cannot patch resource "pods" '
    'in API group "" in the namespace "ns"',
)  # fmt: skip
OUTAGES = {
    "no answer": (Effect.CUT_BEFORE, "NoAnswer"), "401": (401, "Unauthorized"), "408": (408, "Timeout"),
    "429": (429, "TooManyRequests"), "500": (500, "ServerError"), "503": (503, "ServerError"), "504": (504, "Timeout"),
    "full quota": (QUOTA, "QuotaExceeded"), "webhook away": (WEBHOOK, "WebhookUnavailable"),
    "webhook denies": (DENIAL, "AdmissionDenied"), "policy denies": (POLICY, "AdmissionDenied"),
    "missing right": (RIGHT, "MissingRight"), "kind not served": (NOT_SERVED, "KindNotServed"),
}  # fmt: skip


def outage(answer: Effect | int | ApiError, **which: Any) -> InjectedFault:
    """A fault that every patch of a pod meets, or those calls that are named."""
    return InjectedFault(answer, times=None, **(which or {"verb": "patch", "kind": "Pod"}))


async def world_of(text: str, *faults: InjectedFault, mode: Mode = Mode.ENFORCE) -> World:
    """A world with a rule, a pod and a watched object, in which an outage has begun before that object was there."""
    world = World(rule(text), modes={"p": mode})
    for fault in faults:
        world.engine.faults.add(fault)
    await world.create(pod("web"), config())
    await world.settle()
    return world


def named_pack(name: str, text: str) -> RulePack:
    """A pack with another name than `p`."""
    (found,) = parse_pack(HEAD.replace("name: p}", f"name: {name}}}") + text, "pack.yaml", backend())
    return found


def dropped(world: World) -> list[tuple[str, str, str]]:
    """What was dropped: the firing key, the item, and why."""
    return [(act.key, act.item, act.detail) for act in world.seen.acts if act.result is ActResult.DROPPED]


async def word(world: World) -> str | None:
    """What the pod is labelled with."""
    labels: dict[str, str] = metadata(await world.get(POD, "web"))["labels"]
    return labels.get("word")


async def reported(world: World, reason: str = "RuleWaiting") -> list[str]:
    """The messages of Events with a reason."""
    return [message for _, found, message in await world.events() if found == reason]


def times(world: World, verb: str = "patch") -> list[float]:
    """When the pod was asked for."""
    return [call.time - START for call in world.engine.calls if call.verb == verb and call.ref.kind == POD]


def landed(world: World) -> int:
    """How many patches of the pod had an effect."""
    return len([call for call in world.engine.writes if call.verb == "patch" and call.ref.kind == POD])


@pytest.mark.parametrize(("answer", "reason"), OUTAGES.values(), ids=OUTAGES)
async def test_an_hour_loses_nothing_and_does_nothing_twice(answer: Effect | int | ApiError, reason: str) -> None:
    """Reported once, after a minute; done at most one pause and five seconds after the end, whatever it was."""
    world = await world_of(LABEL, outage(answer))

    await world.settle(HOUR, step=5)
    assert (await word(world), landed(world)) == (None, 0)
    (message,) = await reported(world)
    assert message.startswith("Rule p/r waits since 2026-01-24T22:00:00Z and is tried again until it can go on: ")
    assert world.reconciler.waits.counts() == {("p", "r", reason): 1.0}

    world.engine.faults.clear()
    await world.settle(305, step=5)

    assert (await word(world), landed(world)) == ("a", 1)
    assert await reported(world, "Labelled") == ["a"]
    assert len(await reported(world)) == 1
    assert world.reconciler.waits.counts() == {}


async def test_pauses_grow_to_five_minutes_and_have_jitter() -> None:
    """Two rules that fail at the same time do not stay in step; no target is asked more than once in five seconds."""
    world = await world_of(LABEL, outage(503))
    await world.settle(4 * HOUR, step=1)

    pauses = [later - earlier for earlier, later in itertools.pairwise(times(world))]
    assert pauses[0] <= 3
    assert max(pauses) <= 300 + 1
    assert all(
        nominal * 0.75 - 1 <= pause <= nominal + 1
        for pause, nominal in zip(pauses, (2, 4, 8, 16, 32, 64, 128, 256), strict=False)
    )
    assert len({round(pause) for pause in pauses[-10:]}) > 1
    for seconds in (60, 600, HOUR):
        assert sum(time < seconds for time in [*times(world), *times(world, "get")]) <= 0.2 * seconds


async def test_retry_after_is_honoured_up_to_five_minutes() -> None:
    """A server that asks for an hour does not hold the rule up for an hour after it has recovered."""
    world = await world_of(LABEL, outage(429, verb="patch", kind="Pod", retry_after=7200))
    await world.settle(HOUR, step=5)
    assert len(times(world)) >= 11


async def test_a_restart_in_an_outage_goes_on_with_it() -> None:
    """Nothing is on record until it has ended, so that the next process does it."""
    world = await world_of(LABEL, outage(503))
    await world.settle(300, step=5)
    assert not [key for key in annotations_of(await world.get(CONFIG, "c")) if key.startswith("fired.")]
    world.restart()
    await world.settle(300, step=5)
    world.engine.faults.clear()
    await world.settle(305, step=5)

    assert (await word(world), landed(world)) == ("a", 1)
    assert len(await reported(world)) == 1


async def test_what_no_longer_holds_is_dropped_and_said() -> None:
    """Before each attempt the conditions are evaluated again."""
    world = await world_of("      when: object.data.word != 'off'\n" + LABEL, outage(503))
    await world.settle(120, step=5)
    await say(world, "off")

    assert [act.detail for act in world.seen.acts if act.result is ActResult.DROPPED] == [
        "it does not apply any more (when[1] is false: object.data.word != 'off')"
    ]
    assert await reported(world, "RuleDropped") == [
        "Rule p/r no longer waits, and does not do it: it does not apply any more (when[1] is false: object.data.word != 'off')"
    ]
    world.engine.faults.clear()
    await world.settle(HOUR, step=30)
    assert (await word(world), world.reconciler.waits.counts()) == (None, {})


async def test_another_occasion_takes_the_place_of_the_one_that_waits() -> None:
    """Only what holds now is done."""
    world = await world_of(LABEL, outage(503))
    await world.settle(120, step=5)
    await say(world, "b")
    assert dropped(world) == [("a", "", "it is to be done for b now")]
    world.engine.faults.clear()
    await world.settle(305, step=5)

    assert (await word(world), landed(world)) == ("b", 1)


async def test_a_condition_without_an_answer_drops_nothing() -> None:
    """Unknown is neither true nor false: what waits goes on waiting, and is done when there is an answer."""
    world = await world_of("      when: object.data.go == 'yes'\n" + LABEL)
    await world.patch(CONFIG, "c", {"data": {"go": "yes"}})
    world.engine.faults.add(outage(503))
    await world.settle(60, step=5)
    await world.patch(CONFIG, "c", {"data": {"go": None}})
    await world.settle(60, step=5)
    world.engine.faults.clear()
    assert dropped(world) == []

    await world.patch(CONFIG, "c", {"data": {"go": "yes"}})
    await world.settle(305, step=5)
    assert await word(world) == "a"


async def test_an_item_that_left_the_loop_is_dropped() -> None:
    """The others go on."""
    text = """\
      oncePer: object.metadata.uid
      loop: object.data.pods.split(',')
      loopKey: item
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, name: '${item}'}, labels: {word: seen}}
"""
    world = World(rule(text))
    world.engine.faults.add(outage(503))
    await world.create(pod("web"), pod("two"), config(pods="web,two"))
    await world.settle(90, step=5)
    assert await reported(world) == [
        "Rule p/r waits with 2 items since 2026-01-24T22:00:00Z and is tried again until it can go on: "
        "503 ServiceUnavailable: the server is currently unable to handle the request"
    ]
    await world.patch(CONFIG, "c", {"data": {"pods": "web"}})
    await world.settle()
    assert [item for _, item, _ in dropped(world)] == ["two"]
    world.engine.faults.clear()
    await world.settle(305, step=5)
    assert [metadata(found)["labels"].get("word") for found in await world.all(POD)] == [None, "seen"]


async def test_an_authors_limit_ends_in_a_rescue_that_the_outage_does_not_eat() -> None:
    """After `limit` attempts the rule has failed; what rescue does is then tried without end."""
    text = """\
      oncePer: object.data.word
      retry: {limit: 2}
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, name: web}, labels: {word: tried}}
      rescue:
        - patch: {target: {apiVersion: v1, kind: Pod, name: web}, patch: {metadata: {labels: {word: given-up}}}}
        - emitEvent: {type: Warning, reason: GaveUp, message: '${error}'}
"""
    world = await world_of(text, outage(503), outage(503, verb="create", kind="Event"))
    await world.settle(HOUR, step=5)
    assert await world.events() == []
    world.engine.faults.clear()
    await world.settle(305, step=5)

    assert await word(world) == "given-up"
    assert [message[:3] for message in await reported(world, "GaveUp")] == ["503"]
    record = annotations_of(await world.get(CONFIG, "c"))["fired.rules.mlops.dev/p.r"]
    assert json.loads(record)["outcome"] == "Failed"


async def test_an_authors_timeout_is_for_the_target_and_no_outage_counts() -> None:
    """`timeout` bounds the wait for a guard; an hour of 503 in it does not use it up, and nothing is lost."""
    text = """\
      oncePer: object.data.word
      retry: {timeout: 10m}
      actions:
        - patch:
            target: {apiVersion: v1, kind: Pod, name: web}
            guard: label(target, 'lock') == ''
            patch: {metadata: {labels: {word: '${object.data.word}'}}}
"""
    world = World(rule(text))
    await world.create(pod("web", lock="theirs"), config())
    await world.settle(300, step=5)
    world.engine.faults.add(outage(503, verb="get", kind="Pod"))
    await world.settle(HOUR, step=5)
    world.engine.faults.clear()
    await world.settle(305, step=5)
    assert await reported(world, "RuleFailed") == []

    await world.settle(600, step=5)
    (message,) = await reported(world, "RuleFailed")
    assert "timed out waiting: Pod ns/web does not meet the guard yet" in message


async def test_a_target_that_is_missing_has_half_a_minute() -> None:
    """One that is replaced is not there for a moment; one that stays away is a failure."""
    world = World(rule(LABEL))
    await world.create(config())
    await world.settle(20)
    await world.create(pod("web"))
    await world.settle(10)
    assert await word(world) == "a"

    await world.delete(POD, "web")
    await say(world, "b")
    await world.settle(40)
    assert await reported(world, "RuleFailed") == ["Rule p/r failed: Pod ns/web not found"]


@pytest.mark.parametrize("answer", [
    ApiError(403, "Forbidden", 'pods "web" is forbidden: unable to create new content in namespace ns',
             details={"causes": [{"reason": "NamespaceTerminating"}]}),
    *(ApiError(status, "Invalid", 'Pod "web" is invalid: spec: Required value') for status in (400, 405, 413, 422)),
], ids=lambda answer: str(answer.status))  # fmt: skip
async def test_what_is_final_is_not_tried_again(answer: ApiError) -> None:
    """One attempt, one Event, and on record."""
    world = await world_of(LABEL, outage(answer))
    await world.settle(HOUR, step=30)
    assert len(times(world)) == 1
    assert [reason for _, reason, _ in await world.events()] == ["RuleFailed"]


async def test_a_missing_right_is_reported_with_the_command_that_grants_it() -> None:
    """Resource, namespace and account are those that the API server names; the verbs are all that the step needs."""
    world = await world_of(LABEL, outage(RIGHT))
    await world.settle(90, step=5)
    (message,) = await reported(world)
    assert message.endswith(
        "to grant it: kubectl create role NAME -n ns --verb=get,patch --resource=pods && "
        "kubectl create rolebinding NAME -n ns --role=NAME --serviceaccount=ns:robot"
    )


async def test_each_cause_is_reported_once() -> None:
    """However often one follows the other."""
    world = await world_of(LABEL)
    world.engine.faults.add(outage(503))
    await say(world, "b")
    for number in range(6):
        world.engine.faults.clear()
        world.engine.faults.add(outage(QUOTA if number % 2 else 503))
        await world.settle(600, step=5)
    assert sorted(message.split(": ")[1][:3] for message in await reported(world)) == ["403", "503"]
    assert [event["count"] for event in await world.all(EVENT) if event["reason"] == "RuleWaiting"] == [1, 1]


async def test_nothing_is_reported_that_is_over_within_a_minute() -> None:
    """Neither by an Event nor by the metric."""
    world = await world_of(LABEL, outage(503))
    await world.settle(20)
    assert world.reconciler.waits.counts() == {}
    world.engine.faults.clear()
    await world.settle(60)
    assert (await word(world), await reported(world)) == ("a", [])


async def test_an_object_that_cannot_be_written_is_reported() -> None:
    """Its firing record waits like anything else, and what the rule has done is not done again."""
    world = await world_of(LABEL, outage(DENIAL, verb="patch", kind="ConfigMap"))
    await world.settle(HOUR, step=5)
    (message,) = await reported(world)
    assert "denied the request: not today" in message
    assert world.reconciler.waits.counts() == {("p", "r", "AdmissionDenied"): 1.0}
    assert message.startswith("Rule p/r waits with what it writes on this object since")
    world.engine.faults.clear()
    await world.settle(305, step=5)

    assert landed(world) == 1
    assert "fired.rules.mlops.dev/p.r" in annotations_of(await world.get(CONFIG, "c"))
    assert world.reconciler.waits.counts() == {}


async def test_only_what_wants_something_on_the_object_waits_for_its_write() -> None:
    """An Event says so of each rule, which explain shows; a pack that wrote elsewhere waits for nothing."""
    own = "      actions: [{annotate: {annotations: {example.com/NAME: '${object.data.word}'}}}]\n"
    elsewhere = LABEL.split("\n", 1)[1]
    world = World(
        named_pack("one", own.replace("NAME", "a")), named_pack("two", own.replace("NAME", "b")), named_pack("x", elsewhere)
    )
    world.engine.faults.add(outage(RIGHT, verb="patch", kind="ConfigMap"))
    await world.create(pod("web"), config())
    await world.settle(30)

    assert world.reconciler.waits.counts() == {("one", "r", "MissingRight"): 1.0, ("two", "r", "MissingRight"): 1.0}
    assert [message.partition(" since")[0] for message in await reported(world)] == [
        f"Rule {name}/r waits with what it writes on this object" for name in ("one", "two")
    ]
    explained = await explain(world.cluster, world.clock, world.catalog, await world.get(CONFIG, "c"))
    assert {pack.name: len(pack.rules[0].waiting) for pack in explained.packs} == {"one": 1, "two": 1, "x": 0}


async def test_what_a_rule_annotates_is_done_once_it_is_written() -> None:
    """Until then it is tried again."""
    world = await world_of(
        "      actions: [{annotate: {annotations: {example.com/word: '${object.data.word}'}}}]\n",
        outage(RIGHT, verb="patch", kind="ConfigMap"),
    )
    await world.settle(30)
    before = {act.result for act in world.seen.acts}
    world.engine.faults.clear()
    await world.settle(305, step=5)

    assert before == {ActResult.RETRYING}
    assert [act.diff for act in world.seen.acts if act.result is ActResult.DONE] == [
        ('metadata.annotations: ∅ → {"example.com/word": "a"}',)
    ]


async def test_audit_waits_too_and_writes_nothing() -> None:
    """What it would do stands behind the same outage."""
    world = await world_of(LABEL, outage(503), mode=Mode.AUDIT)
    await world.settle(HOUR, step=30)
    assert [call for call in world.engine.writes if not call.dry_run] == []
    assert world.reconciler.waits.counts() == {("p", "r", "ServerError"): 1.0}
    world.engine.faults.clear()
    await world.settle(305, step=5)
    assert [act.action for act in world.seen.acts if act.result is ActResult.AUDITED] == ["label", "emitEvent"]


async def test_a_pack_that_is_switched_off_waits_for_nothing() -> None:
    """Its items are gone from the metric."""
    world = await world_of(LABEL, outage(503))
    await world.settle(90, step=5)
    world.use(*world.catalog.packs.values(), modes={"p": Mode.OFF})
    assert world.reconciler.waits.counts() == {}


async def test_an_object_that_is_gone_waits_for_nothing() -> None:
    """Whatever its rules were waiting for."""
    world = await world_of(LABEL, outage(503))
    await world.settle(90, step=5)
    await world.delete(CONFIG, "c")
    await world.settle()
    assert world.reconciler.waits.counts() == {}


LOOKUP = """\
      oncePer: object.data.word
      lookup:
        web: {apiVersion: v1, kind: Pod, name: web}
      actions:
        - annotate: {annotations: {found: '${lookup.web.metadata.name}'}}
"""
GROUP = """\
      aggregate:
        by: object.data.word
        target: {apiVersion: v1, kind: Pod, namespace: ns, name: '${groupKey}'}
        counts: {all: 'true'}
      actions:
        - annotate: {annotations: {members: '${string(group.all)}'}}
"""


@pytest.mark.parametrize("text", [LOOKUP, GROUP.replace("by: object.data.word", "by: \"'web'\"")], ids=["lookup", "group"])
async def test_what_a_rule_has_to_read_first_is_waited_for_and_reported(text: str) -> None:
    """A lookup and the target of a group, with pauses that grow; the Event comes where there is an object for it to be about."""
    world = await world_of(text, outage(RIGHT, verb="get", kind="Pod"))
    await world.settle(HOUR, step=5)
    assert world.reconciler.waits.counts() == {("p", "r", "MissingRight"): 1.0}
    assert len([time for time in times(world, "get") if time < HOUR]) <= 40
    if text is LOOKUP:
        (message,) = await reported(world)
        assert "to grant it: kubectl create role NAME -n ns --verb=get,patch --resource=pods" in message

    world.engine.faults.clear()
    await world.settle(305, step=5)

    owner, key = ((CONFIG, "c"), "found") if text is LOOKUP else ((POD, "web"), "members")
    assert key in annotations_of(await world.get(*owner))
    assert world.reconciler.waits.counts() == {}


@pytest.mark.parametrize(("text", "verb"), [(LABEL, "patch"), (LOOKUP, "get")], ids=["action", "lookup"])
async def test_a_missing_right_is_reported_at_once(text: str, verb: str) -> None:
    """Nobody grants it unless it is reported; the metric has it too."""
    world = await world_of(text, outage(RIGHT, verb=verb, kind="Pod"))
    await world.settle(1)

    assert len(await reported(world)) == 1
    assert world.reconciler.waits.counts() == {("p", "r", "MissingRight"): 1.0}


async def test_explain_says_what_a_running_engine_waits_for() -> None:
    """By its Events, as it reads nothing else."""
    world = await world_of(LABEL, outage(QUOTA))
    await world.settle(90, step=5)
    explained = await explain(world.cluster, world.clock, world.catalog, await world.get(CONFIG, "c"))
    (line,) = explained.packs[0].rules[0].waiting
    assert line.startswith("2026-01-24T22:01:")
    assert "exceeded quota: q" in "\n".join(as_text(explained))


async def test_a_kind_that_is_being_replaced_is_no_missing_target() -> None:
    """A 404 that names no object is the kind's: the target is read again until it is served."""
    world = await world_of(LABEL, outage(NOT_SERVED, verb="get", kind="Pod"))
    await world.settle(600, step=5)
    assert world.reconciler.waits.counts() == {("p", "r", "KindNotServed"): 1.0}
    world.engine.faults.clear()
    await world.settle(305, step=5)
    assert (await word(world), await reported(world, "RuleFailed")) == ("a", [])


@pytest.mark.parametrize(("times_refused", "failed"), [(2, []), (3, ["RuleFailed"])])
async def test_a_json_patch_whose_test_fails_is_worked_out_again(times_refused: int, failed: list[str]) -> None:
    """The API server says 422 for it, and does not say which operation it was: so it is tried three times, at once."""
    text = """\
      oncePer: object.data.word
      actions:
        - patch:
            target: {apiVersion: v1, kind: Pod, name: web}
            type: json
            guard: 'true'
            patch: [{op: add, path: /metadata/labels/word, value: seen}]
"""
    world = World(rule(text))
    rejected = ApiError(422, "Invalid", "the server rejected our request due to an error in our request")
    world.engine.faults.add(InjectedFault(rejected, verb="patch", kind="Pod", times=times_refused))
    await world.create(pod("web"), config())
    await world.settle()
    assert [reason for _, reason, _ in await world.events()] == failed
    assert await word(world) == (None if failed else "seen")
