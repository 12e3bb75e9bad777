"""A gateway between the engine and the API server, which can strike at a chosen request."""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from aiohttp import ClientResponse, ClientSession, ClientTimeout, TCPConnector, web
from yarl import URL

from tests.controlplane.plane import ControlPlane

#: Headers that hold for one connection only.
HOP = frozenset({"host", "connection", "transfer-encoding", "content-length"})


@dataclass(frozen=True, slots=True)
class Strike:
    """An action at a request that matches (the first one, or the `number`th), before the API server gets it or after it."""

    when: Literal["before", "after"]
    request: re.Pattern[str]
    """Searched for in 'METHOD path?query'."""
    action: Callable[[], None]
    number: int = 1
    done: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        """Strike; the request is never answered then."""
        self.action()
        self.done.set()


class Gateway:
    """Passes requests and watches on as they are, on a port of 127.0.0.1, in a thread of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._strike: Strike | None = None
        self._matched = 0
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def arm(self, strike: Strike) -> None:
        """Make a strike the next one."""
        self._strike, self._matched = strike, 0

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _open(self) -> None:
        trusted = ssl.create_default_context(cafile=str(self._plane.certificate))
        trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT  # see ControlPlane.request
        connector = TCPConnector(ssl=trusted, limit=0)
        self._session = ClientSession(connector=connector, auto_decompress=False, timeout=ClientTimeout(total=None))
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._session.close()
        await asyncio.sleep(0.25)  # for TLS to say goodbye (aiohttp: client advanced, graceful shutdown)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        strike = self._strike
        matches = strike is not None and strike.request.search(f"{request.method} {request.path_qs}") is not None
        self._matched += matches
        struck = strike is not None and matches and self._matched == strike.number
        if strike and struck:
            self._strike = None
            if strike.when == "before":
                strike()
                return web.Response(status=502)
        async with self._asked(request) as answer:
            if strike and struck:
                await answer.read()
                strike()
                return web.Response(status=502)
            response = self._response(answer)
            with suppress(ConnectionError):  # whoever asked may be gone by now
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
            return response

    @asynccontextmanager
    async def _asked(self, request: web.Request) -> AsyncIterator[ClientResponse]:
        """The API server's answer to a request."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        asked = self._session.request(
            request.method,
            URL(self._plane.url + request.raw_path, encoded=True),
            headers=headers,
            data=await request.read() or None,
            allow_redirects=False,
        )
        async with asked as answer:
            yield answer

    @staticmethod
    def _response(answer: ClientResponse) -> web.StreamResponse:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
        return web.StreamResponse(status=answer.status, headers=kept)
