"""How much a pack may do to other objects in a minute, and which of its rules stand still because it wanted more."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from engine.model.plan import Delete, Patch, Step

WINDOW = 60.0
"""Seconds that a budget is for, whatever their beginning."""


class Verdict(Enum):
    """Whether a rule may go on: yes; not until older steps are a minute old; not until somebody says so."""

    GO = auto()
    WAIT = auto()
    SUSPENDED = auto()


def disruptive(step: Step) -> bool:
    """Whether a step counts: each patch and each deletion. Events, metrics and the watched object's own metadata do not."""
    return isinstance(step, Patch | Delete)


def resumed(old_limit: int, old_resume: str, limit: int, resume: str) -> bool:
    """Whether people have said, by a change of these, that what was suspended goes on: a higher limit, or a new word."""
    return limit == 0 or limit > old_limit > 0 or resume not in ("", old_resume)


@dataclass(slots=True)
class Budget:
    """What one pack has done lately. `limit` is of steps in a minute, 0 for any number; times are seconds since the epoch.

    A rule whose step would be one too many is suspended until people resume it (`resumed`). After that the pack goes on no
    faster than its budget, and nothing is suspended, until for a minute nothing had to wait.
    """

    _taken: deque[float] = field(default_factory=deque)
    _suspended: dict[str, tuple[int, str]] = field(default_factory=dict)
    _waited_at: float = float("-inf")

    def look(self, rule: str, limit: int, resume: str, now: float) -> Verdict:
        """Whether a rule may begin with an object."""
        if rule in self._suspended:
            if not resumed(*self._suspended[rule], limit, resume):
                return Verdict.SUSPENDED
            del self._suspended[rule]
            self._waited_at = now
        if now - self._waited_at > WINDOW or not self._spent(limit, now):
            return Verdict.GO
        self._waited_at = now
        return Verdict.WAIT

    def take(self, rule: str, limit: int, resume: str, now: float) -> Verdict:
        """Whether a rule may take one disruptive step, which is counted; otherwise it has to be asked for again."""
        verdict = self.look(rule, limit, resume, now)
        if verdict is not Verdict.GO:
            return verdict
        if self._spent(limit, now):
            self._suspended[rule] = limit, resume
            return Verdict.SUSPENDED
        self._taken.append(now)
        return Verdict.GO

    def _spent(self, limit: int, now: float) -> bool:
        while self._taken and self._taken[0] <= now - WINDOW:
            self._taken.popleft()
        return 0 < limit <= len(self._taken)
