"""Writes what all packs want on one object: its metadata and the firing records, in one patch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from cachetools import TTLCache

from engine.cel import Scope
from engine.errors import ApiError
from engine.kube.act import Actor
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.objects import Object
from engine.model.observe import TIMER, Act, ActResult, Observer
from engine.model.plan import Annotate, OwnWrite, joined
from engine.model.text import after
from engine.packs.catalog import Catalog
from engine.packs.in_force import InForce
from engine.packs.rule import Rule
from engine.reconcile.aggregates import Aggregates
from engine.reconcile.answers import explained
from engine.reconcile.hidden import any_hides, without_secrets
from engine.reconcile.matching import Evaluation
from engine.reconcile.record import Wait, on_record, recorded, removed, write_own
from engine.reconcile.state import Own
from engine.reconcile.timers import PAUSE, timed, wall
from engine.reconcile.waits import Waits

OBJECTS = 100_000
"""For how many objects at once it is known when that was."""


class Recorder:
    """Writes on watched objects and targets of groups, and notifies the observer of what that comes to."""

    def __init__(
        self, actor: Actor, clock: Clock, observer: Observer, aggregates: Aggregates, waits: Waits, operator: str
    ) -> None:  # fmt: skip
        self._actor, self._clock, self._observer = actor, clock, observer
        self._aggregates, self._waits, self._operator = aggregates, waits, operator
        self._noted = TTLCache[str, float](OBJECTS, PAUSE, timer=clock.monotonic)
        """By uids, when it was last put on record for an object that conditions hold."""

    def put(self, evaluation: Evaluation, rule: Rule, scope: Scope, catalog: Catalog) -> None:
        """Have written on the object which items have ended, and the timers that are to outlive the process."""
        state = evaluation.rule_state(rule)
        progress, durable = state.firing, rule.durable_hold or rule.durable_throttle
        if not (progress or durable):
            return
        names, enforced = evaluation.pack.record_names[rule.name], catalog.mode(evaluation.pack, rule) is Mode.ENFORCE
        ended = progress.ended() if progress and progress.mode is Mode.ENFORCE else {}
        wanted = ended or (progress and rule.loop) or durable
        if wanted and enforced and evaluation.on != "Delete" and evaluation.object:
            if evaluation.group is not None and ended:
                text = self._aggregates.record_text(evaluation, ended[""])
                evaluation.own.append(Own(rule.name, on_record(evaluation.object, names, text)))
            elif evaluation.group is None:
                before = after = recorded(evaluation.object, names)
                waits = {name: Wait(wall(since, scope), why) for name, since, why in progress.waiting()} if progress else {}
                dropped = progress and progress.key == before.key and before.waiting.keys() - waits.keys()
                if progress and (ended or dropped) and rule.once_per is not None:
                    after = after.with_items(progress.key, ended, waits)
                if durable:
                    after, retry_at = timed(rule, state, after, scope, self._noted.get(evaluation.ref.uid))
                    evaluation.again(retry_at)
                    evaluation.notes_hold |= before.true_since is None and after.true_since is not None
                if after != before:
                    record = on_record(evaluation.object, names, after.text(evaluation.ref.uid, self._operator))
                    if after.without_timers() == before.without_timers():
                        evaluation.timers[rule.name] = record
                    else:
                        evaluation.own.append(Own(rule.name, record))
        if progress and rule.once_per is None:
            progress.keep_open()

    async def write(self, evaluations: Sequence[Evaluation], times: Mapping[str, InForce]) -> OwnWrite | None:
        """Write what the evaluations of one object want; return what was written, None where that is nothing.

        `times` say of rules, by the names of their records, whether they are gone. Where the right to patch the object is
        missing, and only timers are to be written, those go on in memory. Raises ApiError and NotLeading.
        """
        obj = evaluations[-1].object
        own = joined(own for each in evaluations for own in (*(own.step for own in each.own), *each.timers.values()))
        if own == Annotate():
            return None
        if any(each.notes_hold for each in evaluations):
            self._noted[evaluations[-1].ref.uid] = evaluations[-1].now
        try:
            written = await write_own(self._actor, obj, self._without_old_records(obj, own, times))
        except ApiError as error:
            if error.status != 403 or any(each.own for each in evaluations):
                self._report(evaluations, error)
                raise
            self._not_durable(evaluations, error)
            return None
        if written is None or not written.gone:
            self._report(evaluations)
        self._waits.durable(_timers(evaluations))
        return written

    def _report(self, evaluations: Sequence[Evaluation], error: ApiError | None = None) -> None:
        """Notify the observer of what actions wanted on the object: it is there now, or is tried again after an error."""
        why = "" if error is None else without_secrets(any_hides(evaluations), explained(error))
        for own in (own for each in evaluations for own in each.own if own.act is not None):
            assert own.act is not None
            if error is not None:
                self._observer.acted(own.act._replace(result=ActResult.RETRYING, detail=why, diff=()))
            else:
                self._observer.acted(own.act)
                own.act = None

    def _not_durable(self, evaluations: Sequence[Evaluation], error: ApiError) -> None:
        """Say, once for each rule until that is mended, that its timer begins anew with the next process."""
        lacks = "the timer is not durable, since the right to patch the object is missing (see rulepack rbac)"
        reason = without_secrets(any_hides(evaluations), after(lacks, error))
        for pack, rule in dict.fromkeys(_timers(evaluations)):
            if self._waits.not_durable(pack, rule, reason):
                self._observer.acted(Act(pack, rule, evaluations[-1].ref, "", "", TIMER, None, ActResult.REFUSED, reason))

    def _without_old_records(self, obj: Object, own: Annotate, times: Mapping[str, InForce]) -> Annotate:
        """What is to be written, and with it the end of records whose rules are gone for good: no write is made for them."""
        if own == Annotate():
            return own
        now = datetime.fromtimestamp(self._clock.time(), UTC)
        ended = {name for name, time in times.items() if time.ended(now)}
        return own._replace(annotations={**own.annotations, **removed(obj, ended)}) if ended else own


def _timers(evaluations: Sequence[Evaluation]) -> Iterator[tuple[str, str]]:
    """Yield the packs and rules whose timers are to be put on record."""
    for evaluation in evaluations:
        for rule in evaluation.timers:
            yield evaluation.pack.identity, rule
