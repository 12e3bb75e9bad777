"""Notices that somebody has set the machine's time, which timers do not show: they are on a clock that nobody can set."""

from __future__ import annotations

import logging
from collections.abc import Callable

from engine.kube.clock import Clock

CHECK = 10.0
"""Seconds between two comparisons of both clocks."""
STEP = 5.0
"""Seconds by which they have to come apart: less than that is how clocks are kept right."""
log = logging.getLogger(__name__)


class TimeWatch:
    """Compares the two clocks; calls `on_set` once they have come apart."""

    def __init__(self, clock: Clock, on_set: Callable[[], None]) -> None:
        self._clock, self._on_set = clock, on_set

    async def run(self) -> None:
        """Run until cancelled."""
        before = self._started()
        while True:
            await self._clock.sleep(CHECK)
            if abs(step := self._started() - before) > STEP:
                log.warning("the machine's time was set %s by %.0f s", "on" if step > 0 else "back", abs(step))
                before += step
                self._on_set()

    def _started(self) -> float:
        """Return when the monotonic clock began, by the time of day."""
        return self._clock.time() - self._clock.monotonic()
