"""Holding back a pack that would do more to other objects in a minute than its budget allows, and telling people."""

from __future__ import annotations

import logging
from collections.abc import Callable

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.cel import Scope
from engine.errors import ApiError
from engine.kube.act import Actor
from engine.model.observe import Observer
from engine.packs.pack import DISRUPTIONS, RESUME
from engine.reconcile.budget import Budget, Verdict

PAUSE = 30.0
"""Seconds after which what is held back is looked at again, so that it goes on soon after somebody resumes it."""
Question = Callable[[Budget, str, int, str, float], Verdict]
log = logging.getLogger(__name__)


class HeldBack(Exception):
    """Nothing is done for now, and nothing is wrong with the object or its target: look again after PAUSE."""


class Brake:
    """The budgets of all packs. They are kept in memory only: a new engine begins with whole budgets.

    `resume` is what people last said to have suspended rules go on.
    """

    def __init__(self, actor: Actor, observer: Observer) -> None:
        self._actor, self._observer, self.resume = actor, observer, ""
        self._budgets: dict[str, Budget] = {}
        self._untold: set[tuple[str, str]] = set()

    async def look(self, cause: Cause, scope: Scope) -> None:
        """Ask before anything is done for an object. Raises HeldBack."""
        await self._heed(self._ask(cause, scope, Budget.look), cause, scope)

    async def take(self, cause: Cause, scope: Scope) -> None:
        """Ask for one disruptive step; whoever is the first to have it refused tells people. Raises HeldBack."""
        await self.look(cause, scope)
        verdict = self._ask(cause, scope, Budget.take)
        if verdict is Verdict.SUSPENDED:
            self._untold.add((cause.pack, cause.rule))
            self._observer.suspended(cause.pack, cause.rule, cause.ref)
        await self._heed(verdict, cause, scope)

    def _ask(self, cause: Cause, scope: Scope, question: Question) -> Verdict:
        budget = self._budgets.get(cause.pack) or self._budgets.setdefault(cause.pack, Budget())
        return question(budget, cause.rule, _limit(scope), self.resume, scope.value("now").timestamp())

    async def _heed(self, verdict: Verdict, cause: Cause, scope: Scope) -> None:
        match verdict:
            case Verdict.WAIT:
                raise HeldBack(f"pack {cause.pack} goes on at {_limit(scope)} disruptive steps a minute ({DISRUPTIONS})")
            case Verdict.SUSPENDED:
                if (cause.pack, cause.rule) in self._untold:
                    await self._tell(cause, scope)
                raise HeldBack(f"the rule is suspended: pack {cause.pack} would exceed {DISRUPTIONS}, {_limit(scope)}")

    async def _tell(self, cause: Cause, scope: Scope) -> None:
        """One Event for a suspension, about the object with which it began; what was not told is told with the next one."""
        message = (
            f"Rule {cause.pack}/{cause.rule} is suspended: its pack has taken {_limit(scope)} disruptive steps within a minute, "
            f"which is all that its parameter {DISRUPTIONS} allows. What it has still to do, here and elsewhere, is kept. "
            "To have it done, at that pace: kubectl annotate configmap rulepack-params -n <the operator's namespace> "
            f'--overwrite {RESUME}="$(date)". To drop it: set the pack\'s feature flag to Off.'
        )
        told = Cause(cause.pack, cause.rule, cause.object, cause.ref, f"suspended {self.resume}")
        content = Content("Warning", "RuleSuspended", message, {})
        self._untold.discard((cause.pack, cause.rule))
        try:
            await self._actor.perform(event(told, cause.object, content, scope.value("now")), dry_run=False)
        except ApiError as error:
            self._untold.add((cause.pack, cause.rule))
            log.warning("cannot emit an Event that %s/%s is suspended: %s", cause.pack, cause.rule, error)


def _limit(scope: Scope) -> int:
    return int(scope.value("params").get(DISRUPTIONS, 0))
