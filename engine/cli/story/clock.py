"""A clock that runs faster than the machine's, so that a story's seconds pass quickly."""

from __future__ import annotations

import asyncio
import time


class FastClock:
    """Implements `engine.kube.clock.Clock`: begins at the present time and then runs `speed` times as fast."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._origin, self._began = time.time(), time.monotonic()

    def time(self) -> float:
        """Seconds since the Unix epoch, UTC, as this clock counts them."""
        return self._origin + (time.monotonic() - self._began) * self._speed

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self.time()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        await asyncio.sleep(seconds / self._speed)
