"""What tests came to: for people, for CI as JUnit XML, for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from engine.errors import Fault
from engine.testing.coverage import UNKNOWN, Coverage, Point
from engine.testing.reasons import StepReasons
from engine.testing.run import CaseResult, Failure

FILES = "files"
"""The suite of the errors of files, in JUnit XML."""
MOST_REASONS = 20
"""Reasons under a failed step; `-v` shows all."""


def failure_lines(outcome: CaseResult) -> list[str]:
    """Return a failed test: each failure with its place, and why rules have done nothing."""
    lines = [f"FAIL {outcome.suite}: {outcome.name}", *_failures(outcome)]
    reasons = [reason for step in outcome.explained for reason in step.reasons if reason.notable]
    if reasons:
        lines.append("  why rules have not done more since the last expect:")
    lines += [f"    {line}" for reason in reasons[:MOST_REASONS] for line in reason.lines()]
    if len(reasons) > MOST_REASONS:
        lines.append(f"    … and {len(reasons) - MOST_REASONS} more, which -v shows")
    return lines


def verbose_lines(outcome: CaseResult) -> list[str]:
    """Return a test with what every rule came to in each step."""
    lines = [f"{'FAIL' if outcome.failures else 'PASS'} {outcome.suite}: {outcome.name}"]
    for step in outcome.explained:
        lines.append(f"  {step.place}: {step.step}")
        lines += [f"    {line}" for reason in step.reasons for line in reason.lines()]
    return [*lines, *_failures(outcome)]


def _failures(outcome: CaseResult) -> Iterator[str]:
    for failure in outcome.failures:
        yield f"  {failure.place}: {failure.message}"
        yield from (f"    {line}" for line in failure.lines)


def summary(outcomes: Sequence[CaseResult]) -> str:
    """One line about all tests."""
    failed = sum(1 for outcome in outcomes if outcome.failures)
    steps, seconds = sum(outcome.steps for outcome in outcomes), sum(outcome.seconds for outcome in outcomes)
    parts = [f"{len(outcomes) - failed} passed", *([f"{failed} failed"] if failed else [])]
    return f"{', '.join(parts)} ({steps} steps in {seconds:.2f} s)"


def coverage_lines(coverage: Coverage) -> list[str]:
    """A table of rules and conditions, with how often each ended in which way, and what is missing."""
    rows = [("", "fired/true", "skipped/false", UNKNOWN, "")]
    pack = ""
    for point in coverage.points():
        if point.pack != pack:
            pack = point.pack
            rows.append((pack, "", "", "", ""))
        yes, no = (str(point.counts[name]) for name in (*point.wanted, "")[:2])
        unknown = str(point.counts[UNKNOWN])
        rows.append((_label(point), yes, no, unknown, _missing(point)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(row[column].rjust(widths[column]) for column in (1, 2, 3)), row[4]]).rstrip()
        for row in rows
    ]
    return [*lines, f"coverage: {coverage.percent():.0f} %"]


def _label(point: Point) -> str:
    source = " ".join(point.source.split())
    return (
        f"  {point.rule}"
        if not point.clause
        else f"    when[{point.clause}] {source if len(source) <= 60 else source[:57] + '...'}"
    )


def _missing(point: Point) -> str:
    return f"never {' nor '.join(point.missing)}" if point.missing else ""


def junit(outcomes: Sequence[CaseResult], errors: Sequence[Fault]) -> str:
    """JUnit XML, as CI systems read it; `errors` are those of the files, each file a test case of its own."""
    root = ElementTree.Element("testsuites")
    _add_errors(root, errors)
    for suite in dict.fromkeys(outcome.suite for outcome in outcomes):
        cases = [outcome for outcome in outcomes if outcome.suite == suite]
        failed = sum(1 for case in cases if case.failures)
        element = ElementTree.SubElement(root, "testsuite", name=suite, tests=str(len(cases)), failures=str(failed))
        for case in cases:
            item = ElementTree.SubElement(
                element, "testcase", classname=suite, name=case.name, file=case.place.file, line=str(case.place.line),
                time=f"{case.seconds:.3f}",
            )  # fmt: skip
            for failure in case.failures:
                fault = ElementTree.SubElement(item, "failure", message=f"{failure.place}: {failure.message}")
                fault.text = "\n".join(failure.lines)
            if case.failures:
                ElementTree.SubElement(item, "system-out").text = "\n".join(failure_lines(case))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _add_errors(root: ElementTree.Element, errors: Sequence[Fault]) -> None:
    files = dict.fromkeys(error.location.file for error in errors)
    if not files:
        return
    count = str(len(files))
    element = ElementTree.SubElement(root, "testsuite", name=FILES, tests=count, failures="0", errors=count)
    for file in files:
        own = [error for error in errors if error.location.file == file]
        line = str(own[0].location.line)
        item = ElementTree.SubElement(element, "testcase", classname=FILES, name=file, file=file, line=line, time="0.000")
        for error in own:
            ElementTree.SubElement(item, "error", message=str(error), type=error.code)


def as_json(outcomes: Sequence[CaseResult], errors: Sequence[Fault], coverage: Coverage | None) -> str:
    """Everything as one JSON object."""
    body: dict[str, Any] = {"tests": [_test(outcome) for outcome in outcomes], "errors": [_error(error) for error in errors]}
    if coverage is not None and outcomes:
        body["coverage"] = {"percent": round(coverage.percent(), 1), "points": [_point(point) for point in coverage.points()]}
    return json.dumps(body, indent=2, ensure_ascii=False)


def _test(outcome: CaseResult) -> dict[str, Any]:
    return {
        "suite": outcome.suite, "name": outcome.name, "file": outcome.place.file, "line": outcome.place.line,
        "steps": outcome.steps, "seconds": round(outcome.seconds, 4), "passed": not outcome.failures,
        "failures": [_failure(failure) for failure in outcome.failures],
        "explained": [_explained(step) for step in outcome.explained],
    }  # fmt: skip


def _error(error: Fault) -> dict[str, Any]:
    place = error.location
    return {"file": place.file, "line": place.line, "column": place.column, "code": error.code, "message": error.text}


def _failure(failure: Failure) -> dict[str, Any]:
    place = failure.place
    return {"file": place.file, "line": place.line, "column": place.column, "message": failure.message, "lines": failure.lines}


def _explained(step: StepReasons) -> dict[str, Any]:
    return {"file": step.place.file, "line": step.place.line, "step": step.step, "rules": [asdict(each) for each in step.reasons]}


def _point(point: Point) -> dict[str, Any]:
    clause = {"clause": point.clause, "source": point.source} if point.clause else {}
    of = {"library": point.pack, "function": point.rule} if point.function else {"pack": point.pack, "rule": point.rule}
    return {**of, **clause, "counts": dict(point.counts), "missing": list(point.missing)}


__all__ = ["as_json", "coverage_lines", "failure_lines", "junit", "summary", "verbose_lines"]
