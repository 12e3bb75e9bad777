"""Runs a demo script: prepares the cluster, lets the engine act, does what the script says, and checks the effects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from engine.cel import Program, Scope, Template
from engine.cli.demo.fixtures import Fixtures
from engine.cli.demo.screen import Check, Screen
from engine.cli.demo.script import Effect, Script, Step
from engine.errors import EvaluationError, RulepackError
from engine.kube.api import Api
from engine.kube.clock import Clock, cancel
from engine.model.objects import Object
from engine.operator.informer import Informer
from engine.operator.selection import InformerKey
from engine.operator.wiring import Operator
from engine.reconcile.prune import Whole

TICK = 0.2
"""Seconds between two checks of whether what is waited for has come about."""
READY_TIMEOUT = 120.0
"""Seconds of the machine's clock in which the script's first condition, and then the engine, must be ready: how long they take
does not depend on how fast the demo's clock runs."""
SETTLING = 1.0
"""Seconds for which all effects must be true, so that one which must not come about has had its time."""


class FastClock:
    """Implements `engine.kube.clock.Clock`: begins at the present time and then runs `speed` times as fast."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._origin, self._began = time.time(), time.monotonic()

    def time(self) -> float:
        """Return the seconds since the Unix epoch, UTC, as this clock counts them."""
        return self._origin + (time.monotonic() - self._began) * self._speed

    def monotonic(self) -> float:
        """Return the seconds since some moment."""
        return self.time()

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        await asyncio.sleep(seconds / self._speed)


class Runner:
    """One run of a script. `namespaces` are the names that the script's namespaces have in it."""

    def __init__(self, script: Script, api: Api, clock: Clock, screen: Screen, namespaces: Mapping[str, str]) -> None:
        self._script, self._clock, self._screen, self._namespaces = script, clock, screen, namespaces
        self._fixtures = Fixtures(api)
        self._shown: dict[tuple[str, str], str] = {}
        self._broken: dict[Effect, str] = {}
        self._begun = False
        self._running: list[asyncio.Task[None]] = []
        self._informers: dict[str, Informer] = {}
        scope = self._scope()
        self._informers = {
            name: self._informer(api, name, InformerKey(watched.kind, watched.namespace.render(scope)))
            for name, watched in script.watched.items()
        }

    async def prepare(self, *, install: bool) -> None:
        """Put the namespaces, the missing definitions (if `install`) and the first objects on the cluster."""
        await self._fixtures.define(self._script.definitions, install=install)
        for name in self._namespaces.values():
            await self._fixtures.namespace(name)
        for obj in self._script.objects.render(self._scope()):
            await self._fixtures.create(obj)

    async def clean_up(self) -> None:
        """Take away what `prepare` has put on the cluster."""
        await self._fixtures.clean_up()

    async def run(self, simulators: Operator, engine: Operator, ends: Callable[[Sequence[Check]], Awaitable[None]]) -> None:
        """Run the script to its end, and then, while both engines still run, call `ends` with what became of the effects.

        Raise RulepackError where it cannot begin.
        """
        watching = [asyncio.create_task(informer.run()) for informer in self._informers.values()]
        try:
            async with self._running_operator(simulators):
                await self._until_ready("its condition `ready`", lambda: self._is(self._script.ready))
                self._screen.say("The engine starts.")
                async with self._running_operator(engine):
                    await self._until_ready("an engine that acts", lambda: engine.may_act() and not engine.health.unready())
                    await self._run_steps()
                    await ends(self._checks())
        finally:
            await cancel(*watching)

    async def _run_steps(self) -> None:
        begin, self._begun = self._clock.monotonic(), True
        for step in self._script.steps:
            await self._wait(begin + step.at - self._clock.monotonic())
            await self._take(step)
        if await self._until(lambda: all(each.holds for each in self._checks()), self._script.timeout, self._clock.monotonic):
            await self._wait(SETTLING)

    async def _take(self, step: Step) -> None:
        scope = self._scope()
        self._screen.say(step.say.render(scope))
        for obj in step.create.render(scope):
            await self._fixtures.create(obj)
        for patch in step.patches:
            key = self._informers[patch.watched].key
            for name in patch.names:
                await self._fixtures.patch(key.kind, key.namespace, name, patch.body.render(scope), patch.subresource)

    @asynccontextmanager
    async def _running_operator(self, operator: Operator) -> AsyncIterator[None]:
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

    async def _until_ready(self, what: str, holds: Callable[[], bool]) -> None:
        if not await self._until(holds, READY_TIMEOUT, time.monotonic):
            raise RulepackError(f"the demo cannot begin: {what} did not come about within {READY_TIMEOUT:g} s")

    async def _wait(self, seconds: float) -> None:
        for task in self._running:
            if task.done():
                task.result()
        await self._clock.sleep(max(0.0, seconds))

    async def _until(self, holds: Callable[[], bool], timeout: float, monotonic: Callable[[], float]) -> bool:
        """Return whether something comes about within so many seconds of a clock."""
        deadline = monotonic() + timeout
        while not holds():
            if monotonic() >= deadline:
                return False
            await self._wait(TICK)
        return True

    def _informer(self, api: Api, name: str, key: InformerKey) -> Informer:
        shows = self._script.watched[name].shows

        def changed(namespace: str, object_name: str, old: Object | None, new: Object | None, initial: bool) -> None:
            self._show(key, object_name, shows, new)
            if self._begun:
                self._check_always(name)

        return Informer(api, key, self._clock, Whole(), changed)

    def _show(self, key: InformerKey, name: str, shows: Template, obj: Object | None) -> None:
        text = "gone" if obj is None else str(_rendered(shows, self._scope().child(object=obj)))
        if obj is None and (key.kind.kind, name) not in self._shown:
            return
        if text and self._shown.get((key.kind.kind, name)) != text:
            self._shown[key.kind.kind, name] = text
            self._screen.changed(key.kind.kind, name, text)

    def _check_always(self, watched: str) -> None:
        """Keep in mind, after a change of what is watched under a name, which effects that must always hold do not hold now."""
        concerned = [effect for effect in self._script.effects if effect.always and _reads(effect.condition, watched)]
        scope = self._scope()
        for effect in concerned:
            if effect not in self._broken and not _true(effect.condition, scope):
                self._broken[effect] = f"at {self._screen.seconds():.1f} s: {_rendered(effect.seen, scope)}"

    def _checks(self) -> list[Check]:
        scope = self._scope()
        return [self._check(effect, scope) for effect in self._script.effects]

    def _check(self, effect: Effect, scope: Scope) -> Check:
        seen = self._broken.get(effect) or str(_rendered(effect.seen, scope))
        holds = effect not in self._broken and _true(effect.condition, scope)
        return Check(str(_rendered(effect.text, scope)), seen, holds)

    def _is(self, condition: Program) -> bool:
        return _true(condition, self._scope())

    def _scope(self) -> Scope:
        objects = {
            watch: {name: cached.object for (_, name), cached in informer.store.objects.items()}
            for watch, informer in self._informers.items()
        }
        now = datetime.fromtimestamp(int(self._clock.time()), UTC)  # times of the API server are in whole seconds
        return Scope({"namespaces": dict(self._namespaces), "now": now, "objects": objects})


def _reads(condition: Program, watched: str) -> bool:
    return any(read[:2] in (("objects",), ("objects", watched)) for read in condition.reads)


def _true(condition: Program, scope: Scope) -> bool:
    try:
        return condition.condition(scope)
    except EvaluationError:
        return False


def _rendered(template: Template, scope: Scope) -> Any:
    try:
        return template.render(scope)
    except EvaluationError as unanswered:
        return f"no answer: {unanswered}"
