"""When a condition that compares `now` with a time becomes true or false by itself, so that it is evaluated again then."""

from __future__ import annotations

from datetime import timedelta

from engine.cel import Program, Scope
from engine.errors import EvaluationError
from engine.packs.rule import Rule

DOUBLINGS = 26
"""How often the time to look ahead is doubled, from one second on: about a year."""


def upcoming(rule: Rule, scope: Scope) -> float | None:
    """Return when the first clause that is false now is true, in seconds of the monotonic clock, to the second.

    One that has no answer is passed over: what is false decides, and once it does not, that there is no answer has to be said.
    None where that is not within a year, or does not depend on `now`; and where the rule has `resync`, which says when. The
    time is found by trying later ones, which takes a comparison of `now` to be true from some time on.
    """
    if rule.resync is not None:
        return None
    for number, clause in enumerate(rule.when):
        if _is_false(clause, scope):
            return _changes_at(clause, scope, to=True) if number in rule.reads_now else None
    return None


def ending(rule: Rule, scope: Scope) -> float | None:
    """Return when the first of the clauses that are all true now is not any more, as `upcoming` does: where that matters."""
    if rule.resync is not None or not rule.reads_now:
        return None
    times = [_changes_at(rule.when[number], scope, to=False) for number in rule.reads_now]
    return min((time for time in times if time is not None), default=None)


def _changes_at(clause: Program, scope: Scope, *, to: bool) -> float | None:
    early = 0.0
    for doubling in range(DOUBLINGS):
        late = 2.0**doubling
        if _holds(clause, scope, late) is to:
            break
        early = late
    else:
        return None
    while late - early > 1.0:
        middle = (early + late) / 2
        early, late = (early, middle) if _holds(clause, scope, middle) is to else (middle, late)
    return scope.now + late


def _is_false(clause: Program, scope: Scope) -> bool:
    try:
        return not clause.condition(scope)
    except EvaluationError:
        return False


def _holds(clause: Program, scope: Scope, seconds: float) -> bool:
    """Whether a clause holds after that many seconds, all else being as it is."""
    try:
        return clause.condition(scope.child(now=scope.value("now") + timedelta(seconds=seconds)) if seconds else scope)
    except EvaluationError:
        return False
