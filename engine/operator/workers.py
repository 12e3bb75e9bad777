"""The workers that take keys from the queue while this replica leads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from engine.kube.act import NotLeading
from engine.kube.clock import Clock
from engine.model.objects import GroupKey, ObjectKey
from engine.operator.backoff import cancel, within
from engine.operator.metrics import Metrics
from engine.operator.queue import WorkQueue

log = logging.getLogger(__name__)

RETRY, RETRY_MAX = 1.0, 300.0
"""Seconds before a key whose look ended in an unexpected error is looked at again; doubled each time."""

Key = ObjectKey | GroupKey
Look = Callable[[Key], Awaitable[float | None]]
"""Looks at one object or group; gives the seconds after which to look again, None where only a change matters."""


class Workers:
    """A number of workers, each of which looks at one object at a time. Nothing that a look does ends a worker."""

    def __init__(self, number: int, queue: WorkQueue[Key], look: Look, clock: Clock, metrics: Metrics) -> None:
        self._number, self._queue, self._look, self._clock, self._metrics = number, queue, look, clock, metrics
        self._tasks: list[asyncio.Task[None]] = []
        self._failures: dict[Key, int] = {}

    def start(self) -> None:
        """Let them work."""
        self._tasks = [asyncio.create_task(self._work(), name=f"worker {n}") for n in range(self._number)]

    def abort(self) -> None:
        """End them at once; what they were at is looked at again by whoever works next."""
        for task in self._tasks:
            task.cancel()

    async def finish(self, seconds: float) -> None:
        """Let each one finish what it is at, for at most that many seconds, and take nothing more."""
        self._queue.shutdown()
        if not await within(self._clock, seconds, self._queue.idle()):
            log.warning("workers were not finished after %g s; the next start looks at their objects again", seconds)
        await cancel(*self._tasks)

    def ended(self) -> list[str]:
        """Which workers have ended by an error, which none ever should."""
        return [task.get_name() for task in self._tasks if task.done() and not task.cancelled() and task.exception()]

    async def _work(self) -> None:
        while (key := await self._queue.get()) is not None:
            again: float | None = 0.0  # where this worker is aborted
            try:
                again = await self._once(key)
            finally:
                self._queue.done(key)
                if again is not None:
                    self._queue.add_after(key, again)

    async def _once(self, key: Key) -> float | None:
        began = self._clock.monotonic()
        try:
            again = await self._look(key)
        except NotLeading:
            return RETRY
        except Exception as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            pause = min(RETRY * 2.0 ** min(failures - 1, 20), RETRY_MAX)
            self._metrics.errors.inc()
            log.error("%s: unexpected %s: %s; a bug in rulepack, looking again in %g s", key, type(error).__name__, error, pause)
            log.debug("%s", key, exc_info=True)
            return pause
        finally:
            self._metrics.evaluation_seconds.measure((), self._clock.monotonic() - began)
        self._failures.pop(key, None)
        return again
