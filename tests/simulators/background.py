"""What each simulator is made of: a thread of its own with an event loop, and a connection to the control plane."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self

import aiohttp

from engine.model.objects import Object
from tests.controlplane.plane import ControlPlane

#: Seconds until a simulator must have seen the cluster.
PATIENCE = 30.0
#: A list and a watch in one (Kubernetes docs: API concepts, streaming lists).
LISTED_AND_WATCHED = {
    "watch": "1", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true",
}  # fmt: skip
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
FOR_EVER = aiohttp.ClientTimeout(total=None)


class Refused(Exception):
    """The API server refused a request; `status` is that of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Client:
    """Requests of an administrator."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, strategic: bool = False) -> Object:
        """One request; a PATCH is a JSON merge patch, or a strategic one. Raises Refused."""
        kind = "strategic-merge-patch+json" if strategic else "merge-patch+json" if method == "PATCH" else "json"
        async with self._session.request(method, path, json=body, headers={"Content-Type": f"application/{kind}"}) as answer:
            found: Object = await answer.json()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise Refused(answer.status, str(found.get("message", found)))
        return found

    async def watch(self, path: str, selector: str = "") -> AsyncIterator[Mapping[str, Object]]:
        """All objects of a collection by uid, at first and after each change, over connections that break. Raises Refused."""
        while True:
            with suppress(aiohttp.ClientError):
                async for found in self._watch_once(path, selector):
                    yield found
            await asyncio.sleep(0.1)

    async def _watch_once(self, path: str, selector: str) -> AsyncIterator[Mapping[str, Object]]:
        found: dict[str, Object] = {}
        complete = False
        params = {**LISTED_AND_WATCHED, "labelSelector": selector}
        async with self._session.get(path, params=params, timeout=FOR_EVER) as answer:
            if answer.status >= HTTPStatus.BAD_REQUEST:
                raise Refused(answer.status, await answer.text())
            async for line in answer.content:
                kind, obj = (event := json.loads(line))["type"], event["object"]
                if kind == "ERROR":
                    return
                if kind == "BOOKMARK":
                    complete = complete or INITIAL_EVENTS_END in obj["metadata"].get("annotations", {})
                elif kind == "DELETED":
                    found.pop(obj["metadata"]["uid"], None)
                else:
                    found[obj["metadata"]["uid"]] = obj
                if complete:
                    yield found


class Background(ABC):
    """Runs `play` in a thread for as long as a `with` lasts, which begins once `play` has called `ready`.

    A fault of `play` is raised where the `with` ends.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self._thread = threading.Thread(target=self._run, name=type(self).__name__)
        self._begun = threading.Event()
        self._fault: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def play(self, client: Client) -> None:
        """What it does, for ever."""

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._begun.wait(PATIENCE):
            self.__exit__()
            raise TimeoutError(f"{type(self).__name__} was not ready after {PATIENCE:.0f} s")
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self.soon(self._task.cancel)
        self._thread.join()
        self.check()

    def ready(self) -> None:
        """Say that the cluster has been seen."""
        self._begun.set()

    def check(self) -> None:
        """Raise the fault that has ended it, if one has."""
        if self._fault is not None:
            raise self._fault

    def soon(self, call: Callable[[], Any]) -> None:
        """Call something in its own thread, as long as that runs."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: a fault has ended it
                self._loop.call_soon_threadsafe(call)

    def _run(self) -> None:
        try:
            asyncio.run(self._connected())
        except asyncio.CancelledError:
            pass
        except Exception as error:  # raised again where the test ends
            self._fault = error
        finally:
            self._begun.set()

    async def _connected(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        trusted = ssl.create_default_context(cafile=self.plane.certificate)
        trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as in plane.py
        headers = {"Authorization": f"Bearer {self.plane.admin_token}", "User-Agent": f"simulator-{type(self).__name__}"}
        connector = aiohttp.TCPConnector(ssl=trusted, limit=0)
        async with aiohttp.ClientSession(self.plane.url, connector=connector, headers=headers, read_bufsize=2**20) as session:
            try:
                await self.play(Client(session))
            finally:
                await session.close()
                await asyncio.sleep(0.1)  # aiohttp's docs, "Graceful shutdown": TLS connections take a moment to close
