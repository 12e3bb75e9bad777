"""Evaluate a rule for an object: when its schedule is due, with what it looks up; and report what came of it.

`evaluate.py` decides, and is pure; the reads that this needs are made here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from engine.cel import Scope
from engine.errors import ApiError
from engine.model.flags import Mode
from engine.model.observe import Evaluated, Observer
from engine.model.outcome import Done, Outcome, Refused, Skipped, Unavailable
from engine.packs.catalog import Catalog
from engine.packs.rule import Rule
from engine.reconcile.evaluate import condition, evaluate
from engine.reconcile.hidden import named, outcome_without_secrets, without_secrets
from engine.reconcile.item import unread
from engine.reconcile.matching import Evaluation
from engine.reconcile.reader import Reader
from engine.reconcile.record import recorded
from engine.reconcile.related import dependent_of
from engine.reconcile.scheduled import evaluated, scheduled
from engine.reconcile.silent import logger
from engine.reconcile.state import RuleState
from engine.reconcile.timers import restored, unfinished

log = logger(__name__)


class Evaluator:
    """Evaluates rules for objects. What it remembers of a rule is in the RuleState that it returns."""

    def __init__(self, reader: Reader, observer: Observer, operator: str) -> None:
        self._reader, self._observer, self._operator = reader, observer, operator

    async def evaluate(
        self, catalog: Catalog, evaluation: Evaluation, rule: Rule, scope: Scope, state: RuleState
    ) -> tuple[Outcome, Scope, RuleState]:
        """Evaluate a rule for an object; one that has a schedule only where a time of it is due."""
        pack = evaluation.pack
        if rule.loop is not None and state.firing is None and catalog.mode(pack, rule) is Mode.ENFORCE:
            state = unfinished(evaluation, rule, state, scope, self._operator)
        if rule.schedule is None:
            return await self._evaluate_object(catalog, evaluation, rule, scope, state)
        record = recorded(evaluation.object, pack.record_names[rule.name])
        due, state = scheduled(rule.schedule, evaluation, scope, state, record, catalog.since(pack, rule))
        if not isinstance(due, Done):
            return due, scope, state
        scope = scope.child(schedule={"time": due.result})
        outcome, scope, state = await self._evaluate_object(catalog, evaluation, rule, scope, state)
        return outcome, scope, evaluated(due.result, outcome, state)

    async def _evaluate_object(
        self, catalog: Catalog, evaluation: Evaluation, rule: Rule, scope: Scope, state: RuleState
    ) -> tuple[Outcome, Scope, RuleState]:
        """Evaluate a rule for an object, with what it looks up."""
        pack = evaluation.pack
        if rule.resync is not None:
            evaluation.again(evaluation.now + rule.resync)
        if rule.lookups:
            skipped = condition(rule, scope)
            if skipped is not None and not skipped.unknown:  # so that no lookup has to be made
                return skipped, scope, state.not_true()
            values: dict[str, Any] = {}
            try:
                found = await self._reader.look_up(pack, rule, scope, values, dependent_of(rule, evaluation.key))
            except ApiError as error:
                evaluation.looked_up(rule, values)
                why = without_secrets(evaluation.hides(rule.name), await self._reader.failure(pack, rule, scope, error))
                unavailable, stall = unread(state.stall, error, scope.now, f"{evaluation.ref} {rule.name}", why)
                return unavailable, scope, state._replace(stall=stall)
            evaluation.looked_up(rule, values)
            state = state if state.stall is None else state._replace(stall=None)
            if not isinstance(found, Done):
                return found, scope, state
            scope = scope.child(lookup=found.result)
        record = partial(recorded, evaluation.object, pack.record_names[rule.name])
        if rule.durable_hold or rule.durable_throttle:
            state = restored(rule, state, record(), scope)
        before = state
        outcome, state = evaluate(rule, scope, before, record, catalog.since(pack, rule))
        if rule.notifies and not evaluation.first:
            state = state.began(before, fires=isinstance(outcome, Done))
        return outcome, scope, state

    def report(self, evaluation: Evaluation, rule: Rule, outcome: Outcome, state: RuleState) -> tuple[Outcome, RuleState]:
        """Notify the observer of what came of an evaluation; log why a condition has no answer, once for each reason.

        Return the outcome without what may quote a Secret, and the next state.
        """
        pack, ref, unknown = evaluation.pack.identity, evaluation.ref, ""
        hides = evaluation.hides(rule.name)
        outcome = outcome_without_secrets(hides, outcome)
        if isinstance(outcome, Done):
            if evaluation.group is None:
                self._observer.evaluated(pack, rule.name, ref, Evaluated.FIRED, "")
        elif isinstance(outcome, (Skipped, Refused, Unavailable)):
            unknown = outcome.reason if not isinstance(outcome, Skipped) or outcome.unknown else ""
            if evaluation.group is None:
                result = Evaluated.UNKNOWN if unknown else Evaluated.SKIPPED
                self._observer.evaluated(pack, rule.name, ref, result, outcome.reason)
        if unknown and state.unknown != unknown:
            about = named(hides, evaluation.group) if hides and evaluation.group and not evaluation.object else ref
            log.warning("%s/%s has no answer for %s: %s", pack, rule.name, about, unknown)
        refused = isinstance(outcome, Refused) or (
            evaluation.group is not None and isinstance(outcome, Skipped) and bool(unknown)
        )
        return outcome, state if state.unknown == unknown else state._replace(unknown=unknown, refused=refused)
