"""A work queue that gives each key to one worker at a time, coalesces repeats and delays."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from engine.kube.clock import Clock

K = TypeVar("K", bound=Hashable)
LONGEST = 60.0
"""Seconds that the timer sleeps at most: a machine that is suspended meanwhile does not count those in which it was."""


class WorkQueue(Generic[K]):
    """Keys that wait for a worker; to be used within one event loop.

    - Keys belong to flows, which get their turns one after the other; within a flow they go in the order in which they became
      due. So however many keys one flow has, another one waits for no more than one key of each.
    - A key that is added while it waits is given out once.
    - A key that is added while it is processed is given out again after `done`, never before.
    - Of several delays of one key the earliest wins; an immediate `add` overrides them all.

    Every operation takes O(log n) time (amortised), and one timer serves all delays.
    """

    def __init__(self, clock: Clock, flow: Callable[[K], Hashable]) -> None:
        self._clock, self._flow = clock, flow
        # by flow, the one whose turn is next first; a plain dict would search ever longer for its first key
        self._ready: OrderedDict[Hashable, OrderedDict[K, None]] = OrderedDict()
        self._depth = 0  # keys in _ready
        self._workers: deque[asyncio.Future[None]] = deque()  # those that wait in `get`
        self._processing: set[K] = set()
        self._again: set[K] = set()  # added while processed
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []  # of _due; entries that do not agree with _due are void
        self._order = itertools.count()
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = 0.0
        self._closed = False
        self._idle = asyncio.Event()  # set once no key is with a worker and none will be

    @property
    def depth(self) -> int:
        """How many keys could be given out now or after a `done`; delayed ones do not count."""
        return self._depth + len(self._again)

    def add(self, key: K) -> None:
        """Give the key out as soon as a worker is free. Ignored after `shutdown`."""
        if self._closed:
            return
        self._due.pop(key, None)
        if key in self._processing:
            self._again.add(key)
        elif not self._waits(key):
            self._ready.setdefault(self._flow(key), OrderedDict())[key] = None
            self._depth += 1
            self._wake()

    def add_after(self, key: K, seconds: float) -> None:
        """Give the key out after that many seconds, unless it is due earlier anyway. Ignored after `shutdown`."""
        if seconds <= 0:
            self.add(key)
            return
        at = self._clock.monotonic() + seconds
        if self._closed or self._waits(key) or key in self._again or self._due.get(key, at + 1) <= at:
            return
        self._due[key] = at
        heapq.heappush(self._heap, (at, next(self._order), key))
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
        self._set_timer()

    async def get(self) -> K | None:
        """Return the next key, which is then the caller's until `done`; None after `shutdown`."""
        while not self._ready:
            if self._closed:
                return None
            woken = asyncio.get_running_loop().create_future()
            self._workers.append(woken)
            try:
                await woken
            except asyncio.CancelledError:
                if self._ready:
                    self._wake()  # somebody else, for the key that this one was woken for
                raise
        flow, keys = next(iter(self._ready.items()))
        key, _ = keys.popitem(last=False)
        if keys:
            self._ready.move_to_end(flow)
        else:
            del self._ready[flow]
        self._depth -= 1
        self._processing.add(key)
        return key

    def done(self, key: K) -> None:
        """Note that the caller has finished with a key that `get` gave it."""
        self._processing.discard(key)
        if self._closed and not self._processing:
            self._idle.set()
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def shutdown(self) -> None:
        """Give out no more keys and take no more: `get` answers None, also to those who wait in it."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._ready.clear()
        self._depth = 0
        self._again.clear()
        self._due.clear()
        while self._workers:
            self._wake()
        if not self._processing:
            self._idle.set()

    async def idle(self) -> None:
        """Return when, after `shutdown`, no key is with a worker any more."""
        await self._idle.wait()

    def _waits(self, key: K) -> bool:
        """Return whether a key can be given out now."""
        return key in self._ready.get(self._flow(key), ())

    def _wake(self) -> None:
        """Let one of the workers that wait go on."""
        while self._workers:
            woken = self._workers.popleft()
            if not woken.done():
                woken.set_result(None)
                return

    def _set_timer(self) -> None:
        """Have the timer wait for the earliest delay."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if not self._heap:
            return
        at = self._heap[0][0]
        if self._timer is not None and not self._timer.done():
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().create_task(self._wait_until(at))

    async def _wait_until(self, at: float) -> None:
        while (now := self._clock.monotonic()) < at:
            await self._clock.sleep(min(at - now, LONGEST))
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                self.add(key)
        self._timer = None
        self._set_timer()
