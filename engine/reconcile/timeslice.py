"""Time slices of the event loop: the Lease has to be renewed and probes answered, whatever there is to evaluate."""

from __future__ import annotations

import asyncio

SLICE = 0.02
"""Seconds of evaluation after which other tasks run."""


class TimeSlice:
    """Shared by all workers; while each of them has much to evaluate, one at a time goes on.

    Before each evaluation: `if time_slice.over(): await time_slice.next()`.
    """

    def __init__(self) -> None:
        self._passing = asyncio.Lock()
        self._since: float | None = None  # when the first evaluation of this slice began

    def over(self) -> bool:
        """Return whether so much time was spent on evaluations that other tasks are due."""
        loop = asyncio.get_running_loop()
        if self._since is None:
            self._since = loop.time()
            loop.call_soon(self._begin)  # where all wait, that ends the slice: every other task has run
            return False
        return loop.time() - self._since > SLICE

    async def next(self) -> None:
        """Let all other tasks run; of those who wait here, one goes on in each slice."""
        async with self._passing:
            while self.over():
                await asyncio.sleep(0)

    def _begin(self) -> None:
        self._since = None
