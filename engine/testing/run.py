"""Runs tests: each on an embedded cluster of its own, step by step, with a clock that only the steps move."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engine.cel import Path
from engine.errors import ApiError, InvalidText, Location
from engine.model.flags import Mode
from engine.model.names import misnamed
from engine.model.objects import Kind, Ref, Resource, kind_of, metadata, ref_of
from engine.model.observe import Act, Evaluated
from engine.model.plurals import guessed_resource
from engine.model.text import suggestion
from engine.packs.catalog import Catalog
from engine.packs.jsonschemas import Checker
from engine.packs.sources import load_folder
from engine.packs.yamltext import read_yaml
from engine.testing.coverage import Coverage
from engine.testing.expect import Marks, check
from engine.testing.http import played
from engine.testing.reasons import LastEvaluation, Reasons, StepReasons, Window
from engine.testing.schema import DEFAULT_NAMESPACE, StepSpec
from engine.testing.suite import Suite
from engine.testing.world import Seen, World


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


class _Stop(Exception):
    """A step cannot be done: what is wrong, and where in the step."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.message, self.path = message, path


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
        self._packs = {name: coverage.watched(pack) if coverage else pack for name, pack in packs.items()}
        self._flags: dict[str, Mode] = {}
        self._params: dict[str, dict[str, Any]] = {name: {} for name in packs}
        self._metrics = {spec.name: spec for pack in packs.values() for spec in pack.metrics.values()}
        seen = _Watched(coverage)
        self._world = World(self._catalog(), self._suite.spec.start, seen, every_rule=True)
        self._reasons = Reasons(self._world, packs, seen.last)
        self._marks = Marks()
        self._steps = 0

    async def run(self) -> CaseResult:
        """Run it to the end, or to the first step that does not do what it says."""
        started = time.perf_counter()
        await self._serve()
        failures: list[Failure] = []
        explained: list[StepReasons] = []
        setup = [(("spec", "setup", number), step) for number, step in enumerate(self._suite.spec.setup)]
        steps = self._suite.spec.tests[self._case.number].steps
        own = [((*self._case.path, "steps", number), step) for number, step in enumerate(steps)]
        for path, step in [*setup, *own]:
            self._steps += 1
            window = self._window(step)
            failures = await self._step(path, step)
            if failures or self._explain_all:
                reasons = tuple(await self._reasons.since(window))
                explained.append(StepReasons(self._suite.document.locate(path), next(iter(step.model_fields_set)), reasons))
            if failures:
                break
        seconds = time.perf_counter() - started
        ended = tuple(failures), self._steps, seconds, tuple(explained)
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
            await self._do(step)
            await self._world.settle()
        except _Stop as stop:
            return [self._failure(path, stop.path, stop.message)]
        except ApiError as error:
            return [self._failure(path, (), f"the cluster refuses this step: {error}")]
        return []

    def _failure(self, step: Path, where: Path, message: str, lines: tuple[str, ...] = ()) -> Failure:
        place, own = self._suite.document.locate((*step, *where)), self._suite.document.locate(step)
        alias = f" (in the step in line {own.line})" if place.line < own.line else ""
        return Failure(place, message + alias, lines)

    async def _do(self, step: StepSpec) -> None:
        world = self._world
        if step.apply is not None:
            await self._apply(step.apply)
        elif step.delete is not None:
            ref = step.delete
            await world.delete(Kind(ref.api_version, ref.kind), ref.name, ref.namespace)
        elif step.advance is not None:
            await world.advance(step.advance)
        elif step.flags is not None:
            self._set_flags(step.flags)
        elif step.params is not None:
            self._set_params(step.params)
        elif step.stop or step.start or step.restart:
            self._run_or_stop(step)
        elif step.fault is not None:
            world.engine.faults.add(step.fault.injected())
        elif step.http is not None:
            world.http.play(played(step.http))

    def _run_or_stop(self, step: StepSpec) -> None:
        if self._world.running is bool(step.start):
            state = "the engine runs; expected stop before start" if step.start else "the engine is stopped; expected start first"
            raise _Stop(state)
        if step.stop:
            self._world.stop()
        elif step.start:
            self._world.start()
        else:
            self._world.restart()

    async def _apply(self, what: str | dict[str, Any] | list[dict[str, Any]]) -> None:
        objects = self._read(what) if isinstance(what, str) else [what] if isinstance(what, dict) else what
        for index, obj in enumerate(objects):
            path: Path = ("apply", index) if isinstance(what, list) else ("apply",)
            wrong = misnamed(ref_of(obj))
            if wrong:
                raise _Stop(f"this is no object: {wrong}", path)
            await self._world.serve(kind_of(obj))
            resource = await self._world.cluster.discover(kind_of(obj))
            home = {"namespace": DEFAULT_NAMESPACE} if resource.namespaced else {}
            await self._world.apply({**obj, "metadata": {**home, **metadata(obj)}})

    def _read(self, name: str) -> list[dict[str, Any]]:
        path = self._suite.file.parent / name
        if not path.is_file():
            raise _Stop(f"there is no file {path}", ("apply",))
        text = load_folder([path])[0]
        try:
            if text.faults:
                raise InvalidText(text.faults)
            documents = read_yaml(text.text, lambda line, column: Location(text.file, line, column))
        except InvalidText as invalid:
            raise _Stop(str(invalid), ("apply",)) from None
        return [document.value for document in documents if isinstance(document.value, dict)]

    def _set_flags(self, flags: Mapping[str, str]) -> None:
        known = [pack.feature_flag for pack in self._packs.values()]
        for name, mode in flags.items():
            if name not in known:
                raise _Stop(f"no pack has the feature flag {name!r}; expected {suggestion(name, known)}", ("flags", name))
            self._flags[name] = Mode(mode)
        self._world.catalog = self._catalog()

    def _set_params(self, params: Mapping[str, Mapping[str, Any]]) -> None:
        for name, values in params.items():
            if name not in self._packs:
                raise _Stop(f"there is no pack {name!r}; expected {suggestion(name, self._packs)}", ("params", name))
            declared = self._packs[name].params
            for param, value in values.items():
                path = ("params", name, param)
                if param not in declared:
                    raise _Stop(f"{name} has no param {param!r}; expected {suggestion(param, declared)}", path)
                checker = Checker(declared[param].schema)
                for fault in checker.faults(value):
                    raise _Stop(f"{fault.message}; expected {fault.expected}", path)
                self._params[name][param] = checker.typed(value)
        self._world.catalog = self._catalog()

    def _catalog(self) -> Catalog:
        modes = {name: self._flags.get(pack.feature_flag, pack.default_mode) for name, pack in self._packs.items()}
        return Catalog.of(self._packs, modes, self._params)

    async def _serve(self) -> None:
        """Make the cluster know every kind that the tests or the packs name."""
        for spec in self._suite.spec.kinds:
            kind = Kind(spec.api_version, spec.kind)
            resource = Resource(kind, spec.plural or guessed_resource(kind).plural, spec.namespaced)
            self._world.cluster.register(resource, status_subresource=spec.status_subresource)
        for pack in self._packs.values():
            discovered = (discovery.kind for discovery in pack.discover.values())
            for kind in (*pack.watches, *discovered, *(target.kind for target in pack.targets if target.kind.kind != "*")):
                await self._world.serve(kind)
