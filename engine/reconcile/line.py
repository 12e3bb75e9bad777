"""The line: watch → match → evaluate → plan → act → record, for one object at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.cel import Scope
from engine.errors import ApiError
from engine.kube.access import AccessReviews
from engine.kube.act import Actor
from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.kube.record import record
from engine.model.flags import Mode
from engine.model.objects import GroupKey, ObjectKey, ref_of
from engine.model.observe import Observer, Result
from engine.model.plan import Annotate, joined
from engine.packs.catalog import Catalog
from engine.packs.pack import Rule
from engine.reconcile.caches import Caches
from engine.reconcile.evaluate import Firing, Held, condition, evaluate
from engine.reconcile.groups import GroupReconciler
from engine.reconcile.looks import Look, Memories
from engine.reconcile.lookups import look_up
from engine.reconcile.memory import ItemMemory, RuleMemory
from engine.reconcile.perform import Item, Performer
from engine.reconcile.reading import Reader
from engine.reconcile.record import annotation_of, recorded
from engine.reconcile.scope import variables_of

RECORD_BACKOFF, RECORD_BACKOFF_MAX = 2.0, 300.0
log = logging.getLogger(__name__)


def everything(key: ObjectKey | GroupKey) -> bool:
    """What an engine owns that shares a cluster with nobody."""
    return True


class Reconciler:
    """Judges objects and acts on them. One object must not be given to two calls at the same time.

    A thorough one evaluates every rule, and so tells of each why it holds back, where the others leave out what cannot hold.
    Of objects that it does not own it only counts those that belong to a group, since the group may be its own.
    """

    def __init__(
        self,
        api: Api,
        clock: Clock,
        caches: Caches,
        observer: Observer,
        may_act: Callable[[], bool],
        enqueue: Callable[[GroupKey], None],
        owns: Callable[[ObjectKey | GroupKey], bool] = everything,
        thorough: bool = False,
    ) -> None:
        self._clock = clock
        self._owns = owns
        self._caches = caches
        self._observer = observer
        self._actor = Actor(api, may_act)
        access = AccessReviews(api, clock)
        self._reader = Reader(self._actor, access, clock)
        self._performer = Performer(self._actor, self._reader, access, observer)
        self._groups = GroupReconciler(self._actor, self._reader, self._performer, caches, clock, enqueue, owns)
        self._memories = Memories(caches, thorough)
        self._generation = 0
        self._catalog = Catalog()

    @property
    def catalog(self) -> Catalog:
        """The packs, modes and params in force; a new one makes every pack judge its objects anew."""
        return self._catalog

    @catalog.setter
    def catalog(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._generation += 1
        self._performer.brake.resume = catalog.resume
        self._groups.keep({pack.name for pack in catalog.packs.values() if catalog.mode(pack) is not Mode.OFF})

    async def reconcile(self, key: ObjectKey | GroupKey) -> float | None:
        """Look at one object or group; returns the seconds after which to look again, None where only a change matters.

        Nothing that an object or a cluster holds raises here; NotLeading does, where the Lease is lost meanwhile.
        """
        if isinstance(key, GroupKey):
            return await self._groups.reconcile(self._catalog, key)
        packs, mine = self._catalog.in_force(key.kind), self._owns(key)
        if not mine:
            packs = tuple(pack for pack in packs if pack.counts)
        for pack in packs:
            if pack.counts and self._caches.get(pack, key.namespace, key.name) is None:
                self._groups.forget(pack, key)
        looks = list(self._memories.looks(key, packs, self._generation, self._clock.time()))
        own: list[Annotate] = []
        for look in looks:
            for rule, bare in self._rules(look, mine):
                if self._reader.turns.over():
                    await self._reader.turns.next()
                memory = look.memory.rule(rule.name)
                verdict, scope = await self._evaluate(key, look, rule, bare, memory)
                self._report(look, rule, memory, verdict)
                if isinstance(verdict, Firing):
                    await self._fire(look, rule, scope, memory, verdict, own)
                else:
                    look.again(verdict.until)
        return await self._record(key, looks, own)

    def _rules(self, look: Look, mine: bool) -> Iterator[tuple[Rule, Scope]]:
        """The rules of a pack that apply, each with its variables; of an object that is not ours, those that count it."""
        shared: Scope | None = None
        for number in look.rules:
            rule = look.pack.rules[number]
            if rule.on == look.on and (mine or rule.aggregate is not None) and rule.mode is not Mode.OFF:
                if shared is None:
                    old = look.memory.judged if look.on == "Change" else look.object
                    shared = Scope(variables_of(self._catalog, look.pack, look.object, old, look.now), look.pack.vars)
                yield rule, shared.having(rule.vars)

    async def _evaluate(
        self, key: ObjectKey, look: Look, rule: Rule, scope: Scope, memory: RuleMemory
    ) -> tuple[Firing | Held, Scope]:
        if rule.aggregate is not None:
            counting = scope.child(oldObject=None) if look.pack.reads_old else scope
            return await self._groups.judge(self._catalog, look.pack, rule, key, counting), scope
        if rule.resync is not None:
            look.again(look.now + rule.resync)
        if rule.lookups:
            held = condition(rule, scope)
            if held is not None and not held.unknown:  # so that no lookup has to be made
                memory.holds_no_more()
                return held, scope
            found = await look_up(self._reader, look.pack, rule, scope)
            if isinstance(found, Held):
                return found, scope
            scope = scope.child(lookup=found)
        on_record = partial(recorded, look.object, look.pack.name, rule.name)
        return evaluate(rule, scope, on_record, memory, initial=look.initial), scope

    def _report(self, look: Look, rule: Rule, memory: RuleMemory, verdict: Firing | Held) -> None:
        ref = look.ref
        if isinstance(verdict, Firing):
            memory.unknown = ""
            self._observer.evaluated(look.pack.name, rule.name, ref, Result.FIRED, "")
            return
        result = Result.UNKNOWN if verdict.unknown else Result.HELD
        self._observer.evaluated(look.pack.name, rule.name, ref, result, verdict.reason)
        if verdict.unknown and memory.unknown != verdict.reason:
            log.warning("%s/%s cannot judge %s: %s", look.pack.name, rule.name, ref, verdict.reason)
        memory.unknown = verdict.reason if verdict.unknown else ""

    async def _fire(self, look: Look, rule: Rule, scope: Scope, memory: RuleMemory, firing: Firing, own: list[Annotate]) -> None:
        """Carry out the items of a firing that are due, and put what has ended on record."""
        mode = self._catalog.mode(look.pack, rule)
        if not memory.under_way(firing.key):
            memory.fired_at = look.now
        items = memory.under(firing.key, mode)
        for wanted in firing.items:
            item = items.setdefault(wanted.key, ItemMemory())
            if item.ended is None and item.due <= look.now:
                inner = scope if rule.loop is None else scope.child(**{rule.loop_var: wanted.value})
                cause = Cause(look.pack.name, rule.name, look.object, look.ref, firing.key, wanted.key)
                item.ended = await self._performer.run(Item(look.pack, rule, cause, inner, item, mode), look.now)
            if item.ended is None:
                look.again(item.due)
            if look.on == "Change":
                own += item.own
        ended = {name: item.ended for name, item in items.items() if item.ended is not None}
        if rule.once_per is None:
            memory.items = {name: item for name, item in items.items() if item.ended is None}
        elif ended and mode is Mode.ENFORCE and look.on == "Change":
            updated = recorded(look.object, look.pack.name, rule.name).with_items(firing.key, ended)
            own.append(Annotate({annotation_of(look.pack.name, rule.name): updated.text()}))

    async def _record(self, key: ObjectKey, looks: list[Look], own: list[Annotate]) -> float | None:
        """Write what the round comes to in one patch, and remember what was judged."""
        living = [look for look in looks if look.on == "Change"]
        if living:
            obj = living[-1].object
            try:
                written = await record(self._actor, obj, joined(own))
                if written is not None:
                    self._memories.wrote(key, written)
                self._memories.settle(key, living, written)
            except ApiError as error:
                await self._unrecorded(living, error)
        due = self._memories.due(key, looks)
        return None if due is None else max(0.0, due - self._clock.time())

    async def _unrecorded(self, looks: list[Look], error: ApiError) -> None:
        """Try again, ever more rarely; where only somebody else can mend it, such as too many annotations, say so once."""
        obj = looks[-1].object
        log.warning("cannot write the firing record of %s: %s; trying again", ref_of(obj), error)
        for look in looks:
            pause = min(RECORD_BACKOFF * 2.0**look.memory.unrecorded, RECORD_BACKOFF_MAX)
            look.memory.unrecorded += 1
            look.again(look.now + max(pause, error.retry_after or 0.0))
        if not error.retryable:
            message = f"What rulepack has done for this object cannot be written on it, so it may be done again: {error}"
            cause, now = Cause("rulepack", "record", obj, looks[-1].ref, error.reason), datetime.fromtimestamp(looks[-1].now, UTC)
            try:
                await self._actor.perform(event(cause, obj, Content("Warning", "RecordRefused", message, {}), now), dry_run=False)
            except ApiError as also:
                log.warning("cannot emit an Event about %s either: %s", ref_of(obj), also)
