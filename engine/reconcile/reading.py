"""Reading targets: only what a pack declares, and in another namespace only what consents."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from engine.cel import Scope
from engine.errors import Refused
from engine.kube.access import AccessReviews, Question
from engine.kube.act import Actor
from engine.kube.clock import Clock
from engine.model.objects import Object, Ref
from engine.model.plan import Read
from engine.packs.pack import RulePack
from engine.reconcile.permit import needs_review, refused_read, refused_targets, service_account
from engine.reconcile.turns import Turns

TTL = 5.0
LIMIT = 1000


class Reader:
    """Answers the reads of actions, groups and lookups. `turns` are taken before each, and by whoever evaluates for one."""

    def __init__(self, actor: Actor, access: AccessReviews, clock: Clock) -> None:
        self._actor, self._access, self._clock = actor, access, clock
        self.turns = Turns()
        self._answers: dict[Read, tuple[float, Sequence[Object]]] = {}

    async def read(
        self, pack: RulePack, read: Read, verbs: Collection[str], scope: Scope, *, cached: bool = False
    ) -> Sequence[Object]:
        """What a read finds, for somebody who then wants to do `verbs` to it; an answer of 5 seconds ago where `cached`.

        Raises Refused and ApiError.
        """
        placed = await self._before(pack, read, verbs, scope)
        found = await (self._cached(read) if cached else self._actor.read(read))
        if refusal := refused_targets(pack, placed, found, scope):
            raise Refused(refusal)
        return found

    async def check(self, pack: RulePack, read: Read, verbs: Collection[str], scope: Scope, found: Sequence[Object]) -> None:
        """The same check for what has been read already. Raises Refused and ApiError."""
        placed = await self._before(pack, read, verbs, scope)
        if refusal := refused_targets(pack, placed, found, scope):
            raise Refused(refusal)

    async def _before(self, pack: RulePack, read: Read, verbs: Collection[str], scope: Scope) -> Read:
        """The read as it is placed, once it is allowed: an object that lives in no namespace is at home in none."""
        if self.turns.over():
            await self.turns.next()
        if refusal := refused_read(pack, read, scope):
            raise Refused(refusal)
        placed = await self._actor.placed(read)
        if placed is not read and (refusal := refused_read(pack, placed, scope)):
            raise Refused(refusal)
        if needs_review(pack, placed, scope):
            namespace, account = service_account(scope.value("object"))
            target = Ref(placed.ref.kind, placed.ref.namespace, placed.ref.name)
            for verb in sorted({"get" if read.label_selector is None else "list", *verbs}):
                if refusal := await self._access.refusal(Question(namespace, account, verb, target)):
                    raise Refused(refusal)
        return placed

    async def _cached(self, read: Read) -> Sequence[Object]:
        now = self._clock.time()
        until, found = self._answers.get(read, (0.0, ()))
        if until <= now:
            if len(self._answers) >= LIMIT:
                self._answers.clear()
            found = await self._actor.read(read)
            self._answers[read] = (now + TTL, found)
        return found
