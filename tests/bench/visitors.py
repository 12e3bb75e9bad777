"""Open tabs of the console: what a browser asks for, each in a connection of its own, for as long as they are open."""

from __future__ import annotations

import asyncio
import html
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlencode

import aiohttp

from tests.bench import workload

#: Seconds that all tabs may take to open.
PATIENCE = 60.0
#: Seconds after which a browser opens a stream again (`engine.console.stream.RETRY`).
RETRY = 2.0


class Tab(NamedTuple):
    """A page that somebody with a token has open."""

    page: str
    token: str


def tabs(count: int, tokens: Sequence[str]) -> list[Tab]:
    """So many tabs: each person has each page open that follows what happens, and the page of a job of their own."""
    found = []
    for number in range(count):
        turn, person = divmod(number, len(tokens))
        job = {
            "apiVersion": f"{workload.GROUP}/v1alpha1", "kind": "NotebookValidationJob", "namespace": workload.NAMESPACE,
            "name": workload.job_name(number),
        }  # fmt: skip
        pages = ("", "objects", f"object?{urlencode(job)}", "activity", "audit")
        found.append(Tab(pages[turn % len(pages)], tokens[person]))
    return found


class Visit:
    """One tab: how many news came, of how many bytes, and what went wrong."""

    def __init__(self, url: str, tab: Tab) -> None:
        self._url, self.page, self._headers = url, tab.page, {"Cookie": f"rulepack-token={tab.token}"}
        self.opened = asyncio.Event()
        self.news, self.bytes, self.fault = 0, 0, ""

    async def follow(self) -> None:
        """Open the page, and follow its stream as a browser does. Never returns, but where something is wrong."""
        connector = aiohttp.TCPConnector(ssl=False, limit=1)
        try:
            async with aiohttp.ClientSession(self._url, connector=connector, headers=self._headers) as session:
                async with session.get(self.page or ".", allow_redirects=False) as answer:
                    found = re.search(r'sse-connect="([^"]*)"', await answer.text())
                if answer.status != 200 or not found:
                    self.fault = f"page {self.page!r} was answered {answer.status}, without a stream"
                    return
                seen = ""
                while True:
                    seen = await self._stream(session, html.unescape(found[1]), seen)
                    await asyncio.sleep(RETRY)
        except (aiohttp.ClientError, OSError) as error:
            self.fault = f"page {self.page!r}: {error!r}"
        finally:
            self.opened.set()

    async def _stream(self, session: aiohttp.ClientSession, path: str, seen: str) -> str:
        """Follow one stream to its end; the id of its last event."""
        headers = {"Last-Event-ID": seen} if seen else {}
        async with session.get(path, headers=headers, timeout=aiohttp.ClientTimeout()) as answer:
            self.opened.set()
            async for line in answer.content:
                self.bytes += len(line)
                if line.startswith(b"id: "):
                    seen = line[4:].decode().strip()
                if line.startswith(b"event: "):
                    self.news += 1
                if line.startswith(b"event: ended"):
                    self.fault = f"page {self.page!r}: its stream was refused"
        return seen


@contextmanager
def visiting(url: str, wanted: Sequence[Tab]) -> Iterator[list[Visit]]:
    """All tabs open, in a thread of their own; what came to them is whole once they are closed. Raises TimeoutError."""
    ready, loop, visits = threading.Event(), asyncio.new_event_loop(), list[Visit]()

    async def all_of_them() -> None:
        visits.extend(Visit(url, tab) for tab in wanted)
        async with asyncio.TaskGroup() as group:
            for visit in visits:
                group.create_task(visit.follow())
            for visit in visits:
                await visit.opened.wait()
            ready.set()

    task = loop.create_task(all_of_them())
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait([task])))
    thread.start()
    try:
        if not ready.wait(PATIENCE):
            raise TimeoutError(f"not all tabs of the console were open after {PATIENCE:.0f} s")
        yield visits
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()
