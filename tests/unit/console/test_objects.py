"""The pages Objects: what is found, why rules fire for an object, and to whom that is said."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

import pytest

from engine.cli.explained import as_text
from engine.console.objects import FOUND, RULES
from engine.console.visible import BYTES, OBJECTS
from engine.errors import ApiError
from engine.kube.faults import InjectedFault
from engine.testing.explain import explain
from tests.unit.console.builder import ADMIN, HOSTILE, HTML, NOBODY, PACK, TEAM, Console, may
from tests.unit.console.test_pages import LOOKS_UP, SECRET, text_of
from tests.unit.operator.test_operator import CONFIG_MAP, NAMESPACE, WIDGET

WORD = "b3BlbiBzZXNhbWU="
COUNTING = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: widgets}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget, namespaceSelector: {matchLabels: {team: a}}}
  metrics: {widgets_big: {type: gauge, help: Widgets that are big., labels: [team]}}
  rules:
    - name: mark
      when: object.spec.size > 10
      existing: CatchUp
      actions: [{annotate: {annotations: {example.com/mark: big}}}]
    - name: count
      aggregate: {by: object.metadata.namespace, counts: {big: object.spec.size > 10}}
      actions: [{metric: {name: widgets_big, labels: {team: '${groupKey}'}, value: '${group.big}'}}]
"""
LISTING = (
    PACK.replace(
        "    - name: refuse\n",
        "    - name: refuse\n      lookup: {all: {apiVersion: v1, kind: ConfigMap, labelSelector: {big: 'yes'}, live: true}}\n",
    )
    .replace("object.spec.size > 100", "object.spec.size > 100 && size(lookup.all) > 0")
    .replace("verbs: [get,", "verbs: [get, list,")
)


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """A console that is not running yet."""
    return Console(tmp_path)


def page_of(name: str, namespace: str = "team-a", **only: str) -> str:
    """The page of a widget."""
    query = {"apiVersion": "example.com/v1", "kind": "Widget", "namespace": namespace, "name": name, **only}
    return f"object?{urlencode(query)}"


async def switch_off(console: Console) -> None:
    """Set the pack's mode to Off."""
    flags = {"metadata": {"name": "rulepack-feature-flags"}, "data": {"widgets": "Off"}}
    await console.cluster.create(CONFIG_MAP, "system", flags)
    await console.clock.advance(5)


def rules_of(page: str) -> Mapping[str, str]:
    """The text of each rule on a page."""
    parts = re.findall(r"<article.*?</article>", page, re.DOTALL)
    texts = (text_of(part.replace("<", " <").replace("\n", " ")) for part in parts)
    return {text.split()[0]: text for text in texts}


async def test_objects_are_searched_by_kind_namespace_and_name(console: Console) -> None:
    """In order of namespace and name, each with a link to its page."""
    async with console.running():
        for namespace, name in (("team-b", "blue"), ("team-a", "red"), ("team-a", "blue")):
            await console.widget(namespace, name)
        queries = ("", "?name=BLU", "?namespace=-b", "?kind=Widget.example.com/v1&name=red", "?kind=Job.batch/v1")
        found = [
            re.findall(r'<a href="(object\?.*?)"', (await console.visit(f"objects{query}", ADMIN)).text) for query in queries
        ]
        one = await console.visit(html.unescape(found[1][0]), ADMIN)
    names = [[tuple(re.findall(r"name(?:space)?=([a-z-]+)", html.unescape(each))) for each in links] for links in found]
    assert names[0] == [("team-a", "blue"), ("team-a", "red"), ("team-b", "blue")]
    assert names[1:] == [[("team-a", "blue"), ("team-b", "blue")], [("team-b", "blue")], [("team-a", "red")], []]
    assert "Widget team-a/blue" in one.text


async def test_a_search_shows_the_first_hundred_and_says_that_there_are_more(console: Console) -> None:
    """However many there are."""
    async with console.running():
        for number in range(FOUND + 5):
            await console.widget("team-a", f"w{number:03}", 1)
        page = (await console.visit("objects", ADMIN)).text
    assert page.count('<a href="object?') == FOUND
    assert "w099" in page
    assert "w100" not in page
    assert "There are more than these 100" in page


async def test_conditions_come_with_the_values_that_they_read(console: Console) -> None:
    """With what holds each rule back, what is on record, what waits and why; as `rulepack explain` says it."""
    async with console.running():
        await console.widget("team-a", "waits", 50)
        await console.clock.advance(70)
        page = (await console.visit(page_of("waits"), ADMIN)).text
        obj = await console.cluster.get(WIDGET, "team-a", "waits")
        reported = await explain(console.cluster, console.clock, console.operator.reconciler.catalog, obj)
    rules = rules_of(page)
    assert "mark skipped Note what is big. It does not fire: already fired for plain" in rules["mark"]
    assert "✓ object.spec.size > 10 true object.spec.size = 50" in rules["mark"]
    assert 'On record: {"key":"plain","outcome":"Done"' in rules["mark"]
    assert "It does not fire: when[1] is false: object.spec.size > 100" in rules["refuse"]
    assert "✗ object.spec.size > 100 false object.spec.size = 50" in rules["refuse"]
    assert rules["wait"].startswith("wait fires")
    assert re.search(r"running: it waits since \S+ \(TargetNotReady\), and is tried again at", rules["wait"])
    assert "Waits: ConfigMap team-a/copy does not meet the guard yet" in rules["wait"]
    assert "patch waiting : ConfigMap team-a/copy does not meet the guard yet" in rules["wait"]
    lines = " ".join(as_text(reported))
    for rule in reported.packs[0].rules:
        assert rule.skipped in rules[rule.name]
        assert all(clause.source in rules[rule.name] and clause.source in lines for clause in rule.clauses)


async def test_what_a_rule_would_do_is_shown_and_nothing_is_done(console: Console) -> None:
    """With its differences; looking changes nothing on the cluster."""
    async with console.running():
        await console.cluster.create(
            CONFIG_MAP, "system", {"metadata": {"name": "rulepack-feature-flags"}, "data": {"widgets": "Off"}}
        )
        await console.clock.advance(5)
        await console.widget("team-a", "w")
        before = await console.cluster.get(WIDGET, "team-a", "w"), await console.cluster.get(CONFIG_MAP, "team-a", "copy")
        page = (await console.visit(page_of("w"), ADMIN)).text
        after = await console.cluster.get(WIDGET, "team-a", "w"), await console.cluster.get(CONFIG_MAP, "team-a", "copy")
    assert before == after
    mark = rules_of(page)["mark"]
    assert "It does not fire: its mode is Disabled" in mark
    assert "Would do, were it not Disabled: patch merge patch of ConfigMap team-a/copy" in mark
    assert 'data.note: "old" → "plain"' in mark


async def test_each_viewer_sees_what_they_may_get(console: Console) -> None:
    """The team sees its objects without the text of packs; those of others are as if they were not there."""
    async with console.running():
        await console.widget("team-a", "ours", 50)
        await console.widget("team-b", "theirs", 50)
        await console.clock.advance(70)
        search = {user: (await console.visit("objects", user)).text for user in (ADMIN, TEAM, NOBODY)}
        own, theirs = await console.visit(page_of("ours"), TEAM), await console.visit(page_of("theirs", "team-b"), TEAM)
        gone, other = (
            await console.visit(page_of("gone"), TEAM),
            await console.visit(page_of("x").replace("Widget", "Job"), ADMIN),
        )
    assert ["ours" in page for page in search.values()] == [True, True, False]
    assert ["theirs" in page for page in search.values()] == [True, False, False]
    rules = rules_of(own.text)
    assert "It does not fire: when[1] is false" in rules["refuse"]
    assert "Waits: ConfigMap team-a/copy does not meet the guard yet" in rules["wait"]
    assert "object.spec" not in own.text
    assert [each.status for each in (theirs, gone, other)] == [404, 404, 404]
    assert "theirs" not in theirs.text
    assert text_of(theirs.text) == text_of(gone.text)


async def test_of_what_the_viewer_may_not_get_no_rule_shows_anything(console: Console) -> None:
    """The target of a step is not read for them; the page says so, and the operator's own rights are left alone."""
    console.cluster.access = lambda spec: may(spec) and spec.get("resourceAttributes", {}).get("resource") != "configmaps"
    async with console.running():
        await console.cluster.create(
            CONFIG_MAP, "system", {"metadata": {"name": "rulepack-feature-flags"}, "data": {"widgets": "Off"}}
        )
        await console.clock.advance(5)
        await console.widget("team-a", "w")
        mark = rules_of((await console.visit(page_of("w"), TEAM)).text)["mark"]
    assert "you may not get objects of kind ConfigMap in namespace team-a" in mark
    assert '"old"' not in mark
    assert "data.note" not in mark


async def test_no_secret_is_read(tmp_path: Path) -> None:
    """Neither one that a rule looks up, nor the object itself; and what a rule that looks one up has on record is hidden."""
    console = Console(
        tmp_path, LOOKS_UP.replace("when: object.spec.size > 100", "when: object.spec.size > 100 && lookup.s.data.word != ''")
    )
    async with console.running():
        await console.cluster.create(SECRET, "team-a", {"metadata": {"name": "s"}, "data": {"word": WORD}})
        await console.widget("team-a", "w", 200)
        await console.clock.advance(70)
        before = len(console.cluster.faults.calls)
        page = (await console.visit(page_of("w"), ADMIN)).text
        calls = console.cluster.faults.calls[before:]
    assert {call.ref.kind.kind for call in calls if call.verb in ("get", "list")} >= {"Widget"}
    assert not [call for call in calls if call.ref.kind.kind == "Secret" and call.verb != "discover"]
    assert "the console reads no Secret" in rules_of(page)["refuse"]
    assert WORD not in page


async def test_groups_are_not_counted_for_a_page(tmp_path: Path) -> None:
    """Of a rule that counts, the page says in which group; of a selector, whether it picks the object's namespace."""
    console = Console(tmp_path, COUNTING)
    async with console.running():
        namespace = await console.cluster.discover(NAMESPACE.kind)
        await console.cluster.patch(namespace, "", "team-a", {"metadata": {"labels": {"team": "a"}}})
        await console.clock.advance(2)
        await console.widget("team-a", "w")
        await console.widget("team-b", "w")
        pages = [(await console.visit(page_of("w", name), ADMIN)).text for name in ("team-a", "team-b")]
    assert "It does not fire: counts in group 'team-a'" in rules_of(pages[0])["count"]
    assert "Its namespace selector team=a picks this object." in text_of(pages[0])
    assert "does not pick this object, so no rule sees it" in text_of(pages[1])
    assert rules_of(pages[1]) == {}


@pytest.mark.parametrize("size", [1_000, BYTES // OBJECTS * 2], ids=["many", "large"])
async def test_a_lookup_that_finds_too_much_is_not_made(tmp_path: Path, size: int) -> None:
    """The operator's memory is not the viewer's to spend."""
    console = Console(tmp_path, LISTING)
    async with console.running():
        for number in range(OBJECTS + 1 if size == 1_000 else OBJECTS // 2 + 1):
            meta = {"name": f"c{number}", "labels": {"big": "yes"}}
            await console.cluster.create(CONFIG_MAP, "team-a", {"metadata": meta, "data": {"a": "x" * size}})
        await console.widget("team-a", "w", 200)
        refuse = rules_of((await console.visit(page_of("w"), ADMIN)).text)["refuse"]
    assert "what it looks up among all ConfigMaps is more than this page reads" in refuse


@pytest.mark.parametrize("note", [HOSTILE, HTML * 20_000], ids=["markup", "1 MB"])
async def test_nothing_of_an_object_becomes_markup(console: Console, note: str) -> None:
    """Nor does it turn the direction of what stands beside it, or make the page long."""
    async with console.running():
        await console.widget("team-a", "a", 200, note)
        await console.clock.advance(70)
        pages = [(await console.visit(page_of("a", live="off"), ADMIN)).text]
        for name in ("kind", "namespace", "name"):
            pages.append((await console.visit(f"objects?{urlencode({name: note[:2_000], 'live': 'off'})}", ADMIN)).text)
        pages.append((await console.visit(page_of("a", pack=HTML, rule=HTML, live="off"), ADMIN)).text)
        pages.append((await console.visit(page_of(HTML), ADMIN)).text)
    assert "&lt;script&gt;alert(1)" in pages[0]
    for page in pages:
        assert "<script" not in page
        assert "<img" not in page
        assert not set(page) & set("\u202e\u2066\x1b\x00\r")
        assert len(page) < 40_000


async def test_a_page_shows_a_hundred_rules_and_is_filtered_by_their_names(tmp_path: Path) -> None:
    """It says how many are left out."""
    rule = "    - name: r{0}\n      when: object.spec.size > {0}\n      actions: [{{annotate: {{annotations: {{a/r{0}: b}}}}}}]\n"
    head = PACK[: PACK.index("    - name: mark")]
    texts = [head.replace("name: widgets", f"name: p{pack}") + "".join(map(rule.format, range(60))) for pack in range(3)]
    console = Console(tmp_path, "---\n".join(texts))
    async with console.running():
        await console.widget("team-a", "w", 0)
        page = (await console.visit(page_of("w"), ADMIN)).text
        one = (await console.visit(page_of("w", pack="p2", rule="r17"), ADMIN)).text
    assert page.count("<article") == RULES
    assert "And 80 more rules" in page
    assert list(rules_of(one)) == ["r17"]


async def test_an_api_server_that_does_not_answer_is_said(console: Console) -> None:
    """The page of an object needs it, and says so; a search does not."""
    async with console.running():
        await console.widget("team-a", "w")
        await console.visit(page_of("w"), ADMIN)
        console.cluster.faults.add(InjectedFault(ApiError(503, "Unavailable", "the server is down"), "list", "Widget"))
        page, search = await console.visit(page_of("w"), ADMIN), await console.visit("objects", ADMIN)
    assert (page.status, search.status) == (502, 200)
    assert "the server is down" in page.text


async def test_objects_are_explained_two_at_a_time(console: Console) -> None:
    """All who ask are answered."""
    async with console.running():
        await console.widget("team-a", "w")
        pages = await asyncio.gather(*(console.visit(page_of("w"), ADMIN) for _ in range(8)))
    assert {page.status for page in pages} == {200}
