"""A clock that stands still until it is moved, so that hours pass in a moment and in a known order."""

from __future__ import annotations

import asyncio
import heapq
import itertools

MONOTONIC_START = 1000.0
"""Seconds: what the monotonic clock shows at first."""
#: Passes of the event loop in which nobody may read the clock before all tasks count as waiting.
QUIET_PASSES = 25


class FakeClock:
    """Implements `engine.kube.clock.Clock`; `start` is its first time, in seconds since the Unix epoch.

    Its monotonic time begins at `MONOTONIC_START`, so that nothing can take the one for the other.

    Tasks that still do not wait after `patience` passes of the event loop are given up on. With `alone`, one task does
    everything, moves the clock and evaluates itself what is due: a sleep moves the clock on instead of waiting.
    """

    def __init__(self, start: float = 1_700_000_000.0, *, patience: int = 1_000_000, alone: bool = False) -> None:
        self._now, self._epoch = MONOTONIC_START, start - MONOTONIC_START
        self._patience = patience
        self._alone = alone
        self._numbers = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._reads = 0

    def time(self) -> float:
        """Return seconds since the Unix epoch, UTC."""
        return self._epoch + self.monotonic()

    def monotonic(self) -> float:
        """Return seconds since some moment, which `set_on` does not change."""
        self._reads += 1
        return self._now

    def set_on(self, seconds: float) -> None:
        """Set the wall clock on by that many seconds, or back, as somebody does who sets the machine's time: nobody wakes."""
        self._epoch += seconds

    def suspend(self, seconds: float) -> None:
        """Let that many seconds pass while the machine is suspended: who sleeps sleeps on for as long as before."""
        self._now += seconds
        self._sleepers = [(time + seconds, number, woken) for time, number, woken in self._sleepers]

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was moved that many seconds on; without waiting where that is none."""
        self._reads += 1
        if self._alone:
            self._now += seconds
            return
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._numbers), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move the clock on and wake who sleeps, in the order of their times.

        At each of those times the clock stands still until all tasks wait again, so that what one task does is over
        before the next one wakes. Raises RuntimeError where tasks never come to rest.
        """
        end = self._now + seconds
        if self._alone:
            self._now = end
            return
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
                await self.settle()
        self._now = end
        await self.settle()

    async def settle(self) -> None:
        """Let the other tasks run until they wait for the clock, for a change, or for nothing at all.

        asyncio does not say when its queue is empty; that nobody reads the clock for some passes stands for it. Every call
        of the embedded cluster reads it. Raises RuntimeError where tasks never come to rest.
        """
        if len(asyncio.all_tasks()) == 1:
            return
        quiet = 0
        for _ in range(self._patience):
            reads = self._reads
            await asyncio.sleep(0)
            quiet = quiet + 1 if reads == self._reads else 0
            if quiet == QUIET_PASSES:
                return
        raise RuntimeError(f"tasks do not come to rest at clock time {self.time()}: one of them loops without waiting")
