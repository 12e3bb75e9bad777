"""The routes of an extension: whose header counts, which objects of an application are shown, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from engine.errors import ApiError, UsageError
from engine.kube.faults import InjectedFault
from engine.operator.extension import Named, parse_applications
from engine.operator.shards import Shard, bucket
from tests.unit.console.builder import ADMIN, HOSTILE, NOBODY, TEAM, Console, Page, may
from tests.unit.console.test_pages import LOOKS_UP, SECRET
from tests.unit.operator.test_operator import CONFIG_MAP, WIDGET

PROXY = "proxy-token"
APPLICATIONS = parse_applications("Shown-For", "Widget.example.com/v1", "get(application, 'spec.parts', [])")
OWN = {"group": "example.com", "kind": "Widget", "namespace": "team-a", "name": "w"}
COPY = {"kind": "ConfigMap", "namespace": "team-a", "name": "copy"}


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """A console that is not running yet, and a proxy that may vouch and see packs."""
    return with_proxy(Console(tmp_path))


def with_proxy(console: Console, *paths: tuple[str, str]) -> Console:
    """Let a proxy do what is named as (verb, path)."""
    granted = paths or (("vouch", "/extension"), ("get", "/packs"))

    def access(spec: Mapping[str, Any]) -> bool:
        asked = spec.get("nonResourceAttributes", {})
        return may(spec) or (spec["user"] == "proxy" and (asked.get("verb"), asked.get("path")) in granted)

    console.cluster.access = access
    console.cluster.users[PROXY] = {"username": "proxy"}
    return console


async def application(console: Console, *parts: Mapping[str, Any]) -> None:
    """Create the application team-a/app, which is a small widget, of these parts."""
    spec = {"size": 1, "note": "x", "parts": [*parts]}
    meta = {"name": "app", "namespace": "team-a"}
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": meta, "spec": spec}
    await console.cluster.create(WIDGET, "team-a", body)


async def ask(
    console: Console, path: str, *, authorization: str = f"Bearer {PROXY}", shown_for: str = "team-a:app", method: str = "GET"
) -> Page:
    """What a proxy gets."""
    headers = {"Authorization": authorization, "Shown-For": shown_for}
    headers = {name: value for name, value in headers.items() if value}
    url = f"https://127.0.0.1:{console.operator.server.port}/extension/{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers, ssl=False) as answer:
        return Page(answer.status, answer.headers.copy(), await answer.text())


async def of(console: Console, named: Mapping[str, str]) -> Any:
    """What is said of an object."""
    answer = await ask(console, f"object?{urlencode(named)}")
    assert answer.status == 200, answer.text
    return json.loads(answer.text)


def texts(data: Any) -> Iterator[str]:
    """Each text in JSON data."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for each in data.values() if isinstance(data, dict) else data:
            yield from texts(each)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("", 401), ("Bearer nobody-knows-me", 401), (f"Bearer {NOBODY}", 403), (f"Bearer {TEAM}", 403), (f"Basic {PROXY}", 401)],
    ids=["no token", "an unknown one", "somebody without rights", "a team's pod", "another scheme"],
)
async def test_a_header_counts_only_with_the_token_of_who_may_vouch(console: Console, authorization: str, status: int) -> None:
    """A forged one is refused with what is missing, and nothing is said of the object."""
    async with console.running(applications=APPLICATIONS):
        await console.widget("team-a", "w")
        await application(console, OWN)
        answer = await ask(console, f"object?{urlencode(OWN)}", authorization=authorization)
        summary = await ask(console, "summary", authorization=authorization)
    assert (answer.status, summary.status) == (status, status)
    assert set(json.loads(answer.text)) == {"error"}
    assert "widgets" not in answer.text
    if status == 403:
        assert "may not vouch /extension; a ClusterRole with nonResourceURLs: ['/extension'] and verbs: [vouch]" in answer.text


async def test_who_may_get_the_path_may_not_vouch(tmp_path: Path) -> None:
    """As a reader of everything that has no objects may."""
    console = with_proxy(Console(tmp_path), ("get", "/extension"))
    async with console.running(applications=APPLICATIONS):
        assert (await ask(console, "summary")).status == 403


async def test_a_token_needs_no_scheme(console: Console) -> None:
    """A proxy that takes the header's value from a Secret can put nothing before it."""
    async with console.running(applications=APPLICATIONS):
        await application(console, OWN)
        assert (await ask(console, "summary", authorization=PROXY)).status == 200


async def test_an_object_of_the_application_is_explained(console: Console) -> None:
    """Conditions with their values, what is on record, what rules did with what they changed, and what waits."""
    async with console.running(applications=APPLICATIONS):
        await console.widget("team-a", "w", 50)
        await console.clock.advance(70)
        await application(console, OWN, COPY)
        data = await of(console, OWN)
    (pack,) = data["packs"]
    rules = {rule["name"]: rule for rule in pack["rules"]}
    assert (data["object"], data["watched"], pack["name"], list(rules)) == (
        "Widget team-a/w", True, "widgets", ["mark", "refuse", "wait"],
    )  # fmt: skip
    assert rules["mark"]["skipped"].startswith("already fired for plain")
    assert rules["refuse"]["clauses"][0]["values"] == [["object.spec.size", "50"]]
    assert rules["refuse"]["skipped"].startswith("when[1] is false: object.spec.size > 100")
    assert rules["wait"]["waiting"][0].startswith("ConfigMap team-a/copy does not meet the guard yet")
    firings = {firing["rule"]: firing for firing in data["firings"]}
    assert [step["action"] for step in firings["mark"]["steps"]] == ["patch", "annotate"]
    assert firings["mark"]["steps"][0]["what"] == "patch ConfigMap team-a/copy"
    assert firings["mark"]["steps"][0]["diff"] == ['data.note: "old" → "plain"']
    assert (firings["mark"]["result"], firings["wait"]["result"]) == ("done", "waiting")


async def test_nothing_is_said_of_what_is_not_part_of_the_application(console: Console) -> None:
    """Another object is refused, whether it is there or not; a target outside has neither name nor changes."""
    other = {**OWN, "namespace": "team-b"}
    async with console.running(applications=APPLICATIONS):
        await console.widget("team-a", "w")
        await console.widget("team-b", "w")
        await application(console, OWN)
        refused = [await ask(console, f"object?{urlencode(each)}") for each in (other, {**other, "name": "no-such"}, COPY)]
        data = await of(console, OWN)
    assert [answer.status for answer in refused] == [403] * 3
    assert json.loads(refused[0].text) == {"error": "Widget team-b/w is none of the application's own resources in this cluster"}
    patch = data["firings"][0]["steps"][0]
    assert patch == {"action": "patch", "item": "", "result": "done", "attempts": 1, "bad": False, "hidden": True}
    assert not [text for text in texts(data) if "team-a/copy" in text or '"old"' in text]


async def test_what_a_rule_reads_outside_the_application_is_not_read_for_it(console: Console) -> None:
    """The rule says so; the operator's own rights do not count."""
    async with console.running(applications=APPLICATIONS):
        await console.cluster.create(
            CONFIG_MAP, "system", {"metadata": {"name": "rulepack-feature-flags"}, "data": {"widgets": "Off"}}
        )
        await console.clock.advance(5)
        await console.widget("team-a", "w")
        await application(console, OWN)
        data = await of(console, OWN)
    acts = [act for rule in data["packs"][0]["rules"] if rule["name"] == "mark" for act in rule["acts"]]
    assert any("you may not get objects of kind ConfigMap in namespace team-a" in act["detail"] for act in acts)
    assert not [text for text in texts(data) if '"old"' in text]


async def test_conditions_are_for_a_proxy_that_may_see_packs(tmp_path: Path) -> None:
    """Without that right its users see names and results only."""
    console = with_proxy(Console(tmp_path), ("vouch", "/extension"))
    async with console.running(applications=APPLICATIONS):
        await console.widget("team-a", "w")
        await application(console, OWN)
        data = await of(console, OWN)
    assert data["conditions"] is False
    assert {rule["name"]: rule["clauses"] for rule in data["packs"][0]["rules"]} == {"mark": [], "refuse": [], "wait": []}
    assert not [text for text in texts(data) if "object.spec" in text]


async def test_the_summary_counts_what_rules_did_for_the_objects_of_the_application(console: Console) -> None:
    """Of each rule the last firing for each object, what waits, and what is suspended in its namespaces; nothing of others."""
    parts = [{**OWN, "name": name} for name in ("one", "two", "bad", "waits")]
    async with console.running(applications=APPLICATIONS):
        for name, size in (("one", 20), ("two", 20), ("bad", 200), ("waits", 50), ("not-ours", 200)):
            await console.widget("team-a", name, size)
        await console.widget("team-b", "theirs", 50)
        await console.clock.advance(70)
        await application(console, *parts)
        data = json.loads((await ask(console, "summary")).text)
    counts = {rule["rule"]: {key: rule[key] for key in ("acted", "failed", "waiting", "audited")} for rule in data["rules"]}
    assert counts == {
        "mark": {"acted": 4, "failed": 0, "waiting": 0, "audited": 0},
        "refuse": {"acted": 0, "failed": 1, "waiting": 0, "audited": 0},
        "wait": {"acted": 0, "failed": 0, "waiting": 1, "audited": 0},
    }
    assert (data["objects"], data["suspended"], data["shard"]) == (4, [], "")
    (waiting,) = data["waiting"]
    assert (waiting["example"], waiting["obstacle"], waiting["items"]) == ("Widget team-a/waits", "TargetNotReady", 1)
    assert "team-b" not in json.dumps(data)


async def test_the_application_itself_is_an_object_of_its_own(console: Console) -> None:
    """Rules may watch it too."""
    async with console.running(applications=APPLICATIONS):
        await application(console)
        data = await of(console, {**OWN, "name": "app"})
    assert data["packs"][0]["rules"][0]["skipped"].startswith("when[1] is false")


async def test_an_object_that_is_gone_or_that_nobody_watches_is_said_to_be(console: Console) -> None:
    """Neither is an error of the operator."""
    async with console.running(applications=APPLICATIONS):
        await application(console, OWN, COPY)
        gone = await ask(console, f"object?{urlencode(OWN)}")
        unwatched = await of(console, COPY)
    assert (gone.status, json.loads(gone.text)) == (404, {"error": "there is no Widget team-a/w in this cluster"})
    assert unwatched == {"object": "ConfigMap team-a/copy", "watched": False, "packs": [], "firings": []}


@pytest.mark.parametrize(
    ("shown_for", "status"),
    [("", 400), ("app", 400), ("team-a:", 400), ("team-a:app:x", 400), ("team-a:../app", 400), ("team-b:app", 404)],
)
async def test_the_header_names_an_application_that_is_there(console: Console, shown_for: str, status: int) -> None:
    """The answer says what is expected."""
    async with console.running(applications=APPLICATIONS):
        await application(console, OWN)
        assert (await ask(console, "summary", shown_for=shown_for)).status == status


async def test_a_second_application_is_no_other_choice(console: Console) -> None:
    """The proxy has checked one of them, and nobody knows which."""
    async with console.running(applications=APPLICATIONS):
        await application(console, OWN)
        url = f"https://127.0.0.1:{console.operator.server.port}/extension/summary"
        headers = [("Authorization", PROXY), ("Shown-For", "team-a:app"), ("Shown-For", "team-b:app")]
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=False) as answer:
            assert answer.status == 400


async def test_only_these_two_are_got(console: Console) -> None:
    """Other paths and methods are refused."""
    async with console.running(applications=APPLICATIONS):
        await application(console, OWN)
        assert (await ask(console, "")).status == 404
        assert (await ask(console, "summary", method="POST")).status == 405


async def test_there_is_no_such_route_where_no_kind_of_application_is_set(console: Console) -> None:
    """Which is the default."""
    async with console.running():
        assert (await ask(console, "summary", authorization=f"Bearer {ADMIN}")).status == 404


async def test_a_standby_sends_those_who_ask_to_another_replica(console: Console) -> None:
    """It knows of nothing that was done, so it says so, and ends the connection."""
    async with console.running(applications=APPLICATIONS):
        await application(console, OWN)
        replica = console.replica(applications=APPLICATIONS)
        async with replica.fixture.running(replica.operator):
            answer = await ask(replica, "summary")
    assert answer.status == 503
    assert json.loads(answer.text)["standby"] is True
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize("own", [True, False], ids=["its own", "another one's"])
async def test_a_shard_sends_those_who_ask_for_objects_of_another_one_there(console: Console, own: bool) -> None:
    """In the same way; the summary says whose it is."""
    number = bucket("team-a", 2) if own else 1 - bucket("team-a", 2)
    async with console.running(applications=APPLICATIONS, shard=Shard(number, 2)):
        await console.widget("team-a", "w")
        await application(console, OWN)
        answer = await ask(console, f"object?{urlencode(OWN)}")
        summary = await ask(console, "summary")
    assert (answer.status, json.loads(answer.text).get("standby", False)) == ((200, False) if own else (503, True))
    assert json.loads(summary.text)["shard"] == f"shard {number} of 2"


async def test_no_value_of_a_secret_is_said(tmp_path: Path) -> None:
    """Neither of one that a rule looks up nor of one that is part of the application."""
    console = with_proxy(Console(tmp_path, LOOKS_UP))
    secret = {"kind": "Secret", "namespace": "team-a", "name": "s"}
    async with console.running(applications=APPLICATIONS):
        await console.cluster.create(SECRET, "team-a", {"metadata": {"name": "s"}, "data": {"word": "b3BlbiBzZXNhbWU="}})
        await console.widget("team-a", "w", 200)
        await console.clock.advance(70)
        await application(console, OWN, secret)
        answers = [await ask(console, f"object?{urlencode(each)}") for each in (OWN, secret)]
        answers.append(await ask(console, "summary"))
    assert [answer.status for answer in answers] == [200] * 3
    assert not [answer for answer in answers if "b3BlbiBzZXNhbWU=" in answer.text or "open sesame" in answer.text]


async def test_texts_are_as_on_the_pages(console: Console) -> None:
    """No control characters and marks of direction, nothing longer than anybody reads; and no browser takes it for a page."""
    async with console.running(applications=APPLICATIONS):
        await console.widget("team-a", "w", 20, HOSTILE * 200)
        await application(console, OWN, COPY)
        answer = await ask(console, f"object?{urlencode(OWN)}")
    found = list(texts(json.loads(answer.text)))
    assert any("<script>" in text for text in found)
    assert not [text for text in found if "\x1b" in text or "\x00" in text or "\N{RIGHT-TO-LEFT OVERRIDE}" in text]
    assert max(map(len, found)) <= 1_000
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_an_api_server_that_does_not_answer_is_said(console: Console) -> None:
    """With its own words, and 503."""
    async with console.running(applications=APPLICATIONS):
        await application(console, OWN)
        console.cluster.faults.add(InjectedFault(ApiError(403, "Forbidden", "that is forbidden"), "get", "Widget"))
        answer = await ask(console, "summary")
    assert answer.status == 503
    assert "that is forbidden" in answer.text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("Header", "", "[]"), "--extension-kind missing: --extension-header, --extension-kind, --extension-objects belong"),
        (("", "Widget.example.com/v1", ""), "--extension-header and --extension-objects missing"),
        (("Header", "Widget", "[]"), "--extension-kind 'Widget': expected KIND.APIVERSION"),
        (("Header", "Widget.example.com/v1", "application."), "--extension-objects, 1:"),
        (("Header", "Widget.example.com/v1", "object.spec"), "--extension-objects, 1:1: "),
    ],
)
def test_options_that_say_no_kind_of_application_are_refused(given: tuple[str, str, str], message: str) -> None:
    """With what is expected."""
    with pytest.raises(UsageError) as refused:
        parse_applications(*given)
    assert message in str(refused.value)


def test_the_options_name_objects_by_an_expression() -> None:
    """It may call functions of the shipped libraries; what is no object is left aside."""
    found = parse_applications("Header", "Widget.example.com/v1", "application.parts.filter(each, each != 'x')")
    assert found is not None
    assert found.objects_of({"parts": ["x", 1, {"kind": "Pod", "name": "p", "namespace": None}]}) == {Named("", "Pod", "", "p")}
    assert parse_applications("", "", "") is None
