"""What happens, as server-sent events: firings, the newest first and each in its place, and parts of pages as they change."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import NamedTuple

from aiohttp import web

from engine.console import render
from engine.console.content import SHOWN, Content, Filter
from engine.console.firings import KEPT, Firings
from engine.console.shared import Live, Shared, Turns
from engine.console.viewer import Viewer
from engine.errors import ApiError

LASTS = 30.0
"""Seconds that a stream lasts; the browser then asks again. With those for which answers about rights are kept it is a minute."""
STREAMS = 40
"""How many streams there may be: connections are bounded, and Prometheus needs some."""
AT_ONCE = 10
"""How many firings are rendered before others have their turn."""
RETRY = 2_000
"""Milliseconds after which the browser asks again."""


class _Step(NamedTuple):
    """News about firings, the version that a browser has seen then, and which firings it shows."""

    news: str
    seen: int
    shown: tuple[int, ...]


class Stream:
    """Sends firings, and parts of pages, to those who follow them.

    All that follow the same have their turns at the same time, so that what is rendered for one of them is good for the others
    with the same rights; those of different pages have them at different times, so that no turn takes long.
    """

    def __init__(self, content: Content, firings: Firings) -> None:
        self._content, self._firings = content, firings
        self._open = 0
        self._shared = Shared()

    async def answer(
        self, request: web.BaseRequest, viewer: Viewer, only: Filter, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Send what happens after the version that the browser has seen, for a while."""
        seen = _number(request.headers.get("Last-Event-ID") or request.query.get("after", ""))
        if seen > self._firings.version:  # of another process, before a restart
            seen = 0
        return await self._send(request, headers, self._firings_after(viewer, only, seen))

    async def follow(
        self, request: web.BaseRequest, viewer: Viewer, live: Live[str], headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Send a part of a page whenever it is another one than the browser has seen, for a while."""
        seen = request.headers.get("Last-Event-ID") or request.query.get("seen", "")
        return await self._send(request, headers, self._renewed(viewer, live, seen))

    async def _send(
        self, request: web.BaseRequest, headers: Mapping[str, str], events: AsyncGenerator[str]
    ) -> web.StreamResponse:
        if self._open >= STREAMS:
            return await self._refuse(request, headers)
        response = await _begin(request, headers)
        self._open += 1
        try:
            with suppress(TimeoutError, ApiError):  # then the browser asks again
                async with asyncio.timeout(LASTS), aclosing(events):
                    async for event in events:
                        await response.write(event.encode(errors="replace"))
        finally:
            self._open -= 1
        await response.write_eof()
        return response

    async def _firings_after(self, viewer: Viewer, only: Filter, seen: int) -> AsyncGenerator[str]:
        turns = Turns(only)
        numbers = [each.number async for each in self._content.visible(viewer, only, KEPT) if each.number <= seen]
        shown = tuple(numbers[:SHOWN])
        while True:
            live = Live((only, seen, shown), partial(self._step, viewer, only, seen, shown), lambda: self._firings.version)
            made = await self._shared.of(viewer, live, turns.now)
            news, seen, shown = made.value
            if news:
                yield news
            async for nothing in turns.until_changed(live, made):
                yield nothing

    async def _step(self, viewer: Viewer, only: Filter, seen: int, shown: tuple[int, ...]) -> _Step:
        version, new, changed = self._firings.version, list[tuple[int, str]](), list[str]()
        async for firing in self._content.visible(viewer, only, SHOWN, after=seen):
            replaces, hidden = firing.number in shown, await self._content.hidden(viewer, firing)
            html = render.firing(firing, hidden, replaces=replaces)
            if replaces:
                changed.append(html)
            else:
                new.append((firing.number, html))
            if (len(new) + len(changed)) % AT_ONCE == 0:
                await asyncio.sleep(0)
        shown = (*(number for number, _ in new), *shown)
        if gone := shown[SHOWN:]:
            changed.append(render.removed(gone))
        news = _event("new", "".join(html for _, html in new), version) if new else ""
        news += _event("changed", "".join(changed), version) if changed else ""
        return _Step(news, version, shown[:SHOWN])

    async def _renewed(self, viewer: Viewer, live: Live[str], seen: str) -> AsyncGenerator[str]:
        async def part() -> tuple[str, str]:
            html = await live.part()
            return digest(html), html

        turns, digested = Turns(live.key), Live(live.key, part, live.mark)
        while True:
            made = await self._shared.of(viewer, digested, turns.now)
            now, html = made.value
            if now != seen:
                yield _event("part", html, now)
                seen = now
            async for nothing in turns.until_changed(digested, made):
                yield nothing

    async def ended(self, request: web.BaseRequest, headers: Mapping[str, str]) -> web.StreamResponse:
        """Say that the session has ended."""
        return await _only(request, headers, render.ended("Your session has ended, so nothing new is shown."))

    async def _refuse(self, request: web.BaseRequest, headers: Mapping[str, str]) -> web.StreamResponse:
        return await _only(request, headers, render.ended("Too many people follow this at present; reload the page to see news."))


def digest(html: str) -> str:
    """Return what distinguishes a part of a page from another one."""
    return hashlib.blake2b(html.encode(errors="replace"), digest_size=12).hexdigest()


async def _begin(request: web.BaseRequest, headers: Mapping[str, str]) -> web.StreamResponse:
    own = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers={**headers, **own})
    await response.prepare(request)
    await response.write(f"retry: {RETRY}\n\n".encode())
    return response


async def _only(request: web.BaseRequest, headers: Mapping[str, str], html: str) -> web.StreamResponse:
    response = await _begin(request, headers)
    await response.write(_event("ended", html, 0).encode())
    await response.write_eof()
    return response


def _event(name: str, html: str, version: int | str) -> str:
    """Return an event; a line break of any kind would end a line of its data (HTML Living Standard, 9.2.6)."""
    data = "".join(f"data: {line}\n" for line in html.splitlines() if line.strip())
    return f"id: {version}\nevent: {name}\n{data}\n"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 16 else 0
