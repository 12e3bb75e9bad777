"""The page Audit: what would have been done, and what is to be typed to have it done."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.console.firings import KEPT, Firings
from engine.model.flags import Mode
from tests.unit.console.builder import ADMIN, HOSTILE, NOBODY, PACK, TEAM, Console
from tests.unit.console.test_pages import act_of, text_of
from tests.unit.operator.test_operator import CONFIG_MAP

FLAGS = "rulepack-feature-flags"
FLAG = f'kubectl patch configmap {FLAGS} -n system --type=merge -p \'{{"data": {{"widgets": "Enforce"}}}}\''


async def audit(console: Console, data: Mapping[str, str] | None = None) -> None:
    """Have widgets that rules fire for, with a ConfigMap of feature flags."""
    flags = {"metadata": {"name": FLAGS}, "data": {"widgets": "Audit"} if data is None else data}
    await console.cluster.create(CONFIG_MAP, "system", flags)
    await console.clock.advance(5)
    for namespace, name in (("team-a", "one"), ("team-a", "two"), ("team-b", "three")):
        await console.widget(namespace, name)


def commands(page: str) -> list[str]:
    """The commands on a page."""
    return [html.unescape(each) for each in re.findall(r'<pre[^>]*aria-label="Command[^>]*>(.*?)</pre>', page, re.DOTALL)]


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """A console that is not running yet."""
    return Console(tmp_path)


async def test_what_would_have_been_done_is_grouped_by_rule(console: Console) -> None:
    """How often, for which objects, and the newest with their differences; a filter chooses packs; what was done is not there."""
    async with console.running():
        await console.widget("team-a", "before")
        await audit(console)
        page, other = await console.visit("audit", ADMIN), await console.visit("audit?pack=other", ADMIN)
        copy = await console.cluster.get(CONFIG_MAP, "team-b", "copy")
    text = text_of(page.text.replace("</h2>", " </h2>").replace("</h3>", " </h3>"))
    assert "widgets Audit" in text
    assert re.search(r"mark Would have fired 3 times for 3 objects, last at \S+ \S+ UTC: Widget team-b/three, ", text)
    assert page.text.count('class="firing audited"') == 3
    assert 'data.note: "old" → "plain"' in html.unescape(page.text)
    assert "before" not in page.text.replace("before it", "")
    assert "activity?pack=widgets&amp;rule=mark&amp;result=audited" in page.text
    assert "Nothing fits this filter." in other.text
    assert copy["data"] == {"note": "old"}


async def test_each_viewer_sees_what_they_may_get(console: Console) -> None:
    """Objects by their rights, and commands by the right to see packs."""
    async with console.running():
        await audit(console)
        admin, team, nobody = [(await console.visit("audit", user)).text for user in (ADMIN, TEAM, NOBODY)]
    assert commands(admin) == [FLAG]
    assert "Would have fired 2 times for 2 objects" in text_of(team)
    assert "team-b" not in team
    assert commands(team) == commands(nobody) == []
    assert "Widget" not in nobody


@pytest.mark.parametrize(
    ("pack", "flags", "options", "expected"),
    [
        (PACK, {"widgets": "Audit"}, {}, [FLAG]),
        (PACK.replace("spec:\n", "spec:\n  defaultMode: Audit\n", 1), {"other": "Enforce"}, {}, [FLAG]),
        (PACK.replace("spec:\n", "spec:\n  mode: Audit\n", 1), {}, {}, "says mode: Audit: write Enforce there"),
        (PACK, {}, {"flags": {"widgets": Mode.AUDIT}}, "--feature-flags of the operator says widgets=Audit: take it out there"),
        (PACK, {}, {"dry_run": True}, "The operator runs with --dry-run"),
    ],
    ids=["flag", "default", "text", "option", "dry run"],
)
async def test_whatever_keeps_a_pack_in_audit_is_said(
    tmp_path: Path, pack: str, flags: Mapping[str, str], options: dict[str, Any], expected: str | list[str]
) -> None:
    """A command where there is one, else where to change it."""
    console = Console(tmp_path, pack)
    async with console.running(**options):
        await audit(console, flags)
        page = (await console.visit("audit", ADMIN)).text
    assert "Would have fired 3 times" in text_of(page)
    if isinstance(expected, str):
        assert expected in text_of(page)
        assert commands(page) == []
    else:
        assert commands(page) == expected


async def test_a_flag_that_has_no_configmap_yet_is_set_by_creating_it(tmp_path: Path) -> None:
    """A patch of what is not there would fail."""
    console = Console(tmp_path, PACK.replace("spec:\n", "spec:\n  defaultMode: Audit\n", 1))
    async with console.running():
        page = (await console.visit("audit", ADMIN)).text
    assert commands(page) == [f"kubectl create configmap {FLAGS} -n system --from-literal=widgets=Enforce"]
    assert "No rule of it would have done anything since this replica started." in page


async def test_a_rule_that_is_in_audit_itself_says_so(tmp_path: Path) -> None:
    """Its pack is enforced, and no command changes a text."""
    console = Console(tmp_path, PACK.replace("- name: mark\n", "- name: mark\n      mode: Audit\n"))
    async with console.running():
        await console.widget("team-a", "w")
        page = (await console.visit("audit", ADMIN)).text
    assert "The rule itself says mode: Audit" in text_of(page)
    assert commands(page) == []


async def test_nothing_of_an_object_becomes_markup(console: Console) -> None:
    """Nor does it turn the direction of what stands beside it."""
    async with console.running():
        await audit(console)
        await console.widget("team-a", "hostile", 20, HOSTILE)
        pages = [(await console.visit(page, ADMIN)).text for page in ("audit?live=off", "audit?live=off&pack=%3Cscript%3E")]
    assert "&lt;script&gt;alert(1)" in pages[0]
    for page in pages:
        assert "<script" not in page
        assert "<img" not in page
        assert not set(page) & set("\u202e\u2066\x1b\x00\r")


def test_the_page_is_rendered_again_only_where_what_it_shows_has_changed(console: Console) -> None:
    """What was done is no news there; that a firing in Audit is not remembered any more is."""
    firings = Firings(console.clock)
    firings.acted(act_of("done"))
    assert firings.audited == 0
    firings.acted(act_of("audited")._replace(mode=Mode.AUDIT))
    first = firings.audited
    assert first == firings.version
    for number in range(KEPT - 1):
        firings.acted(act_of(f"done-{number}"))
    assert firings.audited == first
    firings.acted(act_of("one-more"))
    assert firings.audited > first
