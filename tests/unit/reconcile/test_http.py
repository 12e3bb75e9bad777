"""The action `http` in the pipeline: sent at least once, by one key; refused, final or tried again; and never a secret shown."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

import pytest
import yaml

from engine.cel import backend
from engine.cli.explained import as_json
from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Kind, annotations_of
from engine.model.observe import Act, ActResult
from engine.operator.activity import Activity
from engine.outbound.allowed import parse_allowed
from engine.outbound.answers import Answer
from engine.outbound.client import HttpClient
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.testing.describe import step_text
from engine.testing.explain import explain
from engine.testing.http import Played
from engine.testing.recording import Change
from engine.testing.replay import Replay
from engine.testing.world import OPERATOR_NAMESPACE
from tests.unit.outbound.servers import answer, answering, serving
from tests.world import RULES, World, named

CONFIG, SECRET, EVENT = Kind("v1", "ConfigMap"), Kind("v1", "Secret"), Kind("v1", "Event")
HOOK: dict[str, Any] = {"url": "https://a.example/hook", "json": {"text": "${object.data.note}"}}
VALUE = "hunter2-hunter2"


def pack(*actions: dict[str, Any], once: bool = True, **rule: Any) -> RulePack:
    """A pack that sends for each ConfigMap with a note."""
    body = {
        "apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "p"}, "spec": {
            "watch": {"apiVersion": "v1", "kind": "ConfigMap"},
            "targets": [{"apiVersion": "v1", "kind": "Secret", "verbs": ["get"]}],
            "rules": [{"name": "r", "when": "has(object.data.note)", "actions": [*actions],
                       **({"oncePer": "object.data.note"} if once else {}), **rule}],
        },
    }  # fmt: skip
    (parsed,) = parse_pack(json.dumps(body, indent=1), "pack.yaml", backend())
    return parsed


async def world_of(*actions: dict[str, Any], mode: Mode = Mode.ENFORCE, note: str = "hi", **rule: Any) -> World:
    """A world with a ConfigMap that the rule fires for."""
    world = World(pack(*actions, **rule), modes={"p": mode})
    await world.create(named(CONFIG, "c", data={"note": note}))
    return world


def results(world: World) -> list[ActResult]:
    """What came of the actions."""
    return [act.result for act in world.seen.acts]


def last(world: World) -> Act:
    """The last act."""
    return world.seen.acts[-1]


async def test_a_request_is_sent_once_for_each_occasion() -> None:
    """A restart that finds the firing on record sends nothing."""
    world = await world_of({"http": HOOK})
    await world.settle()
    world.restart()
    await world.settle(60)

    (request,) = world.http.requests
    assert (request["method"], request["url"], request["json"]) == ("POST", "https://a.example/hook", {"text": "hi"})
    assert request["headers"]["Content-Type"] == "application/json"


async def test_a_repeat_has_the_same_key_and_another_occasion_another_one() -> None:
    """At least once: an engine that dies before it has put the firing on record sends again."""
    world = await world_of({"http": HOOK}, {"http": HOOK})
    world.engine.faults.add(InjectedFault(Effect.CRASH_BEFORE, verb="patch", kind="ConfigMap"))
    await world.settle()
    await world.cluster.patch(await world.cluster.discover(CONFIG), "ns", "c", {"data": {"note": "other"}})
    await world.settle()

    keys = [request["headers"]["Idempotency-Key"] for request in world.http.requests]
    assert world.crashes == 1
    assert keys[:2] == keys[2:4] != keys[4:]
    assert len(set(keys)) == 4


async def test_what_is_not_there_is_tried_again_with_the_same_key() -> None:
    """An outage of any length, as of the API server."""
    world = await world_of({"http": HOOK})
    world.http.play(Played(Answer(0), times=5))
    world.http.play(Played(Answer(503), times=3))
    await world.settle(3600, step=10)

    assert len(world.http.requests) == 9
    assert len({request["headers"]["Idempotency-Key"] for request in world.http.requests}) == 1
    assert results(world)[:8] == [ActResult.RETRYING] * 8
    assert results(world)[-1] == ActResult.DONE
    waiting = [event["message"] for event in await world.all(EVENT) if event["reason"] == "RuleWaiting"]
    assert [("has no answer" in message, "503 Service Unavailable" in message) for message in waiting] == [
        (True, False),
        (False, True),
    ]


async def test_a_server_says_when_it_is_tried_again() -> None:
    """Retry-After goes before the rule's own pause where it is longer."""
    world = await world_of({"http": HOOK})
    world.http.play(Played(Answer(429, "", "120")))
    await world.settle(110)
    early = len(world.http.requests)
    await world.settle(15)

    assert (early, len(world.http.requests)) == (1, 2)


async def test_a_final_answer_fails_the_rule() -> None:
    """It is not sent again, and the rule's rescue reports."""
    world = await world_of({"http": HOOK})
    world.http.play(Played(Answer(404, VALUE)))
    await world.settle(600, step=10)

    assert len(world.http.requests) == 1
    (event,) = await world.all(EVENT)
    assert event["reason"] == "RuleFailed"
    assert "POST https://a.example/hook was answered with 404 Not Found; expected 200 to 299" in event["message"]
    assert VALUE not in json.dumps(event)


async def test_later_actions_have_the_answer_and_no_record_has() -> None:
    """The firing record names its cause only."""
    note = {"annotate": {"annotations": {"a/ticket": "${results.ticket.json.id}", "a/status": "${results.ticket.status}"}}}
    world = await world_of({"http": HOOK, "register": "ticket"}, note)
    world.http.play(Played(Answer(201, '{"id": "T-7", "more": "never recorded"}')))
    await world.settle()

    found = await world.get(CONFIG, "c", "ns")
    assert (annotations_of(found)["a/ticket"], annotations_of(found)["a/status"]) == ("T-7", "201")
    assert "never recorded" not in json.dumps(found)


async def test_audit_says_what_would_be_sent_and_sends_nothing() -> None:
    """The actions after it see an empty answer, and no Secret is read."""
    spec = {**HOOK, "headers": {"Authorization": "Bearer ${secrets.t}"}, "secrets": {"t": {"name": "hook", "key": "t"}}}
    world = await world_of(
        {"http": spec, "register": "a"}, {"annotate": {"annotations": {"a/s": "${results.a.status}"}}}, mode=Mode.AUDIT
    )
    await world.settle()

    assert world.http.requests == []
    assert results(world) == [ActResult.AUDITED, ActResult.AUDITED]
    assert step_text(world.seen.acts[0].step) == "POST https://a.example/hook"
    assert {"Authorization: Bearer (secret hook/t)", '{"text": "hi"}'} <= {*world.seen.acts[0].diff}
    assert [call for call in world.engine.calls if call.ref.kind == SECRET] == []


async def test_what_goes_by_an_answer_is_no_failure_in_audit() -> None:
    """The example of docs/http.md, and what goes by that in turn; what fails for another reason does."""
    text = (RULES.parent / "docs" / "http.md").read_text()
    example = yaml.safe_load(text.split("## Any webhook, and its answer\n\n```yaml\n")[1].split("```")[0])["actions"]
    by_answer = {"http": HOOK, "register": "second", "when": "results.ticket.json.id > 0"}
    by_that = {"annotate": {"annotations": {"a/s": "${results.second.json.name}"}}}
    world = await world_of(*example, by_answer, by_that, mode=Mode.AUDIT)
    failing = await world_of(*example, {"annotate": {"annotations": {"a/s": "${object.data.none}"}}}, mode=Mode.AUDIT)
    await world.settle()
    await failing.settle()

    detail = "it goes by an answer that Audit does not have: results.ticket.json is null, so it has no field 'id'"
    assert results(world) == [ActResult.AUDITED] * 4
    assert world.seen.acts[1].detail == detail
    assert await world.events() == []
    assert ActResult.FAILED in results(failing)


async def test_audit_says_why_it_would_be_refused() -> None:
    """So that an administrator knows before it matters."""
    world = await world_of({"http": HOOK}, mode=Mode.AUDIT)
    world.sender = HttpClient([parse_allowed("b.example:443")], world.clock)
    world.restart()
    await world.settle()

    assert "goes to a host and port that the administrator does not list" in last(world).detail


async def test_explain_says_what_would_be_sent() -> None:
    """Without a secret in it, and without a request."""
    spec = {**HOOK, "url": "${secrets.u}", "secrets": {"u": {"name": "hook", "key": "u"}}}
    world = await world_of({"http": spec})
    reported = json.dumps(as_json(await explain(world.cluster, world.clock, world.catalog, await world.get(CONFIG, "c", "ns"))))

    assert "POST (secret hook/u)" in reported
    assert world.http.requests == []


async def test_replay_says_what_would_have_been_sent() -> None:
    """With the names of secrets, and without a request."""
    spec = {**HOOK, "url": "${secrets.u}", "secrets": {"u": {"name": "hook", "key": "u"}}}
    replay = Replay((await world_of({"http": spec})).catalog)
    obj = {**named(CONFIG, "c", data={"note": "hi"}), "apiVersion": "v1", "kind": "ConfigMap"}
    obj["metadata"] = {**obj["metadata"], "uid": "u-1", "creationTimestamp": "2026-01-24T22:00:01Z"}

    await replay.play([Change(1_769_292_000.0, obj, initial=True)])

    (effect,) = replay.effects
    assert (effect.action, effect.outcome) == ("http", "done")
    assert effect.what.startswith("POST (secret hook/u)\n")
    assert '{"text": "hi"}' in effect.what


@pytest.mark.parametrize("entries", [(), ("b.example:443",)], ids=["http is off", "another host is listed"])
async def test_a_request_waits_until_an_administrator_lists_its_host(entries: tuple[str, ...]) -> None:
    """It is reported at once, checked every 5 minutes, and sent by the operator that is started with it, however late."""
    world = await world_of({"http": HOOK})
    world.sender = HttpClient([parse_allowed(entry) for entry in entries], world.clock) if entries else None
    world.restart()
    await world.settle(5)
    (event,) = await world.all(EVENT)
    await world.settle(86400, step=60)
    tries = results(world).count(ActResult.RETRYING)
    waiting = world.reconciler.waits.sentences("p")
    world.sender = world.http
    world.restart()
    await world.settle()

    assert (event["reason"], event["type"]) == ("RuleWaiting", "Warning")
    assert "see the setting --http-allow" in event["message"]
    assert "rule r waits, for ConfigMap ns/c" in waiting[0]
    assert "see the setting --http-allow" in waiting[0]
    assert 200 < tries <= 86400 / 300 + 1
    assert len(world.http.requests) == 1
    assert [event["reason"] for event in await world.all(EVENT)] == ["RuleWaiting"]


async def test_what_is_no_matter_any_more_is_not_sent_late() -> None:
    """Conditions are evaluated before each attempt."""
    world = await world_of({"http": HOOK})
    world.sender = None
    world.restart()
    await world.settle(600, step=60)
    await world.cluster.patch(await world.cluster.discover(CONFIG), "ns", "c", {"data": {"note": None}})
    await world.settle(600, step=60)
    world.sender = world.http
    world.restart()
    await world.settle()

    assert world.http.requests == []


async def test_what_no_list_lets_go_is_final() -> None:
    """As no administrator can mend it."""
    world = await world_of({"http": {**HOOK, "url": "https://${object.data.note}/"}}, note="me:pass@a.example")
    world.sender = HttpClient([parse_allowed("a.example:443")], world.clock)
    world.restart()
    await world.settle(600, step=60)

    (event,) = await world.all(EVENT)
    assert event["reason"] == "RuleFailed"
    assert "has a user name in its URL; expected it in the header Authorization" in event["message"]


@pytest.mark.parametrize("header", ["a\r\nX-Evil: 1", "a\nb", "a\x00"])
async def test_no_text_of_an_object_begins_another_header(header: str) -> None:
    """It is final: the object has to change."""
    world = await world_of({"http": {**HOOK, "headers": {"X-Note": "${object.data.note}"}}}, note=header)
    await world.settle()

    assert world.http.requests == []
    assert "the header X-Note would hold a line break or a control character" in str(world.seen.acts)


@pytest.mark.parametrize("path", ["x y", "x\r\nHost: evil", "x\ty"])
async def test_no_text_of_an_object_ends_a_url(path: str) -> None:
    """A blank would end the request's first line."""
    world = await world_of({"http": {**HOOK, "url": "https://a.example/${object.data.note}"}}, note=path)
    await world.settle()

    assert world.http.requests == []
    assert "url holds a blank or a control character" in str(world.seen.acts)


async def test_text_of_an_object_stays_text_in_json() -> None:
    """No structure of its own, no template, no name of a secret."""
    hostile = '"}, "channel": "#all", "x": {"y": "${secrets.t} (secret hook/t)'
    spec = {**HOOK, "headers": {"A": "${secrets.t}"}, "secrets": {"t": {"name": "hook", "key": "t"}}}
    world = await world_of({"http": spec}, note=hostile)
    await world.settle()

    assert world.http.requests[0]["json"] == {"text": hostile}


@pytest.mark.parametrize(("spec", "words"), [
    ({"url": "${secrets.other}"}, "the action has no secret 'other'; expected 't'"),
    ({"url": "${secrets.t + object.data.note}"}, "an expression computes with a secret; expected it as a whole"),
    ({"url": "${secrets[object.data.note]}"}, "an expression computes with a secret"),
    ({"secrets": {"t": {"name": "kube-system/x", "key": "t"}}}, "is not the name of a Secret, without a namespace"),
    ({"secrets": {"t": {"name": "${object.data.note}", "key": "t"}}}, "is not the name of a Secret, without a namespace"),
    ({"secrets": {"t": {"name": "hook", "key": "t", "namespace": "kube-system"}}}, "unknown key 'namespace'"),
    ({"secrets": {"t": {"name": "hook", "key": "../t"}}}, "is not a key of a Secret"),
    ({"headers": {"Host": "evil"}}, "the header Host is the engine's to send"),
    ({"headers": {"transfer-encoding": "chunked"}}, "the header transfer-encoding is the engine's to send"),
    ({"headers": {"A\r\nB": "x"}}, "is not the name of a header"),
    ({"headers": {"${object.data.note}": "x"}}, "is not the name of a header"),
    ({"text": "x"}, "a request has either json or text"),
    ({"timeout": "5m"}, "5m is no time-out of a request; expected more than 0s, and at most 30s"),
    ({"expected": [101]}, "200"),
])  # fmt: skip
def test_what_cannot_be_sent_is_refused_when_the_pack_is_read(spec: dict[str, Any], words: str) -> None:
    """Which Secret is read is never an object's to say."""
    with pytest.raises(Exception, match=words.replace("[", r"\[").replace("$", r"\$")):
        pack({"http": {**HOOK, "secrets": {"t": {"name": "hook", "key": "t"}}, **spec}})


async def secret(world: World, **data: str) -> None:
    """The Secret of the pack's namespace."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    await world.create({**named(SECRET, "hook"), "metadata": {"name": "hook", "namespace": OPERATOR_NAMESPACE}, "data": encoded})


async def test_no_secret_is_shown_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    """Not in acts, logs, Events, records or errors: whether it is sent, final, or not there."""
    caplog.set_level(logging.DEBUG)
    refusing = answer("401 Unauthorized", VALUE, f"Location: {VALUE}")
    async with serving(answering(answer("503 " + VALUE), answer(body=VALUE), refusing, b"broken " + VALUE.encode())) as server:
        spec = {
            "url": "${secrets.u}", "json": {"key": "${secrets.t}", "text": "${object.data.note}"},
            "headers": {"Authorization": "Bearer ${secrets.t}"},
            "secrets": {"t": {"name": "hook", "key": "t"}, "u": {"name": "hook", "key": "u"}},
        }  # fmt: skip
        world = await world_of(
            {"http": spec, "register": "a"},
            {"emitEvent": {"type": "Normal", "reason": "Sent", "message": "${results.a.text}"}}, retry={"limit": 3},
        )  # fmt: skip
        activity = Activity(world.clock)
        world.sender = HttpClient([parse_allowed(f"http://127.0.0.1:{server.port}")], world.clock)
        world.restart()
        await secret(world, t=VALUE, u=f"http://127.0.0.1:{server.port}/{VALUE}\n")
        await world.settle(5)
        for note in ("second", "third"):
            await world.create(named(CONFIG, note, data={"note": note}))
            await world.settle(60)
    for act in world.seen.acts:
        activity.acted(act)

    everything = [str(act) for act in world.seen.acts] + [step_text(act.step) for act in world.seen.acts]
    everything += [json.dumps(each) for kind in (CONFIG, EVENT) for each in await world.all(kind)]
    everything += [record.getMessage() for record in caplog.records]
    heads = [head for head, _ in server.requests]
    assert f"POST /{VALUE} HTTP/1.1" in heads[0]
    assert all(f"Authorization: Bearer {VALUE}" in head for head in heads)
    assert json.loads(server.requests[1][1])["key"] == VALUE
    assert {ActResult.DONE, ActResult.RETRYING, ActResult.FAILED} <= {*results(world)}
    assert "(secret hook/u)" in "".join(everything)
    assert [text for text in everything if VALUE in text] == []


async def test_a_secret_that_is_not_there_is_waited_for() -> None:
    """Nothing is lost where somebody forgets it; the words name it at once, and a restart is not needed."""
    async with serving(answering(answer())) as server:
        url = f"http://127.0.0.1:{server.port}/"
        spec = {**HOOK, "url": url, "headers": {"A": "${secrets.t}"}, "secrets": {"t": {"name": "hook", "key": "t"}}}
        world = await world_of({"http": spec})
        world.sender = HttpClient([parse_allowed(f"http://127.0.0.1:{server.port}")], world.clock)
        world.restart()
        await world.settle(5)
        (waiting,) = await world.all(EVENT)
        await secret(world, t=VALUE)
        await world.settle(120)

    assert "needs the key t of the Secret rulepack-system/hook, and there is none" in waiting["message"]
    assert len(server.requests) == 1


async def test_a_right_that_is_missing_is_named_with_its_remedy() -> None:
    """As any other right."""
    spec = {**HOOK, "headers": {"A": "${secrets.t}"}, "secrets": {"t": {"name": "hook", "key": "t"}}}
    world = await world_of({"http": spec})
    world.sender = HttpClient([parse_allowed("a.example:443")], world.clock)
    world.restart()
    world.engine.faults.add(InjectedFault(403, verb="get", kind="Secret", times=None))
    await world.settle(5)

    assert last(world).result is ActResult.RETRYING
    assert last(world).detail.endswith("to grant it by its name alone: rulepack rbac, with the pack p")


async def test_what_a_secret_holds_that_is_looked_up_is_not_shown() -> None:
    """A pack may send it, since it may read it; nobody else sees it."""
    lookup = {"s": {"apiVersion": "v1", "kind": "Secret", "name": "own", "live": True}}
    spec = {**HOOK, "json": {"text": "${lookup.s.data.a}"}}
    world = await world_of({"http": spec}, mode=Mode.AUDIT, lookup=lookup)
    await world.create({**named(SECRET, "own"), "data": {"a": VALUE}})
    await world.settle()

    assert last(world).result is ActResult.AUDITED
    assert VALUE not in str([(act.detail, act.diff, step_text(act.step)) for act in world.seen.acts])
    assert step_text(last(world).step) == "POST (hidden)"


async def test_what_a_secret_holds_that_is_waited_for_is_not_shown() -> None:
    """Nor is the value that the action `wait` gives to the next one."""
    secret = {"apiVersion": "v1", "kind": "Secret", "name": "own"}
    waits = {"lookup": {"s": secret}, "until": "lookup.s != null", "value": "lookup.s.data.a", "atMost": "1m"}
    spec = {**HOOK, "json": {"text": "${results.w.value}"}}
    world = await world_of({"wait": waits, "register": "w"}, {"http": spec}, mode=Mode.AUDIT)
    await world.create({**named(SECRET, "own"), "data": {"a": VALUE}})
    await world.settle(5)

    assert last(world).result is ActResult.AUDITED
    assert VALUE not in str([(act.detail, act.diff, step_text(act.step)) for act in world.seen.acts])
    assert step_text(last(world).step) == "POST (hidden)"


async def test_a_replica_that_leads_no_more_sends_nothing() -> None:
    """As with each write."""
    world = await world_of({"http": HOOK})
    world.leading = False

    with pytest.raises(Exception, match="does not hold the Lease"):
        await world.settle()
    assert world.http.requests == []
