"""The disruption budget of each pack: how much it may do to other objects in a minute, and what happens beyond it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.cel import Scope
from engine.errors import ApiError
from engine.kube.act import Actor
from engine.model.observe import Observer
from engine.model.outcome import DONE, Obstacle, Outcome, Waiting
from engine.model.plan import Delete, Patch, Step
from engine.packs.pack import DISRUPTIONS, RESUME

WINDOW = 60.0
"""Seconds that a budget is for, whatever their beginning."""
PAUSE = 30.0
"""Seconds after which a suspended rule asks again, so that it goes on soon after somebody resumes it."""
log = logging.getLogger(__name__)


class Admission(Enum):
    """Whether a rule may go on: yes; not until older steps are a minute old; not until somebody says so."""

    GRANTED = auto()
    PACED = auto()
    SUSPENDED = auto()


def disruptive(step: Step) -> bool:
    """Return whether a step counts: each patch and each deletion. Events, metrics and own metadata do not."""
    return isinstance(step, Patch | Delete)


def resumed(old_limit: int, old_resume: str, limit: int, resume: str) -> bool:
    """Return whether these changes say that what was suspended goes on: a higher limit, or a new word."""
    return limit == 0 or limit > old_limit > 0 or resume not in ("", old_resume)


class Budget(NamedTuple):
    """What one pack has done lately: a value, of which each question gives the next one.

    `taken` holds the times of the steps within the last minute, `suspended` for each suspended rule the limit and the word
    to resume at that time. `limit` is in steps a minute, 0 for any number; times are in seconds of the monotonic clock.

    A rule whose step would be one too many is suspended until people resume it (`resumed`). After that the pack goes on no
    faster than its budget, and nothing is suspended, until for a minute nothing had to wait.
    """

    taken: tuple[float, ...] = ()
    suspended: Mapping[str, tuple[int, str]] = {}
    waited_at: float = float("-inf")

    def begin(self, rule: str, limit: int, resume: str, now: float) -> tuple[Admission, Budget]:
        """Return whether a rule may begin with an object."""
        budget = self._replace(taken=tuple(time for time in self.taken if time > now - WINDOW))
        if rule in budget.suspended:
            if not resumed(*budget.suspended[rule], limit, resume):
                return Admission.SUSPENDED, budget
            others = {name: why for name, why in budget.suspended.items() if name != rule}
            budget = budget._replace(suspended=others, waited_at=now)
        if now - budget.waited_at > WINDOW or not budget.spent(limit):
            return Admission.GRANTED, budget
        return Admission.PACED, budget._replace(waited_at=now)

    def take(self, rule: str, limit: int, resume: str, now: float) -> tuple[Admission, Budget]:
        """Return whether a rule may take one disruptive step, which is then counted."""
        admission, budget = self.begin(rule, limit, resume, now)
        if admission is not Admission.GRANTED:
            return admission, budget
        if budget.spent(limit):
            return Admission.SUSPENDED, budget._replace(suspended={**budget.suspended, rule: (limit, resume)})
        return Admission.GRANTED, budget._replace(taken=(*budget.taken, now))

    def spent(self, limit: int) -> bool:
        """Return whether no step is left."""
        return 0 < limit <= len(self.taken)


class Budgets:
    """The budgets of all packs. They are kept in memory only: a new engine begins with whole budgets.

    `resume` is what people last said to have suspended rules go on.
    """

    def __init__(self, actor: Actor, observer: Observer) -> None:
        self._actor, self._observer, self.resume = actor, observer, ""
        self._budgets: dict[str, Budget] = {}
        self._unreported: set[tuple[str, str]] = set()

    async def begin(self, cause: Cause, scope: Scope) -> Outcome:
        """Return Done where a rule may begin with an object, else Waiting."""
        budget = self._budgets.get(cause.pack)
        if budget is None:  # it has taken no step, so none of its rules is suspended
            return DONE
        admission, self._budgets[cause.pack] = budget.begin(cause.rule, _limit(scope), self.resume, scope.now)
        return await self._outcome(admission, cause, scope)

    async def take(self, cause: Cause, scope: Scope) -> Outcome:
        """Return Done where a rule may take one disruptive step, else Waiting. The first refusal suspends and is reported."""
        budget = self._budgets.get(cause.pack, Budget())
        admission, after = budget.take(cause.rule, _limit(scope), self.resume, scope.now)
        self._budgets[cause.pack] = after
        if admission is Admission.SUSPENDED and cause.rule not in budget.suspended:
            self._unreported.add((cause.pack, cause.rule))
            self._observer.suspended(cause.pack, cause.rule, cause.ref)
        return await self._outcome(admission, cause, scope)

    async def _outcome(self, admission: Admission, cause: Cause, scope: Scope) -> Outcome:
        match admission:
            case Admission.GRANTED:
                return DONE
            case Admission.PACED:
                reason = f"pack {cause.pack} goes on at {_limit(scope)} disruptive steps a minute ({DISRUPTIONS})"
            case Admission.SUSPENDED:
                if (cause.pack, cause.rule) in self._unreported:
                    await self._report(cause, scope)
                reason = f"the rule is suspended: pack {cause.pack} would exceed {DISRUPTIONS}, {_limit(scope)}"
        return Waiting(reason, scope.now + PAUSE, Obstacle.PACK_BUDGET)

    async def _report(self, cause: Cause, scope: Scope) -> None:
        """Emit one Event for a suspension, about the object with which it began; one that cannot be sent goes with the next."""
        message = (
            f"Rule {cause.pack}/{cause.rule} is suspended: its pack has taken {_limit(scope)} disruptive steps within a minute, "
            f"which is all that its parameter {DISRUPTIONS} allows. What it has still to do, here and elsewhere, is kept. "
            "To have it done, at that pace: kubectl annotate configmap rulepack-params -n <the operator's namespace> "
            f'--overwrite {RESUME}="$(date)". To drop it: set the pack\'s feature flag to Off.'
        )
        reported = Cause(cause.pack, cause.rule, cause.object, cause.ref, f"suspended {self.resume}")
        content = Content("Warning", "RuleSuspended", message, {})
        self._unreported.discard((cause.pack, cause.rule))
        try:
            await self._actor.perform(event(reported, cause.object, content, scope.value("now")), dry_run=False)
        except ApiError as error:
            self._unreported.add((cause.pack, cause.rule))
            log.warning("cannot emit an Event that %s/%s is suspended: %s", cause.pack, cause.rule, error)


def _limit(scope: Scope) -> int:
    return int(scope.value("params").get(DISRUPTIONS, 0))
