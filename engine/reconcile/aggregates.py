"""The part of the pipeline that is about groups: what an `aggregate` rule does once for all objects that belong together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from engine.cel import Scope
from engine.errors import ApiError, EvaluationError
from engine.kube.act import Actor
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.merge import changes
from engine.model.objects import GroupKey, Ref, ref_of
from engine.model.outcome import Done, Outcome, Skipped, Unavailable
from engine.model.plan import OwnWrite, joined, own_patch
from engine.packs.catalog import Catalog
from engine.packs.rule import Rule
from engine.reconcile.answers import explained
from engine.reconcile.caches import Caches
from engine.reconcile.counted import Counted
from engine.reconcile.counting import Counting
from engine.reconcile.evaluate import ONCE
from engine.reconcile.hidden import named, without_secrets
from engine.reconcile.item import unread
from engine.reconcile.matching import Evaluation
from engine.reconcile.reader import Reader
from engine.reconcile.record import Record, Result, on_record, recorded
from engine.reconcile.silent import logger
from engine.reconcile.state import PackState
from engine.reconcile.timers import restored

log = logger(__name__)


class Aggregates:
    """Matches and evaluates groups, which `counting` counts. One key at a time, as for objects."""

    def __init__(
        self, actor: Actor, reader: Reader, caches: Caches, clock: Clock, enqueue: Callable[[GroupKey], None],
        owns: Callable[[GroupKey], bool],
    ) -> None:  # fmt: skip
        self._actor, self._reader, self._clock = actor, reader, clock
        self.counting = Counting(actor, reader, caches, clock, enqueue, owns)

    async def match(self, catalog: Catalog, key: GroupKey, now: float) -> Outcome:
        """Return Done with the evaluation of a group whose target is there, unless a throttle or a retry is to be awaited."""
        if self.counting.waits(key):
            return await self.counting.wait(catalog, key, now)
        counted, pack = self.counting.get(key), catalog.packs.get(key.pack)
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
            hides = key.rule in pack.reads_secrets
            log.warning("%s: %s", named(hides, key), without_secrets(hides, str(error)))
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
        counted = self._of(evaluation.group)
        now = datetime.fromtimestamp(self._clock.time(), UTC)
        variables = {"params": counted.params, "flags": catalog.flags, "now": now, "groupKey": evaluation.group.group}
        return Scope({**variables, "object": evaluation.object, "target": evaluation.object}, now=evaluation.now)

    def wake(self, key: GroupKey) -> bool:
        """Have a group evaluated although none of its members has changed; return whether the group is known."""
        counted = self.counting.get(key)
        if counted is None or key.group not in counted.states:
            return False
        counted.woken.add(key.group)
        return True

    def has(self, ref: Ref) -> bool:
        """Return whether a group that is about no object has members."""
        pack, _, rule = ref.namespace.rpartition("/")
        counted = self.counting.get(GroupKey(pack, rule, ref.name))
        return counted is not None and counted.totals.has_members(ref.name)

    def states(self, key: GroupKey) -> Sequence[PackState]:
        """Return what is remembered of a group."""
        counted = self.counting.get(key)
        state = None if counted is None else counted.states.get(key.group)
        return () if state is None else (state,)

    def _of(self, key: GroupKey) -> Counted:
        counted = self.counting.get(key)
        assert counted is not None, "what is not counted is not matched"
        return counted

    async def evaluate(self, evaluation: Evaluation, rule: Rule, scope: Scope) -> tuple[Outcome, Scope]:
        """Return Done with a Firing where there is something to say about a group; with the group in the scope."""
        key, now = evaluation.group, evaluation.now
        assert key is not None
        counted = self._of(key)
        totals = counted.totals
        if rule.resync is not None and now >= counted.recounted_at + rule.resync:
            totals.recount()
            counted.recounted_at = now
        try:
            await self.counting.ask(counted, key.group, evaluation.object, scope)
        except ApiError as error:
            return _unread(key, evaluation.state, error, now), scope
        evaluation.state.stall = None
        if rule.resync is not None and totals.has_members(key.group):
            evaluation.again(now + rule.resync)
        evaluation.counted = totals.namespaces(key.group, now)
        evaluation.again(totals.kept_until(key.group))
        if not evaluation.counted and not self.counting.has_begun(counted, evaluation):
            return Skipped("no member of it has the target's consent"), scope
        counted.fired.add(key.group)
        view = totals.view(key.group, now)
        scope = scope.having(totals.aggregate.vars).child(group=view)
        if rule.lookups:
            values: dict[str, Any] = {}
            try:
                found = await self._reader.look_up(counted.pack, rule, scope, values, key)
            except ApiError as error:
                evaluation.looked_up(rule, values)
                why = without_secrets(evaluation.hides(rule.name), await self._reader.failure(counted.pack, rule, scope, error))
                return _unread(key, evaluation.state, error, now, why), scope
            evaluation.looked_up(rule, values)
            if not isinstance(found, Done):
                return found, scope
            scope = scope.child(lookup=found.result)
        if held_up := counted.not_urgent(key.group, scope, now):
            return held_up, scope
        counted.act_for(key.group, view, now)
        return Done(ONCE), scope

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
            own = joined([*(own.step for own in evaluation.own), on_record(obj, names, record.text(uid))])
            if evaluation.steps or changes(obj, own_patch(obj, own).body):
                record = record._replace(fired_at=datetime.fromtimestamp(int(self._clock.time()), UTC))
        return record.text(uid)

    def settle(self, evaluation: Evaluation, written: OwnWrite | None) -> None:
        """Remember that a group was written, which its throttle counts from."""
        state, rule = evaluation.state, evaluation.rules[0]
        state.unrecorded, state.unwritten = 0, ()
        ended = not evaluation.rule_state(rule).under_way("")
        reached = written is not None and not written.gone
        if ended and (reached or evaluation.steps or not evaluation.object):
            state.rules[rule.name] = evaluation.rule_state(rule)._replace(fired_at=evaluation.now)
            if rule.urgent is not None:  # what it could not say in one firing
                evaluation.again(evaluation.now + rule.urgent.every)

    def finish(self, evaluation: Evaluation) -> float | None:
        """Return when to evaluate a group again (seconds of the monotonic clock), None where only a change matters."""
        key, state = evaluation.group, evaluation.state
        assert key is not None
        counted = self.counting.get(key)
        under_way = evaluation.rule_state(evaluation.rules[0]).under_way("")
        if counted is not None and not under_way and key.group in counted.outdated:
            counted.outdated.discard(key.group)
            evaluation.again(evaluation.now)
        state.retry_at = evaluation.retry_at if under_way or state.unrecorded else None
        if evaluation.retry_at is None and counted is not None and not evaluation.counted:  # it may have emptied since
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


def _unread(key: GroupKey, state: PackState, error: ApiError, now: float, why: str = "") -> Unavailable:
    """Return that a group's target, its consent or a lookup cannot be read now, and remember it; for `why` see `unread`."""
    hides = key.rule in state.pack.reads_secrets
    why = without_secrets(hides, why or explained(error))
    log.log(logging.DEBUG if state.stall else logging.WARNING, "%s: %s; trying again", named(hides, key), why)
    outcome, state.stall = unread(state.stall, error, now, str(key), why)
    state.retry_at = outcome.retry_at
    return outcome
