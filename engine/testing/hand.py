"""What moves by hand only: the clock, and whether the engine's log is heard."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the engine from logging: what is provoked on purpose is no news."""
    logger = logging.getLogger("engine")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


class HandClock:
    """A clock that stands still until it is moved. Nobody waits on it: whoever moves it looks afterwards at what is due.

    `start` is in seconds since the Unix epoch.
    """

    def __init__(self, start: float) -> None:
        self._now = start

    def time(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self.time()

    async def sleep(self, seconds: float) -> None:
        """Move the clock on by as much as somebody would wait."""
        await self.advance(seconds)

    async def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self._now += seconds
