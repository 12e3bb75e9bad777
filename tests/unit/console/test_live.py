"""Parts of pages that are sent again when they have changed: only then, and to whoever may see them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.console.content import SHOWN
from engine.console.firings import Firings
from engine.kube.faults import InjectedFault
from engine.model.objects import ObjectKey, Ref
from engine.model.observe import Evaluated
from tests.unit.console.builder import ADMIN, TEAM, Console
from tests.unit.operator.test_operator import CONFIG_MAP, WIDGET

OBJECT = "object?apiVersion=example.com%2Fv1&kind=Widget&namespace=team-a&name=w"


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    """A console with one widget."""
    console = Console(tmp_path)
    async with console.running():
        await console.widget("team-a", "w", 5)
        yield console


async def stream_of(console: Console, page: str, token: str = ADMIN) -> str:
    """Where a page says that its news come from."""
    text = (await console.visit(page, token)).text
    found = re.search(r'sse-connect="([^"]*)"', text)
    assert found
    return found[1].replace("&amp;", "&")


async def news(console: Console, page: str, token: str = ADMIN, count: int = 1) -> asyncio.Task[list[str]]:
    """What comes to whoever has a page open; the stream is there when this returns."""
    task = asyncio.create_task(console.events(await stream_of(console, page, token), token, count))
    await asyncio.sleep(0.5)
    return task


async def resize(console: Console, size: int) -> None:
    """Change the widget."""
    await console.cluster.patch(WIDGET, "team-a", "w", {"spec": {"size": size}})
    await console.clock.advance(2)


async def test_an_object_that_comes_or_goes_is_sent_to_who_follows_the_search(console: Console) -> None:
    """With the search of the page; a change of an object that stays is no news there."""
    task = await news(console, "objects?name=new")
    await resize(console, 6)
    await asyncio.sleep(1.5)
    assert not task.done()
    await console.widget("team-a", "new", 5)
    (event,) = await asyncio.wait_for(task, 10)
    assert "event: part" in event
    assert "<bdi>new</bdi>" in event
    assert "<bdi>w</bdi>" not in event
    assert "<form" not in event


async def test_nothing_comes_of_an_object_that_the_viewer_may_not_get(console: Console) -> None:
    """The part reads the same to them, so nothing is sent."""
    task = await news(console, "objects", TEAM)
    await console.widget("team-b", "theirs", 5)
    await asyncio.sleep(1.5)
    assert not task.done()
    await console.widget("team-a", "ours", 5)
    (event,) = await asyncio.wait_for(task, 10)
    assert "ours" in event
    assert "theirs" not in event


async def test_an_object_is_explained_again_when_it_changes(console: Console) -> None:
    """With what its conditions read now; and that it is gone."""
    task = await news(console, OBJECT)
    await resize(console, 7)
    (event,) = await asyncio.wait_for(task, 10)
    assert "object.spec.size</bdi></code> = <code><bdi>7<" in event
    task = await news(console, OBJECT)
    await console.cluster.delete(WIDGET, "team-a", "w")
    await console.clock.advance(2)
    (event,) = await asyncio.wait_for(task, 10)
    assert "The object is gone" in event


async def test_what_packs_in_audit_would_do_is_sent_as_it_happens(console: Console) -> None:
    """Also where the page said that there is nothing yet."""
    flags = {"metadata": {"name": "rulepack-feature-flags"}, "data": {"widgets": "Audit"}}
    await console.cluster.create(CONFIG_MAP, "system", flags)
    await console.clock.advance(5)
    task = await news(console, "audit?pack=widgets")
    await console.widget("team-a", "audited")
    (event,) = await asyncio.wait_for(task, 10)
    assert "Widget team-a/audited" in event


async def test_the_overview_is_renewed(console: Console) -> None:
    """Though nothing but time has passed: what waits for a minute is there then."""
    await console.widget("team-a", "waits", 50)
    task = await news(console, "")
    await console.clock.advance(70)
    (event,) = await asyncio.wait_for(task, 10)
    assert "widgets/wait</bdi></a> waits" in event


async def test_the_browser_that_follows_again_shows_each_firing_once(console: Console) -> None:
    """What has changed meanwhile takes its place, and what is too much goes."""
    await console.widget("team-a", "waits", 50)
    first, *_ = await asyncio.wait_for(console.events("activity-stream?after=0", ADMIN, 1), 10)
    (number,) = set(re.findall(r'id="firing-(\d+)"[^\n]*\n[^\n]*pack[^\n]*widgets/wait', first))
    seen = first.partition("\n")[0].removeprefix("id: ")
    await console.clock.advance(10)
    again = "".join(await asyncio.wait_for(console.events(f"activity-stream?after={seen}", ADMIN, 1), 10))
    assert f'id="firing-{number}" class="firing waiting" hx-swap-oob="true"' in again
    assert "event: new" not in again
    for each in range(SHOWN):
        await console.widget("team-a", f"more-{each}")
    assert int(seen) < int(number) + SHOWN
    events = await asyncio.wait_for(console.events(f"activity-stream?after={seen}", ADMIN, 2), 10)
    news, changed = (
        "".join(each for each in events if "event: new" in each),
        "".join(each for each in events if "changed" in each),
    )
    assert f'id="firing-{number}"' not in news
    assert f'id="firing-{number}" hx-swap-oob="delete"' in changed


async def test_the_browser_that_asks_again_gets_nothing_twice(console: Console) -> None:
    """The page itself, and each event, say what has been seen; whoever has seen something else gets the part at once."""
    (event,) = await console.events("objects-stream?seen=other", ADMIN, 1)
    seen = event.partition("\n")[0].removeprefix("id: ")
    assert f"seen={seen}" in await stream_of(console, "objects")
    task = asyncio.create_task(console.events(f"objects-stream?seen={seen}", ADMIN, 1))
    await asyncio.sleep(1.5)
    assert not task.done()
    task.cancel()


async def test_a_page_that_is_paused_names_no_stream(console: Console) -> None:
    """It is one link to follow again, and has no script."""
    for page in ("", "objects", OBJECT, "audit"):
        text = (await console.visit(f"{page}{'&' if '?' in page else '?'}live=off", ADMIN)).text
        assert "sse-connect" not in text
        assert "<script" not in text
        assert ">Follow</a>" in text


async def test_nothing_is_counted_for_a_page_that_nobody_has_open(console: Console) -> None:
    """What is kept to know of changes of an object goes with its last stream."""
    firings, key, ref = Firings(console.clock), ObjectKey(WIDGET.kind, "team-a", "w"), Ref(WIDGET.kind, "team-a", "w", "uid")
    firings.evaluated("widgets", "mark", ref, Evaluated.SKIPPED, "")
    assert not firings.evaluations
    with firings.following(key), firings.following(key):
        before = firings.evaluations[key]
        firings.evaluated("widgets", "mark", ref, Evaluated.SKIPPED, "")
        after = firings.evaluations[key]
    assert before != after
    assert not firings.evaluations
    with firings.following(key):
        assert firings.evaluations[key] not in (before, after)
    assert not firings.looked_at


async def test_a_session_that_has_ended_ends_the_news_and_an_api_server_without_an_answer_too(console: Console) -> None:
    """The first by a message; after the second the browser asks again."""
    for page in ("overview", "objects", "object", "audit"):
        (event,) = await console.events(f"{page}-stream", "", 1)
        assert "event: ended" in event
    console.cluster.faults.add(InjectedFault(500, verb="create", kind="SubjectAccessReview"))
    assert await console.events("objects-stream", ADMIN, 1) == []
