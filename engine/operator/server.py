"""HTTP servers that answer GET requests on fixed paths, and may be reached by anybody: each connection costs little and ends.

What is mounted under a path answers whatever is asked there, and itself says who may ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from engine.errors import UsageError
from engine.operator.certificate import Certificate

TEXT = "text/plain; charset=utf-8"


class Reply(NamedTuple):
    """An answer; others get a turn of the event loop after each piece of its body."""

    body: Iterable[bytes]
    content_type: str = TEXT
    status: int = HTTPStatus.OK

    @classmethod
    def text(cls, text: str, status: int = HTTPStatus.OK) -> Reply:
        """Return a short text."""
        return cls((text.encode() + b"\n",), status=status)


class Limits(NamedTuple):
    """What the connections of one server may take."""

    connections: int = 100
    """For one more, the one that has been idle for longest is closed."""
    begin: float = 10.0
    """Seconds for TLS, and then as many for the first request."""
    idle: float = 90.0
    """Seconds until the next request; Prometheus asks every 30 to 60 s."""
    answer: float = 60.0
    """Seconds for an answer, including whoever reads it slowly."""


LIMITS = Limits()


class Queried(NamedTuple):
    """An answer that depends on the query of a request."""

    answer: Callable[[Mapping[str, str]], Reply]


Answer = Callable[[], Reply] | Queried
Guard = Callable[[str, str], Awaitable[Reply | None]]
"""Given the header Authorization and the path, what a request is refused with, None where it is allowed."""

Pages = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Answers requests under a path, of any method and without the guard; what takes longer than `Limits.answer` is cut off."""


class Server:
    """Answers GET requests on an address, all of them where it is empty; port 0 picks a free one, which `port` then names.

    With a certificate it speaks TLS; with a guard it asks it about each request. `option` is how people set the port.
    """

    def __init__(
        self, address: str, port: int, option: str, answers: Mapping[str, Answer],
        *, guard: Guard | None = None, certificate: Certificate | None = None, limits: Limits = LIMITS,
    ) -> None:  # fmt: skip
        self.address, self.port, self._option, self._answers = address, port, option, answers
        self._guard, self._certificate, self._limits = guard, certificate, limits
        self._mounted: dict[str, Pages] = {}
        self._connections: _Connections | None = None
        self._listening: asyncio.Server | None = None

    @property
    def paths(self) -> Sequence[str]:
        """What is answered here."""
        return [*self._answers, *self._mounted]

    def mount(self, path: str, pages: Pages) -> None:
        """Have pages answer a path and what is below it."""
        self._mounted[path] = pages

    async def start(self) -> None:
        """Listen. Raises UsageError where the address cannot be had."""
        self._connections = _Connections(self._answer, self._limits)
        tls = self._certificate.context if self._certificate else None
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                self._connections, self.address or None, self.port,
                ssl=tls, ssl_handshake_timeout=self._limits.begin if tls else None,
            )  # fmt: skip
        except OSError as error:
            where, why = f"{self.address or '*'}:{self.port}", error.strerror or error
            raise UsageError(f"cannot listen on {where}: {why}; choose another --address or {self._option}") from error
        self.port = self._listening.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listening socket and what is open on it."""
        if self._listening is not None and self._connections is not None:
            self._listening.close()
            await self._connections.shutdown(1.0)
            self._connections.abort()
            await asyncio.sleep(0)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        async with asyncio.timeout(self._limits.answer):
            for path, pages in self._mounted.items():
                if (request.path + "/").startswith(path + "/"):
                    return await pages(request)
            reply = await self._reply(request)
            response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
            await response.prepare(request)
            for piece in reply.body:
                await response.write(piece)
                await asyncio.sleep(0)  # a write waits only for whoever reads slowly
            await response.write_eof()
            return response

    async def _reply(self, request: web.BaseRequest) -> Reply:
        if request.method != "GET":
            return Reply.text("only GET is answered here", HTTPStatus.METHOD_NOT_ALLOWED)
        # before anything is said of the path: somebody unknown learns nothing
        if self._guard and (refusal := await self._guard(request.headers.get("Authorization", ""), request.path)):
            return refusal
        answer = self._answers.get(request.path)
        if isinstance(answer, Queried):
            return answer.answer(request.query)
        return answer() if answer else Reply.text(f"only {', '.join(self._answers)} are answered here", HTTPStatus.NOT_FOUND)


class _Connections(web.Server):
    """Makes and ends the connections of a server."""

    def __init__(self, answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], limits: Limits) -> None:
        super().__init__(
            self._handle, access_log=None, keepalive_timeout=limits.idle, lingering_time=1.0, handler_cancellation=True
        )
        self._answer, self._limits = answer, limits
        self._open: dict[web.RequestHandler, asyncio.Transport] = {}
        self._idle: dict[web.RequestHandler, asyncio.Transport] = {}
        """Those that answer nothing at present, the longest idle one first."""
        self._first: dict[web.RequestHandler, asyncio.TimerHandle] = {}
        """What ends those that have asked for nothing yet."""

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Make room for a connection, and wait for its first request."""
        super().connection_made(handler, transport)
        self._open[handler] = self._idle[handler] = transport
        self._first[handler] = asyncio.get_running_loop().call_later(self._limits.begin, transport.abort)
        if len(self.connections) > self._limits.connections:
            next(iter(self._idle.values())).abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Forget a connection."""
        super().connection_lost(handler, exc)
        self._open.pop(handler, None)
        self._idle.pop(handler, None)
        self._has_asked(handler)

    def abort(self) -> None:
        """Drop what is left of connections, without waiting for the other side to end TLS."""
        for transport in list(self._open.values()):
            transport.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = request.protocol
        self._has_asked(handler)
        transport = self._idle.pop(handler, None)
        try:
            return await self._answer(request)
        except (TimeoutError, ConnectionError):  # who asked reads too slowly, or has gone: nobody is there to be answered
            if transport is not None:
                transport.abort()
            raise web.HTTPRequestTimeout() from None
        finally:
            if transport is not None and not transport.is_closing():
                self._idle[handler] = transport

    def _has_asked(self, handler: web.RequestHandler) -> None:
        if timer := self._first.pop(handler, None):
            timer.cancel()


def probe(problems: Sequence[str]) -> Reply:
    """Return what a probe is answered: 200 where there are no problems, else 503 with a line for each."""
    return Reply.text("\n".join(problems), HTTPStatus.SERVICE_UNAVAILABLE) if problems else Reply.text("ok")
