"""The engine's metrics, and those that packs declare."""

from __future__ import annotations

import math
import re
from typing import Any, Literal

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from engine.model.objects import Kind, Ref
from engine.model.observe import Act, ActResult, Evaluated
from engine.operator.metrics import MetricError, Metrics
from engine.packs.metrics import MetricSpec
from tests.unit.operator.samples import sample

WIDGET = Ref(Kind("example.com/v1", "Widget"), "default", "a")
RESTARTS = MetricSpec("widget_restarts_total", "counter", "Restarts.", ("team",), ())
SIZE = MetricSpec("widget_size", "gauge", "Size.", (), ())
SECONDS = MetricSpec("widget_seconds", "histogram", "Seconds.", ("team",), (1.0, 2.0))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """The value of one series."""
    return sample(metrics.text(), name, labels)


def test_the_engines_metrics_have_the_names_of_the_reference() -> None:
    """Each one is there from the start or with its first measurement, and no label holds an object's name."""
    metrics = Metrics()
    metrics.last_events.read = lambda: {("Widget.example.com/v1",): 7.0}
    metrics.pack_waiting.read = lambda: {("marks", "Widget.example.com/v1"): 1.0}
    metrics.evaluated("p", "r", WIDGET, Evaluated.FIRED, "")
    metrics.acted(Act("p", "r", WIDGET, "k", "", "patch", None, ActResult.DONE))
    metrics.pack_info.record(("p", "Enforce", "file"))
    text = metrics.text().decode()
    names = set(re.findall(r"^(rulepack_\w+)", text, re.MULTILINE))
    assert {
        "rulepack_evaluations_total", "rulepack_reconcile_duration_seconds_bucket", "rulepack_actions_total",
        "rulepack_workqueue_depth",
        "rulepack_watch_last_event_timestamp_seconds", "rulepack_pack_info", "rulepack_pack_errors",
        "rulepack_pack_waiting",
    } <= names  # fmt: skip
    assert value(metrics, "rulepack_evaluations_total", pack="p", rule="r", result="fired") == 1
    assert value(metrics, "rulepack_actions_total", pack="p", rule="r", action="patch", outcome="done") == 1
    assert value(metrics, "rulepack_watch_last_event_timestamp_seconds", kind="Widget.example.com/v1") == 7
    assert value(metrics, "rulepack_pack_waiting", pack="marks", kind="Widget.example.com/v1") == 1
    assert 'name="a"' not in text


def test_reconciliations_are_counted_in_the_bucket_of_their_time_and_in_all_above() -> None:
    """A bound belongs to its bucket, as Prometheus has it."""
    metrics = Metrics()
    for seconds in (0.0001, 0.02, 60.0):
        metrics.reconcile_seconds.record((), seconds)
    found = [
        value(metrics, "rulepack_reconcile_duration_seconds_bucket", le=le) for le in ("0.0001", "0.01", "0.05", "30.0", "+Inf")
    ]
    assert found == [1, 1, 2, 2, 3]
    assert value(metrics, "rulepack_reconcile_duration_seconds_count") == 3
    assert value(metrics, "rulepack_reconcile_duration_seconds_sum") == pytest.approx(60.0201)


def test_old_names_are_exported_beside_the_new_ones() -> None:
    """What has a new name still has the old one, with the same numbers."""
    metrics = Metrics()
    metrics.queue_depth.read = lambda: {(): 3}
    metrics.reconcile_seconds.record((), 0.02)
    assert value(metrics, "rulepack_queue_depth") == value(metrics, "rulepack_workqueue_depth") == 3
    assert value(metrics, "rulepack_evaluation_seconds_bucket", le="0.05") == 1
    assert "# HELP rulepack_queue_depth Deprecated: use rulepack_workqueue_depth." in metrics.text().decode()


def test_counters_add_gauges_set_histograms_observe() -> None:
    """Each type measures in its own way."""
    metrics = Metrics()
    metrics.declare("p", [RESTARTS, SIZE, SECONDS])
    for amount in (1.0, 2.0):
        metrics.measure("widget_restarts_total", {"team": "a"}, amount)
        metrics.measure("widget_size", {}, amount)
        metrics.measure("widget_seconds", {"team": "a"}, amount)
    assert value(metrics, "widget_restarts_total", team="a") == 3
    assert value(metrics, "widget_size") == 2
    assert value(metrics, "widget_seconds_count", team="a") == 2
    assert value(metrics, "widget_seconds_bucket", team="a", le="1.0") == 1


def test_a_reload_keeps_series_unless_the_declaration_changed() -> None:
    """The same declaration goes on counting, another one starts again, a dropped one is gone."""
    metrics = Metrics()
    metrics.declare("p", [RESTARTS, SIZE])
    metrics.measure("widget_restarts_total", {"team": "a"}, 1)
    metrics.declare("p", [RESTARTS])
    assert value(metrics, "widget_restarts_total", team="a") == 1
    assert value(metrics, "widget_size") is None
    metrics.declare("p", [MetricSpec("widget_restarts_total", "counter", "Restarts.", ("team", "zone"), ())])
    assert value(metrics, "widget_restarts_total", team="a") is None
    metrics.measure("widget_restarts_total", {"team": "a", "zone": "z"}, 1)
    assert value(metrics, "widget_restarts_total", team="a", zone="z") == 1


def test_two_packs_share_a_metric_only_if_they_agree() -> None:
    """The same declaration is shared until the last one drops it, another one is refused."""
    metrics = Metrics()
    metrics.declare("p", [RESTARTS])
    metrics.declare("q", [RESTARTS])
    with pytest.raises(MetricError, match=r"pack r: metric widget_restarts_total is declared differently by pack p, q"):
        metrics.declare("r", [MetricSpec("widget_restarts_total", "gauge", "Restarts.", ("team",), ())])
    metrics.declare("p", [])
    metrics.measure("widget_restarts_total", {"team": "a"}, 1)
    metrics.declare("q", [])
    with pytest.raises(MetricError, match="not declared"):
        metrics.measure("widget_restarts_total", {"team": "a"}, 1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (MetricSpec("rulepack_mine_total", "counter", "", (), ()), "the engine's own"),
        (MetricSpec("widget_restarts", "counter", "", ("team",), ()), "expected another name"),
    ],
)
def test_a_name_that_cannot_be_had_is_refused(spec: MetricSpec, message: str) -> None:
    """The engine's prefix, and what collides with a metric that is there."""
    metrics = Metrics()
    metrics.declare("p", [RESTARTS])
    with pytest.raises(MetricError, match=message):
        metrics.declare("q", [spec])


@pytest.mark.parametrize(
    ("metric", "labels", "amount", "message"),
    [
        ("nothing", {}, 1.0, "not declared"),
        ("widget_restarts_total", {}, 1.0, "expected team"),
        ("widget_restarts_total", {"team": "a"}, -1.0, "cannot go down"),
    ],
)
def test_a_measurement_that_does_not_fit(metric: str, labels: dict[str, str], amount: float, message: str) -> None:
    """`measure` says why; `measured`, which must not raise, logs it."""
    metrics = Metrics()
    metrics.declare("p", [RESTARTS])
    with pytest.raises(MetricError, match=message):
        metrics.measure(metric, labels, amount)
    metrics.measured(WIDGET, metric, labels, amount)


@pytest.mark.parametrize("labels", [("team", "zone"), ()])
@pytest.mark.parametrize(
    ("kind", "buckets"),
    [
        ("counter", ()), ("gauge", ()), ("histogram", ()), ("histogram", (-1.0, 0.5, 2.0, 5e6, 1e9)),
        ("histogram", (1.0, math.inf)),
    ],
)  # fmt: skip
def test_a_packs_metrics_read_as_those_of_prometheus_client(
    kind: Literal["counter", "gauge", "histogram"], buckets: tuple[float, ...], labels: tuple[str, ...]
) -> None:
    """Line for line, also before anything is measured, but for the time at which each series was created."""
    metrics, registry = Metrics(), CollectorRegistry()
    metrics.declare("p", [MetricSpec("widget_x", kind, "Help.", labels, buckets)])
    types: dict[str, tuple[Any, str]] = {
        "counter": (Counter, "inc"), "gauge": (Gauge, "set"), "histogram": (Histogram, "observe"),
    }  # fmt: skip
    same, measure = types[kind]
    there = same("widget_x", "Help.", labels, registry=registry, **({"buckets": buckets} if buckets else {}))

    def texts() -> tuple[list[str], list[str]]:
        own = [line for line in metrics.text().decode().splitlines() if "widget_x" in line]
        return own, [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]

    before = texts()
    for number, amount in enumerate((0.0, 0.5, 0.7, 3.0, 7e8, 1e12)):
        values = {name: f"{name}{number % 2}" for name in reversed(labels)}
        metrics.measure("widget_x", values, amount)
        getattr(there.labels(**values) if labels else there, measure)(amount)
    after = texts()

    assert before[0] == before[1]
    assert after[0] == after[1]
