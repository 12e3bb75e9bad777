"""A cluster as one viewer of the console may read it, and of which no Secret is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus

import orjson

from engine.console.viewer import Viewer
from engine.errors import ApiError
from engine.kube.api import Api, Page, Selection, WatchEvent
from engine.model.fieldselectors import of_name
from engine.model.objects import SECRET, Kind, Object, ObjectKey, Ref, Resource
from engine.testing.readonly import ReadOnlyCluster

OBJECTS, BYTES = 500, 4_000_000
"""How many objects one list may have, and how long they may be as JSON: a page must not cost the operator its memory."""

NO_SECRET = "the console reads no Secret"


async def named_object(api: Api, kind: Kind, namespace: str, name: str) -> Object:
    """Return an object by the right to list its kind: the operator may not get what packs only watch. Raises ApiError."""
    page = await api.list(Selection(await api.discover(kind), namespace, fields=of_name(name)))
    if not page.items:
        message = f"there is no {kind.kind} {namespace}/{name}"
        raise ApiError(HTTPStatus.NOT_FOUND, "NotFound", message, details={"name": name})
    return {**page.items[0], "apiVersion": kind.api_version, "kind": kind.kind}


class VisibleCluster(ReadOnlyCluster):
    """Reads with the operator's rights what the viewer may read by their own; the rest is refused as the API server would."""

    def __init__(self, api: Api, viewer: Viewer) -> None:
        super().__init__(api)
        self._viewer = viewer
        self._watched: tuple[ObjectKey, Object] | None = None

    async def watched(self, key: ObjectKey) -> Object:
        """Return an object that packs watch, and keep it for those who get it later. Raises ApiError."""
        await self._permit_one(key)
        self._watched = key, await named_object(self._api, *key)
        return self._watched[1]

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Api.get`."""
        key = ObjectKey(resource.kind, namespace, name)
        if self._watched and self._watched[0] == key:
            return self._watched[1]
        await self._permit_one(key)
        return await super().get(resource, namespace, name)

    async def list(self, selection: Selection, *, limit: int = 0, next: str = "") -> Page:
        """Return all objects in one page, however few are asked for. Raises ApiError 413 where that is too much."""
        found, size = list[Object](), 0
        async with aclosing(self.pages(selection)) as pages:
            async for page in pages:
                found += page.items
                size += sum(len(orjson.dumps(each)) for each in page.items)
                if len(found) > OBJECTS or size > BYTES:
                    what = f"what it looks up among all {selection.resource.kind.kind}s is more than this page reads"
                    raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "TooLarge", f"{what}; `rulepack explain` has no limit")
        return Page(found, "")

    async def pages(self, selection: Selection) -> AsyncGenerator[Page, None]:
        """See `Api.pages`."""
        kind, namespace = selection.resource.kind, selection.namespace
        _refuse(kind, "list", namespace, may=await self._viewer.may("list", kind, namespace))
        async with aclosing(super().pages(selection)) as pages:
            async for page in pages:
                yield page

    def watch(self, selection: Selection, resource_version: str, *, timeout: float = 300.0) -> AsyncGenerator[WatchEvent, None]:
        """Raise ApiError: a page is of one moment."""
        raise ApiError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", "nothing is watched for a page")

    async def _permit_one(self, key: ObjectKey) -> None:
        _refuse(key.kind, "get", key.namespace, may=await self._viewer.sees(Ref(*key)))


def _refuse(kind: Kind, verb: str, namespace: str, *, may: bool) -> None:
    if kind.kind == SECRET.kind:
        raise ApiError(HTTPStatus.FORBIDDEN, "Forbidden", NO_SECRET)
    if not may:
        where = f" in namespace {namespace}" if namespace else ""
        raise ApiError(HTTPStatus.FORBIDDEN, "Forbidden", f"you may not {verb} objects of kind {kind.kind}{where}")
