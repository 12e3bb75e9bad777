"""When a condition that compares `now` with a time becomes true by itself, so that it is evaluated again then."""

from __future__ import annotations

from datetime import timedelta

from engine.cel import Program, Scope
from engine.errors import EvaluationError
from engine.packs.pack import Rule

DOUBLINGS = 26
"""How often the time to look ahead is doubled, from one second on: about a year."""


def upcoming(rule: Rule, scope: Scope) -> float | None:
    """Return when the clause that is false now is true, in seconds of the monotonic clock, to the second.

    None where that is not within a year, or does not depend on `now`; and where the rule has `resync`, which says when. The
    time is found by trying later ones, which takes a comparison of `now` to be true from some time on.
    """
    if rule.resync is not None:
        return None
    for number, clause in enumerate(rule.when):
        if not _holds(clause, scope, 0.0):
            return _true_at(clause, scope) if number in rule.reads_now else None
    return None


def _true_at(clause: Program, scope: Scope) -> float | None:
    early = 0.0
    for doubling in range(DOUBLINGS):
        late = 2.0**doubling
        if _holds(clause, scope, late):
            break
        early = late
    else:
        return None
    while late - early > 1.0:
        middle = (early + late) / 2
        early, late = (early, middle) if _holds(clause, scope, middle) else (middle, late)
    return scope.now + late


def _holds(clause: Program, scope: Scope, seconds: float) -> bool:
    """Whether a clause holds after that many seconds, all else being as it is."""
    try:
        return clause.condition(scope.child(now=scope.value("now") + timedelta(seconds=seconds)) if seconds else scope)
    except EvaluationError:
        return False
