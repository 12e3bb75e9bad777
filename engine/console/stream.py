"""What happens, as server-sent events: firings, the newest first and each in its place, and parts of pages as they change."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import NamedTuple

from aiohttp import web

from engine.console import render
from engine.console.content import SHOWN, Content, Filter
from engine.console.firings import Firings
from engine.console.viewer import Viewer
from engine.errors import ApiError

LASTS = 30.0
"""Seconds that a stream lasts; the browser then asks again. With those for which answers about rights are kept it is a minute."""
PAUSE = 1.0
"""Seconds between two events: a tab costs the same however much happens."""
SILENCE = 15.0
"""Seconds after which a comment is sent where nothing happens, so that no proxy ends the stream."""
STREAMS = 40
"""How many streams there may be: connections are bounded, and Prometheus needs some."""
SHARE = 10
"""How many times as long as rendering took a stream pauses at least: what is slow to render is rendered less often."""
NOTHING = ": nothing has happened\n\n"
RETRY = 2_000
"""Milliseconds after which the browser asks again."""


class Live(NamedTuple):
    """A part of a page that is kept up to date: how it reads now, and what is another one once it may read otherwise."""

    part: Callable[[], Awaitable[str]]
    mark: Callable[[], object]


class Stream:
    """Sends firings, and parts of pages, to those who follow them."""

    def __init__(self, content: Content, firings: Firings) -> None:
        self._content, self._firings = content, firings
        self._open = 0

    async def answer(
        self, request: web.BaseRequest, viewer: Viewer, only: Filter, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Send what happens after the version that the browser has seen, for a while."""
        seen = _number(request.headers.get("Last-Event-ID") or request.query.get("after", ""))
        if seen > self._firings.version:  # of another process, before a restart
            seen = 0
        return await self._send(request, headers, self._events(viewer, only, seen))

    async def follow(self, request: web.BaseRequest, live: Live, headers: Mapping[str, str]) -> web.StreamResponse:
        """Send a part of a page whenever it is another one than the browser has seen, for a while."""
        seen = request.headers.get("Last-Event-ID") or request.query.get("seen", "")
        return await self._send(request, headers, _renewed(live, seen))

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

    async def _events(self, viewer: Viewer, only: Filter, seen: int) -> AsyncGenerator[str]:
        news = asyncio.Event()
        self._firings.followers.add(news)
        try:
            async for event in self._firings_after(viewer, only, seen, news):
                yield event
        finally:
            self._firings.followers.discard(news)

    async def _firings_after(self, viewer: Viewer, only: Filter, seen: int, news: asyncio.Event) -> AsyncGenerator[str]:
        shown = deque([each.number async for each in self._content.visible(viewer, only, SHOWN) if each.version <= seen])
        while True:
            news.clear()
            version = self._firings.version
            found = [each async for each in self._content.visible(viewer, only, SHOWN, after=seen)]
            new, changed = list[tuple[int, str]](), list[str]()
            for firing in found:
                replaces, hidden = firing.number in shown, await self._content.hidden(viewer, firing)
                html = render.firing(firing, hidden, replaces=replaces)
                if replaces:
                    changed.append(html)
                else:
                    new.append((firing.number, html))
            if new:
                yield _event("new", "".join(html for _, html in new), version)
                shown.extendleft(number for number, _ in reversed(new))
            changed += [render.removed(shown.pop()) for _ in range(max(0, len(shown) - SHOWN))]
            if changed:
                yield _event("changed", "".join(changed), version)
            seen = version
            await asyncio.sleep(PAUSE)
            while not news.is_set():
                try:
                    async with asyncio.timeout(SILENCE):
                        await news.wait()
                except TimeoutError:
                    yield NOTHING

    async def ended(self, request: web.BaseRequest, headers: Mapping[str, str]) -> web.StreamResponse:
        """Say that the session has ended."""
        return await _only(request, headers, render.ended("Your session has ended, so nothing new is shown."))

    async def _refuse(self, request: web.BaseRequest, headers: Mapping[str, str]) -> web.StreamResponse:
        return await _only(request, headers, render.ended("Too many people follow this at present; reload the page to see news."))


async def _renewed(live: Live, seen: str) -> AsyncGenerator[str]:
    quiet = 0.0
    while True:
        mark, began = live.mark(), time.monotonic()
        html = await live.part()
        if (now := digest(html)) != seen:
            yield _event("part", html, now)
            seen, quiet = now, 0.0
        pause = max(PAUSE, SHARE * (time.monotonic() - began))
        await asyncio.sleep(pause)
        while live.mark() == mark:
            quiet += PAUSE
            if quiet >= SILENCE:
                yield NOTHING
                quiet = 0.0
            await asyncio.sleep(PAUSE)


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
