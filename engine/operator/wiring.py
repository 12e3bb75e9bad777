"""Everything that runs inside one operator process, wired together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from engine.cel import Backend
from engine.errors import ApiError, UsageError
from engine.kube.act import Actor
from engine.kube.api import Api
from engine.kube.clock import Clock, cancel
from engine.kube.leases import Leases
from engine.model.flags import Mode
from engine.model.objects import Kind, Object, ObjectKey, flow_of
from engine.model.observe import Observer, Observers
from engine.operator.activity import Activity
from engine.operator.caches import PackCaches
from engine.operator.certificate import Certificate
from engine.operator.guard import Readers
from engine.operator.health import Health
from engine.operator.in_force import InForceTimes
from engine.operator.leader import Leader
from engine.operator.left_out import LeftOut
from engine.operator.metrics import MetricError, Metrics
from engine.operator.overview import known, overview
from engine.operator.pack_sources import PackSources
from engine.operator.queue import WorkQueue
from engine.operator.reviews import Reviews
from engine.operator.rulepacks import Fare, RulePackStatuses
from engine.operator.series import Labels
from engine.operator.server import Queried, Reply, Server, probe
from engine.operator.settings import Settings
from engine.operator.shards import Layout, layout_name, suffix
from engine.operator.standing import counts_of, standing
from engine.operator.time_watch import TimeWatch
from engine.operator.workers import Key, Workers
from engine.outbound.client import client_of
from engine.packs.catalog import Catalog
from engine.packs.pack import DISRUPTIONS, RulePack
from engine.reconcile import Reconciler, Replica
from engine.reconcile.budget import Terms
from engine.reconcile.budgets import resume_command
from engine.reconcile.timeslice import TimeSlice

log = logging.getLogger(__name__)

WOKEN = 200
"""How many objects that depend on a change are enqueued before other tasks have their turn."""


class Operator:
    """Watches, evaluates and acts, as the settings say. Raises UsageError where the settings name no rule packs.

    `probes.port` and `server.port` are where it says how it is; further observers get what it decides and does.
    """

    def __init__(self, api: Api, settings: Settings, clock: Clock, cel: Backend, *observers: Observer) -> None:
        self._settings, self._clock, shard = settings, clock, settings.shard
        self.queue = WorkQueue[Key](clock, flow_of)
        self.metrics = Metrics()
        self.metrics.queue_depth.read = lambda: {(): self.queue.depth if self.may_act() else 0}
        self.metrics.pack_info.read, self.metrics.pack_waiting.read = self._pack_info, self._pack_waiting
        self.metrics.shards.record((), shard.count if shard else 1)
        if shard:
            self.metrics.shard_info.record((str(shard.number), str(shard.count)))
        self.caches = PackCaches(api, clock, settings.namespaces, self._changed, settings.watch_label_selector)
        leases = Leases(api, settings.operator_namespace, in_pod=settings.in_pod)
        lease, identity = settings.lease_name, settings.identity
        self._in_force = InForceTimes(leases, clock, dry_run=settings.dry_run)
        self._layout = Layout(leases, clock, lease, shard)
        if shard:
            lease, identity = f"{lease}-{shard.number}", identity + suffix(shard.count)
        self.leader = Leader(leases, clock, lease, identity, self._layout, self._started, self._stopped)
        self._statuses = RulePackStatuses(api, settings, clock, self.leader.is_leader, self.fare)
        self.packs = PackSources(api, settings, clock, cel, self._may_write_statuses, self._use, self._statuses)
        self.metrics.pack_errors.read = lambda: {(): sum(bool(report.faults) for report in self.packs.reports)}
        self.probes = Server(settings.address, settings.probe_port, "--probe-port", {
            "/healthz": lambda: probe(self.health.unhealthy()),  # that the event loop goes on is shown by any answer
            "/readyz": lambda: probe(self.health.unready()),
        })  # fmt: skip
        self.reviews = Reviews(api, clock)
        clients = settings.request_header.client_ca_file if settings.request_header else None
        self._certificate = None if settings.insecure_metrics else Certificate(settings.tls_folder, clients)
        self.server = Server(
            settings.address, settings.port, "--port",
            {"/metrics": self._metrics, "/packs": Queried(self._packs)},
            guard=None if settings.insecure_metrics else Readers(self.reviews).refusal, certificate=self._certificate,
        )  # fmt: skip
        self.activity, self.resume = Activity(clock), resume_command(settings.operator_namespace)
        observer = Observers(self.metrics, self.activity, *observers)
        may_act = self.may_act if settings.dry_run else self.leader.is_leader
        self.time_slice, sender = TimeSlice(), client_of(settings.http_allow, clock)
        name, namespace = f"{settings.operator_namespace}/{settings.lease_name}", settings.operator_namespace
        replica = Replica(may_act, operator=name, sender=sender, namespace=namespace, time_slice=self.time_slice)
        replica = replica._replace(owns=shard.owns, budget_share=1 / shard.count) if shard else replica
        self.reconciler = Reconciler(api, clock, self.caches, observer, replica, self.queue.add)
        self._workers = Workers(settings.workers, self.queue, self.reconciler.reconcile, clock, self.metrics)
        self.health = Health(self.packs, self.caches, self.leader, self._workers, clock)
        self.metrics.last_events.read = self.health.last_events
        self._left_out = LeftOut(Actor(api, self._may_emit), clock, self.health.informers, replica.owns)
        self.reconciler.actor.on_left_out = self._left_out.add
        self.metrics.left_out.read = self._left_out.counts
        self.metrics.waiting.read = self.reconciler.waits.counts
        self.metrics.others.read = self.reconciler.others.counts
        self.activity.removals = self.reconciler.generated.held
        self.metrics.suspensions.read = self.activity.suspended_series

    def may_act(self) -> bool:
        """Return whether this replica may act now; a dry run, which writes nothing, always may."""
        return self._settings.dry_run or self.leader.is_leader()

    def _changed(self, key: ObjectKey, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None:
            self.reconciler.others.notice(old, new)
        self.queue.add(key)

    def _may_write_statuses(self) -> bool:
        """Return whether this replica writes on ConfigMaps how their packs fare, which one of several shards does."""
        return self.may_act() and (self._settings.shard is None or self._settings.shard.number == 0)

    def _may_emit(self) -> bool:
        return self.may_act() and not self._settings.dry_run

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then finish what is under way.

        Raises UsageError where the address cannot be had, or the Lease is that of an operator that it is no replica of.
        """
        if not self._settings.dry_run:
            with suppress(ApiError):  # then it is found out when the Lease is to be taken
                await self.leader.respect(self._settings.lease_name, layout_name(self._settings.lease_name))
        await self._serve()
        if self._settings.shard:
            log.info("this is %s", self._settings.shard)
        release = asyncio.Event()
        work = (stop.wait(), self.packs.run(), self._act(release))
        stopping, reading, acting = (asyncio.create_task(each) for each in work)
        time_watch = TimeWatch(self._clock, self.reconciler.time_was_set)
        beside = self._left_out.run(), self._wake(), self._in_force.run(), time_watch.run()
        others = [asyncio.create_task(each) for each in beside]
        others += [asyncio.create_task(self._certificate.watch(self._clock))] if self._certificate else []
        try:
            done, _ = await asyncio.wait({stopping, reading, acting, *others}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await self._workers.finish(self._settings.grace_period)
            await self._statuses.finish()
            release.set()  # only now: nothing is under way any more
            if self.packs.in_force.is_set():
                await asyncio.wait({acting})
            await cancel(stopping, reading, acting, *others)
            await self.caches.stop()
            await self.packs.stop()
            await self.server.stop()
            await self.probes.stop()

    async def _serve(self) -> None:
        await self.probes.start()
        try:
            await self.server.start()
        except UsageError:
            await self.probes.stop()
            raise
        where, plain = self.server.address or "*", self._settings.insecure_metrics
        log.info("serving /healthz and /readyz on %s:%d", where, self.probes.port)
        log.info(
            "serving %s on %s:%d%s",
            ", ".join(self.server.paths),
            where,
            self.server.port,
            " to everybody" if plain else " by TLS",
        )

    async def _act(self, release: asyncio.Event) -> None:
        """Work whenever this replica leads, once packs and flags are known: nothing acts that a flag has switched off."""
        await self.packs.in_force.wait()
        if self._settings.dry_run:
            self._started()
            await release.wait()
        else:
            await self.leader.run(release)

    async def _wake(self) -> None:
        """Enqueue what depends on what has changed; where that is much, let others have their turns in between."""
        while True:
            await self.reconciler.related.news.wait()
            while self.reconciler.wake(WOKEN):
                await asyncio.sleep(0)

    def _started(self) -> None:
        self.metrics.leader.record((), 1)
        self._workers.start()
        self.packs.touch()  # statuses are the leader's to write
        self._statuses.took_over()

    def _stopped(self) -> None:
        self.metrics.leader.record((), 0)
        self._workers.abort()
        self.reconciler.generated.forget()

    async def _use(self, catalog: Catalog) -> None:
        """Put a catalog in force, and reconcile all objects of the packs in which it differs."""
        catalog = await self._in_force.dated(catalog)
        held = {each.pack for each in self.reconciler.generated.held()}
        old, self.reconciler.catalog = self.reconciler.catalog, catalog
        going_on = held - {each.pack for each in self.reconciler.generated.held()}
        going_on |= self.activity.take_terms({name: _terms(catalog, name) for name in catalog.packs})
        self.activity.enforced = {name for name, pack in catalog.packs.items() if catalog.mode(pack) is Mode.ENFORCE}
        self._declare(old, catalog)
        self.metrics.begin(catalog.packs.values())
        await self.caches.use(self._on())
        for pack in catalog.packs.values():
            differs = _parts(old, pack.identity) != _parts(catalog, pack.identity)
            if differs:
                log.info("pack %s from %s: %s", pack.identity, pack.source, catalog.mode(pack).value)
            for key in self.caches.objects(pack) if differs or pack.identity in going_on else ():
                self.queue.add(key)
        for name in old.packs.keys() - catalog.packs.keys():
            log.info("pack %s is gone", name)

    def _declare(self, old: Catalog, catalog: Catalog) -> None:
        declared = dict.fromkeys(old.packs, ()) | {name: tuple(p.metrics.values()) for name, p in catalog.packs.items()}
        for name, specs in declared.items():
            try:
                self.metrics.declare(name, specs)
            except MetricError as error:
                log.error("%s", error)

    def _metrics(self) -> Reply:
        watched, groups = self.caches.present(), self.reconciler.aggregates
        self.metrics.forget_gone(lambda ref: watched(ref) or groups.has(ref), self._clock.monotonic())
        return Reply(self.metrics.pieces(), "text/plain; version=0.0.4; charset=utf-8")

    def _packs(self, query: Mapping[str, str]) -> Reply:
        return Reply((orjson.dumps(self.known(query) if query else self.overview()),), "application/json")

    def overview(self) -> Any:
        """Return the packs and how they fare, as JSON data without any content of watched objects."""
        shard = self._settings.shard
        acting = {
            "leading": self.may_act(), "leader": self.leader.holder, "dryRun": self._settings.dry_run,
            "shard": str(shard) if shard else None, "waitsFor": self._layout.waits_for,
        }  # fmt: skip
        waits = self.reconciler.waits
        acting["otherOperators"] = sorted({operator for _, operator in self.reconciler.others.counts()})
        # texts are for those whose token may get /packs; by plain HTTP everybody may
        acting["lastGood"] = {} if self._settings.insecure_metrics else self.packs.last_good()
        return {**acting, **overview(self.activity, self.reconciler.catalog, self.caches, self.packs.reports, waits)}

    def known(self, query: Mapping[str, str]) -> Any:
        """Return what is remembered of the object that a query names, as JSON data without any content of it."""
        kind = Kind(query.get("apiVersion", ""), query.get("kind", ""))
        key = ObjectKey(kind, query.get("namespace", ""), query.get("name", ""))
        packs = known(self.activity, key, self.reconciler.states(key))
        return {"leading": self.may_act(), "leader": self.leader.holder, "packs": packs}

    def _pack_info(self) -> Mapping[Labels, float]:
        catalog = self.reconciler.catalog
        return {(pack.identity, catalog.mode(pack).value, pack.source): 1.0 for pack in catalog.packs.values()}

    def _pack_waiting(self) -> Mapping[Labels, float]:
        waiting = ((pack.identity, self.caches.waiting(pack)) for pack in self._on())
        return {(name, str(kind)): float(waits) for name, kinds in waiting for kind, waits in kinds.items()}

    def _on(self) -> Sequence[RulePack]:
        """Return the packs that are not Off."""
        catalog = self.reconciler.catalog
        return [pack for pack in catalog.packs.values() if catalog.mode(pack) is not Mode.OFF]

    def fare(self, pack: RulePack) -> Fare:
        """Return how a pack in force fares, for its status."""
        reconciler = self.reconciler
        failing, audited = reconciler.failing.count(pack), reconciler.audited.count(pack)
        counts = counts_of(self.activity, pack, reconciler.waits, failing, audited)
        reason, why = standing(self.activity, pack, self.caches, self.resume)
        notes = () if reason else self.reconciler.waits.notes(pack.identity)
        return Fare(reason, why, counts, (*notes, *self.reconciler.generated.kept.notes(pack)))


def _terms(catalog: Catalog, pack: str) -> Terms:
    """Return how many disruptive steps a pack may take in a minute, and what people last said to have it go on."""
    return Terms(catalog.params.get(pack, {}).get(DISRUPTIONS, 0), catalog.resume)


def _parts(catalog: Catalog, pack: str) -> tuple[object, ...]:
    """Return what makes a difference for the objects of a pack."""
    return catalog.packs.get(pack), catalog.modes.get(pack), catalog.params.get(pack)
