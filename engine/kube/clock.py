"""Time as the engine sees it, so that tests, the demo and replay can move it, and how to wait for what comes first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from functools import partial
from typing import Any, Protocol

_BOOT = getattr(time, "CLOCK_BOOTTIME", None)
#: Seconds since the machine was started; on Linux those in which it was suspended too (clock_gettime(2)).
_since_start = time.monotonic if _BOOT is None else partial(time.clock_gettime, _BOOT)


class Clock(Protocol):
    """Where the engine gets the time and how it waits: `SystemClock`, or `FakeClock` in tests."""

    def time(self) -> float:
        """Return seconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment, which nobody can set: for how long ago something was, never for when."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        ...


class SystemClock:
    """The machine's clock, read with no function of Python in between: that is a dozen times for each change."""

    time = staticmethod(time.time)
    monotonic = staticmethod(_since_start)
    sleep = staticmethod(asyncio.sleep)


async def within(clock: Clock, seconds: float, work: Awaitable[object]) -> bool:
    """Run `work` for at most that many seconds of the clock; return False where it was cancelled because the time was up.

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
