"""`EmbeddedCluster`: the protocol `engine.kube.api.Api`, in memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from engine.errors import ApiError
from engine.kube.api import BACKGROUND, OPENAPI, Page, PatchType, Selection, WatchEvent
from engine.kube.clock import Clock
from engine.kube.embedded import answers
from engine.kube.embedded.kinds import POD, REVIEW, TOKEN_REVIEW, Served
from engine.kube.embedded.registry import Registry
from engine.kube.embedded.store import Change, Stored, Table, Watcher
from engine.kube.faults import Call, Faults
from engine.kube.selectors import Predicate, field_selector, label_selector
from engine.model.objects import Kind, Object, Ref, Resource, metadata

#: Seconds between two bookmarks of a watch (kubernetes: apiserver/pkg/storage/cacher, about a minute).
BOOKMARK_INTERVAL = 60.0
#: Objects of each page of `pages`.
PAGE = 500


class EmbeddedCluster:
    """A cluster in memory. `faults` takes injected faults, `calls` is the log of every call.

    `access` answers a SubjectAccessReview's spec; nobody may do anything, as on a cluster without roles, until it is set.
    `users` has whose each token is, for a TokenReview.

    It has the namespaces `default` and `kube-system`; others are created as on a real cluster. What it hands out belongs
    to the caller. Uids and generated names are the same in every run.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._registry = Registry(clock)
        self._store = self._registry.store
        self._pages: dict[str, tuple[str, Sequence[Stored]]] = {}
        self.faults = Faults(clock.time)
        self.published: dict[str, Mapping[str, Any]] = {}
        self.access: Callable[[Mapping[str, Any]], bool] = lambda spec: False
        self.users: dict[str, Mapping[str, Any]] = {}

    @property
    def calls(self) -> list[Call]:
        """Every call so far, in the order in which they took effect."""
        return self.faults.calls

    @property
    def kinds(self) -> Collection[Kind]:
        """The kinds that are served."""
        return self._store.tables.keys()

    @property
    def writes(self) -> list[Call]:
        """The calls so far that asked for a change and were not refused, dry runs left out."""
        return [call for call in self.calls if call.wrote]

    def register(self, resource: Resource, *, status_subresource: bool = False) -> None:
        """Serve a custom kind, as if its CustomResourceDefinition had been created."""
        self._store.serve(Served(resource, status=status_subresource, generation=True, custom=True))

    def compact(self) -> None:
        """Forget history: older resourceVersions and continue tokens are answered with 410 from now on."""
        self._store.compact()
        self._pages.clear()

    def cut_watches(self) -> None:
        """Break every open watch, as when the connection is lost: they end with ApiError 0."""
        for table in self._store.tables.values():
            table.publish(ApiError(0, "ConnectionLost", "the connection was cut during watch"))

    async def discover(self, kind: Kind) -> Resource:
        """See `Api.discover`."""
        async with self._call("discover", Ref(kind, "", "")):
            if kind not in self._store.tables:
                raise answers.unserved()
            return self._store.tables[kind].served.resource

    async def openapi(self, path: str = OPENAPI) -> Mapping[str, Any]:
        """See `Api.openapi`. What is served here is what a test has put into `published`."""
        async with self._call("get", Ref(Kind("", OPENAPI), "", path)):
            return self.published.get(path, {})

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Api.get`."""
        async with self._call("get", Ref(resource.kind, namespace, name)):
            return self._registry.get(resource, namespace, name)

    async def list(self, selection: Selection, *, limit: int = 0, next: str = "") -> Page:
        """See `Api.list`. Pages after the first show what there was at the first one's resourceVersion."""
        async with self._call("list", Ref(selection.resource.kind, selection.namespace, "")):
            table = self._store.table(selection.resource)
            found: Sequence[Stored]
            if next:
                version, found = self._page(next)
            else:
                version = str(self._store.version)
                found = table.sorted(_predicate(table, selection))
            page, left = (found[:limit], found[limit:]) if limit else (found, [])
            token = ""
            if left:
                token = f"{version}-{len(left)}-{len(self._pages)}"
                self._pages[token] = (version, left)
            return Page([_seen(stored.copy(), selection) for stored in page], version, token)

    async def pages(self, selection: Selection) -> AsyncGenerator[Page, None]:
        """See `Api.pages`."""
        page = await self.list(selection, limit=PAGE)
        yield page
        while page.next:
            page = await self.list(selection, limit=PAGE, next=page.next)
            yield page

    async def watch(
        self, selection: Selection, resource_version: str, *, timeout: float = 300.0
    ) -> AsyncGenerator[WatchEvent, None]:
        """See `Api.watch`. A bookmark comes every minute, and one before it closes."""
        await asyncio.sleep(0)
        with self.faults.call("watch", Ref(selection.resource.kind, selection.namespace, "")):
            table = self._store.table(selection.resource)
            fits = _predicate(table, selection)
            watcher = self._store.watch(table, int(resource_version or 0))
        timer = asyncio.create_task(self._time(watcher, timeout))
        try:
            while (signal := await watcher.get()) is not None:
                if isinstance(signal, ApiError):
                    raise signal
                event = _bookmark(table, signal) if isinstance(signal, int) else _event(signal, fits)
                if event is not None:
                    yield event._replace(object=_seen(event.object, selection))
        finally:
            timer.cancel()
            table.watchers.discard(watcher)

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """See `Api.create`. A SubjectAccessReview is answered by `access`, a TokenReview by `users`; both are kept nowhere."""
        if resource.kind == REVIEW:
            async with self._call("create", Ref(resource.kind, "", "")):
                return {**body, "status": {"allowed": self.access(body["spec"])}}
        if resource.kind == TOKEN_REVIEW:
            async with self._call("create", Ref(resource.kind, "", "")):
                user = self.users.get(body["spec"]["token"])
                return {**body, "status": {"authenticated": True, "user": user} if user else {"authenticated": False}}
        async with self._call("create", Ref(resource.kind, namespace, metadata(body).get("name", "")), "", dry_run):
            return self._registry.create(resource, namespace, body, dry_run=dry_run)

    async def replace(
        self, resource: Resource, namespace: str, body: Object, *, subresource: str = "", dry_run: bool = False
    ) -> Object:  # fmt: skip
        """See `Api.replace`."""
        ref = Ref(resource.kind, namespace, metadata(body).get("name", ""))
        async with self._call("update", ref, subresource, dry_run):
            return self._registry.replace(resource, namespace, body, subresource, dry_run=dry_run)

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]], *,
        type: PatchType = PatchType.MERGE, subresource: str = "", dry_run: bool = False,
    ) -> Object:  # fmt: skip
        """See `Api.patch`."""
        async with self._call("patch", Ref(resource.kind, namespace, name), subresource, dry_run, _annotations(body)):
            return self._registry.patch(resource, namespace, name, body, type, subresource, dry_run=dry_run)

    async def patch_metadata(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Api.patch_metadata`."""
        return metadata(await self.patch(resource, namespace, name, body))

    async def apply_status(self, resource: Resource, namespace: str, name: str, body: Object, manager: str) -> Object:
        """See `Api.apply_status`. All field managers are one here."""
        return await self.patch(resource, namespace, name, body, type=PatchType.FORCED_APPLY, subresource="status")

    async def delete(
        self, resource: Resource, namespace: str, name: str, *,
        uid: str = "", version: str = "", propagation: str = BACKGROUND, dry_run: bool = False,
    ) -> None:  # fmt: skip
        """See `Api.delete`. Pods end at once, as do dependents that are not to stay, and what is in a namespace."""
        async with self._call("delete", Ref(resource.kind, namespace, name), "", dry_run):
            seen = uid, version
            self._registry.delete(resource, namespace, name, seen, orphan=propagation == "Orphan", dry_run=dry_run)

    async def evict(self, namespace: str, name: str, *, uid: str = "", dry_run: bool = False) -> None:
        """See `Api.evict`."""
        async with self._call("create", Ref(POD, namespace, name), "eviction", dry_run):
            self._registry.evict(namespace, name, uid, dry_run=dry_run)

    async def close(self) -> None:
        """End every watch."""
        for table in self._store.tables.values():
            table.publish(None)

    @asynccontextmanager
    async def _call(
        self, verb: str, ref: Ref, subresource: str = "", dry_run: bool = False, annotations: tuple[str, ...] = ()
    ) -> AsyncIterator[None]:  # fmt: skip
        """One call: other tasks run before it and after it, as they do while a request is on its way."""
        await asyncio.sleep(0)
        with self.faults.call(verb, ref, subresource, dry_run, annotations):
            yield
        await asyncio.sleep(0)

    def _page(self, token: str) -> tuple[str, Sequence[Stored]]:
        if token in self._pages:
            return self._pages[token]
        if not re.fullmatch(r"\d+-\d+-\d+", token):
            raise answers.bad_request("invalid continue token: continue key is not valid")
        raise answers.expired("The provided continue parameter is too old to display a consistent list result. You can start "
                              "a new list without the continue parameter.")  # fmt: skip

    async def _time(self, watcher: Watcher, timeout: float) -> None:
        """Give a watcher its bookmarks, and its end."""
        while timeout > 0:
            await self._clock.sleep(min(timeout, BOOKMARK_INTERVAL))
            timeout -= BOOKMARK_INTERVAL
            watcher.put_nowait(self._store.version)
        watcher.put_nowait(None)


def _annotations(body: Any) -> tuple[str, ...]:
    """Return the annotations that a patch sets or removes, () where it does anything else."""
    match body:
        case {"metadata": {"annotations": {**found}, **rest}, **others}:
            return () if others or rest.keys() - {"uid", "resourceVersion"} else tuple(map(str, found))
    return ()


def _predicate(table: Table, selection: Selection) -> Predicate:
    labels, fields = label_selector(selection.labels), field_selector(selection.fields, table.served.fields)
    namespace = selection.namespace if table.served.resource.namespaced else ""
    return lambda obj: (not namespace or obj["metadata"]["namespace"] == namespace) and labels(obj) and fields(obj)


def _seen(obj: Object, selection: Selection) -> Object:
    """Return what of an object is asked for."""
    return {key: obj[key] for key in ("apiVersion", "kind", "metadata")} if selection.metadata_only else obj


def _bookmark(table: Table, version: int) -> WatchEvent:
    kind = table.served.resource.kind
    meta = {"resourceVersion": str(version)}
    return WatchEvent("BOOKMARK", {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta})


def _event(change: Change, fits: Predicate) -> WatchEvent | None:
    """Return a change as a selection shows it: an object that begins to fit is added, one that ceases to is deleted."""
    before = change.before if change.before and fits(change.before.object) else None
    if change.after and fits(change.after.object):
        return WatchEvent("MODIFIED" if before else "ADDED", change.after.copy())
    return WatchEvent("DELETED", before.copy(change.version)) if before else None
