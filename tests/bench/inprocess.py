"""The reconciler by itself: objects that somebody changes, and an API that answers at once, so that only the engine costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import orjson

from engine.errors import ApiError
from engine.kube.api import Api, Page
from engine.kube.clock import SystemClock
from engine.model.flags import Mode
from engine.model.merge import merged
from engine.model.objects import GroupKey, Kind, Object, ObjectKey, Resource, metadata
from engine.model.observe import Observers
from engine.model.plan import Read
from engine.operator.activity import Activity
from engine.operator.metrics import Metrics
from engine.packs.catalog import Catalog
from engine.packs.pack import DISRUPTIONS, RulePack
from engine.reconcile import Cached, Reconciler, Replica
from engine.reconcile.caches import OnRelated
from engine.reconcile.reads import pruner_of
from tests.bench import workload
from tests.world import JOB


class InstantApi:
    """Objects by kind, namespace and name; every answer is there at once."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, str, str], Object] = {}
        self._version = 1_000_000

    def put(self, key: ObjectKey, obj: Object) -> Object:
        """Keep an object under the next resourceVersion."""
        self._version += 1
        kept = {**obj, "metadata": {**metadata(obj), "resourceVersion": str(self._version)}}
        self.objects[key.kind, key.namespace, key.name] = kept
        return kept

    async def discover(self, kind: Kind) -> Resource:
        """See `Api.discover`."""
        return Resource(kind, f"{kind.kind.lower()}s", True)

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Api.get`."""
        found = self.objects.get((resource.kind, namespace, name))
        if found is None:
            raise ApiError(404, "NotFound", f"{name} not found")
        return found

    async def list(self, *_: Any, **__: Any) -> Page:
        """Nothing."""
        return Page([], "1", "")

    async def create(self, resource: Resource, namespace: str, body: Object, **_: Any) -> Object:
        """See `Api.create`; it is not kept."""
        return body

    async def patch(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any], **_: Any) -> Object:
        """A merge patch."""
        key = ObjectKey(resource.kind, namespace, name)
        return self.put(key, merged(await self.get(resource, namespace, name), body))

    async def patch_metadata(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Api.patch_metadata`."""
        return metadata(await self.patch(resource, namespace, name, body))


class Bench:
    """Packs on a cluster of jobs, all of which have been evaluated once. `change` gives CPU seconds per change."""

    def __init__(self, packs: Sequence[RulePack], jobs: Iterable[Object]) -> None:
        modes = {pack.name: pack.default_mode for pack in packs}
        defaults = {pack.name: {name: param.default for name, param in pack.params.items()} for pack in packs}
        params = {name: {**values, DISRUPTIONS: 0} for name, values in defaults.items()}  # so many changes a minute are meant
        metrics, clock = Metrics(), SystemClock()
        for pack in packs:
            metrics.declare(pack.name, tuple(pack.metrics.values()))
        watching = [pack for pack in packs if JOB in pack.watches and modes[pack.name] is not Mode.OFF]
        self.api = InstantApi()
        self.groups: dict[ObjectKey | GroupKey, None] = {}
        self._on, self._prune = {pack.name for pack in watching}, pruner_of(JOB, watching)
        self._cached: dict[tuple[str, str], Cached] = {}
        self.reconciler = Reconciler(
            cast(Api, self.api),  # what the line does not call is not there
            clock, self, Observers(metrics, Activity(clock)), Replica(lambda: True), lambda key: self.groups.update({key: None}),
        )  # fmt: skip
        self.reconciler.catalog = Catalog({pack.name: pack for pack in packs}, modes, params)
        self.keys: list[ObjectKey] = []
        for job in jobs:
            key = ObjectKey(JOB, str(metadata(job)["namespace"]), str(metadata(job)["name"]))
            self.keys.append(key)
            self.show(key, self.api.put(key, job))

    def show(self, key: ObjectKey, obj: Object) -> None:
        """Let the engine's cache have an object as it would after a watch event."""
        self._cached[key.namespace, key.name] = self._prune.entry(obj)

    def get(self, pack: RulePack, key: ObjectKey) -> Cached | None:
        """See `Caches.get`."""
        return self._cached.get((key.namespace, key.name)) if pack.name in self._on else None

    def objects(self, pack: RulePack) -> Iterable[ObjectKey]:
        """See `Caches.objects`."""
        return self.keys if pack.name in self._on else ()

    def synced(self, pack: RulePack) -> bool:
        """See `Caches.synced`."""
        return True

    def current(self, pack: RulePack) -> bool:
        """See `Caches.current`."""
        return True

    def watches(self, namespace: str) -> bool:
        """See `Caches.watches`."""
        return True

    def take_deleted(self, pack: RulePack, key: ObjectKey) -> Object | None:
        """See `Caches.take_deleted`."""
        return None

    def find(self, read: Read) -> Sequence[Object] | None:
        """See `Caches.find`: no lookup is followed."""
        return None

    def follow(self, changed: OnRelated, listed: Callable[[Kind], None]) -> None:
        """See `Caches.follow`."""

    async def settle(self) -> None:
        """Evaluate every job and every group once."""
        for key in self.keys:
            await self.reconciler.reconcile(key)
        await self._settle_groups()

    async def change(self, status: Callable[[int], Mapping[str, Any]], number: int) -> float:
        """CPU seconds for each of `number` changes of status: the evaluation of it, and that of the engine's own write."""
        keys = [self.keys[index * len(self.keys) // number % len(self.keys)] for index in range(number)]
        for index, key in enumerate(keys):
            before = self.api.objects[JOB, key.namespace, key.name]
            self.show(key, self.api.put(key, {**before, "status": {**before.get("status", {}), **status(index)}}))
        began = time.process_time()
        for key in keys:
            await self.reconciler.reconcile(key)
        await self._settle_groups()
        took = time.process_time() - began
        for key in keys:
            self.show(key, orjson.loads(orjson.dumps(self.api.objects[JOB, key.namespace, key.name])))
        began = time.process_time()
        for key in keys:
            await self.reconciler.reconcile(key)
        return (took + time.process_time() - began) / number

    async def _settle_groups(self) -> None:
        while self.groups:
            groups, self.groups = list(self.groups), {}
            for group in groups:
                await self.reconciler.reconcile(group)


def jobs(number: int, results: int = workload.RESULTS, **labels: str) -> Iterable[Object]:
    """Jobs that run, with so many cell results each."""
    status = workload.status()
    status["results"] = status["results"][:results]
    for index in range(number):
        job = workload.job(index)
        job["metadata"] |= {"uid": f"uid-{index}", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1}
        job["metadata"]["labels"] |= labels
        yield job | {"status": status}
