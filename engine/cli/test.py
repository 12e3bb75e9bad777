"""`rulepack test`: run the tests of rule packs on an embedded cluster."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from engine.cel import backend
from engine.cli.arguments import format_option, packs_argument
from engine.cli.findings import say, sentence
from engine.errors import Fault
from engine.testing.calls import run_functions
from engine.testing.coverage import Coverage
from engine.testing.report import as_json, coverage_lines, failure_lines, junit, summary, verbose_lines
from engine.testing.run import Case, CaseResult, run
from engine.testing.suite import Loaded, load_suites
from engine.testing.unfit import lint_errors, unfit_objects

EXAMPLES = """\b
Examples:
  rulepack test my-rules                        all tests in a folder
  rulepack test my-rules -k restart --fail-fast
  rulepack test my-rules -k restart -v          what each rule came to in each step
  rulepack test my-rules --coverage --min-coverage 90
  rulepack test my-rules --format junit > report.xml
"""


@click.command(epilog=EXAMPLES)
@packs_argument
@click.option("-k", "pattern", default="", metavar="TEXT", help="Only tests whose suite or name contains this text.")
@click.option("--fail-fast", is_flag=True, help="Stop after the first test that fails.")
@click.option("-v", "--verbose", is_flag=True, help="Show of every step what each rule came to, and why.")
@format_option("text", "junit", "json")
@click.option("--coverage", "with_coverage", is_flag=True, help="Show which rules and conditions the tests have exercised.")
@click.option("--min-coverage", type=click.FloatRange(0, 100), metavar="PERCENT", help="Fail below this coverage.")
def test(
    paths: tuple[Path, ...], pattern: str, fail_fast: bool, verbose: bool, style: str, with_coverage: bool,
    min_coverage: float | None,
) -> int:  # fmt: skip
    """Run the tests (kind: RulePackTest, RuleLibraryTest) in these files and folders.

    Each test has a cluster in memory and a clock of its own; nothing else is needed. Under a step that fails stands of each
    rule what kept it from firing, or what its actions came to. What Kubernetes' own kinds do not take in the objects of tests
    is printed too. Exits with 1 if a test fails, cannot be run, or `rulepack lint` finds an error in a pack under test.
    """
    loaded = load_suites(paths, backend())
    wrong = lint_errors(loaded, backend())
    _say_faults(loaded, wrong)
    cases = [Case(suite, number) for suite in loaded.suites for number in range(len(suite.spec.tests))]
    chosen = [case for case in cases if pattern.lower() in f"{case.suite.name} {case.name}".lower()]
    calls = [call for call in loaded.calls if pattern.lower() in f"{call.suite} {call.name}".lower()]
    total = len(cases) + len(loaded.calls)
    if total and not chosen and not calls:
        click.echo(f"Error: no test has {pattern!r} in its name; there are {total} tests", err=True)
        return 2
    coverage = Coverage() if with_coverage or min_coverage is not None else None
    if coverage is not None:
        coverage.declare(loaded.functions)
    text = style == "text"
    ended = partial(_show, verbose) if text else lambda _: None
    outcomes = run_functions(calls, coverage=coverage, fail_fast=fail_fast, ended=ended)
    if not (fail_fast and any(outcome.failures for outcome in outcomes)):
        outcomes += run(chosen, coverage=coverage, fail_fast=fail_fast, explain_all=verbose, ended=ended)
    if text:
        _sum_up(outcomes, coverage if with_coverage else None)
    else:
        errors = [*loaded.faults, *wrong]
        click.echo(junit(outcomes, errors) if style == "junit" else as_json(outcomes, errors, coverage if outcomes else None))
    low = coverage is not None and bool(outcomes) and min_coverage is not None and coverage.percent() < min_coverage
    if coverage is not None and low:
        click.echo(f"Error: the coverage is {coverage.percent():.1f} %, less than --min-coverage {min_coverage:g}", err=True)
    return 1 if loaded.faults or wrong or low or any(outcome.failures for outcome in outcomes) else 0


def _say_faults(loaded: Loaded, wrong: Sequence[Fault]) -> None:
    """Print what kept tests from being run, and what no test shows."""
    for fault in loaded.faults:
        click.echo(f"{fault.location}: error: {sentence(fault)}", err=True)
    for fault in wrong:
        click.echo(f"{fault.location}: rulepack lint: error: {sentence(fault)} [{fault.code}]", err=True)
    for fault in (fault for suite in loaded.suites for fault in unfit_objects(suite)):
        click.echo(f"{fault.location}: warning: {sentence(fault)}", err=True)


def _show(verbose: bool, outcome: CaseResult) -> None:
    for line in verbose_lines(outcome) if verbose else failure_lines(outcome) if outcome.failures else ():
        say(line)


def _sum_up(outcomes: list[CaseResult], coverage: Coverage | None) -> None:
    for line in coverage_lines(coverage) if coverage is not None and outcomes else ():
        click.echo(line)
    click.echo(summary(outcomes) if outcomes else "no test was run")
