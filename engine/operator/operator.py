"""The operator: everything that runs inside one process, wired together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from engine.cel import Cel
from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.observe import Observer, Observers
from engine.operator.activity import Activity
from engine.operator.backoff import cancel
from engine.operator.caches import PackCaches
from engine.operator.informer import Informer, State
from engine.operator.leader import Leader
from engine.operator.live import LivePacks
from engine.operator.metrics import MetricError, Metrics, Sample
from engine.operator.overview import overview
from engine.operator.queue import WorkQueue
from engine.operator.server import Server
from engine.operator.settings import Settings
from engine.operator.shards import Layout, suffix
from engine.operator.workers import Key, Workers
from engine.packs.catalog import Catalog
from engine.packs.pack import DISRUPTIONS
from engine.reconcile import Reconciler, everything
from engine.reconcile.budget import resumed

log = logging.getLogger(__name__)


class Operator:
    """Watches, judges and acts, as the settings say. Raises UsageError where the settings name no rule packs.

    `server.port` is where it can be asked how it is; further observers are told what it decides and does.
    """

    def __init__(self, api: Api, settings: Settings, clock: Clock, cel: Cel, *observers: Observer) -> None:
        self._settings = settings
        self.metrics = Metrics()
        if settings.shard:
            self.metrics.shard_info.labels(str(settings.shard.number), str(settings.shard.count)).set(1)
        self.queue = WorkQueue[Key](clock)
        self.caches = PackCaches(api, clock, settings.namespaces, self.queue.add, settings.watch_label_selector)
        self._layout = Layout(api, clock, settings.operator_namespace, settings.lease_name, settings.shard)
        self.leader = self._contender(api, clock, settings)
        self.live = LivePacks(api, settings, clock, cel, self._may_write_statuses, self._use)
        self.server = Server(self, settings.address, settings.port)
        self._activity = Activity(clock)
        observer = Observers(self.metrics, self._activity, *observers)
        owns = settings.shard.owns if settings.shard else everything
        self._reconciler = Reconciler(api, clock, self.caches, observer, self.may_act, self.queue.add, owns)
        self._workers = Workers(settings.workers, self.queue, self._reconciler.reconcile, clock, self.metrics)
        self.metrics.queue_depth.set_function(lambda: self.queue.depth)
        self.metrics.watch(self._last_events, self._waiting)

    def may_act(self) -> bool:
        """Whether this replica may act now; a dry run, which writes nothing, always may."""
        return self._settings.dry_run or self.leader.is_leader()

    def _contender(self, api: Api, clock: Clock, settings: Settings) -> Leader:
        """Who contends for the Lease: that of the cluster, or that of a shard."""
        name, identity, shard = settings.lease_name, settings.identity, settings.shard
        if shard is not None:
            name, identity = f"{name}-{shard.number}", identity + suffix(shard.count)
        return Leader(
            api, clock, settings.operator_namespace, name, identity, on_started=self._started, on_stopped=self._stopped,
            is_open=self._layout.is_open, admit=self._layout.admit,
        )  # fmt: skip

    def _may_write_statuses(self) -> bool:
        """Whether this replica tells on ConfigMaps how their packs fare, which one of several shards does."""
        return self.may_act() and (self._settings.shard is None or self._settings.shard.number == 0)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then finish what is under way. Raises UsageError where the address cannot be had."""
        await self.server.start()
        if self._settings.shard:
            log.info("this is %s", self._settings.shard)
        log.info("serving /healthz, /readyz, /metrics and /packs on %s:%d", self.server.address or "*", self.server.port)
        release = asyncio.Event()
        stopping, living, acting = (asyncio.create_task(work) for work in (stop.wait(), self.live.run(), self._act(release)))
        try:
            done, _ = await asyncio.wait({stopping, living, acting}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await self._workers.finish(self._settings.grace_period)
            release.set()  # only now: nothing is under way any more
            if self.live.in_force.is_set():
                await asyncio.wait({acting})
            await cancel(stopping, living, acting)
            await self.caches.stop()
            await self.live.config_maps.stop()
            await self.server.stop()

    async def _act(self, release: asyncio.Event) -> None:
        """Work whenever this replica leads, once packs and flags are known: nothing acts that a flag has switched off."""
        await self.live.in_force.wait()
        if self._settings.dry_run:
            self._started()
            await release.wait()
        else:
            await self.leader.run(release)

    def _started(self) -> None:
        self.metrics.leader.set(1)
        self._workers.start()
        self.live.touch()  # statuses are the leader's to write

    def _stopped(self) -> None:
        self.metrics.leader.set(0)
        self._workers.abort()

    async def _use(self, catalog: Catalog) -> None:
        """Put a catalog in force, and look again at all objects of the packs in which it differs."""
        self.metrics.pack_errors.set(sum(1 for report in self.live.reports if report.faults))
        old = self._reconciler.catalog
        if _same(old, catalog):
            return
        self._reconciler.catalog = catalog
        for name in old.packs:
            if resumed(*_budget(old, name), *_budget(catalog, name)):
                self._activity.resumed(name)
                self.metrics.resumed(name)
        self._declare(old, catalog)
        await self.caches.use([pack for pack in catalog.packs.values() if catalog.mode(pack) is not Mode.OFF])
        for pack in catalog.packs.values():
            if not _same(old, catalog, pack.name):
                log.info("pack %s from %s: %s", pack.name, pack.source, catalog.mode(pack).value)
                for key in self.caches.objects(pack):
                    self.queue.add(key)
        for name in old.packs.keys() - catalog.packs.keys():
            log.info("pack %s is gone", name)

    def _declare(self, old: Catalog, catalog: Catalog) -> None:
        self.metrics.pack_info.clear()
        for pack in catalog.packs.values():
            self.metrics.pack_info.labels(pack.name, catalog.mode(pack).value, pack.source).set(1)
        declared = dict.fromkeys(old.packs, ()) | {name: tuple(p.metrics.values()) for name, p in catalog.packs.items()}
        for name, specs in declared.items():
            try:
                self.metrics.declare(name, specs)
            except MetricError as error:
                log.error("%s", error)

    def unhealthy(self) -> Sequence[str]:
        """See `engine.operator.server.Reporter`."""
        ended = [*self.caches.ended(), *self.live.config_maps.ended(), *self._workers.ended()]
        stuck = [f"{informer.key}: its watch is stuck" for informer in self._informers() if informer.stuck()]
        return [*(f"{name} has ended" for name in ended), *stuck]

    def unready(self) -> Sequence[str]:
        """See `engine.operator.server.Reporter`. A kind that the cluster does not serve yet holds nothing up."""
        missing = [i for i in self._informers() if not i.synced.is_set() and i.state is not State.WAITING]
        problems = [f"{informer.key}: not listed yet" + (f": {informer.error}" if informer.error else "") for informer in missing]
        return problems if self.live.in_force.is_set() else ["rule packs are not in force yet", *problems]

    def metrics_text(self) -> bytes:
        """See `engine.operator.server.Reporter`."""
        return self.metrics.text()

    def packs(self) -> Any:
        """See `engine.operator.server.Reporter`."""
        shard = self._settings.shard
        acting = {
            "leading": self.may_act(), "leader": self.leader.holder, "dryRun": self._settings.dry_run,
            "shard": str(shard) if shard else None, "waitsFor": self._layout.waits_for,
        }  # fmt: skip
        return {**acting, **overview(self._reconciler.catalog, self.caches, self._activity, self.live.reports)}

    def _last_events(self) -> Iterator[Sample]:
        return (((str(informer.key.kind),), informer.last_event) for informer in self._informers())

    def _waiting(self) -> Iterator[Sample]:
        catalog = self._reconciler.catalog
        on = (pack for pack in catalog.packs.values() if catalog.mode(pack) is not Mode.OFF)
        return (((pack.name, str(pack.watch.kind)), float(self.caches.waiting(pack))) for pack in on)

    def _informers(self) -> Iterator[Informer]:
        yield from self.live.config_maps.informers
        yield from self.caches.informers.values()


def _budget(catalog: Catalog, pack: str) -> tuple[int, str]:
    """How many disruptive steps a pack may take in a minute, and what people last said to have suspended rules go on."""
    return catalog.params.get(pack, {}).get(DISRUPTIONS, 0), catalog.resume


def _same(old: Catalog, new: Catalog, *names: str) -> bool:
    """Whether packs of these names, or all and what people say about them, are in force in the same way."""

    def parts(catalog: Catalog, name: str) -> tuple[Any, ...]:
        return catalog.packs.get(name), catalog.modes.get(name), catalog.params.get(name)

    return (bool(names) or old.resume == new.resume) and all(
        parts(old, name) == parts(new, name) for name in names or (old.packs.keys() | new.packs.keys())
    )
