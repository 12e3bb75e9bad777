"""Lists and watches of collections of any size, of which no more than a few MB are in memory at a time.

What fits into one small page is listed as such. Everything else is streamed, one object at a time, where the server can
(kubernetes: API concepts, streaming lists); else it comes in pages, each as long as the weight of the one before allows.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from urllib.parse import urlencode

from engine.errors import ApiError
from engine.kube.api import Page, Selection, WatchEvent
from engine.kube.connection import REQUEST_SECONDS, Connection, TooLarge
from engine.kube.decode import Undecodable
from engine.model.objects import Kind, Object, metadata

FIRST, LONGEST = 50, 500
"""Objects of the first page, and the most of a later one; client-go's pager asks for 500."""
WANTED, MOST = 2**20, 2**22
"""Bytes that a page is to have, and beyond which it is given up and asked for again with fewer objects."""
GROWTH = 4
"""How many times as many objects as the one before a page may have."""
STREAM_SECONDS = 3600.0
"""How long the server may take for a stream; it is read until all that there is has come."""
SILENCE_GRACE = 30.0
"""How much longer than it is to last a watch may be silent before its connection counts as dead."""
OPENING = 4
"""Watches of one API version that are opened at a time. After an API server has come back, thousands may be due, and requests,
those for the Lease among them, must not wait until all of them have their connection.
"""
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
"""The annotation of the bookmark after the last object that there was (kubernetes: apimachinery/pkg/apis/meta/v1/types.go)."""

_METADATA_ONLY = "application/json;as={};g=meta.k8s.io;v=v1,application/json"
_STREAM = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
#: What servers without streaming lists answer: they refuse it, or never say where the list ends.
_NO_STREAMS = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, 0)


class Collections:
    """Lists and watches by one connection; paths are those of collections."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._opening = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(OPENING))
        self._paged: set[str] = set()
        """The API versions whose server cannot stream."""

    async def page(self, path: str, selection: Selection, limit: int = 0, next: str = "", most: int = 0) -> tuple[Page, int]:
        """Return a page and its size in bytes. Raises ApiError, and TooLarge for one of more than `most` bytes, if not 0."""
        query = _query(selection, limit=str(limit or ""), **{"continue": next})
        accept = _METADATA_ONLY.format("PartialObjectMetadataList") if selection.metadata_only else ""
        answer, undecodable, size = await self._connection.list(path + query, accept, most)
        # Lists of built-in kinds leave the kind out of their items, watches do not; metadata has a kind of its own.
        named = _names(selection.resource.kind)
        items = [{**item, **named} if selection.metadata_only else {**named, **item} for item in answer.get("items") or ()]
        meta = metadata(answer)
        broken = [each._replace(object={**each.object, **named}) for each in undecodable]
        return Page(items, meta.get("resourceVersion", ""), meta.get("continue", ""), broken), size

    async def pages(self, path: str, selection: Selection) -> AsyncGenerator[Page, None]:
        """See `Api.pages`."""
        try:
            page, size = await self.page(path, selection, FIRST, most=MOST)
            if not page.next:
                yield page
                return
            limit = _next_limit(page, size, FIRST)
        except TooLarge:
            limit = 1
        api_version = selection.resource.kind.api_version
        if api_version not in self._paged:
            try:
                async with aclosing(self._streamed(path, selection)) as stream:
                    async for page in stream:
                        yield page
                return
            except ApiError as error:
                if error.status not in _NO_STREAMS:
                    raise
                self._paged.add(api_version)
                if not error.status:  # what has come by then may have gone meanwhile
                    raise
        async with aclosing(self._sized(path, selection, limit)) as pages:
            async for page in pages:
                yield page

    async def _streamed(self, path: str, selection: Selection) -> AsyncGenerator[Page, None]:
        """Yield a collection object by object. Raises ApiError."""
        query = _query(selection, **_STREAM)
        async with aclosing(self._events(path, query, selection, STREAM_SECONDS, REQUEST_SECONDS)) as events:
            async for event in events:
                if event.type == "BOOKMARK":
                    meta = metadata(event.object)
                    if INITIAL_EVENTS_END in (meta.get("annotations") or ()):
                        yield Page((), str(meta.get("resourceVersion") or ""))
                        return
                elif event.type == "DELETED":
                    yield Page((), "", gone=(event.object,))
                elif event.undecodable:
                    yield Page((), "", undecodable=(Undecodable(dict(event.object), event.undecodable),))
                else:
                    yield Page((event.object,), "")
        raise ApiError(0, "StreamEnded", f"the list of {selection.resource.kind} ended before all of it had come")

    async def _sized(self, path: str, selection: Selection, limit: int) -> AsyncGenerator[Page, None]:
        """Yield a collection in pages of about the size that is wanted, the first one with so many objects. Raises ApiError."""
        next = ""
        while True:
            try:
                page, size = await self.page(path, selection, limit, next, MOST if limit > 1 else 0)
            except TooLarge:
                limit = max(1, limit // 8)
                continue
            yield page
            if not page.next:
                return
            next, limit = page.next, _next_limit(page, size, limit)

    async def watch(self, path: str, selection: Selection, version: str, timeout: float) -> AsyncGenerator[WatchEvent, None]:
        """See `Api.watch`."""
        query = _query(selection, resourceVersion=version)
        async with aclosing(self._events(path, query, selection, timeout, timeout + SILENCE_GRACE)) as events:
            async for event in events:
                yield event

    async def _events(
        self, path: str, query: str, selection: Selection, timeout: float, silence: float
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yield the events of a watch that is to last for `timeout` seconds. Raises ApiError, also after `silence` seconds."""
        named, metadata_only = _names(selection.resource.kind), selection.metadata_only
        accept = _METADATA_ONLY.format("PartialObjectMetadata") if metadata_only else ""
        path += f"{query}{'&' if query else '?'}watch=true&allowWatchBookmarks=true&timeoutSeconds={max(1, round(timeout))}"
        opening = self._opening[selection.resource.kind.api_version]
        async with aclosing(self._connection.lines(path, silence, opening, accept)) as lines:
            async for event in lines:
                obj = event["object"]
                if event["type"] == "ERROR":
                    code, reason = obj.get("code", HTTPStatus.INTERNAL_SERVER_ERROR), obj.get("reason", "InternalError")
                    raise ApiError(code, reason, obj.get("message", "the watch failed"))
                yield WatchEvent(event["type"], {**obj, **named} if metadata_only else obj, event.get("undecodable", ""))


def _names(kind: Kind) -> Object:
    return {"apiVersion": kind.api_version, "kind": kind.kind}


def _next_limit(page: Page, size: int, limit: int) -> int:
    """Return how many objects of the weight of those of a page make one of the size that is wanted."""
    weight = size / max(1, len(page.items) + len(page.undecodable))
    return max(1, min(LONGEST, limit * GROWTH, int(WANTED / weight)))


def _query(selection: Selection, **parameters: str) -> str:
    """Return what follows a path, of those parameters that are not ''."""
    parameters = {"labelSelector": selection.labels, "fieldSelector": selection.fields, **parameters}
    query = urlencode({name: value for name, value in parameters.items() if value})
    return f"?{query}" if query else ""
