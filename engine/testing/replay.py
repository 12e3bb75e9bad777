"""Replays a recording through rule packs, with the recorded clock: what would they have done?"""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from engine.errors import ApiError
from engine.kube.api import APPLIES, BACKGROUND, OPENAPI, Page, PatchType, Selection, WatchEvent
from engine.kube.embedded.patches import json_patched
from engine.kube.fake_clock import FakeClock
from engine.kube.selectors import label_selector
from engine.model.merge import merged
from engine.model.objects import NAMESPACE, GroupKey, Kind, Object, ObjectKey, Resource, kind_of, metadata, names_of
from engine.model.observe import Act, ActResult
from engine.model.plan import Annotate
from engine.model.plurals import guessed_resource
from engine.packs.catalog import Catalog
from engine.reconcile import Reconciler, Replica
from engine.reconcile.record import PREFIX
from engine.testing.caches import DirectCaches
from engine.testing.describe import step_text
from engine.testing.http import PlayedHttp
from engine.testing.recording import Change
from engine.testing.world import Seen

_ENDED = (ActResult.DONE, ActResult.FAILED, ActResult.REFUSED, ActResult.AUDITED)


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that a rule did to an object, or failed to do; `time` is the recorded clock's."""

    time: float
    object: str
    rule: str
    item: str
    action: str
    outcome: str
    what: str

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes two effects the same, whenever they came."""
        return (self.object, self.rule, self.item, self.action, self.outcome, self.what)


class RecordedCluster:
    """The recorded objects, with what the replayed rules have changed in them. Implements `engine.kube.api.Api`.

    It knows what was recorded and nothing else: other objects are not found, and consent is given.
    """

    def __init__(self) -> None:
        self.objects: dict[Kind, dict[tuple[str, str], Object]] = {}
        self._version = 0

    def put(self, obj: Object) -> Object:
        """Keep an object under the next resourceVersion."""
        self._version += 1
        kept: Object = {**obj, "metadata": {**metadata(obj), "resourceVersion": str(self._version)}}
        self.objects.setdefault(kind_of(obj), {})[names_of(obj)] = kept
        return kept

    async def discover(self, kind: Kind) -> Resource:
        """See `Api.discover`."""
        return guessed_resource(kind)

    async def openapi(self, path: str = OPENAPI) -> Mapping[str, Any]:
        """Nothing: what was recorded has no schemas."""
        return {}

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Api.get`."""
        found = self.objects.get(resource.kind, {}).get((namespace, name))
        if found is None:
            raise ApiError(404, "NotFound", f'{resource.plural} "{name}" not found in the recording', details={"name": name})
        return found

    async def list(self, selection: Selection, *, limit: int = 0, next: str = "") -> Page:
        """See `Api.list`."""
        fits = label_selector(selection.labels)
        objects = self.objects.get(selection.resource.kind, {})
        items = [obj for (namespace, _), obj in objects.items() if selection.namespace in ("", namespace) and fits(obj)]
        return Page(items, str(self._version))

    async def pages(self, selection: Selection) -> AsyncGenerator[Page, None]:
        """See `Api.pages`."""
        yield await self.list(selection)

    def watch(self, selection: Selection, resource_version: str, *, timeout: float = 300.0) -> AsyncGenerator[WatchEvent, None]:
        """Nobody watches a recording."""
        raise ApiError(405, "MethodNotAllowed", "a recording cannot be watched")

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """See `Api.create`; Events are once there and then there already, and reviews are granted."""
        if resource.kind.kind == "SubjectAccessReview":
            return {**body, "status": {"allowed": True}}
        if (namespace, str(metadata(body).get("name"))) in self.objects.get(resource.kind, {}):
            raise ApiError(409, "AlreadyExists", f"{resource.plural} already exists")
        return body if dry_run else self.put(body)

    async def replace(
        self, resource: Resource, namespace: str, body: Object, *, subresource: str = "", dry_run: bool = False
    ) -> Object:
        """See `Api.replace`."""
        return body if dry_run else self.put(body)

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]], *,
        type: PatchType = PatchType.MERGE, subresource: str = "", dry_run: bool = False,
    ) -> Object:  # fmt: skip
        """See `Api.patch`; a server-side apply is taken for a merge."""
        there = self.objects.get(resource.kind, {}).get((namespace, name))
        if there is None and type not in APPLIES:
            raise ApiError(404, "NotFound", f'{resource.plural} "{name}" not found in the recording', details={"name": name})
        after: Object = json_patched({**(there or {})}, body) if type is PatchType.JSON else merged(there or {}, body)
        return after if dry_run else self.put(after)

    async def patch_metadata(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Api.patch_metadata`."""
        return metadata(await self.patch(resource, namespace, name, body))

    async def apply_status(self, resource: Resource, namespace: str, name: str, body: Object, manager: str) -> Object:
        """See `Api.apply_status`."""
        return await self.patch(resource, namespace, name, body, type=PatchType.FORCED_APPLY, subresource="status")

    async def delete(
        self, resource: Resource, namespace: str, name: str, *,
        uid: str = "", version: str = "", propagation: str = BACKGROUND, dry_run: bool = False,
    ) -> None:  # fmt: skip
        """See `Api.delete`."""
        await self.get(resource, namespace, name)
        if not dry_run:
            del self.objects[resource.kind][namespace, name]

    async def evict(self, namespace: str, name: str, *, uid: str = "", dry_run: bool = False) -> None:
        """See `Api.evict`."""
        await self.delete(guessed_resource(Kind("v1", "Pod")), namespace, name, dry_run=dry_run)

    async def close(self) -> None:
        """See `Api.close`."""


class Replay:
    """One rule set on one recording. `effects` grows with each change."""

    def __init__(self, catalog: Catalog) -> None:
        self.effects: list[Effect] = []
        self.changes = 0
        self._catalog = catalog
        self._clock = FakeClock(0.0, alone=True)
        self._cluster, self._caches, self._seen = RecordedCluster(), DirectCaches(catalog.packs.values()), Seen()
        self._due: list[tuple[float, int, ObjectKey | GroupKey]] = []
        self._wanted: dict[ObjectKey | GroupKey, int] = {}
        self._counter = 0
        self._recorded: dict[ObjectKey, Object] = {}
        self._kinds = {kind for pack in catalog.packs.values() for kind in pack.watches}
        self._http = PlayedHttp(self._clock)
        replica = Replica(lambda: True, sender=self._http)
        self._reconciler = Reconciler(self._cluster, self._clock, self._caches, self._seen, replica, self._enqueue)
        self._reconciler.catalog = catalog

    async def play(self, changes: Iterable[Change]) -> None:
        """Play changes in their order; what is due in between happens at its time."""
        listed: list[ObjectKey] = []
        for change in changes:
            if not self.changes:
                await self._clock.advance(change.time - self._clock.time())
                self._reconciler.catalog = self._catalog.dated({}, datetime.fromtimestamp(change.time, UTC))
            self.changes += 1
            if change.initial:
                listed.append(self._put(change))
                continue
            await self._look_at(listed)
            await self._until(change.time)
            await self._look_at([self._put(change)])
        await self._look_at(listed)

    def _put(self, change: Change) -> ObjectKey:
        """Bring an object to where it was recorded."""
        kind = kind_of(change.object)
        key = ObjectKey(kind, *names_of(change.object))
        objects = self._cluster.objects.setdefault(kind, {})
        if change.gone:
            objects.pop((key.namespace, key.name), None)
        elif change.initial:
            self._cluster.put(change.object)
        else:
            self._cluster.put(_carried_on(change.object, self._recorded.get(key), objects.get((key.namespace, key.name))))
        self._recorded[key] = change.object
        if kind in self._kinds:
            self._caches.put(key, objects.get((key.namespace, key.name)))
        if kind in self._caches.followed:
            self._caches.relate(kind, objects.values())
            while self._reconciler.wake(1000):
                pass
        if kind == NAMESPACE:
            for selected in self._caches.select({name: obj for (_, name), obj in objects.items()}):
                self._enqueue(selected)
        return key

    async def _look_at(self, keys: list[ObjectKey]) -> None:
        for key in keys:
            if key.kind in self._kinds:
                await self._look(key)
        keys.clear()
        await self._until(self._clock.time())

    async def _look(self, key: ObjectKey | GroupKey) -> None:
        self._wanted.pop(key, None)
        if isinstance(key, ObjectKey):
            now = self._cluster.objects.get(key.kind, {}).get((key.namespace, key.name))
            self._caches.put(key, now)
        again = await self._reconciler.reconcile(key)
        self._collect()
        if again is not None:
            self._schedule(key, self._clock.time() + again)

    async def _until(self, time: float) -> None:
        """Do what is due up to a time, and let it be that time."""
        while self._due and self._due[0][0] <= time:
            due, number, key = heapq.heappop(self._due)
            if self._wanted.get(key) != number:
                continue
            await self._clock.advance(max(0.0, due - self._clock.time()))
            await self._look(key)
        await self._clock.advance(max(0.0, time - self._clock.time()))

    def _enqueue(self, key: ObjectKey | GroupKey) -> None:
        self._schedule(key, self._clock.time())

    def _schedule(self, key: ObjectKey | GroupKey, time: float) -> None:
        self._counter += 1
        self._wanted[key] = self._counter
        heapq.heappush(self._due, (time, self._counter, key))

    def _collect(self) -> None:
        """Keep what has come about, and forget what was only seen."""
        for act in self._seen.acts:
            if act.result in _ENDED:
                self.effects.append(_effect(act, self._clock.time()))
        self._seen.acts.clear()
        self._seen.evaluations.clear()
        self._seen.measurements.clear()
        self._http.requests.clear()


def _carried_on(obj: Object, before: Object | None, there: Object | None) -> Object:
    """The object as recorded, with what the replay has written in its metadata since.

    Annotations and labels of the replay stay until the recording changes them (`before` is the recording's last state);
    firing records are the replay's alone.
    """
    if there is None or before is None or metadata(before).get("uid") != metadata(obj).get("uid"):
        before = there = {}
    own = {part: _overlaid(part, obj, before, there) for part in ("annotations", "labels")}
    return {**obj, "metadata": {**metadata(obj), **{part: entries for part, entries in own.items() if entries}}}


def _overlaid(part: str, obj: Object, before: Object, there: Object) -> dict[str, str]:
    new, old, current = ({**(metadata(each).get(part) or {})} for each in (obj, before, there))
    changed = {key for key in {*new, *old} if new.get(key) != old.get(key) and not key.startswith(PREFIX)}
    kept = {key: value for key, value in current.items() if key not in changed}
    return {**kept, **{key: new[key] for key in changed if key in new}}


def _effect(act: Act, time: float) -> Effect:
    lines = () if isinstance(act.step, Annotate) else act.diff  # its text has what it sets
    what = step_text(act.step) + "".join(f"\n    {line}" for line in lines) + (f" ({act.detail})" if act.detail else "")
    return Effect(time, str(act.object), f"{act.pack}/{act.rule}", act.item, act.action, str(act.result), what)
