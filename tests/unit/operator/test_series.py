"""How many series a pack's metrics have, how long they stay, and what reading them costs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from statistics import median
from types import FrameType

import pytest

from engine.model.objects import Kind, Ref
from engine.operator.metrics import GONE_SECONDS, MAX_SERIES, PIECE, Metrics
from engine.packs.metrics import MetricSpec
from tests.unit.operator.samples import sample

SECONDS = MetricSpec("job_seconds", "histogram", "Seconds.", ("job_name", "phase"), (1.0, 2.0))
RUNS = MetricSpec("job_runs_total", "counter", "Runs.", ("phase",))


def job(name: str) -> Ref:
    """A job; the uid is known where it is measured."""
    return Ref(Kind("example.com/v1", "Job"), "default", name, "uid")


@pytest.fixture
def metrics() -> Metrics:
    """With the two metrics of a pack."""
    metrics = Metrics()
    metrics.declare("p", [SECONDS, RUNS])
    return metrics


def test_a_series_that_names_an_object_goes_some_time_after_it(metrics: Metrics) -> None:
    """Ten minutes after the object is gone, so that Prometheus has read it; what counts all objects stays."""
    metrics.measured(job("train"), "job_seconds", {"job_name": "train", "phase": "Succeeded"}, 1.5)
    metrics.measured(job("train"), "job_runs_total", {"phase": "Succeeded"}, 1)

    def there(now: float, *names: str) -> bool:
        metrics.forget_gone(lambda ref: ref.name in names, now)
        return sample(metrics.text(), "job_seconds_count", {"job_name": "train", "phase": "Succeeded"}) == 1

    assert there(0, "train")
    assert there(100)
    assert there(99 + GONE_SECONDS)
    assert there(100 + GONE_SECONDS, "train"), "it is there again"
    assert there(200 + GONE_SECONDS)
    assert not there(200 + 2 * GONE_SECONDS)
    assert sample(metrics.text(), "job_runs_total", {"phase": "Succeeded"}) == 1


def test_a_metric_has_a_cap_that_is_reported(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond it no series is added, those that are there go on, a counter says how many measurements were lost, the log once."""
    for number in range(MAX_SERIES + 5):
        metrics.measured(job(f"{number}"), "job_seconds", {"job_name": f"{number}", "phase": "Succeeded"}, 1.5)
    metrics.measured(job("0"), "job_seconds", {"job_name": "0", "phase": "Succeeded"}, 1.5)
    text = metrics.text()
    assert text.count(b"job_seconds_count{") == MAX_SERIES
    assert sample(text, "job_seconds_count", {"job_name": "0", "phase": "Succeeded"}) == 2
    assert sample(text, "rulepack_series_dropped_total", {"metric": "job_seconds"}) == 5
    assert [record.message for record in caplog.records] == [
        f"metric job_seconds has {MAX_SERIES} series, and gets no more: use fewer different labels"
    ]


def test_many_series_are_rendered_in_small_pieces(metrics: Metrics) -> None:
    """A megabyte of text comes bit by bit, between which others get a turn."""
    for number in range(2_000):
        metrics.measured(job(f"{number}"), "job_seconds", {"job_name": f"{number}", "phase": "Succeeded"}, 1.5)
    pieces = list(metrics.pieces())
    assert len(pieces) > 10
    assert max(map(len, pieces)) < PIECE + 1_000


def test_a_hundred_thousand_series_are_rendered_without_a_long_step() -> None:
    """Ten full metrics: before each piece there are only the calls for its own text."""
    metrics, names = Metrics(), [f"job_{number}_seconds" for number in range(10)]
    metrics.declare("p", [MetricSpec(name, "histogram", "Seconds.", ("job_name",), (1.0, 2.0)) for name in names])
    for name in names:
        for number in range(MAX_SERIES):
            metrics.measure(name, {"job_name": f"train-{number}"}, 1.5)

    steps = list(measured_steps(metrics.pieces()))

    assert sum(series for series, _, _ in steps) == 100_000
    assert max(size for _, size, _ in steps) < PIECE + 1_000
    calls = [calls for _, _, calls in steps]
    assert max(calls) < 2 * median(calls)


def measured_steps(pieces: Iterator[bytes]) -> Iterator[tuple[int, int, int]]:
    """Of each piece how many series of a histogram it has, its length, and how many calls were made for it."""
    calls = 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    while True:
        calls = 0
        sys.setprofile(count)
        piece = next(pieces, None)
        sys.setprofile(None)
        if piece is None:
            return
        yield piece.count(b"_count{"), len(piece), calls


def test_promtool_finds_nothing_wrong_with_the_text(metrics: Metrics) -> None:
    """Prometheus' own reader takes it, whatever is in a label."""
    metrics.measured(job("a"), "job_seconds", {"job_name": 'a"\\\n{}', "phase": "Größe"}, float("inf"))
    done = subprocess.run(["promtool", "check", "metrics"], input=metrics.text(), capture_output=True, check=False)
    problems = [line for line in done.stderr.decode().splitlines() if "rulepack_evaluation_seconds" not in line]
    assert problems == []
