"""Durable timers: `for` and `throttle` of five minutes and more are in the firing record, so that a restart goes on with them.

A record has the time of day, since it is read by other processes; within a process timers are on the monotonic clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from engine.cel import Scope
from engine.model.flags import Mode
from engine.model.outcome import Obstacle
from engine.packs.rule import Rule
from engine.reconcile.matching import Evaluation
from engine.reconcile.record import Record, recorded
from engine.reconcile.state import FiringProgress, ItemProgress, RuleState, Stall

SETTLED = 60.0
"""Seconds for which conditions have to hold before that is put on record: what flickers is not written."""
PAUSE = 300.0
"""Seconds between two such writes for one object."""
ON_RECORD = "on record"
"""The cause that stands for all that was reported before this process began."""
SLACK = timedelta(seconds=5)
"""Differences that come from reading two clocks one after the other, and from rounding."""


def restored(rule: Rule, state: RuleState, record: Record, scope: Scope) -> RuleState:
    """Return the state with the timers that an earlier process has put on record, where this one has none."""
    if rule.durable_hold and state.true_since is None and record.true_since is not None:
        state = state._replace(true_since=monotonic(record.true_since, scope))
    if rule.durable_throttle and state.fired_at is None and record.fired_at is not None:
        state = state._replace(fired_at=monotonic(record.fired_at, scope))
    return state


def timed(rule: Rule, state: RuleState, record: Record, scope: Scope, noted_at: float | None) -> tuple[Record, float | None]:
    """Return the record with the timers as they are now, and when to put more of them on record.

    `noted_at` is when it was last put on record for the object, for any rule, that conditions hold.
    """
    if rule.durable_throttle and state.fired_at is not None:
        fired_at = wall(state.fired_at, scope)
        if record.fired_at is None or fired_at - record.fired_at > SLACK:
            record = record._replace(fired_at=fired_at)
    if not rule.durable_hold:
        return record, None
    if state.true_since is None:
        return record._replace(true_since=None), None  # at once: it must never say that what was false has held
    if record.true_since is not None or scope.now >= state.true_since + rule.hold:
        return record, None
    due = state.true_since + SETTLED
    if noted_at is not None:
        due = max(due, noted_at + PAUSE)
    if scope.now < due:
        return record, due
    return record._replace(true_since=wall(state.true_since, scope)), scope.now + PAUSE  # where it is refused


def monotonic(time: datetime, scope: Scope) -> float:
    """Return a time of day in seconds of the monotonic clock; one in the future counts as now."""
    now: datetime = scope.value("now")
    return scope.now - max(0.0, (now - time).total_seconds())


def wall(seconds: float, scope: Scope) -> datetime:
    """Return a time of the monotonic clock as the time of day, in whole seconds."""
    now: datetime = scope.value("now")
    return (now - timedelta(seconds=scope.now - seconds)).replace(microsecond=0)


def unfinished(evaluation: Evaluation, rule: Rule, state: RuleState, scope: Scope, operator: str) -> RuleState:
    """Return the state with the items of a loop that an earlier process of this operator began and that wait, as the record says.

    So they go on with the time that they have waited, or it is reported why they do not.
    """
    if rule.once_per is None:
        return state
    record, now = recorded(evaluation.object, evaluation.pack.record_names[rule.name]), evaluation.now
    if not record.waiting or record.by != operator:
        return state
    progress = FiringProgress(record.key, Mode.ENFORCE)
    for name, wait in record.waiting.items():
        since = monotonic(wait.since, scope)
        stall = Stall(Obstacle.TARGET_NOT_READY, wait.reason, since, now, now - since, now, reported=(ON_RECORD,))
        progress.items[name] = ItemProgress(stall=stall)
    return state._replace(firing=progress)
