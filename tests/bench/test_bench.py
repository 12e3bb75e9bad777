"""The parts of the benchmarks that decide what counts."""

from __future__ import annotations

from typing import Any

from tests.bench import workload
from tests.bench.figures import milliseconds, spread
from tests.bench.report import steady
from tests.bench.steady import FIGURES, summary


def job(phase: str, annotations: dict[str, str]) -> dict[str, Any]:
    """A job of wave 3 that came to a phase at T, with these annotations beside its wave."""
    metadata = {"name": "job", "annotations": {workload.SYNC_WAVE: "3", **annotations}}
    return {"metadata": metadata, "status": {"phase": phase, "completionTime": "T"}}


def run(cpu: float, *faults: str) -> dict[str, Any]:
    """A run whose figures are all 1, but for its CPU time."""
    return {
        **dict.fromkeys(FIGURES, 1.0), "cpu_ms_per_change": cpu, "latency_ms": {"p50": 1.0, "p99": 1.0, "max": 1.0},
        "faults": list(faults),
    }  # fmt: skip


def test_every_change_is_told_by_its_time() -> None:
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
    assert summary(runs)["cpu_ms_per_change"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    assert summary([run(9.0, "x")]) == {}
    page = steady({
        "taken": "now", "command": "c", "packs": [], "versions": {"commit": "abc"},
        "machine": {"cores": 2, "cpu": "c", "memory_gb": 1, "kernel": "k", "load_before": 0},
        "work": {"jobs": 1, "results_per_job": 1, "job_bytes": 1, "rate": 1, "seconds": 1, "rounds": 2},
        "contestants": [
            {"name": "a", "label": "A", "command": "a", "summary": summary(runs), "runs": runs},
            {"name": "b", "label": "B", "command": "b", "summary": {}, "runs": [run(9.0, "x")]},
        ],
    })  # fmt: skip
    assert "| A | 1.00 |" in page
    assert "A: 1 of 2 runs invalid, the first because job-1 has {}." in page
    assert "| B | invalid |" in page
