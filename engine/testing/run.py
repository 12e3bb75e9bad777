"""Runs tests: each on an embedded cluster of its own, step by step, with a clock that only the steps move."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from engine.cel import Path
from engine.errors import ApiError, Location
from engine.model.objects import Ref
from engine.model.observe import Act, Evaluated
from engine.testing.coverage import Coverage
from engine.testing.expect import Marks, check
from engine.testing.reasons import LastEvaluation, Reasons, StepReasons, Window
from engine.testing.schema import StepSpec
from engine.testing.steps import StepError, Steps
from engine.testing.suite import Suite
from engine.testing.world import Seen


@dataclass(frozen=True, slots=True)
class Failure:
    """What was not as expected, or could not be done: where in the test, what, and the lines of the difference."""

    place: Location
    message: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one test ended; it has passed where there are no failures. `seconds` are those of the machine's clock.

    `explained` has the step that failed, or every step where that was asked for.
    """

    suite: str
    name: str
    place: Location
    failures: tuple[Failure, ...]
    steps: int
    seconds: float
    explained: tuple[StepReasons, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a suite, by its number."""

    suite: Suite
    number: int

    @property
    def name(self) -> str:
        """What the test says holds."""
        return self.suite.spec.tests[self.number].name

    @property
    def path(self) -> Path:
        """Where the test stands in its document."""
        return ("spec", "tests", self.number)

    @property
    def place(self) -> Location:
        """Where the test stands."""
        return self.suite.document.locate((*self.path, "name"))


class _Watched(Seen):
    """Also keeps the last evaluation of each rule for each object, and counts results for the coverage."""

    def __init__(self, coverage: Coverage | None) -> None:
        super().__init__()
        self.last: dict[tuple[str, str, Ref], LastEvaluation] = {}
        self._coverage = coverage

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Keep an evaluation, and count it."""
        self.last[pack, rule, obj] = LastEvaluation(len(self.evaluations), result, reason)
        super().evaluated(pack, rule, obj, result, reason)
        if self._coverage is not None:
            self._coverage.evaluated(pack, rule, result)

    def acted(self, act: Act) -> None:
        """Keep an act; a rule that acts has fired, also where it acts for a group."""
        super().acted(act)
        if self._coverage is not None:
            self._coverage.acted(act.pack, act.rule)


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


def run(
    cases: Sequence[Case],
    *,
    coverage: Coverage | None = None,
    fail_fast: bool = False,
    explain_all: bool = False,
    ended: Callable[[CaseResult], None] = lambda _: None,
) -> list[CaseResult]:
    """Run tests one after the other; `ended` is called with each.

    With `explain_all` each step says what every rule came to, otherwise only one that failed.
    """
    outcomes = []
    for case in cases:
        with quiet():
            outcomes.append(asyncio.run(_CaseRun(case, coverage, explain_all).run()))
        ended(outcomes[-1])
        if fail_fast and outcomes[-1].failures:
            break
    return outcomes


class _CaseRun:
    """One run of one test."""

    def __init__(self, case: Case, coverage: Coverage | None, explain_all: bool) -> None:
        self._case, self._suite, self._explain_all = case, case.suite, explain_all
        packs = self._suite.packs
        covered = {name: coverage.watched(pack) if coverage else pack for name, pack in packs.items()}
        self._metrics = {spec.name: spec for pack in packs.values() for spec in pack.metrics.values()}
        seen = _Watched(coverage)
        self._steps = Steps(self._suite, covered, seen)
        self._world = self._steps.world
        self._reasons = Reasons(self._world, packs, seen.last)
        self._marks = Marks()
        self._taken = 0

    async def run(self) -> CaseResult:
        """Run it to the end, or to the first step that does not do what it says."""
        started = time.perf_counter()
        await self._steps.serve()
        failures: list[Failure] = []
        explained: list[StepReasons] = []
        setup = [(("spec", "setup", number), step) for number, step in enumerate(self._suite.spec.setup)]
        steps = self._suite.spec.tests[self._case.number].steps
        own = [((*self._case.path, "steps", number), step) for number, step in enumerate(steps)]
        for path, step in [*setup, *own]:
            self._taken += 1
            window = self._window(step)
            failures = await self._step(path, step)
            if failures or self._explain_all:
                reasons = tuple(await self._reasons.since(window))
                explained.append(StepReasons(self._suite.document.locate(path), next(iter(step.model_fields_set)), reasons))
            if failures:
                break
        seconds = time.perf_counter() - started
        ended = tuple(failures), self._taken, seconds, tuple(explained)
        return CaseResult(self._suite.name, self._case.name, self._case.place, *ended)

    def _window(self, step: StepSpec) -> Window:
        """Return what a step is about: what comes after now; of an `expect` what came after the one before."""
        if step.expect is not None:
            return Window(self._marks.evaluations, self._marks.acts)
        return Window(len(self._world.seen.evaluations), len(self._world.seen.acts))

    async def _step(self, path: Path, step: StepSpec) -> list[Failure]:
        try:
            if step.expect is not None:
                failed = await check(step.expect, self._world, self._marks, self._metrics)
                await self._marks.move(self._world)
                return [self._failure(path, ("expect", *where), what, lines) for where, what, lines in failed]
            await self._steps.take(step)
            await self._world.settle()
        except StepError as error:
            return [self._failure(path, error.path, error.message)]
        except ApiError as error:
            return [self._failure(path, (), f"the cluster refuses this step: {error}")]
        return []

    def _failure(self, step: Path, where: Path, message: str, lines: tuple[str, ...] = ()) -> Failure:
        place, own = self._suite.document.locate((*step, *where)), self._suite.document.locate(step)
        alias = f" (in the step in line {own.line})" if place.line < own.line else ""
        return Failure(place, message + alias, lines)
