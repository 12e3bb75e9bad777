"""Acting for groups: what an `aggregate` rule does once for all objects that belong together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine.actions import Cause
from engine.cel import Scope
from engine.errors import ApiError, Refused, Unanswered
from engine.kube.act import Actor
from engine.kube.clock import Clock
from engine.kube.record import record
from engine.model.flags import Mode
from engine.model.objects import GroupKey, Object, ObjectKey, Ref, ref_of
from engine.model.plan import Annotate, Read, joined
from engine.packs.catalog import Catalog
from engine.packs.pack import Rule, RulePack
from engine.reconcile.aggregate import Groups, Row, row_of
from engine.reconcile.caches import Caches
from engine.reconcile.evaluate import Held, condition
from engine.reconcile.memory import ItemMemory
from engine.reconcile.perform import Item, Performer
from engine.reconcile.reading import Reader
from engine.reconcile.record import Record, annotation_of, recorded
from engine.reconcile.scope import variables_of

SYNC_WAIT = 1.0
READ_BACKOFF = 5.0
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _GroupMemory:
    """One group: when it was last written, and the run that is under way."""

    written_at: float | None = None
    item: ItemMemory = field(default_factory=ItemMemory)


@dataclass(slots=True)
class _Counted:
    """One aggregate rule: its groups, once all objects are counted in them, and what is remembered of each."""

    pack: RulePack
    params: Mapping[str, Any]
    groups: Groups
    ready: bool = False
    recounted_at: float = 0.0
    memories: dict[str, _GroupMemory] = field(default_factory=dict)
    first: dict[ObjectKey, tuple[Object, Held]] = field(default_factory=dict)
    """What came of the objects as they were when all were counted, until each of them is judged by itself."""


class GroupReconciler:
    """Counts objects in groups, and brings each group's target to what the rule wants. One key at a time, as for objects."""

    def __init__(
        self,
        actor: Actor,
        reader: Reader,
        performer: Performer,
        caches: Caches,
        clock: Clock,
        enqueue: Callable[[GroupKey], None],
        owns: Callable[[GroupKey], bool],
    ) -> None:
        self._actor, self._reader, self._performer, self._caches = actor, reader, performer, caches
        self._clock, self._add, self._owns = clock, enqueue, owns
        self._counted: dict[tuple[str, str], _Counted] = {}
        self._waiting: set[tuple[str, str]] = set()  # rules whose objects are not all listed yet

    async def judge(self, catalog: Catalog, pack: RulePack, rule: Rule, key: ObjectKey, scope: Scope) -> Held:
        """Count one object; once all are listed, the first one of a rule has all others counted with it."""
        counted = await self._counting(catalog, pack, rule)
        if counted is None:
            return Held("waits until all objects are listed")
        if self._reader.turns.over():
            await self._reader.turns.next()
        obj, held = counted.first.pop(key, (None, Held("")))
        return held if obj is scope.value("object") else self._count(counted, rule, key, scope)

    def forget(self, pack: RulePack, key: ObjectKey) -> None:
        """Count an object no more."""
        for rule in pack.rules:
            counted = self._counted.get((pack.name, rule.name))
            if counted is not None:
                self._put(counted, rule, key, None)

    def keep(self, packs: Collection[str]) -> None:
        """Forget the groups of all other packs: what is not watched any more is counted anew when it is watched again."""
        self._counted = {key: counted for key, counted in self._counted.items() if key[0] in packs}
        self._waiting = {key for key in self._waiting if key[0] in packs}

    async def reconcile(self, catalog: Catalog, key: GroupKey) -> float | None:
        """Look at one group; returns the seconds after which to look again. Raises NotLeading."""
        counted = self._counted.get((key.pack, key.rule))
        pack = catalog.packs.get(key.pack)
        if (key.pack, key.rule) in self._waiting:
            return await self._wait(catalog, pack, key)
        if counted is None or pack is not counted.pack or not counted.ready:
            return None
        rule = pack.rule(key.rule)
        mode = catalog.mode(pack, rule)
        if mode is Mode.OFF:
            return None
        now = self._clock.time()
        memory = counted.memories.setdefault(key.group, _GroupMemory())
        if rule.throttle is not None and memory.written_at is not None and now < memory.written_at + rule.throttle:
            return memory.written_at + rule.throttle - now
        if memory.item.due > now:
            return memory.item.due - now
        if rule.resync is not None and now >= counted.recounted_at + rule.resync:
            counted.groups.recount()
            counted.recounted_at = now
        try:
            again = await self._publish(catalog, counted, rule, key.group, memory, mode, now)
        except ApiError as error:
            log.warning("%s: %s; trying again", key, error)
            again = READ_BACKOFF
        except Unanswered as unanswered:
            log.warning("%s: %s", key, unanswered)
            again = None
        if again is None and not counted.groups.representatives(key.group):
            counted.memories.pop(key.group, None)
            return None
        return min((seconds for seconds in (again, rule.resync) if seconds is not None), default=None)

    async def _counting(self, catalog: Catalog, pack: RulePack, rule: Rule) -> _Counted | None:
        """The groups of a rule with all objects counted in them; None until all of those are listed."""
        name = pack.name, rule.name
        counted, params = self._counted.get(name), catalog.params.get(pack.name, {})
        if counted is not None and counted.pack is pack and counted.params == params:
            return counted
        if not self._caches.synced(pack):
            if name not in self._waiting:  # one timer for the rule, not one for each of its objects
                self._waiting.add(name)
                self._enqueue(GroupKey(*name, ""))
            return None
        assert rule.aggregate is not None
        self._waiting.discard(name)
        counted = self._counted[name] = _Counted(pack, params, Groups(rule.aggregate))
        await self._count_all(catalog, counted, rule)
        return counted

    async def _wait(self, catalog: Catalog, pack: RulePack | None, key: GroupKey) -> float | None:
        """Have the objects of a rule counted as soon as all are listed; nobody may look at one of them then."""
        rule = next((rule for rule in pack.rules if rule.name == key.rule), None) if pack else None
        if pack is None or rule is None or rule.aggregate is None or catalog.mode(pack, rule) is Mode.OFF:
            self._waiting.discard((key.pack, key.rule))
            return None
        return SYNC_WAIT if await self._counting(catalog, pack, rule) is None else None

    async def _publish(
        self, catalog: Catalog, counted: _Counted, rule: Rule, group: str, memory: _GroupMemory, mode: Mode, now: float
    ) -> float | None:
        pack = counted.pack
        variables = {
            "params": counted.params,
            "flags": catalog.flags,
            "now": datetime.fromtimestamp(now, UTC),
            "groupKey": group,
        }
        read = counted.groups.aggregate.target.read(Scope({**variables, "object": {}}))
        found = await self._actor.read(read)
        if not found:
            return None
        target = found[0]
        consenting = await self._consenting(counted, group, read, target, variables)
        on_record = recorded(target, pack.name, rule.name)
        if not consenting and not (on_record.key == group and self._ours(on_record)):
            return None
        view = counted.groups.view(group, consenting)
        scope = Scope({**variables, "object": target, "target": target, "group": view})
        memory.item.due = 0.0
        state = await self._performer.run(
            Item(pack, rule, Cause(pack.name, rule.name, target, ref_of(target), ""), scope, memory.item, mode), now
        )
        if state is None:
            return max(0.0, memory.item.due - self._clock.time())
        run, memory.item = memory.item, ItemMemory()
        if mode is Mode.ENFORCE:
            kept = Record().with_items(group, dict.fromkeys(consenting, state)).text() if consenting else None
            own = [*run.own, Annotate({annotation_of(pack.name, rule.name): kept})]
            written = await record(self._actor, target, joined(own))
            if written is not None or run.steps:
                memory.written_at = now
        return None

    def _ours(self, on_record: Record) -> bool:
        """Whether all namespaces that were counted are watched here; otherwise another engine knows of their objects."""
        return all(self._caches.watches(namespace) for namespace in on_record.items)

    async def _consenting(
        self, counted: _Counted, group: str, read: Read, target: Object, variables: Mapping[str, Any]
    ) -> set[str]:
        """The namespaces whose members count: those whose objects may act on the target, asked with one of each."""
        consenting = set()
        for namespace, name in counted.groups.representatives(group).items():
            member = self._caches.get(counted.pack, namespace, name)
            if member is None:
                continue
            scope = Scope({**variables, "object": member.object})
            try:
                await self._reader.check(counted.pack, read, ("patch",), scope, [target])
                consenting.add(namespace)
            except Refused as refused:
                log.debug("members of %s in namespace %s do not count: %s", group, namespace, refused)
        return consenting

    async def _count_all(self, catalog: Catalog, counted: _Counted, rule: Rule) -> None:
        """Count every object there is, and look at every group, those that only an old record knows of included."""
        pack, now = counted.pack, self._clock.time()
        for key in list(self._caches.objects(pack)):
            if self._reader.turns.over():
                await self._reader.turns.next()
            cached = self._caches.get(pack, key.namespace, key.name)
            if cached is not None:
                scope = Scope(variables_of(catalog, pack, cached.object, None, now), rule.vars)
                counted.first[key] = cached.object, self._count(counted, rule, key, scope)
        counted.ready, counted.recounted_at = True, self._clock.time()
        for group in {*counted.groups.keys(), *await self._on_record(counted, rule)}:
            self._enqueue(GroupKey(pack.name, rule.name, group))

    async def _on_record(self, counted: _Counted, rule: Rule) -> list[str]:
        """The groups whose targets carry a record: the last member of one may have gone while nobody watched."""
        kind = counted.groups.aggregate.target.kind
        if kind is None:
            return []
        try:
            targets = await self._actor.read(Read(Ref(kind, "", ""), ""))
        except ApiError as error:
            log.warning("%s/%s: cannot list %s to find groups that have gone: %s", counted.pack.name, rule.name, kind, error)
            return []
        records = [recorded(target, counted.pack.name, rule.name) for target in targets]
        return [found.key for found in records if found.key and self._ours(found)]

    def _enqueue(self, key: GroupKey) -> None:
        """Have a group looked at by whoever owns it."""
        if self._owns(key):
            self._add(key)

    def _count(self, counted: _Counted, rule: Rule, key: ObjectKey, scope: Scope) -> Held:
        """Count an object as it is, or no more; says where."""
        assert rule.aggregate is not None
        row: Row | None = None
        try:
            held = condition(rule, scope)
            if held is None and (row := row_of(rule.aggregate, scope)) is not None:
                held = Held(f"counts in group {row.group!r}")
        except Unanswered as unanswered:
            held = Held(f"cannot be counted: {unanswered}", unknown=True)
        self._put(counted, rule, key, row)
        return held or Held("belongs to no group")

    def _put(self, counted: _Counted, rule: Rule, key: ObjectKey, row: Row | None) -> None:
        if row is not None and not self._owns(GroupKey(counted.pack.name, rule.name, row.group)):
            row = None
        for group in counted.groups.put(key.namespace, key.name, row):
            if counted.ready:
                self._enqueue(GroupKey(counted.pack.name, rule.name, group))
