"""Runs the tests of functions: each is one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from engine.cel import Scope
from engine.cel.template import value_of
from engine.errors import EvaluationError
from engine.testing import match
from engine.testing.coverage import UNKNOWN, Coverage
from engine.testing.functions import FunctionCase
from engine.testing.run import CaseResult, Failure


def run_functions(
    cases: Sequence[FunctionCase],
    *,
    coverage: Coverage | None = None,
    fail_fast: bool = False,
    ended: Callable[[CaseResult], None] = lambda _: None,
) -> list[CaseResult]:
    """Call each function; `ended` is called with each result."""
    results = []
    for case in cases:
        started = time.perf_counter()
        failures = tuple(_evaluated(case, coverage))
        results.append(CaseResult(case.suite, case.name, case.place, failures, 1, time.perf_counter() - started))
        ended(results[-1])
        if fail_fast and failures:
            break
    return results


def _shown(value: Any) -> str:
    return "null" if value is None else match.shown(value)


def _evaluated(case: FunctionCase, coverage: Coverage | None) -> list[Failure]:
    spec = case.spec
    try:
        value = value_of(case.program)(Scope(case.arguments))
    except EvaluationError as error:
        if coverage is not None:
            coverage.called(spec.function, UNKNOWN)
        if spec.fails is not None and spec.fails in str(error):
            return []
        expected = _shown(spec.expect) if spec.fails is None else f"no value, with {spec.fails!r} in the message"
        return [Failure(case.place, f"{spec.function}() has no value", (f"- expected {expected}", f"+ found    {error}"))]
    if coverage is not None:
        coverage.called(spec.function, str(value).lower() if type(value) is bool else "value")
    if spec.fails is None and type(value) is type(spec.expect) and value == spec.expect:
        return []
    expected = _shown(spec.expect) if spec.fails is None else "no value"
    lines = (f"- expected {expected}", f"+ found    {_shown(value)}")
    return [Failure(case.place, f"{spec.function}() is not what is expected", lines)]
