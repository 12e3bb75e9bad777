"""Letting everybody else go first in between: the Lease has to be renewed and probes answered, whatever there is to evaluate."""

from __future__ import annotations

import asyncio

TURN = 0.02
"""Seconds of evaluation after which others get their turn."""


class Turns:
    """Shared by all workers, of which one at a time goes on while each of them has much to evaluate.

    To be asked before each evaluation: `if turns.over(): await turns.next()`.
    """

    def __init__(self) -> None:
        self._passing = asyncio.Lock()
        self._since: float | None = None  # when the first evaluation of this turn of the event loop began

    def over(self) -> bool:
        """Whether so much time was spent on evaluations that others are due."""
        loop = asyncio.get_running_loop()
        if self._since is None:
            self._since = loop.time()
            loop.call_soon(self._begin)  # where all wait, that ends the turn, and everybody else has had theirs
            return False
        return loop.time() - self._since > TURN

    async def next(self) -> None:
        """Let all others have their turn, and of those who wait here only one go on in each."""
        async with self._passing:
            while self.over():
                await asyncio.sleep(0)

    def _begin(self) -> None:
        self._since = None
