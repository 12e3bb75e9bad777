"""Parts of pages that are rendered once for all who follow the same and may see the same, and seldom where that takes long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from math import floor
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from cachetools import TTLCache

from engine.console.viewer import Rights, Viewer

PAUSE = 1.0
"""Seconds from turn to turn, at which events are sent: a tab costs the same however much happens."""
SHARE, LONGEST = 200, 5.0
"""How many times as long as rendering took nothing of the same is rendered, and for how many seconds at most: what takes long,
since there is much of it or the operator is busy, is rendered less often."""
SILENCE = 15.0
"""Seconds after which a comment is sent where nothing happens, so that no proxy ends the stream."""
NOTHING = ": nothing has happened\n\n"
KEPT, LASTS = 40, 30.0
"""Of how many parts is kept what was rendered, and for how many seconds."""

T = TypeVar("T")


class Live(NamedTuple, Generic[T]):
    """A part of a page that is kept up to date: `key` says which, `part` how it reads now.

    `mark` returns what is another one once the part may read otherwise.
    """

    key: Hashable
    part: Callable[[], Awaitable[T]]
    mark: Callable[[], object]


class Made(NamedTuple, Generic[T]):
    """What was rendered: at which turn, at which mark, for whom, and for how many seconds it is not rendered again."""

    turn: float
    mark: object
    rights: Rights
    value: T
    pause: float


class Turns:
    """When a stream may send news: a whole number of seconds after a time that only depends on what it follows.

    `now` is the time at which the present turn began, of the monotonic clock.
    """

    def __init__(self, key: Hashable) -> None:
        self._offset = hash(key) % 1_000 / 1_000 * PAUSE
        self.now = time.monotonic()

    async def until_changed(self, live: Live[T], made: Made[T]) -> AsyncGenerator[str]:
        """Wait for the first turn after a pause at which there may be news; yield what says meanwhile that there are none."""
        spoke = self.now
        await self._next(made.pause)
        while live.mark() == made.mark:
            if self.now - spoke >= SILENCE:
                yield NOTHING
                spoke = self.now
            await self._next()

    async def _next(self, pause: float = PAUSE) -> None:
        now = time.monotonic()
        self.now = floor((now + max(PAUSE, pause) - self._offset) / PAUSE) * PAUSE + self._offset
        await asyncio.sleep(self.now - now)


class Shared:
    """What was rendered lately, by what it is a part of."""

    def __init__(self) -> None:
        self._made: TTLCache[Hashable, list[Made[Any]]] = TTLCache(KEPT, LASTS)
        self._rendering: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def of(self, viewer: Viewer, live: Live[T], turn: float) -> Made[T]:
        """Return what was rendered for somebody with the same rights at this turn, or since the last change; else render it."""
        async with self._rendering.setdefault(live.key, asyncio.Lock()):
            mark = live.mark()
            there = [each for each in self._made.get(live.key, ()) if turn - each.turn < PAUSE / 2 or each.mark == mark]
            for each in there:
                if await viewer.has(each.rights):
                    return each
            value = await live.part()
            pause = min(SHARE * (time.monotonic() - turn), LONGEST)
            made = Made(turn, mark, viewer.rights(), value, pause)
            self._made[live.key] = [*there, made]
            return made
