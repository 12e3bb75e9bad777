"""Plays a story: sets the stage, lets the engine act, makes happen what the script says, and judges the effects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from engine.cel import Program, Scope, Template
from engine.cli.story.screen import Screen, Verdict
from engine.cli.story.script import Effect, Step, Story
from engine.cli.story.stage import Stage
from engine.errors import RulepackError, Unanswered
from engine.kube.api import Api
from engine.kube.clock import Clock, cancel
from engine.model.objects import Object
from engine.operator.informer import Informer, InformerKey
from engine.operator.wiring import Operator

TICK = 0.2
"""Seconds between two looks at whether what is waited for has come about."""
OPENING_PATIENCE = 30.0
CALM = 1.0
"""Seconds that all effects must have held for, so that one which must not come about has had its time."""


class Player:
    """One performance of a story. `namespaces` are the names that the story's namespaces have in it."""

    def __init__(self, story: Story, api: Api, clock: Clock, screen: Screen, namespaces: Mapping[str, str]) -> None:
        self._story, self._clock, self._screen, self._namespaces = story, clock, screen, namespaces
        self._stage = Stage(api)
        self._shown: dict[tuple[str, str], str] = {}
        self._broken: dict[Effect, str] = {}
        self._begun = False
        self._running: list[asyncio.Task[None]] = []
        self._informers: dict[str, Informer] = {}
        scope = self._scope()
        self._informers = {
            name: self._informer(api, name, InformerKey(watched.kind, watched.namespace.render(scope)))
            for name, watched in story.watched.items()
        }

    async def set_stage(self, *, install: bool) -> None:
        """Put the namespaces, the missing definitions (if `install`) and the first objects on the cluster."""
        await self._stage.define(self._story.definitions, install=install)
        for name in self._namespaces.values():
            await self._stage.namespace(name)
        for obj in self._story.objects.render(self._scope()):
            await self._stage.create(obj)

    async def strike(self) -> None:
        """Take away what `set_stage` has put on the cluster."""
        await self._stage.strike()

    async def play(self, stagehands: Operator, engine: Operator) -> Sequence[Verdict]:
        """Play it to the end. Raises RulepackError where the story cannot begin."""
        watching = [asyncio.create_task(informer.run()) for informer in self._informers.values()]
        try:
            async with self._run(stagehands):
                await self._ready("its opening is true", lambda: self._is(self._story.opening))
                self._screen.say("The engine starts.")
                async with self._run(engine):
                    await self._ready("the engine acts", lambda: engine.may_act() and not engine.unready())
                    await self._perform()
                    return self._verdicts()
        finally:
            await cancel(*watching)

    async def _perform(self) -> None:
        begin, self._begun = self._clock.time(), True
        for step in self._story.steps:
            await self._wait(begin + step.at - self._clock.time())
            await self._take(step)
        if await self._until(lambda: all(each.holds for each in self._verdicts()), self._story.patience):
            await self._wait(CALM)

    async def _take(self, step: Step) -> None:
        scope = self._scope()
        self._screen.say(step.say.render(scope))
        for obj in step.create.render(scope):
            await self._stage.create(obj)
        for patch in step.patches:
            key = self._informers[patch.watched].key
            for name in patch.names:
                await self._stage.patch(key.kind, key.namespace, name, patch.body.render(scope), patch.subresource)

    @asynccontextmanager
    async def _run(self, operator: Operator) -> AsyncIterator[None]:
        """Have an operator run; what ends it too early surfaces in the next wait."""
        stop = asyncio.Event()
        task = asyncio.create_task(operator.run(stop))
        self._running.append(task)
        try:
            yield
        finally:
            stop.set()
            self._running.remove(task)
            await task

    async def _ready(self, what: str, holds: Callable[[], bool]) -> None:
        if not await self._until(holds, OPENING_PATIENCE):
            raise RulepackError(f"the story cannot begin: after {OPENING_PATIENCE:g} s it is not yet so that {what}")

    async def _wait(self, seconds: float) -> None:
        for task in self._running:
            if task.done():
                task.result()
        await self._clock.sleep(max(0.0, seconds))

    async def _until(self, holds: Callable[[], bool], patience: float) -> bool:
        """Whether something comes about within so many seconds."""
        deadline = self._clock.time() + patience
        while not holds():
            if self._clock.time() >= deadline:
                return False
            await self._wait(TICK)
        return True

    def _informer(self, api: Api, name: str, key: InformerKey) -> Informer:
        shows = self._story.watched[name].shows

        def changed(namespace: str, object_name: str, old: Object | None, new: Object | None, initial: bool) -> None:
            self._show(key, object_name, shows, new)
            if self._begun:
                self._check(name)

        return Informer(api, key, self._clock, lambda obj: obj, changed)

    def _show(self, key: InformerKey, name: str, shows: Template, obj: Object | None) -> None:
        text = "gone" if obj is None else str(_rendered(shows, self._scope().child(object=obj)))
        if obj is None and (key.kind.kind, name) not in self._shown:
            return
        if text and self._shown.get((key.kind.kind, name)) != text:
            self._shown[key.kind.kind, name] = text
            self._screen.changed(key.kind.kind, name, text)

    def _check(self, watched: str) -> None:
        """After a change of what is watched under a name: note which effects that must always hold do not hold now."""
        concerned = [effect for effect in self._story.effects if effect.always and _reads(effect.condition, watched)]
        scope = self._scope()
        for effect in concerned:
            if effect not in self._broken and not _true(effect.condition, scope):
                self._broken[effect] = f"at {self._screen.seconds():.1f} s: {_rendered(effect.seen, scope)}"

    def _verdicts(self) -> list[Verdict]:
        scope = self._scope()
        return [self._verdict(effect, scope) for effect in self._story.effects]

    def _verdict(self, effect: Effect, scope: Scope) -> Verdict:
        seen = self._broken.get(effect) or str(_rendered(effect.seen, scope))
        holds = effect not in self._broken and _true(effect.condition, scope)
        return Verdict(str(_rendered(effect.text, scope)), seen, holds)

    def _is(self, condition: Program) -> bool:
        return _true(condition, self._scope())

    def _scope(self) -> Scope:
        objects = {
            watch: {name: cached.object for (_, name), cached in informer.cache.items()}
            for watch, informer in self._informers.items()
        }
        now = datetime.fromtimestamp(int(self._clock.time()), UTC)  # times of the API server are in whole seconds
        return Scope({"namespaces": dict(self._namespaces), "now": now, "objects": objects})


def _reads(condition: Program, watched: str) -> bool:
    return any(read[:2] in (("objects",), ("objects", watched)) for read in condition.reads)


def _true(condition: Program, scope: Scope) -> bool:
    try:
        return condition.condition(scope)
    except Unanswered:
        return False


def _rendered(template: Template, scope: Scope) -> Any:
    try:
        return template.render(scope)
    except Unanswered as unanswered:
        return f"no answer: {unanswered}"
