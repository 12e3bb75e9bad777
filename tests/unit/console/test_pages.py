"""What the pages say, and to whom."""

from __future__ import annotations

import asyncio
import html
import re
from pathlib import Path

import pytest

from engine.console.firings import CHARACTERS, Firings
from engine.console.stream import STREAMS
from engine.model.objects import Kind, Ref, Resource
from engine.model.observe import Act, ActResult, Evaluated
from engine.model.plan import Annotate
from tests.unit.console.builder import ADMIN, BROKEN, HOSTILE, HTML, NOBODY, PACK, TEAM, Console
from tests.unit.operator.test_operator import NAMESPACE, WIDGET

PAGES = ("", "packs", "pack?name=widgets", "activity")
GRANT = "kubectl create role rulepack-viewer -n system --verb=get --resource=rulepacks.rules.mlops.dev"
SECRET = Resource(Kind("v1", "Secret"), "secrets", True)


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """A console that is not running yet."""
    return Console(tmp_path)


async def act(console: Console) -> None:
    """Have rules fire, fail and wait in two namespaces."""
    await console.widget("team-a", "fires")
    await console.widget("team-b", "fails", 200)
    await console.widget("team-a", "waits", 50)
    await console.widget("team-b", "waits-too", 50)
    await console.clock.advance(70)


def text_of(page: str) -> str:
    """The text of a page on one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", page)).split())


async def test_the_overview_says_what_waits_and_what_failed(console: Console) -> None:
    """One sentence each, and each with a link."""
    async with console.running():
        await act(console)
        page = await console.visit("", ADMIN)
    text = text_of(page.text)
    assert "This replica acts on 1 rule pack." in text
    assert re.search(
        r"widgets/wait waits with 2 items for TargetNotReady since 2023-\S+ \S+ UTC, such as Widget team-a/waits\.", text
    )
    assert "widgets/refuse failed for Widget team-b/fails at" in text
    assert "No pack is suspended." in text
    assert "All packs can." in text
    assert 'href="pack?name=widgets#waits"' in page.text
    assert 'href="activity?pack=widgets&amp;rule=refuse&amp;object=Widget+team-b%2Ffails"' in page.text


async def test_a_replica_that_stands_by_says_who_acts(console: Console) -> None:
    """Its own pages show what it did itself."""
    other = console.replica()
    async with console.running(), console.fixture.running(other.operator):
        text, holder = text_of((await other.visit("", ADMIN)).text), console.operator.leader.holder
    assert holder
    assert f"This replica stands by: {holder} acts." in text


async def test_each_viewer_sees_what_they_may_get(console: Console) -> None:
    """The team sees its own namespace, and what is done there; nobody sees nothing; an administrator sees all."""
    async with console.running():
        await act(console)
        pages = {(user, page): await console.visit(page, user) for user in (ADMIN, TEAM, NOBODY) for page in PAGES}
    for page in ("", "activity"):
        assert "team-b" in pages[ADMIN, page].text
        assert "team-a" in pages[TEAM, page].text
        assert "team-b" not in pages[TEAM, page].text
        assert "Widget" not in pages[NOBODY, page].text.replace('placeholder="Widget team-a/"', "")
    assert "waits with 1 item for" in text_of(pages[TEAM, ""].text)
    for page in ("packs", "pack?name=widgets"):
        assert pages[ADMIN, page].status == 200
        for user in (TEAM, NOBODY):
            assert pages[user, page].status == 403
            assert "object.spec" not in pages[user, page].text
            assert (
                "kubectl create role rulepack-viewer -n system --verb=get --resource=rulepacks.rules.mlops.dev"
                in pages[user, page].text
            )


async def test_a_right_that_is_taken_away_counts_within_half_a_minute(console: Console) -> None:
    """Answers of the API server are kept for 30 s."""
    async with console.running():
        await console.widget("team-a", "fires")
        assert "Widget team-a/fires" in (await console.visit("activity", TEAM)).text
        console.cluster.access = lambda spec: False
        await console.clock.advance(31)
        assert "Widget team-a/fires" not in (await console.visit("activity", TEAM)).text


async def test_what_is_done_to_an_object_that_the_viewer_may_not_see_is_not_shown(console: Console) -> None:
    """The step is, without the name of the object and what has changed."""
    console.cluster.access = lambda spec: spec.get("resourceAttributes", {}).get("resource") == "widgets"
    async with console.running():
        await console.widget("team-a", "fires")
        page = (await console.visit("activity", TEAM)).text
    assert "patch done: an object that you may not see" in text_of(page)
    assert "ConfigMap" not in page
    assert "data.note" not in page


async def test_packs_are_shown_with_their_state_and_their_faults(console: Console) -> None:
    """What is refused with the line of its text and a caret below the fault."""
    await console.cluster.create(NAMESPACE, "", {"metadata": {"name": "system"}})
    await console.fixture.config_map("mine", {"broken.yaml": BROKEN}, pack=True)
    async with console.running():
        await act(console)
        packs, pack = await console.visit("packs", ADMIN), await console.visit("pack?name=widgets", ADMIN)
        missing = await console.visit("pack?name=%3Cb%3E", ADMIN)
    row = text_of(packs.text[packs.text.index("<tbody>") : packs.text.index("</tbody>")].replace("</td>", " "))
    assert row.startswith("widgets Enforce Ready Widget 3 4 1 2 ")
    assert "configmap/system/mine Nothing of it is in force." in text_of(packs.text)
    lines = html.unescape(packs.text).splitlines()
    caret = next(number for number, line in enumerate(lines) if line.strip() == "^</pre>")
    assert lines[caret - 1].partition("when: object.spec.size >")[2].startswith("> '<b>'")
    assert lines[caret - 1].rpartition(">> ")[0].count(">") == 1
    assert "Note what is big." in pack.text
    assert "wait: It waits with 2 items for TargetNotReady" in text_of(pack.text)
    assert "ConfigMap team-a/copy does not meet the guard yet" in pack.text
    assert (missing.status, "<b>" in missing.text) == (404, False)


async def test_activity_shows_steps_differences_and_attempts(console: Console) -> None:
    """The newest first, each with what it changed and how it ended; filters choose by names and by how it ended."""
    async with console.running():
        await act(console)
        page = (await console.visit("activity", ADMIN)).text
        failed = (await console.visit("activity?result=problem", ADMIN)).text
        one = (await console.visit("activity?rule=mark&object=team-a/fires", ADMIN)).text
        none = (await console.visit("activity?pack=other", ADMIN)).text
    assert page.index("Widget team-b/waits-too") < page.index("Widget team-a/fires")
    assert 'data.note: "old" → "plain"' in html.unescape(page)
    assert "patch waiting: ConfigMap team-a/copy does not meet the guard yet" in text_of(page)
    assert re.findall(r"for <bdi>(.*?)</bdi>", failed) == ["Widget team-b/fails"]
    assert re.findall(r"for <bdi>(.*?)</bdi>", one) == ["Widget team-a/fires"]
    assert "Nothing fits this filter." in none


@pytest.mark.parametrize("note", [HOSTILE, HTML * 20_000], ids=["markup", "1 MB"])
async def test_nothing_of_an_object_becomes_markup(console: Console, note: str) -> None:
    """On no page and in no event; nor does it turn the direction of what stands beside it, or make a page long."""
    async with console.running():
        await console.widget("team-a", "a", 200, note)
        await console.widget("team-a", "b", 20, note)
        await console.clock.advance(70)
        pages = [(await console.visit(page, ADMIN)).text for page in PAGES]
        pages += [
            (await console.visit(f"activity?{name}=%3Cscript%3E{name}", ADMIN)).text
            for name in ("pack", "rule", "object", "result")
        ]
        pages += await console.events("activity-stream?after=0", ADMIN, 1)
    assert any("&lt;script&gt;alert(1)" in page for page in pages)
    for page in pages:
        scripts = re.findall(r"<script[^>]*>", page)
        assert all(re.fullmatch(r'<script src="static/[a-z.]+" defer>', each) for each in scripts)
        assert "<img" not in page
        assert not set(page) & set("\u202e\u2066\x1b\x00\r")
        assert len(page) < 60_000


async def test_an_event_of_the_stream_cannot_be_forged(console: Console) -> None:
    """Lines of an object are lines of data."""
    async with console.running():
        await console.widget("team-a", "a", 20, HOSTILE)
        (event,) = await console.events("activity-stream?after=0", ADMIN, 1)
    lines = event.splitlines()
    assert re.fullmatch(r"id: \d+", lines[0])
    assert lines[1] == "event: new"
    assert all(line.startswith("data: ") for line in lines[2:])


async def test_news_come_by_the_stream_and_changes_take_their_place(console: Console) -> None:
    """A firing that goes on is replaced; whoever may not see an object gets no news of it."""
    async with console.running():
        admin = asyncio.create_task(console.events("activity-stream?after=0", ADMIN, 2))
        team = asyncio.create_task(console.events("activity-stream?after=0", TEAM, 1))
        await asyncio.sleep(0.2)
        await console.widget("team-b", "theirs", 50)
        await asyncio.sleep(1.2)
        await console.clock.advance(10)
        await console.widget("team-a", "ours")
        events, own = await admin, await team
    assert "event: new" in events[0] or "event: changed" in events[0]
    assert any("event: changed" in each and 'hx-swap-oob="true"' in each for each in events)
    assert "theirs" not in "".join(own)
    assert "ours" in own[0]


async def test_streams_are_bounded_and_end_with_their_browsers(console: Console) -> None:
    """One more is refused at once; when a tab is closed there is room again."""
    async with console.running():
        await console.widget("team-a", "w")
        waiting = [asyncio.create_task(console.events("activity-stream?after=1000", ADMIN, 2)) for _ in range(STREAMS)]
        await asyncio.sleep(2)
        (refused,) = await console.events("activity-stream?after=0", ADMIN, 1)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(0.5)
        (taken,) = await console.events("activity-stream?after=0", ADMIN, 1)
    assert "Too many people follow this" in refused
    assert "Widget team-a/w" in taken


SECRETS = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: secrets}
spec:
  watch: {apiVersion: v1, kind: Secret}
  targets: [{apiVersion: v1, kind: ConfigMap, verbs: [get, patch]}]
  rules:
    - name: copies
      oncePer: object.data.word
      existing: CatchUp
      actions:
        - annotate: {annotations: {example.com/word: '${object.data.word}'}}
        - patch: {target: {apiVersion: v1, kind: ConfigMap, name: copy}, patch: {data: {note: '${object.data.word}'}}}
    - name: fails
      oncePer: object.data.word
      existing: CatchUp
      actions:
        - assert: {target: {apiVersion: v1, kind: ConfigMap, name: copy}, that: 'false', message: 'it is ${object.data.word}'}
    - name: waits
      oncePer: object.data.word
      existing: CatchUp
      retry: {timeout: 10h}
      actions:
        - patch: {target: {apiVersion: v1, kind: ConfigMap, name: copy}, patch: {data: {b: '1'}}, guard: "object.data.word == ''"}
"""
LOOKS_UP = PACK.replace(
    "    - name: refuse\n", "    - name: refuse\n      lookup: {s: {apiVersion: v1, kind: Secret, name: s, live: true}}\n"
).replace("it says ${object.spec.note}", "it says ${lookup.s.data.word}").replace(
    "targets: [", "targets: [{apiVersion: v1, kind: Secret, verbs: [get]}, "
)  # fmt: skip


@pytest.mark.parametrize("pack", [SECRETS, LOOKS_UP], ids=["watched", "looked up"])
async def test_values_of_secrets_are_on_no_page(tmp_path: Path, pack: str) -> None:
    """Whoever may see the Secret finds there that a rule acted, and not what it holds: keys, messages, differences are hidden."""
    console = Console(tmp_path, pack)
    async with console.running():
        body = {"metadata": {"name": "s"}, "data": {"word": "b3BlbiBzZXNhbWU="}}
        await console.cluster.create(SECRET, "team-a", body)
        await console.clock.advance(2)
        await console.widget("team-a", "w", 200)
        await console.clock.advance(70)
        name = "secrets" if pack is SECRETS else "widgets"
        query = "apiVersion=v1&kind=Secret&name=s" if pack is SECRETS else "apiVersion=example.com/v1&kind=Widget&name=w"
        where = ("", "packs", f"pack?name={name}", "activity", "objects", f"object?{query}&namespace=team-a", "audit")
        pages = [(await console.visit(page, ADMIN)).text for page in where]
        pages += await console.events("activity-stream?after=0", ADMIN, 1)
    assert "(hidden)" in pages[3]
    assert "refused" in pages[3]
    for page in pages:
        assert "b3BlbiBzZXNhbWU" not in page


async def test_memory_is_bounded(console: Console) -> None:
    """A thousand firings are kept, fewer where their texts are long; the newest stay."""
    async with console.running():
        firings = Firings(console.clock)
        firings.catalog = lambda: console.operator.reconciler.catalog
        for number in range(1_100):
            firings.acted(act_of(f"w{number}"))
        many = [str(each.object) for each in firings.newest()]
        for number in range(1_000):
            firings.acted(act_of(f"l{number}", diff=("x" * 10_000,) * 1_000))
        long = list(firings.newest())
    assert (len(many), many[0]) == (1_000, "Widget team-a/w1099")
    assert str(long[0].object) == "Widget team-a/l999"
    assert 300 < len(long) < 1_000
    assert sum(each.size() for each in long) <= CHARACTERS


def act_of(name: str, diff: tuple[str, ...] = (), result: ActResult = ActResult.DONE, detail: str = "") -> Act:
    """Something that a rule of the pack did for a widget."""
    ref = Ref(WIDGET.kind, "team-a", name)
    return Act("widgets", "mark", ref, "key", "", "annotate", Annotate({"a": "b"}), result, detail, diff)


async def test_attempts_of_one_step_are_one_step(console: Console) -> None:
    """What is tried again, however often, is shown once, with its number of attempts; a further firing is another item."""
    async with console.running():
        firings = Firings(console.clock)
        firings.catalog = lambda: console.operator.reconciler.catalog
        for result in (ActResult.RETRYING, ActResult.RETRYING, ActResult.WAITING, ActResult.DONE):
            firings.evaluated("widgets", "mark", act_of("w").object, Evaluated.FIRED, "")
            firings.acted(act_of("w", result=result))
        firings.evaluated("widgets", "mark", act_of("w").object, Evaluated.FIRED, "")
        firings.acted(act_of("w"))
    second, first = firings.newest()
    assert [(step.attempts, step.result) for step in first.steps] == [(3, ActResult.DONE)]
    assert [(step.attempts, step.result) for step in second.steps] == [(1, ActResult.DONE)]
