"""The parts of the benchmarks that decide what counts."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from tests.bench import budgets, burst, instructions, plots, profile, report, tables, tabs, workload
from tests.bench.figures import milliseconds, spread
from tests.bench.steady import FIGURES, PHASES, summary


def job(phase: str, annotations: dict[str, str]) -> dict[str, Any]:
    """A job of wave 3 that came to a phase at T, with these annotations beside its wave."""
    metadata = {"name": "job", "annotations": {workload.SYNC_WAVE: "3", **annotations}}
    return {"metadata": metadata, "status": {"phase": phase, "completionTime": "T"}}


def run(cpu: float, *faults: str) -> dict[str, Any]:
    """A run whose figures are all 1, but for its CPU time."""
    load = {**dict.fromkeys(FIGURES, 1.0), "cpu_ms_per_change": cpu, "latency_ms": {"p50": 1.0, "p99": 1.0, "max": 1.0}}
    return {**dict.fromkeys(PHASES, load), "faults": list(faults)}


def steady_results(**runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What tests.bench.steady writes, of contestants with these runs."""
    return {
        "taken": "now", "command": "c", "packs": [], "versions": {"commit": "abc"},
        "machine": {"cores": 2, "cpu": "c", "memory_gb": 1, "kernel": "k", "load_before": 0},
        "work": {
            "jobs": 1, "results_per_job": 1, "job_bytes": 1, "rate": 1, "seconds": 1, "rounds": 2, "in_flight": 3,
        },
        "contestants": [
            {
                "name": name, "label": name.upper(), "command": name, "runs": each,
                "summary": {phase: summary(each, phase) for phase in PHASES},
            }
            for name, each in runs.items()
        ],
    }  # fmt: skip


def test_every_change_is_reported_by_its_time() -> None:
    """No two changes of a run have the same completionTime; each job's turn comes once in as many changes as there are jobs."""
    changes = [workload.change(number, 100) for number in range(1000)]
    assert len({status["completionTime"] for _, status in changes}) == 1000
    assert [name for name, _ in changes[:100]] == [name for name, _ in changes[100:200]]


def test_a_quarter_of_the_changes_are_failures_of_changing_jobs() -> None:
    """One change in four is a failure, and the jobs that fail at one turn do not fail at the next."""
    failed = [number for number in range(400) if workload.change(number, 100)[1]["phase"] == "Failed"]
    assert len(failed) == 100
    assert not {number % 100 for number in failed if number < 100} & {number % 100 for number in failed if 100 <= number < 200}


def test_a_job_has_the_annotations_of_its_phase_and_no_others() -> None:
    """A missing, a wrong and a left-over annotation are faults; other people's annotations are not."""
    complete = {"mlops.dev/wave-complete": "3", "mlops.dev/completion-time": "T"}
    assert not workload.faults([job("Succeeded", {**complete, "other": "x"}), job("Running", {})])
    for wrong in ({}, {**complete, "mlops.dev/wave-complete": "2"}, {**complete, "mlops.dev/failure-time": "T"}):
        assert workload.faults([job("Succeeded", wrong)])
    assert workload.faults([job("Running", complete)])


def test_percentiles_are_values_that_were_measured() -> None:
    """The p-th percentile is the smallest value that is not exceeded by p percent of all."""
    assert milliseconds([number / 1000 for number in range(1, 101)]) == {"p50": 50.0, "p99": 99.0, "max": 100.0}
    assert milliseconds([0.007]) == {"p50": 7.0, "p99": 7.0, "max": 7.0}
    assert milliseconds([]) == {}


def test_spread_is_median_and_extremes() -> None:
    """One odd round moves an end of the spread, not the median."""
    assert spread([3.0, 1.0, 100.0]) == {"median": 3.0, "min": 1.0, "max": 100.0}


def test_a_run_with_faults_is_not_counted() -> None:
    """Invalid runs are left out of medians, and the page says that there were some, and why."""
    runs = [run(1.0), run(9.0, "job-1 has {}")]
    assert summary(runs, "steady")["cpu_ms_per_change"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert summary([run(9.0, "x")], "rush") == {}
    page = tables.steady(steady_results(a=runs, b=[run(9.0, "x")]))
    assert "| A | 1.00 |" in page
    assert "A: 1 of 2 runs invalid, the first because job-1 has {}." in page
    assert "| B | invalid |" in page


def test_a_budget_is_kept_or_not() -> None:
    """CPU per change is kept at 0.7 of Go's and not beyond it; without a valid run a budget is not kept."""
    kept = budgets.table({"steady": steady_results(engine=[run(0.7)], go=[run(1.0)])})
    missed = budgets.table({"steady": steady_results(engine=[run(0.71)], go=[run(1.0)])})
    nothing = budgets.table({"steady": steady_results(engine=[run(0.7)], go=[run(1.0, "x")])})
    assert "0.7 ms to 1 ms, 0.70 times | yes |" in kept
    assert "0.71 ms to 1 ms, 0.71 times | **no** |" in missed
    assert nothing.count("| no valid run | **no** |") == 2


def test_growth_is_judged_by_the_largest_size() -> None:
    """Flat means no more than 1.5 of the smallest size; triggers are linear, so that each one is what counts."""

    def grown(name: str, sizes: list[int], costs: list[float]) -> str:
        figures = [{"median": cost, "min": cost, "max": cost} for cost in costs]
        series = {"name": name, "label": name, "sizes": sizes, "cpu_us_per_change": figures}
        return budgets.table({"growth": {"series": [series]}})

    assert "1.50 times | yes |" in grown("objects", [100, 50_000], [10.0, 15.0])
    assert "1.60 times | **no** |" in grown("objects", [100, 50_000], [10.0, 16.0])
    assert "1.00 times | yes |" in grown("triggers", [1, 100, 1_000], [50.0, 100.0, 1_000.0])
    assert "10.00 times | **no** |" in grown("triggers", [1, 100, 1_000], [50.0, 100.0, 10_000.0])


def test_the_page_keeps_what_is_written_by_hand() -> None:
    """Only what lies between the marks of parts with results is replaced; a missing mark is an error that names it."""
    marks = {part: (report.MARK.format(part, "begin"), report.MARK.format(part, "end")) for part in (*report.PARTS, "budgets")}
    page = "by hand\n" + "".join(f"{begin}\nold {part}\n{end}\n" for part, (begin, end) in marks.items())
    written = report.written(page, {"steady": steady_results(a=[run(1.0)])}, "images")
    assert written.startswith("by hand\n")
    assert "old steady" not in written
    assert "old drain" in written
    assert "![CPU per change at a steady rate](images/cpu.svg)" in written
    with pytest.raises(ValueError, match="generated, rush: begin"):
        report.written(page.replace(marks["rush"][0], ""), {"steady": steady_results(a=[run(1.0)])}, "images")


def audited(name: str, second: float, user: str, subresource: str = "", stage: str = "ResponseComplete") -> dict[str, Any]:
    """The audit line of a patch of a job that came at a second and took half of one."""
    about = {"resource": workload.PLURAL, "name": name} | ({"subresource": subresource} if subresource else {})
    when = {
        "requestReceivedTimestamp": f"2026-01-01T00:00:{second:09.6f}Z",
        "stageTimestamp": f"2026-01-01T00:00:{second + 0.5:09.6f}Z",
    }
    return {"stage": stage, "verb": "patch", "objectRef": about, "user": {"username": user}, **when}


def test_what_is_own_of_a_lag() -> None:
    """From the answer to the status until the contestant's first patch; neither later ones nor those of others count."""
    lines = [
        audited("a", 1, "load", "status"), audited("b", 1, "load", "status"), audited("a", 2, "other"), audited("a", 3, "us"),
        audited("a", 3, "us", stage="RequestReceived"), audited("b", 6, "us"), audited("b", 8, "us"), audited("c", 8, "us"),
    ]  # fmt: skip
    assert burst.divided(lines, "us") == ([1.5, 4.5], [0.5, 0.5])


def test_instructions_are_read_from_what_cachegrind_says() -> None:
    """With its commas; what has ended without any is reported."""
    assert instructions.counted("==7== \n==7== I   refs:      9,904,802,640\n") == 9_904_802_640
    with pytest.raises(SystemExit, match="has counted nothing: Traceback"):
        instructions.counted("Traceback")


def heavy_results(*runs: dict[str, Any]) -> dict[str, Any]:
    """What tests.bench.heavy writes, of one case."""
    case = {"name": "n", "label": "9 Secrets", "objects": 9, "runs": {"": list(runs)}}
    return {key: value for key, value in steady_results().items() if key != "contestants"} | {"cases": [case]}


def test_a_run_that_lost_the_lease_or_never_ended_shows() -> None:
    """In the table and in the budgets; its figures count all the same."""
    good = {"peak_memory_mb": 100, "pause_cpu_ms": 20, "pause_ms": 30, "cpu_s": 1.0, "seconds": 5.0, "faults": []}
    late = {key: value for key, value in good.items() if key != "seconds"} | {"faults": ["9 were not annotated after 300 s"]}
    lost = good | {"peak_memory_mb": 400, "faults": ["no longer leading: Lease a/b was not renewed"]}
    table = tables.heavy(heavy_results(good, late, lost))
    assert "| 9 Secrets | now | 3 | 100 (100–400) |" in table  # noqa: RUF001 - a range
    assert "| in 1 |" in table
    assert "1 of 3 runs did not end" in table
    assert "not in every run | **no**" in budgets.table({"heavy": heavy_results(good, late)})
    assert budgets.table({"heavy": heavy_results(good, lost)}).count("**no**") == 2
    assert budgets.table({"heavy": heavy_results(good)}).count("**no**") == 0


def churn_results(gone: list[float], *faults: str) -> dict[str, Any]:
    """What tests.bench.churn writes."""
    about = {key: value for key, value in steady_results().items() if key != "contestants"}
    memory = {"before_mb": 90.0, "present_mb": [200.0 for _ in gone], "gone_mb": gone}
    return about | memory | {"jobs": 5_000, "faults": list(faults)}


def test_memory_that_grows_from_round_to_round_shows() -> None:
    """The most of all rounds is compared with the first one; a run with faults keeps no budget."""
    kept = churn_results([150.0, 164.0, 160.0])
    assert "| 2 | 200 | 164 |" in tables.churn(kept)
    assert "164 MB to 150 MB, 1.09 times | yes |" in budgets.table({"churn": kept})
    assert "1.20 times | **no** |" in budgets.table({"churn": churn_results([150.0, 160.0, 180.0])})
    assert "| no valid run | **no** |" in budgets.table({"churn": churn_results([150.0, 150.0], "3 patches")})


def tabs_run(cpu: float, p99: float, *faults: str) -> dict[str, Any]:
    """A round of tests.bench.tabs."""
    figures = dict.fromkeys(tabs.FIGURES, 1.0) | {"cpu_ms_per_change": cpu, "latency_p99_ms": p99}
    return {**figures, "faults": list(faults)}


def tabs_results(*rounds: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    """What tests.bench.tabs writes, of rounds without tabs and with them."""
    runs = {name: [pair[index] for pair in rounds] for index, name in enumerate(("without", "with"))}
    about = {key: value for key, value in steady_results().items() if key != "contestants"}
    work = {"jobs": 9, "rate": 1, "seconds": 1, "rounds": 1, "tabs": 7}
    return about | work | {"runs": runs, "summary": tabs.summary(runs)}


def test_what_tabs_cost_is_the_median_of_the_ratios_of_the_rounds() -> None:
    """Each round is compared with the one beside it; where one of the two is invalid, neither counts."""
    pairs = [(tabs_run(2.0, 10.0), tabs_run(2.2, 12.0)), (tabs_run(4.0, 10.0), tabs_run(4.6, 12.1))]
    invalid = (tabs_run(1.0, 1.0), tabs_run(9.0, 9.0, "its stream was refused"))
    kept = tabs_results(pairs[0], invalid)
    assert "2.20 ms to 2.00 ms, 1.10 times in the median of the rounds | yes |" in budgets.table({"tabs": kept})
    assert "7 tabs open: 1 of 2 runs invalid, the first because its stream was refused." in tables.tabs(kept)
    assert "| 1.12 (1.10–1.15) | 1.21 (1.20–1.21) |" in tables.tabs(tabs_results(*pairs))  # noqa: RUF001 - a range
    table = budgets.table({"tabs": tabs_results(pairs[1])})
    assert "1.15 times in the median of the rounds | yes |" in table
    assert "1.21 times in the median of the rounds | **no** |" in table
    assert budgets.table({"tabs": tabs_results(invalid)}).count("| no valid run | **no** |") == 2


def test_plots_are_well_formed() -> None:
    """Bars and lines are XML with every label in it, also where a label has characters that XML reserves."""
    spread = {"median": 2.0, "min": 1.0, "max": 3.0}
    for plot in (plots.bars("t", "ms", [("a < b", spread)]), plots.lines("t", "x", "y", [("a < b", [(1, 1.0), (1_000, 1.0)])])):
        assert "a < b" in list(ElementTree.fromstring(plot).itertext())


def test_samples_of_a_profile() -> None:
    """Waiting is no work; compiled code counts by library; a function that calls itself counts once in what it calls."""
    stacks = [
        "run (/x/engine/cli/run.py:1);f (/x/engine/a.py:2);f (/x/engine/a.py:2);write (/usr/lib/libc.so.6) 3",
        "run (/x/engine/cli/run.py:1);g (/x/lib/python3.11/site-packages/aiohttp/client.py:2);dict_new (dictobject.c:7) 1",
        "run (/x/engine/cli/run.py:1);epoll_pwait (/usr/lib/libc.so.6) 96",
    ]
    found = profile.tables(stacks)
    assert found["samples"] == 4
    assert found["own"] == [["libc: write", 75.0], ["aiohttp.client: g", 25.0]]
    assert found["total"] == [["engine.cli.run: run", 100.0], ["engine.a: f", 75.0]]
