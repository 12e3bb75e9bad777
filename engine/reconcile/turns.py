"""Letting everybody else go first in between: the Lease has to be renewed and probes answered, whatever there is to evaluate."""

from __future__ import annotations

import asyncio

TURN = 0.02
"""Seconds of evaluation after which others get their turn."""


class Turns:
    """Shared by all workers, of which one at a time goes on while each of them has much to evaluate."""

    def __init__(self) -> None:
        self._passing = asyncio.Lock()
        self._since = float("-inf")

    async def next(self) -> None:
        """To be asked before each evaluation; returns at once as long as little time was spent on them."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._since > TURN or self._passing.locked():
            async with self._passing:
                await asyncio.sleep(0)
            self._since = loop.time()
