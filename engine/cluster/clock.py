"""Time as the engine sees it, so that tests, the demo and replay can move it."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", None)


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
    """The machine's clock."""

    def time(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since the machine was started; on Linux those in which it was suspended too (clock_gettime(2))."""
        return time.clock_gettime(_SINCE_BOOT) if _SINCE_BOOT is not None else time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        await asyncio.sleep(seconds)
