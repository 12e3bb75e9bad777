"""For which items a rule failed for good last, or was refused, and for which Audit would act: what is so now, not ever."""

from __future__ import annotations

from collections.abc import Iterator

from engine.model.flags import Mode
from engine.model.outcome import Outcome, Skipped, Why
from engine.packs.rule import Rule
from engine.reconcile.matching import Evaluation
from engine.reconcile.record import Result, failures


def note(evaluation: Evaluation, rule: Rule, skipped: Outcome | None, mode: Mode) -> None:
    """Remember for how many items a rule fails, and would act; `skipped` is why it does not fire, None where it does.

    What failed for good fails until another firing, or until its conditions do not hold any more. The firing record says so after
    a takeover. What is tried again is among what waits (engine.reconcile.waits), with what for.
    What Audit would have done for an object stands until it would do otherwise: no record says that it was said.
    """
    state = evaluation.rule_state(rule)
    failing, audited = state.failing, state.audited if mode is Mode.AUDIT else 0
    if skipped is None:
        audited = len([*_audited(evaluation, rule)])
        failing = len({*_on_record(evaluation, rule, _key(evaluation, rule)), *_under_way(evaluation, rule)})
    elif isinstance(skipped, Skipped) and skipped.why is Why.FIRED:
        failing = len({*_on_record(evaluation, rule, skipped.key)})
    elif isinstance(skipped, Skipped) and skipped.why in (Why.FALSE, Why.NO_ITEMS):
        failing = 0
    if (failing, audited) != (state.failing, state.audited):
        evaluation.remember(rule, state._replace(failing=failing, audited=audited))


def _key(evaluation: Evaluation, rule: Rule) -> str:
    """Return the key of the firing under way."""
    progress = evaluation.rule_state(rule).firing
    return progress.key if progress else ""


def _under_way(evaluation: Evaluation, rule: Rule) -> Iterator[str]:
    progress = evaluation.rule_state(rule).firing
    for name, item in progress.items.items() if progress else ():
        if item.ended is Result.FAILED or (item.ended is None and item.error):
            yield name


def _audited(evaluation: Evaluation, rule: Rule) -> Iterator[str]:
    """Yield the items of the firing under way for which a step would have been taken in Audit."""
    progress = evaluation.rule_state(rule).firing
    for name, item in progress.items.items() if progress else ():
        if item.audited and item.ended is not Result.FAILED:
            yield name


def _on_record(evaluation: Evaluation, rule: Rule, key: str) -> Iterator[str]:
    """Yield the items that failed for good, by the firing record, where that is of the firing with this key."""
    if rule.once_per is not None and evaluation.group is None:
        yield from failures(evaluation.object, evaluation.pack.record_names[rule.name], key)
