"""What `lookup` of a rule reads before the rule is judged, cached for a short time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.cel import Scope
from engine.cluster.act import Actor
from engine.cluster.clock import Clock
from engine.decide.evaluate import Held
from engine.decide.permit import refused_read, refused_targets
from engine.errors import ApiError, Unanswered
from engine.model.objects import Object
from engine.model.plan import Read
from engine.rulepack.pack import Rule, RulePack

TTL = 5.0
LIMIT = 1000
BACKOFF = 5.0


async def look_up(cache: LookupCache, pack: RulePack, rule: Rule, scope: Scope) -> dict[str, Any] | Held:
    """The value of the variable `lookup`; each lookup may use those above it. Held where one cannot be read."""
    found: dict[str, Any] = {}
    try:
        for name, target in rule.lookups.items():
            read = target.read(scope.child(lookup=dict(found)))
            if refusal := refused_read(pack, read, scope):
                return Held(f"lookup {name}: {refusal}", unknown=True)
            objects = await cache.read(read)
            if refusal := refused_targets(pack, read, objects, scope):
                return Held(f"lookup {name}: {refusal}", unknown=True)
            found[name] = list(objects) if target.by_selector else next(iter(objects), None)
    except Unanswered as unanswered:
        return Held(f"lookup has no answer: {unanswered}", unknown=True)
    except ApiError as error:
        return Held(f"lookup failed: {error}", until=scope.value("now").timestamp() + BACKOFF, unknown=True)
    return found


class LookupCache:
    """Answers a read from memory for 5 seconds; holds at most 1000 answers."""

    def __init__(self, actor: Actor, clock: Clock) -> None:
        self._actor = actor
        self._clock = clock
        self._answers: dict[Read, tuple[float, Sequence[Object]]] = {}

    async def read(self, read: Read) -> Sequence[Object]:
        """What the read finds. Raises ApiError."""
        now = self._clock.time()
        answer = self._answers.get(read)
        if answer is None or answer[0] <= now:
            if len(self._answers) >= LIMIT:
                self._answers.clear()
            answer = self._answers[read] = (now + TTL, await self._actor.read(read))
        return answer[1]
