"""The part of the pipeline that is about groups: what an `aggregate` rule does once for all objects that belong together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

from engine.cel import Scope
from engine.errors import ApiError, EvaluationError
from engine.kube.act import Actor
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.merge import changes
from engine.model.objects import GroupKey, Object, ObjectKey, Ref, metadata, ref_of
from engine.model.outcome import Done, Outcome, Skipped, Unavailable
from engine.model.plan import OwnWrite, Read, joined, own_patch
from engine.packs.catalog import Catalog
from engine.packs.pack import Rule, RulePack
from engine.reconcile.caches import Caches
from engine.reconcile.counted import Counted
from engine.reconcile.evaluate import ONCE, condition, variables_of
from engine.reconcile.item import unread
from engine.reconcile.matching import Evaluation
from engine.reconcile.reader import Reader
from engine.reconcile.record import Record, Result, on_record, recorded
from engine.reconcile.state import PackState
from engine.reconcile.timers import restored
from engine.reconcile.totals import Row, Totals, row_of

SYNC_WAIT = 1.0
NO_GROUP = Skipped("belongs to no group")
log = logging.getLogger(__name__)


class Aggregates:
    """Counts objects in groups, and matches and evaluates the groups. One key at a time, as for objects."""

    def __init__(
        self, actor: Actor, reader: Reader, caches: Caches, clock: Clock, enqueue: Callable[[GroupKey], None],
        owns: Callable[[GroupKey], bool],
    ) -> None:  # fmt: skip
        self._actor, self._reader, self._caches, self._clock = actor, reader, caches, clock
        self._add, self._owns = enqueue, owns
        self._counted: dict[tuple[str, str], Counted] = {}
        self._fired: dict[tuple[str, str], set[str]] = {}  # of those that are to be counted anew
        self._waiting: set[tuple[str, str]] = set()  # rules whose objects are not all listed yet

    async def count(self, catalog: Catalog, evaluation: Evaluation, rule: Rule, scope: Scope) -> Skipped:
        """Count one object; once all are listed, the first one of a rule has all others counted with it."""
        pack, obj = evaluation.pack, evaluation.object
        counted = await self._counting(catalog, pack, rule)
        if counted is None:
            return Skipped("waits until all objects are listed")
        if self._reader.time_slice.over():
            await self._reader.time_slice.next()
        key = ObjectKey(evaluation.ref.kind, evaluation.ref.namespace, evaluation.ref.name)
        before, skipped = counted.first.pop(key, (None, NO_GROUP))
        if before is obj:
            return skipped
        return self._count(counted, key, scope.child(oldObject=None) if pack.reads_old else scope)

    def forget(self, pack: RulePack, key: ObjectKey) -> None:
        """Count an object no more; where its kind is not served, keep what the targets say until all objects are listed again."""
        for rule in pack.rules:
            name = pack.identity, rule.name
            counted = self._counted.get(name)
            if counted is not None and self._caches.synced(pack):
                self._put(counted, key, None)
            elif counted is not None:
                self._fired[name] = counted.fired
                del self._counted[name]
                self._waiting.add(name)
                self._enqueue(GroupKey(*name, ""))

    def keep(self, packs: Collection[str]) -> None:
        """Forget the groups of all other packs: what is not watched any more is counted anew when it is watched again."""
        self._counted = {key: counted for key, counted in self._counted.items() if key[0] in packs}
        self._fired = {key: fired for key, fired in self._fired.items() if key[0] in packs}
        self._waiting = {key for key in self._waiting if key[0] in packs}

    async def match(self, catalog: Catalog, key: GroupKey, now: float) -> Outcome:
        """Return Done with the evaluation of a group whose target is there, unless a throttle or a retry is to be awaited."""
        if (key.pack, key.rule) in self._waiting:
            return await self._wait(catalog, key, now)
        counted, pack = self._counted.get((key.pack, key.rule)), catalog.packs.get(key.pack)
        if counted is None or pack is not counted.pack or not counted.ready or catalog.mode(pack, counted.rule) is Mode.OFF:
            return Skipped("is not counted here")
        state = counted.states.setdefault(key.group, PackState(pack, ""))
        if (throttled := counted.throttled(key.group, state, now)) is not None:
            return throttled
        woken = key.group in counted.woken
        if state.retry_at is not None and now < state.retry_at and not woken:
            return Skipped("is to be tried again later", state.retry_at)
        counted.woken.discard(key.group)
        evaluation = Evaluation(pack, {}, key.ref, state, now, (counted.rule,), "Group", group=key, woken=woken)
        if (about := counted.totals.aggregate.target) is None:
            return Done([evaluation])
        try:
            target = await self._actor.read(about.read(self.scope(catalog, evaluation)))
        except ApiError as error:
            return _unread(key, state, error, now)
        except EvaluationError as error:
            log.warning("%s: %s", key, error)
            return Skipped(str(error), unknown=True)
        if not target:
            state.rules.clear()
            counted.forget_if_empty(key.group)
            return Skipped("its target is not there")
        evaluation.object, evaluation.ref = target[0], ref_of(target[0])
        skipped = counted.throttled(key.group, state, now) if self._restored(catalog, key, evaluation) else None
        return skipped or Done([evaluation])

    def scope(self, catalog: Catalog, evaluation: Evaluation) -> Scope:
        """Return the variables of the actions for a group, without the group itself."""
        assert evaluation.group is not None
        counted = self._counted[evaluation.group.pack, evaluation.group.rule]
        now = datetime.fromtimestamp(self._clock.time(), UTC)
        variables = {"params": counted.params, "flags": catalog.flags, "now": now, "groupKey": evaluation.group.group}
        return Scope({**variables, "object": evaluation.object, "target": evaluation.object}, now=evaluation.now)

    def wake(self, key: GroupKey) -> bool:
        """Have a group evaluated although none of its members has changed; return whether the group is known."""
        counted = self._counted.get((key.pack, key.rule))
        if counted is None or key.group not in counted.states:
            return False
        counted.woken.add(key.group)
        return True

    def has(self, ref: Ref) -> bool:
        """Return whether a group that is about no object has members."""
        pack, _, rule = ref.namespace.rpartition("/")
        counted = self._counted.get((pack, rule))
        return counted is not None and counted.totals.has_members(ref.name)

    def states(self, key: GroupKey) -> Sequence[PackState]:
        """Return what is remembered of a group."""
        counted = self._counted.get((key.pack, key.rule))
        state = None if counted is None else counted.states.get(key.group)
        return () if state is None else (state,)

    async def evaluate(self, evaluation: Evaluation, rule: Rule, scope: Scope) -> tuple[Outcome, Scope]:
        """Return Done with a Firing where there is something to say about a group; with the group in the scope."""
        key, now = evaluation.group, evaluation.now
        assert key is not None
        counted = self._counted[key.pack, key.rule]
        totals = counted.totals
        if rule.resync is not None and now >= counted.recounted_at + rule.resync:
            totals.recount()
            counted.recounted_at = now
        try:
            await self._ask(counted, key.group, evaluation.object, scope)
        except ApiError as error:
            return _unread(key, evaluation.state, error, now), scope
        evaluation.state.stall = None
        if rule.resync is not None and totals.has_members(key.group):
            evaluation.again(now + rule.resync)
        evaluation.counted = totals.namespaces(key.group, now)
        evaluation.again(totals.kept_until(key.group))
        if not evaluation.counted and not self._was_told(counted, evaluation):
            return Skipped("no member of it has the target's consent"), scope
        counted.fired.add(key.group)
        scope = scope.having(totals.aggregate.vars).child(group=totals.view(key.group, now))
        if rule.lookups:
            try:
                found = await self._reader.look_up(counted.pack, rule, scope, key)
            except ApiError as error:
                return _unread(key, evaluation.state, error, now), scope
            if not isinstance(found, Done):
                return found, scope
            scope = scope.child(lookup=found.result)
        return counted.not_urgent(key.group, scope, now) or Done(ONCE), scope

    def _was_told(self, counted: Counted, evaluation: Evaluation) -> bool:
        """Return whether the rule has fired for a group while it had members, by the record on its target where it has one."""
        assert evaluation.group is not None
        if counted.totals.aggregate.target is None:
            return evaluation.group.group in counted.fired
        known = recorded(evaluation.object, counted.pack.record_names[evaluation.group.rule])
        return known.key == evaluation.group.group and self._all_watched(known)

    def record_text(self, evaluation: Evaluation, result: Result) -> str | None:
        """Return what to put on record on a group's target, a durable throttle included; None as no member is left."""
        assert evaluation.group is not None
        if not evaluation.counted:
            return None
        obj, rule = evaluation.object, evaluation.rules[0]
        names, uid = evaluation.pack.record_names[rule.name], evaluation.ref.uid
        record = Record(fired_at=recorded(obj, names).fired_at if rule.durable_throttle else None)
        record = record.with_items(evaluation.group.group, dict.fromkeys(evaluation.counted, result))
        if rule.durable_throttle:
            own = joined([*(own for _, own in evaluation.own), on_record(obj, names, record.text(uid))])
            if evaluation.steps or changes(obj, own_patch(obj, own).body):
                record = record._replace(fired_at=datetime.fromtimestamp(int(self._clock.time()), UTC))
        return record.text(uid)

    def settle(self, evaluation: Evaluation, written: OwnWrite | None) -> None:
        """Remember that a group was written, which its throttle counts from."""
        state, rule = evaluation.state, evaluation.rules[0]
        state.unrecorded = 0
        ended = not evaluation.rule_state(rule).under_way("")
        if ended and (written is not None or evaluation.steps or not evaluation.object):
            state.rules[rule.name] = evaluation.rule_state(rule)._replace(fired_at=evaluation.now)
            if rule.urgent is not None:  # what it could not say in one firing
                evaluation.again(evaluation.now + rule.urgent.every)

    def finish(self, evaluation: Evaluation) -> float | None:
        """Return when to evaluate a group again (seconds of the monotonic clock), None where only a change matters."""
        key, state = evaluation.group, evaluation.state
        assert key is not None
        counted = self._counted.get((key.pack, key.rule))
        under_way = evaluation.rule_state(evaluation.rules[0]).under_way("")
        state.retry_at = evaluation.retry_at if under_way or state.unrecorded else None
        if evaluation.retry_at is None and counted is not None:
            counted.forget_if_empty(key.group)
        return evaluation.retry_at

    def _restored(self, catalog: Catalog, key: GroupKey, evaluation: Evaluation) -> bool:
        """Take over the throttle that an earlier process has put on record; return whether there is one."""
        rule = evaluation.rules[0]
        state = evaluation.rule_state(rule)
        if not rule.durable_throttle or state.fired_at is not None:
            return False
        record = recorded(evaluation.object, evaluation.pack.record_names[rule.name])
        if record.key != key.group or record.fired_at is None:
            return False
        evaluation.remember(rule, restored(rule, state, record, self.scope(catalog, evaluation)))
        return True

    async def _counting(self, catalog: Catalog, pack: RulePack, rule: Rule) -> Counted | None:
        """The groups of a rule with all objects counted in them; None until all of those are listed."""
        name = pack.identity, rule.name
        counted, params = self._counted.get(name), catalog.params.get(pack.identity, {})
        if counted is not None and counted.pack is pack and counted.params == params:
            return counted
        if counted is not None:
            self._fired[name] = counted.fired
        if not self._caches.synced(pack):
            if name not in self._waiting:  # one timer for the rule, not one for each of its objects
                self._waiting.add(name)
                self._enqueue(GroupKey(*name, ""))
            return None
        assert rule.aggregate is not None
        self._waiting.discard(name)
        counted = self._counted[name] = Counted(pack, rule, params, Totals(rule.aggregate), fired=self._fired.pop(name, set()))
        await self._count_all(catalog, counted)
        return counted

    async def _wait(self, catalog: Catalog, key: GroupKey, now: float) -> Skipped:
        """Have the objects of a rule counted as soon as all are listed; no change of one of them may come then."""
        pack = catalog.packs.get(key.pack)
        rule = next((rule for rule in pack.rules if rule.name == key.rule), None) if pack else None
        if pack is None or rule is None or rule.aggregate is None or catalog.mode(pack, rule) is Mode.OFF:
            self._waiting.discard((key.pack, key.rule))
            return Skipped("is not in force")
        waiting = await self._counting(catalog, pack, rule) is None
        return Skipped("waits until all objects are listed", now + SYNC_WAIT if waiting else None)

    def _all_watched(self, record: Record) -> bool:
        """Whether all namespaces that were counted are watched here; otherwise another engine knows of their objects."""
        return all(self._caches.watches(namespace) for namespace in record.items)

    async def _ask(self, counted: Counted, group: str, target: Object, scope: Scope) -> None:
        """Ask which members count: those that may act on the target. Only what has changed, or all of a target that has."""
        about, by = metadata(target), counted.totals.aggregate.target
        read = None if by is None else by.read(scope.child(object={}))
        for member in counted.totals.unasked(group, (str(about.get("uid")), str(about.get("resourceVersion")))):
            cached = self._caches.get(counted.pack, member)
            if cached is None:
                continue
            if self._reader.time_slice.over():
                await self._reader.time_slice.next()
            refused = None
            if read is not None:
                refused = await self._reader.check(counted.pack, read, ("patch",), scope.child(object=cached.object), [target])
            counted.totals.admit(group, member, consents=refused is None)
            if refused is not None:
                log.debug("%s does not count in %s: %s", member, group, refused.reason)

    async def _count_all(self, catalog: Catalog, counted: Counted) -> None:
        """Count every object there is, and enqueue every group, those that only an old record knows of included."""
        pack, now = counted.pack, self._clock.time()
        for key in list(self._caches.objects(pack)):
            if self._reader.time_slice.over():
                await self._reader.time_slice.next()
            cached = self._caches.get(pack, key)
            if cached is not None:
                scope = Scope(variables_of(catalog, pack, cached.object, None, now), counted.rule.vars)
                counted.first[key] = cached.object, self._count(counted, key, scope)
        counted.ready, counted.recounted_at = True, self._clock.monotonic()
        for group in {*counted.totals.keys(), *await self._on_record(counted)}:
            self._enqueue(GroupKey(pack.identity, counted.rule.name, group))

    async def _on_record(self, counted: Counted) -> list[str]:
        """The groups whose targets carry a record: the last member of one may have gone while nobody watched.

        Without targets, those for which the rule has fired.
        """
        pack, rule, target = counted.pack, counted.rule, counted.totals.aggregate.target
        kind = None if target is None else target.kind
        if kind is None:
            return [*counted.fired]
        try:
            targets = await self._actor.read(Read(Ref(kind, "", ""), ""))
        except ApiError as error:
            log.warning("%s/%s: cannot list %s to find groups that have gone: %s", pack.identity, rule.name, kind, error)
            return []
        records = [recorded(target, pack.record_names[rule.name]) for target in targets]
        return [found.key for found in records if found.key and self._all_watched(found)]

    def _enqueue(self, key: GroupKey) -> None:
        """Have a group evaluated, if it is this replica's."""
        if self._owns(key):
            self._add(key)

    def _count(self, counted: Counted, key: ObjectKey, scope: Scope) -> Skipped:
        """Count an object as it is, or no more; say where."""
        row: Row | None = None
        try:
            skipped = condition(counted.rule, scope)
            if skipped is None and (row := row_of(counted.totals.aggregate, scope)) is not None:
                skipped = Skipped(f"counts in group {row.group!r}")
        except EvaluationError as error:
            skipped = Skipped(f"cannot be counted: {error}", unknown=True)
        self._put(counted, key, row)
        return skipped or NO_GROUP

    def _put(self, counted: Counted, key: ObjectKey, row: Row | None) -> None:
        if row is not None and not self._owns(GroupKey(counted.pack.identity, counted.rule.name, row.group)):
            row = None
        for group in counted.totals.put(key, row, self._clock.monotonic()):
            if counted.ready:
                self._enqueue(GroupKey(counted.pack.identity, counted.rule.name, group))


def _unread(key: GroupKey, state: PackState, error: ApiError, now: float) -> Unavailable:
    """Return that a group's target or its consent cannot be read now, and remember it."""
    log.log(logging.DEBUG if state.stall else logging.WARNING, "%s: %s; trying again", key, error)
    outcome, state.stall = unread(state.stall, error, now, str(key))
    state.retry_at = outcome.retry_at
    return outcome
