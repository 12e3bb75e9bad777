"""For which of its scheduled times a rule is to be evaluated now, for one object; pure, by the clock that the scope has."""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.cel import Scope
from engine.cel.times import is_time, timestamp_text, to_timestamp
from engine.model.objects import metadata
from engine.model.outcome import Done, Outcome, Skipped
from engine.packs.schedule import Schedule
from engine.reconcile.matching import Evaluation
from engine.reconcile.record import Record
from engine.reconcile.state import RuleState

AHEAD = timedelta(hours=1)
"""By how much the clock of whoever wrote a record may be ahead: a record from after that was written by one that was wrong."""


def scheduled(
    schedule: Schedule, evaluation: Evaluation, scope: Scope, state: RuleState, record: Record, in_force: datetime | None
) -> tuple[Outcome, RuleState]:
    """Return Done with the time for which a rule is to be evaluated, else Skipped; and the state after it.

    Have the object evaluated again at the next time. What was evaluated before, and of which nothing is remembered, was no
    matter of the rule until now. What has begun goes on until the next time, however late it is.
    """
    now: datetime = scope.value("now")
    last, coming = schedule.around(now)
    if coming is not None:
        evaluation.again(scope.now + (coming - now).total_seconds())
    if state.scheduled is None:
        created = metadata(evaluation.object).get("creationTimestamp")
        since = to_timestamp(created) if is_time(created) else now
        state = state._replace(scheduled=since if evaluation.first else now)
    bounds = [bound for bound in (state.scheduled, in_force) if bound is not None]
    following = "is due no more" if coming is None else f"is due next at {schedule.local(coming)}"
    if last is None or any(last <= bound for bound in bounds) or _done(record, last, now):
        return Skipped(following), state
    if schedule.late(last, now) and not state.under_way(timestamp_text(last)):
        return Skipped(f"was due at {schedule.local(last)}, which is longer ago than startingDeadline; {following}"), state
    return Done(last), state


def evaluated(time: datetime, outcome: Outcome, state: RuleState) -> RuleState:
    """Return the state after an evaluation for a scheduled time: where the rule does not fire, nothing is left to do for it."""
    over = isinstance(outcome, Skipped) and not outcome.unknown
    return state._replace(scheduled=time) if over else state


def _done(record: Record, time: datetime, now: datetime) -> bool:
    """Return whether it is on record that a rule has fired for a time or for a later one, as by a clock that was ahead."""
    if record.ended(timestamp_text(time), ""):
        return True
    return is_time(record.key) and time < to_timestamp(record.key) < now + AHEAD
