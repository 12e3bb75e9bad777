"""The line: watch → match → evaluate → plan → act → record, for one object at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from engine.actions import Cause
from engine.cel import Scope
from engine.cluster.act import Actor
from engine.cluster.api import Api
from engine.cluster.clock import Clock
from engine.cluster.lookup import LookupCache
from engine.cluster.record import record
from engine.decide.evaluate import Firing, Held, evaluate
from engine.decide.match import settled, watched_values
from engine.decide.memory import ItemMemory, PackMemory, RuleMemory
from engine.decide.permit import refused_read, refused_targets
from engine.decide.record import annotation_of, recorded
from engine.decide.scope import variables_of
from engine.errors import ApiError, Unanswered
from engine.model.flags import Mode
from engine.model.merge import added, merged
from engine.model.objects import Object, ObjectKey, ref_of
from engine.model.observe import Observer, Result
from engine.model.plan import Annotate, OwnWrite
from engine.perform import Item, Performer
from engine.rulepack.catalog import Catalog
from engine.rulepack.pack import Rule, RulePack

RECORD_BACKOFF = 2.0
LOOKUP_BACKOFF = 5.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cached:
    """An object in an informer's cache; `initial`: it was in the first list, and has not changed since."""

    object: Object
    initial: bool


class Caches(Protocol):
    """Where the reconciler finds watched objects; the manager's informers answer it."""

    def get(self, pack: RulePack, namespace: str, name: str) -> Cached | None:
        """The object as the informer of this pack's selection has it."""
        ...

    def take_deleted(self, pack: RulePack, namespace: str, name: str) -> Object | None:
        """The last state of an object that is gone from this pack's selection; given out once."""
        ...


@dataclass(slots=True)
class _Look:
    """One pack's look at one object: what it sees, what it remembers, and what the look comes to."""

    pack: RulePack
    object: Object
    memory: PackMemory
    now: float
    generation: int
    on: str = "Change"
    initial: bool = False
    due: float | None = None

    def again(self, when: float | None) -> None:
        """Look again at the earliest of the times asked for."""
        if when is not None:
            self.due = when if self.due is None else min(self.due, when)


class _Own:
    """What all rules of one round want written on the watched object itself."""

    def __init__(self) -> None:
        self.annotations: dict[str, str | None] = {}
        self.labels: dict[str, str | None] = {}

    def add(self, steps: Iterable[Annotate]) -> None:
        """Take steps in; a later one wins."""
        for step in steps:
            self.annotations.update(step.annotations)
            self.labels.update(step.labels)

    @property
    def step(self) -> Annotate:
        """All of it as one step."""
        return Annotate(self.annotations, self.labels)


class Reconciler:
    """Judges objects and acts on them. One object must not be given to two calls at the same time."""

    def __init__(self, api: Api, clock: Clock, caches: Caches, observer: Observer, may_act: Callable[[], bool]) -> None:
        self._clock = clock
        self._caches = caches
        self._observer = observer
        self._actor = Actor(api, may_act)
        self._performer = Performer(self._actor, observer)
        self._lookups = LookupCache(self._actor, clock)
        self._memories: dict[ObjectKey, dict[tuple[str, str], PackMemory]] = {}
        self._own: dict[ObjectKey, OwnWrite] = {}
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

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at one object; returns the seconds after which to look again, None where only a change matters.

        Nothing that an object or a cluster holds raises here; NotLeading does, where the Lease is lost meanwhile.
        """
        looks = list(self._match(key))
        own = _Own()
        for look in looks:
            for rule, bare in self._rules(look):
                memory = look.memory.rule(rule.name)
                verdict, scope = await self._evaluate(look, rule, bare, memory)
                self._report(look, rule, memory, verdict)
                if isinstance(verdict, Firing):
                    await self._fire(look, rule, scope, memory, verdict, own)
                else:
                    look.again(verdict.until)
        return await self._record(key, looks, own)

    def _match(self, key: ObjectKey) -> Iterator[_Look]:
        """The packs that have something to judge about an object."""
        now = self._clock.time()
        memories = self._memories.setdefault(key, {})
        packs = self._catalog.for_kind(key.kind)
        for name, on in memories.keys() - {(pack.name, on) for pack in packs for on in ("Change", "Delete")}:
            del memories[name, on]
        for pack in packs:
            gone = self._caches.take_deleted(pack, key.namespace, key.name)
            if gone is not None:
                memories.pop((pack.name, "Change"), None)
                self._own.pop(key, None)
                memories[pack.name, "Delete"] = PackMemory(pack, ref_of(gone).uid, judged=gone)
            ending = memories.get((pack.name, "Delete"))
            if ending is not None and ending.judged is not None and (ending.due or 0.0) <= now:
                yield _Look(pack, ending.judged, ending, now, self._generation, on="Delete")
            cached = self._caches.get(pack, key.namespace, key.name)
            if cached is None:
                memories.pop((pack.name, "Change"), None)
            else:
                obj = self._with_own(key, cached.object)
                memory = memories.get((pack.name, "Change"))
                if memory is None or memory.pack is not pack or memory.uid != ref_of(obj).uid:
                    memory = memories[pack.name, "Change"] = PackMemory(pack, ref_of(obj).uid)
                if not settled(memory, self._generation, watched_values(pack, obj), now):
                    yield _Look(pack, obj, memory, now, self._generation, initial=cached.initial)

    def _with_own(self, key: ObjectKey, obj: Object) -> Object:
        """The object with what we wrote on it ourselves, as long as the watch has not shown that yet."""
        written = self._own.get(key)
        if written is None:
            return obj
        after = written.over(obj)
        if after is obj:
            del self._own[key]
        return after

    def _rules(self, look: _Look) -> Iterator[tuple[Rule, Scope]]:
        """The rules of a pack that apply, each with its variables."""
        old = look.memory.judged if look.on == "Change" else look.object
        variables = variables_of(self._catalog, look.pack, look.object, old, look.now)
        for rule in look.pack.rules:
            if rule.on == look.on and self._catalog.mode(look.pack, rule) is not Mode.OFF:
                yield rule, Scope(variables, rule.vars)

    async def _evaluate(self, look: _Look, rule: Rule, scope: Scope, memory: RuleMemory) -> tuple[Firing | Held, Scope]:
        if rule.resync is not None:
            look.again(look.now + rule.resync)
        if rule.lookups:
            found = await self._look_up(look, rule, scope)
            if isinstance(found, Held):
                return found, scope
            scope = scope.child(lookup=found)
        on_record = recorded(look.object, look.pack.name, rule.name)
        return evaluate(rule, scope, on_record, memory, initial=look.initial), scope

    async def _look_up(self, look: _Look, rule: Rule, scope: Scope) -> dict[str, Any] | Held:
        found: dict[str, Any] = {}
        try:
            for name, target in rule.lookups.items():
                read = target.read(scope.child(lookup=dict(found)))
                if refusal := refused_read(look.pack, read, scope):
                    return Held(f"lookup {name}: {refusal}", unknown=True)
                objects = await self._lookups.read(read)
                if refusal := refused_targets(look.pack, read, objects, scope):
                    return Held(f"lookup {name}: {refusal}", unknown=True)
                found[name] = list(objects) if target.by_selector else next(iter(objects), None)
        except Unanswered as unanswered:
            return Held(f"lookup has no answer: {unanswered}", unknown=True)
        except ApiError as error:
            return Held(f"lookup failed: {error}", until=look.now + LOOKUP_BACKOFF, unknown=True)
        return found

    def _report(self, look: _Look, rule: Rule, memory: RuleMemory, verdict: Firing | Held) -> None:
        ref = ref_of(look.object)
        if isinstance(verdict, Firing):
            memory.unknown = ""
            self._observer.evaluated(look.pack.name, rule.name, ref, Result.FIRED, "")
            return
        result = Result.UNKNOWN if verdict.unknown else Result.HELD
        self._observer.evaluated(look.pack.name, rule.name, ref, result, verdict.reason)
        if verdict.unknown and memory.unknown != verdict.reason:
            log.warning("%s/%s cannot judge %s: %s", look.pack.name, rule.name, ref, verdict.reason)
        memory.unknown = verdict.reason if verdict.unknown else ""

    async def _fire(self, look: _Look, rule: Rule, scope: Scope, memory: RuleMemory, firing: Firing, own: _Own) -> None:
        """Carry out the items of a firing that are due, and put what has ended on record."""
        mode = self._catalog.mode(look.pack, rule)
        if not memory.under_way(firing.key):
            memory.fired_at = look.now
        items = memory.under(firing.key, mode)
        for wanted in firing.items:
            item = items.setdefault(wanted.key, ItemMemory())
            if item.ended is None and item.due <= look.now:
                inner = scope if rule.loop is None else scope.child(**{rule.loop_var: wanted.value})
                cause = Cause(look.pack.name, rule.name, look.object, firing.key, wanted.key)
                item.ended = await self._performer.run(Item(look.pack, rule, cause, inner, item, mode), look.now)
            if item.ended is None:
                look.again(item.due)
            if look.on == "Change":
                own.add(item.own)
        ended = {name: item.ended for name, item in items.items() if item.ended is not None}
        if rule.once_per is None:
            memory.items = {name: item for name, item in items.items() if item.ended is None}
        elif ended and mode is Mode.ENFORCE and look.on == "Change":
            updated = recorded(look.object, look.pack.name, rule.name).with_items(firing.key, ended)
            own.annotations[annotation_of(look.pack.name, rule.name)] = updated.text()

    async def _record(self, key: ObjectKey, looks: list[_Look], own: _Own) -> float | None:
        """Write what the round comes to in one patch, and remember what was judged."""
        living = [look for look in looks if look.on == "Change"]
        if living:
            obj = living[-1].object
            try:
                written = await record(self._actor, obj, own.step)
                recorded_ = True
                if written is not None:
                    earlier = self._own.get(key)
                    self._own[key] = written if earlier is None else replace(written, patch=added(earlier.patch, written.patch))
            except ApiError as error:
                log.warning("cannot write the firing record of %s: %s; trying again", ref_of(obj), error)
                recorded_, written = False, None
            for look in living:
                self._remember(look, written, recorded_)
        memories = self._memories[key]
        for look in looks:
            look.memory.due = look.due
            if look.on == "Delete" and look.due is None:
                memories.pop((look.pack.name, "Delete"), None)
        dues = [memory.due for memory in memories.values() if memory.due is not None]
        if not memories:
            del self._memories[key]
            self._own.pop(key, None)
        return max(0.0, min(dues) - self._clock.time()) if dues else None

    def _remember(self, look: _Look, written: OwnWrite | None, recorded_: bool) -> None:
        memory = look.memory
        if not recorded_:
            memory.seen = None
            look.again(look.now + RECORD_BACKOFF)
            return
        memory.judged = look.object if written is None else merged(look.object, written.patch)
        memory.seen = watched_values(look.pack, memory.judged)
        memory.generation = look.generation
        for rule in memory.rules.values():
            if rule.mode is Mode.ENFORCE:
                rule.items = {name: item for name, item in rule.items.items() if item.ended is None}
