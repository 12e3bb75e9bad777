"""Reads for `lookup`: other objects that a condition looks at, cached for a short time."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cluster.act import Actor
from engine.cluster.clock import Clock
from engine.model.objects import Object
from engine.model.plan import Read

TTL = 5.0
LIMIT = 1000


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
