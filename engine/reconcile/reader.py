"""Reading targets: only what a pack declares, and in another namespace only what consents."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from cachetools import TTLCache

from engine.actions.lookup import Lookup
from engine.cel import Scope
from engine.errors import ApiError, EvaluationError
from engine.kube.access import AccessReviews, Question
from engine.kube.act import Actor
from engine.kube.clock import Clock
from engine.model.objects import GroupKey, Kind, Object, ObjectKey, Ref
from engine.model.outcome import Done, Obstacle, Refused, Skipped, Waiting
from engine.model.plan import Delete, OwnWrite, Patch, Read
from engine.model.text import after
from engine.packs.pack import RulePack
from engine.packs.rule import Rule
from engine.reconcile.caches import NotListed
from engine.reconcile.permissions import needs_review, refused_read, refused_targets, service_account
from engine.reconcile.related import Related
from engine.reconcile.rights import Wanted, explained_with
from engine.reconcile.timeslice import TimeSlice

TTL, LIMIT = 5.0, 1000
"""Seconds for which the answer to a lookup is kept that is not followed, and how many are."""
LISTING = 5.0
"""Seconds after which a lookup is tried again whose objects are about to be listed; when they are, it is tried at once."""


class Reader:
    """Answers the reads of actions, groups and lookups; without `related` none is followed.

    `time_slice` is asked before each read, and before each evaluation.
    """

    def __init__(
        self, actor: Actor, access: AccessReviews, clock: Clock, related: Related | None = None,
        time_slice: TimeSlice | None = None,
    ) -> None:  # fmt: skip
        self._actor, self.access, self._related = actor, access, related
        self.time_slice = time_slice or TimeSlice()
        self._answers: TTLCache[Read, Sequence[Object]] = TTLCache(LIMIT, TTL, timer=clock.monotonic)

    async def read(
        self, pack: RulePack, read: Read, verbs: Collection[str], scope: Scope, key: ObjectKey | GroupKey | None = None
    ) -> Done | Refused | Waiting:
        """Return Done with the objects that a read finds, for a pack that then wants to do `verbs` to them, or Refused.

        `key` is the object or group that is evaluated once more when something has changed that a lookup follows. Waiting where
        the objects that it follows are about to be listed. Raises ApiError.
        """
        permitted = await self._permitted(pack, read, verbs, scope)
        if isinstance(permitted, Refused):
            return permitted
        found = None
        if self._related is not None and pack.follows(permitted.watch, across=permitted.namespaces is not None):
            try:
                found = self._related.find(pack, key, permitted)
            except NotListed as listing:
                return Waiting(str(listing), scope.now + LISTING, Obstacle.CONDITION)
        if found is None:
            found = await self._actor.read(permitted)
        return refused_targets(pack, permitted, found, scope) or Done(found)

    async def check(
        self, pack: RulePack, read: Read, verbs: Collection[str], scope: Scope, found: Sequence[Object]
    ) -> Refused | None:
        """Return why `read` would refuse what has been read already, None where it would not. Raises ApiError."""
        permitted = await self._permitted(pack, read, verbs, scope)
        return permitted if isinstance(permitted, Refused) else refused_targets(pack, permitted, found, scope)

    async def look_up(
        self, pack: RulePack, rule: Rule, scope: Scope, found: dict[str, Any], key: ObjectKey | GroupKey | None = None
    ) -> Done | Skipped | Refused | Waiting:
        """Return Done with the value of `lookup`, or why there is none; each may use those before it. Raises ApiError.

        What is `found` until then is put there.
        """
        try:
            for name, lookup in rule.lookups.items():
                outcome = await self._looked_up(pack, lookup, scope.child(lookup=dict(found)), key)
                if isinstance(outcome, Refused):
                    others = ((each.read(scope.child(lookup=dict(found))), frozenset[str]()) for each in rule.lookups.values())
                    return Refused(after("lookup is refused", await self.refusal(pack, outcome, others, scope)))
                if isinstance(outcome, Waiting):
                    return outcome
                found[name] = list(outcome.result) if lookup.by_selector else next(iter(outcome.result), None)
        except EvaluationError as error:
            return Skipped(after("lookup has no answer", error), unknown=True)
        return Done(found)

    async def failure(self, pack: RulePack, rule: Rule, scope: Scope, error: ApiError) -> str:
        """Return why a lookup is not answered, for people; a missing right with those that all lookups of the rule need."""
        needed: list[Wanted] = []
        for lookup in rule.lookups.values():
            try:
                read = lookup.read(scope.child(lookup={}))
            except EvaluationError:  # it depends on what another one finds
                continue
            followed = pack.follows(read.watch, across=lookup.selects_namespaces)
            needed.append((read if followed else read._replace(watch=None), frozenset()))
        return await explained_with(error, needed, self._actor)

    async def refusal(self, pack: RulePack, refused: Refused, others: Iterable[Wanted], scope: Scope) -> str:
        """Return why something was refused; where rights are lacking, all that are, of what else is wanted. Raises ApiError."""
        account = service_account(scope.value("object"))
        if not refused.lacking or isinstance(account, Refused):
            return refused.reason
        questions: dict[Question, None] = {}
        try:
            for read, verbs in others:
                placed = await self._actor.placed(read)
                if refused_read(pack, placed, scope) is None and needs_review(pack, placed, scope):
                    questions.update(dict.fromkeys(_questions(account, placed, verbs)))
        except (EvaluationError, ApiError):
            pass  # what it is depends on what may not be read, or is not served
        return await self.access.refusal(questions) or refused.reason

    def wrote(self, step: Patch | Delete, after: Object | None) -> None:
        """Take in what the engine has written on another object: no lookup is behind it."""
        self._forget(step.target.kind)
        if self._related is not None:
            self._related.wrote(step, after)

    def wrote_own(self, ref: Ref, written: OwnWrite) -> None:
        """Take in what the engine has written on a watched object or on a group's target."""
        self._forget(ref.kind)
        if self._related is not None:
            self._related.wrote_own(ObjectKey(*ref[:3]), written)

    def _forget(self, kind: Kind) -> None:
        for read in [read for read in self._answers if read.ref.kind == kind]:
            del self._answers[read]

    async def _looked_up(
        self, pack: RulePack, lookup: Lookup, scope: Scope, key: ObjectKey | GroupKey | None
    ) -> Done | Refused | Waiting:
        """One lookup: followed, read live, or from an answer that was read some seconds ago."""
        read = lookup.read(scope)
        if lookup.live or (self._related is not None and pack.follows(lookup.watch, across=lookup.selects_namespaces)):
            return await self.read(pack, read, (), scope, key)
        permitted = await self._permitted(pack, read, (), scope)
        if isinstance(permitted, Refused):
            return permitted
        found = self._answers.get(permitted)
        if found is None:
            found = self._answers[permitted] = await self._actor.read(permitted)
        return refused_targets(pack, permitted, found, scope) or Done(found)

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
            if why := await self.access.refusal(_questions(account, placed, verbs)):
                return Refused(why, lacking=True)
        return placed


def _questions(account: tuple[str, str], placed: Read, verbs: Collection[str]) -> list[Question]:
    target = Ref(placed.ref.kind, placed.ref.namespace, placed.ref.name)
    return [Question(*account, verb, target) for verb in sorted({"get" if placed.label_selector is None else "list", *verbs})]
