"""How long to wait before a request is tried again, and how to wait for whichever comes first."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from typing import Any

from engine.kube.clock import Clock


class Backoff:
    """Jittered exponential delays in seconds: each one lies between half of a step and the step, steps double up to `maximum`."""

    def __init__(self, first: float = 0.5, maximum: float = 30.0) -> None:
        self._first, self._maximum, self._failures = first, maximum, 0

    def next(self) -> float:
        """The delay after one more failure."""
        step = min(self._first * 2.0 ** min(self._failures, 32), self._maximum)
        self._failures += 1
        return random.uniform(step / 2, step)

    def reset(self) -> None:
        """Start again with the first step, after a success."""
        self._failures = 0


async def within(clock: Clock, seconds: float, work: Awaitable[object]) -> bool:
    """Run `work` for at most that many seconds of the clock; False where it was cancelled because the time was up.

    What `work` raises is raised here.
    """
    running, timer = asyncio.ensure_future(work), asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({running, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            return False
        running.result()
        return True
    finally:
        await cancel(running, timer)


async def cancel(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and return when they have ended; what they raised is dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
