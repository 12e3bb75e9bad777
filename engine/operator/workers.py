"""The workers that take keys from the queue while this replica leads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from engine.kube.act import NotLeading
from engine.kube.clock import Clock, cancel, within
from engine.model.backoff import Backoff
from engine.model.objects import GroupKey, ObjectKey
from engine.operator.metrics import Metrics
from engine.operator.queue import WorkQueue

log = logging.getLogger(__name__)

BACKOFF = Backoff(1.0, 300.0)
"""For a key whose reconciliation ended in an unexpected error."""

Key = ObjectKey | GroupKey
Reconcile = Callable[[Key], Awaitable[float | None]]
"""Reconciles one object or group; returns the seconds after which to do so again, None where only a change matters."""


class Workers:
    """A number of workers, each of which reconciles one object at a time. Nothing that happens meanwhile ends a worker."""

    def __init__(self, number: int, queue: WorkQueue[Key], reconcile: Reconcile, clock: Clock, metrics: Metrics) -> None:
        self._number, self._queue, self._reconcile, self._clock, self._metrics = number, queue, reconcile, clock, metrics
        self._tasks: list[asyncio.Task[None]] = []
        self._failures: dict[Key, int] = {}

    def start(self) -> None:
        """Let them work."""
        self._tasks = [asyncio.create_task(self._work(), name=f"worker {n}") for n in range(self._number)]

    def abort(self) -> None:
        """End them at once; what they were at is reconciled by whoever works next."""
        for task in self._tasks:
            task.cancel()

    async def finish(self, seconds: float) -> None:
        """Let each one finish what it is at, for at most that many seconds, and take nothing more."""
        self._queue.shutdown()
        if not await within(self._clock, seconds, self._queue.idle()):
            log.warning("workers were not finished after %g s; the next start reconciles their objects again", seconds)
        await cancel(*self._tasks)

    def ended(self) -> list[str]:
        """Return which workers have ended by an error, which none ever should."""
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
            again = await self._reconcile(key)
        except NotLeading:
            return BACKOFF.first
        except Exception as error:
            self._failures[key] = self._failures.get(key, 0) + 1
            pause = BACKOFF.pause(self._failures[key])
            self._metrics.errors.record(())
            log.error("%s: unexpected %s: %s; a bug in rulepack, trying again in %g s", key, type(error).__name__, error, pause)
            log.debug("%s", key, exc_info=True)
            return pause
        finally:
            self._metrics.reconcile_seconds.record((), self._clock.monotonic() - began)
        self._failures.pop(key, None)
        return again
