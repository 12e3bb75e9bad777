"""Time as the engine sees it, so that tests, the demo and replay can move it."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Protocol

_BOOT = getattr(time, "CLOCK_BOOTTIME", None)
#: Seconds since the machine was started; on Linux those in which it was suspended too (clock_gettime(2)).
_since_start = time.monotonic if _BOOT is None else partial(time.clock_gettime, _BOOT)


class Clock(Protocol):
    """Where the engine gets the time and how it waits: `SystemClock`, or `ManualClock` of the embedded cluster."""

    def time(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, which nobody can set: for how long ago something was, never for when."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        ...


class SystemClock:
    """The machine's clock, read with no function of Python in between: it is asked a dozen times for each change."""

    time = staticmethod(time.time)
    monotonic = staticmethod(_since_start)
    sleep = staticmethod(asyncio.sleep)
