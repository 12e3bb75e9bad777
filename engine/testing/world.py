"""A small world: an embedded cluster, rule packs, and a reconciler that is driven by hand.

The caches read the cluster itself, so that what the reconciler sees is what is there; its driver decides when to evaluate.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime

from engine.errors import ApiError
from engine.kube.api import Selection
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.kube.faults import Crash, Faults
from engine.model.merge import merged
from engine.model.objects import NAMESPACE, GroupKey, Kind, Object, ObjectKey, Ref, kind_of, metadata, names_of
from engine.model.observe import Act, Evaluated
from engine.model.plurals import guessed_resource
from engine.outbound.sender import Sender
from engine.packs.catalog import Catalog
from engine.packs.discovery import discovered, discoveries
from engine.packs.in_force import InForce
from engine.reconcile import Reconciler, Replica
from engine.testing.caches import DirectCaches
from engine.testing.http import PlayedHttp

OPERATOR_NAMESPACE = "rulepack-system"
"""Where the Secrets of packs are."""
SHORTEST = 0.001
"""Seconds: the clock is never moved by less, so that rounding cannot leave it just before what is due."""


class Seen:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.evaluations: list[tuple[str, Evaluated, str]] = []
        self.measurements: list[tuple[str, Mapping[str, str], float]] = []
        self.suspensions: list[str] = []
        self.contests: list[str] = []

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Keep an evaluation, under `pack/rule`."""
        self.evaluations.append((f"{pack}/{rule}", result, reason))

    def acted(self, act: Act) -> None:
        """Keep an act."""
        self.acts.append(act)

    def measured(self, obj: Ref, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Keep a measurement."""
        self.measurements.append((metric, labels, value))

    def suspended(self, pack: str, flow: str, obj: Ref) -> None:
        """Keep a suspension, as `pack of flow`."""
        self.suspensions.append(f"{pack} of {flow}")

    def contested(self, pack: str, rule: str, target: Ref) -> None:
        """Keep a write that has to wait, as `pack/rule`."""
        self.contests.append(f"{pack}/{rule}")


class World:
    """An embedded cluster with packs on it. `settle` evaluates everything until nothing is left to do now.

    `cluster` is the test's own door to the cluster; `engine` is the engine's, so that faults and the log of calls there are
    the engine's alone. In a `every_rule` one every rule is evaluated, so that coverage and reasons are complete.
    """

    def __init__(self, catalog: Catalog, start: float, seen: Seen | None = None, *, every_rule: bool = False) -> None:
        self.clock = FakeClock(start, alone=True)
        self.cluster = EmbeddedCluster(self.clock)
        self.engine = copy(self.cluster)
        self.engine.faults = Faults(self.clock.time)
        self.leading = True
        self.crashes = 0
        self.seen, self.http = seen or Seen(), PlayedHttp(self.clock)
        self.sender: Sender | None = self.http
        self._catalog = self._given = self._dated(catalog, {})
        self._every_rule = every_rule
        self.running = True
        self.restart()

    @property
    def catalog(self) -> Catalog:
        """The packs, modes and params in force."""
        return self._catalog

    @catalog.setter
    def catalog(self, catalog: Catalog) -> None:
        if not self.running:
            self._given = catalog
            return
        self._given = self._dated(catalog, self._catalog.times)
        self._put_in_force(self._given)

    def _put_in_force(self, catalog: Catalog) -> None:
        self._catalog = self.reconciler.catalog = catalog
        self.caches.use(catalog.packs.values())
        self.relist()

    async def _discover(self) -> None:
        """Give params the values that the cluster says, as the operator does."""
        found = {}
        for discovery in discoveries(self._given):
            with suppress(ApiError):  # a kind that is not served
                resource = await self.cluster.discover(discovery.kind)
                found[discovery] = (await self.cluster.list(Selection(resource, "", discovery.labels, discovery.fields))).items
        catalog, _ = discovered(self._given, lambda discovery: found.get(discovery, ()))
        if catalog.params != self._catalog.params:
            self._put_in_force(replace(catalog, times=self._catalog.times))

    def _dated(self, catalog: Catalog, known: Mapping[str, InForce]) -> Catalog:
        """The catalog with the time at which each rule came into force, which outlives the engine."""
        return catalog.dated(known, datetime.fromtimestamp(self.clock.time(), UTC))

    def restart(self) -> None:
        """A new engine that remembers nothing; what was observed so far stays."""
        self.caches = DirectCaches(self._catalog.packs.values())
        self._due: dict[ObjectKey | GroupKey, float] = {}
        self._evaluated: dict[ObjectKey, str] = {}
        self._last: dict[ObjectKey, Object] = {}
        self.old: dict[ObjectKey, Object | None] = {}
        """What was `oldObject` at the last evaluation of each object."""
        self.reconciler = Reconciler(
            self.engine,
            self.clock,
            self.caches,
            self.seen,
            Replica(lambda: self.leading, sender=self.sender, namespace=OPERATOR_NAMESPACE),
            self._enqueue,
            every_rule=self._every_rule,
        )
        self.reconciler.catalog = self._catalog

    def stop(self) -> None:
        """Let no engine be there: nothing is watched or evaluated, and no timer runs out."""
        self.running = False
        self._due.clear()

    def start(self) -> None:
        """A new engine after `stop`. Packs, flags and params that were set meanwhile come into force now, when it reads them."""
        self.running = True
        self.restart()
        self.catalog = self._given

    def relist(self) -> None:
        """Forget which versions were evaluated, as after a relist."""
        self._evaluated.clear()

    async def settle(self) -> None:
        """Evaluate what has changed or is due, until nothing is; nothing while the engine is stopped."""
        while self.running and await self.round():
            pass

    async def advance(self, seconds: float) -> None:
        """Move the clock on, from one time at which something is due to the next."""
        await self.settle()
        end = self.clock.monotonic() + seconds
        while (now := self.clock.monotonic()) < end:
            due = min([end, *(time for time in self._due.values() if time > now)])
            await self.clock.advance(min(end - now, max(due - now, SHORTEST)) if due < end else end - now)
            await self.settle()

    async def round(self) -> bool:
        """Evaluate everything that has changed or is due; return whether there was anything. A crash restarts the engine."""
        keys = await self._refresh()
        try:
            for key in keys:
                self._due.pop(key, None)
                if isinstance(key, ObjectKey) and (obj := self.caches.whole(key)) is not None:
                    self.old[key], self._last[key] = self._last.get(key), obj
                again = await self.reconciler.reconcile(key)
                if again is not None:
                    self._due[key] = self.clock.monotonic() + again
        except Crash:
            self.crashes += 1
            self.restart()
            return True
        return bool(keys)

    async def _relate(self) -> None:
        """Read all that lookups follow anew, and have evaluated again what depends on what has changed."""
        for kind in self.caches.followed:
            try:
                self.caches.relate(kind, await self.all(kind))
                self.caches.outdated.discard(kind)
            except ApiError:  # not served: a lookup reads it, and gets that error
                self.caches.outdated.add(kind)
        while self.reconciler.wake(1000):
            pass

    async def _select(self) -> Collection[ObjectKey]:
        """Read all namespaces anew, where packs select by them; return the objects that are watched, or not, by that."""
        if not any(pack.selects_namespaces for pack in self._catalog.packs.values()):
            return ()
        return self.caches.select({names_of(obj)[1]: obj for obj in await self.all(NAMESPACE)})

    def _enqueue(self, key: ObjectKey | GroupKey) -> None:
        self._due[key] = self.clock.monotonic()

    async def _refresh(self) -> list[ObjectKey | GroupKey]:
        """Read all watched objects anew; gives the keys of those that have changed or are due, and of the groups that are due."""
        await self._discover()
        await self._relate()
        keys: list[ObjectKey | GroupKey] = []
        present: set[ObjectKey | GroupKey] = set()
        selected = await self._select()
        for kind in dict.fromkeys(kind for pack in self._catalog.packs.values() for kind in pack.watches):
            for obj in await self.all(kind):
                key = ObjectKey(kind, *names_of(obj))
                version = str(metadata(obj)["resourceVersion"])
                present.add(key)
                if self._evaluated.get(key) != version:
                    self.caches.put(key, obj)
                    self._evaluated[key] = version
                    keys.append(key)
                elif key in selected or self._due.get(key, float("inf")) <= self.clock.monotonic():
                    keys.append(key)
        for key in self.caches.keys() - present:
            self._evaluated.pop(key, None)
            self.caches.put(key, None)
            keys.append(key)
        now = self.clock.monotonic()
        absent = [key for key, due in self._due.items() if due <= now and key not in present]  # groups, and what is gone
        return keys + [key for key in absent if key not in keys]

    async def apply(self, obj: Object) -> None:
        """Create an object, or merge it into the one that is there, where null removes a field.

        Its status is written too, and its namespace where that is missing.
        """
        resource = await self.cluster.discover(kind_of(obj))
        namespace, name = str(metadata(obj).get("namespace", "")), str(metadata(obj)["name"])
        await self._namespace(namespace)
        try:
            await self.cluster.create(resource, namespace, merged({}, obj))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            await self.cluster.patch(resource, namespace, name, obj)
        try:
            if "status" in obj:
                await self.cluster.patch(resource, namespace, name, {"status": obj["status"]}, subresource="status")
        except ApiError as error:
            if error.status != 404:  # a kind without the subresource: the status is written already
                raise

    async def get(self, kind: Kind, name: str, namespace: str) -> Object:
        """An object. Raises ApiError 404."""
        return await self.cluster.get(await self.cluster.discover(kind), namespace, name)

    async def all(self, kind: Kind, namespace: str = "") -> Sequence[Object]:
        """All objects of a kind."""
        resource = await self.cluster.discover(kind)
        return (await self.cluster.list(Selection(resource, namespace))).items

    async def delete(self, kind: Kind, name: str, namespace: str) -> None:
        """Delete an object. Raises ApiError 404."""
        await self.cluster.delete(await self.cluster.discover(kind), namespace, name)

    async def serve(self, kind: Kind) -> None:
        """See to it that the cluster serves a kind; one that is not known is served as its name suggests, with a status."""
        try:
            await self.cluster.discover(kind)
        except ApiError:
            self.cluster.register(guessed_resource(kind), status_subresource=True)

    @property
    def writes(self) -> list[str]:
        """What the engine has written, as `verb Kind ns/name`."""
        return [f"{call.verb} {call.ref}" for call in self.engine.writes]

    async def _namespace(self, name: str) -> None:
        resource = await self.cluster.discover(NAMESPACE)
        try:
            if name:
                body = {"apiVersion": NAMESPACE.api_version, "kind": NAMESPACE.kind, "metadata": {"name": name}}
                await self.cluster.create(resource, "", body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
