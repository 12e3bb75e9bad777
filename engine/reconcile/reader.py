"""Reading targets: only what a pack declares, and in another namespace only what consents."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from cachetools import TTLCache

from engine.cel import Scope
from engine.errors import EvaluationError
from engine.kube.access import AccessReviews, Question
from engine.kube.act import Actor
from engine.kube.clock import Clock
from engine.model.objects import Object, Ref
from engine.model.outcome import Done, Refused, Skipped
from engine.model.plan import Read
from engine.packs.pack import Rule, RulePack
from engine.reconcile.permissions import needs_review, refused_read, refused_targets, service_account
from engine.reconcile.timeslice import TimeSlice

TTL, LIMIT = 5.0, 1000
"""Seconds for which the answer to a lookup is kept, and how many are."""


class Reader:
    """Answers the reads of actions, groups and lookups. `time_slice` is asked before each, and before each evaluation."""

    def __init__(self, actor: Actor, access: AccessReviews, clock: Clock) -> None:
        self._actor, self._access = actor, access
        self.time_slice = TimeSlice()
        self._answers: TTLCache[Read, Sequence[Object]] = TTLCache(LIMIT, TTL, timer=clock.monotonic)

    async def read(
        self, pack: RulePack, read: Read, verbs: Collection[str], scope: Scope, *, cached: bool = False
    ) -> Done | Refused:
        """Return Done with the objects that a read finds, for a pack that then wants to do `verbs` to them, or Refused.

        With `cached`, an answer may be 5 seconds old. Raises ApiError.
        """
        permitted = await self._permitted(pack, read, verbs, scope)
        if isinstance(permitted, Refused):
            return permitted
        found = await (self._cached(read) if cached else self._actor.read(read))
        return refused_targets(pack, permitted, found, scope) or Done(found)

    async def check(
        self, pack: RulePack, read: Read, verbs: Collection[str], scope: Scope, found: Sequence[Object]
    ) -> Refused | None:
        """Return why `read` would refuse what has been read already, None where it would not. Raises ApiError."""
        permitted = await self._permitted(pack, read, verbs, scope)
        return permitted if isinstance(permitted, Refused) else refused_targets(pack, permitted, found, scope)

    async def look_up(self, pack: RulePack, rule: Rule, scope: Scope) -> Done | Skipped:
        """Return Done with the value of `lookup`, or Skipped; each lookup may use those before it. Raises ApiError."""
        found: dict[str, Any] = {}
        try:
            for name, target in rule.lookups.items():
                read = target.read(scope.child(lookup=dict(found)))
                outcome = await self.read(pack, read, (), scope, cached=True)
                if isinstance(outcome, Refused):
                    return Skipped(f"lookup is refused: {outcome.reason}", unknown=True)
                found[name] = list(outcome.result) if target.by_selector else next(iter(outcome.result), None)
        except EvaluationError as error:
            return Skipped(f"lookup has no answer: {error}", unknown=True)
        return Done(found)

    async def _permitted(self, pack: RulePack, read: Read, verbs: Collection[str], scope: Scope) -> Read | Refused:
        """The read as it is placed, once it is permitted: an object that lives in no namespace is at home in none."""
        if self.time_slice.over():
            await self.time_slice.next()
        if refusal := refused_read(pack, read, scope):
            return refusal
        placed = await self._actor.placed(read)
        if placed is not read and (refusal := refused_read(pack, placed, scope)):
            return refusal
        if needs_review(pack, placed, scope):
            account = service_account(scope.value("object"))
            if isinstance(account, Refused):
                return account
            target = Ref(placed.ref.kind, placed.ref.namespace, placed.ref.name)
            for verb in sorted({"get" if read.label_selector is None else "list", *verbs}):
                if why := await self._access.refusal(Question(*account, verb, target)):
                    return Refused(why)
        return placed

    async def _cached(self, read: Read) -> Sequence[Object]:
        found = self._answers.get(read)
        if found is None:
            found = self._answers[read] = await self._actor.read(read)
        return found
