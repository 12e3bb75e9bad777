"""A gateway between the engine and the API server that fails as networks, load balancers and API servers do."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import suppress
from enum import StrEnum
from random import Random

from aiohttp import ClientError, ClientResponse, web

from tests.controlplane.plane import ControlPlane
from tests.e2e.gateway import Gateway


class Fault(StrEnum):
    """What may happen to a request."""

    CUT_BEFORE = "cut before the API server gets it"
    CUT_AFTER = "cut after the API server has handled it"
    CONFLICT = "409 Conflict"
    TOO_MANY = "429 with Retry-After"
    ERROR = "500"
    UNAVAILABLE = "503"
    SLOW = "an answer that takes three seconds"
    HALF = "an answer that ends in the middle of a line"
    EXPIRED = "410 Expired"
    SILENT = "a watch that brings nothing any more"
    UNAUTHORIZED = "401"


ANSWERS = {
    Fault.CONFLICT: (409, "Conflict"),
    Fault.TOO_MANY: (429, "TooManyRequests"),
    Fault.ERROR: (500, "InternalError"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable"),
    Fault.EXPIRED: (410, "Expired"),
    Fault.UNAUTHORIZED: (401, "Unauthorized"),
}
WATCHES = frozenset({Fault.HALF, Fault.SILENT})
"""What befalls a watch while it is open."""


class FaultyGateway(Gateway):
    """A Gateway where each request meets one of `faults` with a probability of `often`; `met` counts what has happened.

    `break_watches` ends what is open: a fault that only new requests meet would not reach a watch that lasts.
    """

    def __init__(self, plane: ControlPlane, random: Random) -> None:
        super().__init__(plane)
        self._random = random
        self._faults: tuple[Fault, ...] = ()
        self._often = 0.0
        self._watches: list[web.Request] = []
        self._refused: set[str] = set()
        self._lock = threading.Lock()
        self.met: Counter[Fault] = Counter()

    def fail(self, *faults: Fault, often: float = 0.3) -> None:
        """From now on requests meet these faults; none of them where none is named."""
        with self._lock:
            self._faults, self._often = faults, often

    def refuse(self, token: str) -> None:
        """A token has expired."""
        self._refused.add(f"Bearer {token}")

    def break_watches(self) -> None:
        """Cut every watch that is open, in the middle of a line where HALF is among the faults."""
        self._loop.call_soon_threadsafe(self._cut_watches)

    def _cut_watches(self) -> None:
        for request in self._watches:
            self.met[Fault.CUT_AFTER] += 1
            _cut(request)

    def _fault(self, request: web.Request) -> Fault | None:
        watch = request.query.get("watch") == "true"
        with self._lock:
            fitting = [fault for fault in self._faults if self._fits(fault, request, watch)]
            if not fitting or self._random.random() >= self._often:
                return None
            fault = min(fitting, key=lambda fault: (self.met[fault], self._random.random()))  # so that none is left out for long
        self.met[fault] += 1
        return fault

    @staticmethod
    def _fits(fault: Fault, request: web.Request, watch: bool) -> bool:
        if fault in WATCHES:
            return watch
        if fault is Fault.EXPIRED:
            return watch or "continue" in request.query
        return fault is not Fault.CONFLICT or request.method in ("PUT", "PATCH")

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        fault = self._fault(request)
        if request.headers.get("Authorization") in self._refused:
            self.met[Fault.UNAUTHORIZED] += 1
            return _answer(Fault.UNAUTHORIZED)
        if fault is Fault.CUT_BEFORE:
            _cut(request)
            return web.Response()
        if fault in ANSWERS:
            return _answer(fault)
        if fault is Fault.SLOW:
            await asyncio.sleep(3)
        if request.query.get("watch") == "true":
            self._watches.append(request)
        try:
            return await self._forward(request, fault)
        except ClientError:  # the API server is away
            _cut(request)
            return web.Response()
        finally:
            self._watches = [watch for watch in self._watches if watch is not request]

    async def _forward(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        async with self._asked(request) as answer:
            if fault is Fault.CUT_AFTER:
                await answer.read() if request.query.get("watch") != "true" else None
                _cut(request)
                return web.Response()
            return await self._stream(request, answer, fault)

    async def _stream(self, request: web.Request, answer: ClientResponse, fault: Fault | None) -> web.StreamResponse:
        response = self._response(answer)
        with suppress(ConnectionError):  # whoever asked may be gone by now
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                if fault is Fault.SILENT:
                    continue
                if fault is Fault.HALF:
                    await response.write(chunk[: len(chunk) // 2])
                    _cut(request)
                    break
                await response.write(chunk)
        return response


def _answer(fault: Fault) -> web.Response:
    code, reason = ANSWERS[fault]
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": f"{fault}"}
    headers = {"Retry-After": "1"} if fault is Fault.TOO_MANY else {}
    return web.json_response(status, status=code, headers=headers)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
