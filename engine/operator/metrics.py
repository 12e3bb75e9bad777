"""The Prometheus metrics of the engine, and those that rule packs declare: one registry, and one kind of counters and gauges.

Counters, gauges and histograms keep plain numbers and become metrics when they are read. Those of prometheus_client have an
object and a lock for each series, and for each bucket of it: 3.8 kB and 55 µs for each object that a pack measures by name,
against 0.4 kB and 2 µs here. They are used within one event loop.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from itertools import accumulate
from math import inf
from typing import ClassVar, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client import Histogram as PrometheusHistogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from engine.errors import RulepackError
from engine.model.objects import Ref
from engine.model.observe import Act, Evaluated
from engine.packs.pack import MetricSpec

log = logging.getLogger(__name__)

BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
"""Seconds that one reconciliation takes: a tenth of a millisecond where nothing is to be done, 30 where requests are slow."""
Labels = tuple[str, ...]
"""The values of a series' labels, in the order of their names."""


class Counter(Collector):
    """A counter. Where it has no labels there is one series, from the start."""

    family: ClassVar[type[CounterMetricFamily | GaugeMetricFamily]] = CounterMetricFamily

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        self.name, self.documentation, self.labels = name, documentation, labels
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}

    def record(self, labels: Labels, value: float = 1.0) -> None:
        """Add to it."""
        self._values[labels] = self._values.get(labels, 0.0) + value

    def describe(self) -> Iterable[Metric]:
        """Yield the metric without any series: a registry compares the names."""
        yield self.family(self.name, self.documentation, labels=self.labels)

    def collect(self) -> Iterable[Metric]:
        """Yield the metric as it is now."""
        family = self.family(self.name, self.documentation, labels=self.labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family


class Gauge(Counter):
    """A gauge. `read`, where it is set, gives all its series whenever the metrics are read."""

    family = GaugeMetricFamily
    read: Callable[[], Mapping[Labels, float]] | None = None

    def record(self, labels: Labels, value: float = 1.0) -> None:
        """Set it."""
        self._values[labels] = value

    def keep(self, wanted: Callable[[Labels], bool]) -> None:
        """Forget the series whose labels are not wanted."""
        self._values = {labels: value for labels, value in self._values.items() if wanted(labels)}

    def collect(self) -> Iterable[Metric]:
        """Yield the metric as it is now."""
        if self.read is not None:
            self._values = dict(self.read())
        return super().collect()


class Histogram(Collector):
    """A histogram, whose buckets are given by their upper bounds."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = (), buckets: Sequence[float] = ()) -> None:
        self.name, self.documentation, self.labels = name, documentation, labels
        bounds = tuple(buckets) or PrometheusHistogram.DEFAULT_BUCKETS
        self._bounds = bounds if bounds[-1] == inf else (*bounds, inf)
        self._counts: dict[Labels, list[int]] = {} if labels else {(): [0] * len(self._bounds)}
        self._sums: dict[Labels, float] = dict.fromkeys(self._counts, 0.0)

    def record(self, labels: Labels, value: float) -> None:
        """Count one more of this value."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * len(self._bounds)
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + value

    def describe(self) -> Iterable[Metric]:
        """See `Counter.describe`."""
        yield HistogramMetricFamily(self.name, self.documentation, labels=self.labels)

    def collect(self) -> Iterable[Metric]:
        """See `Counter.collect`."""
        names = [floatToGoString(bound) for bound in self._bounds]  # type: ignore[no-untyped-call]
        family = HistogramMetricFamily(self.name, self.documentation, labels=self.labels)
        for labels, counts in self._counts.items():
            buckets = list(zip(names, accumulate(counts), strict=True))  # each holds what the ones before it hold
            family.add_metric(labels, buckets, self._sums[labels])
            if self._bounds[0] < 0:  # then it leaves out the count, not only the sum, which might go down
                family.add_sample(f"{self.name}_count", dict(zip(self.labels, labels, strict=True)), buckets[-1][1])
        yield family


class Renamed(Collector):
    """A metric under the name that it had before, for dashboards and alerts that still use that."""

    def __init__(self, old: str, metric: Counter | Histogram) -> None:
        self._old, self._metric = old, metric

    def collect(self) -> Iterable[Metric]:
        """See `Counter.collect`."""
        renamed = copy(self._metric)
        renamed.name, renamed.documentation = self._old, f"Deprecated: use {self._metric.name}."
        return renamed.collect()


class MetricError(RulepackError):
    """A pack's metric cannot be declared, or a measurement does not fit its declaration."""


class _Declared(NamedTuple):
    """A metric that packs declare, and which they are."""

    spec: MetricSpec
    metric: Counter | Histogram
    packs: set[str]


class Metrics:
    """An observer (engine.model.observe.Observer) with a registry of its own.

    No label ever holds an object's name unless a pack asks for it.
    """

    def __init__(self) -> None:
        rule = ("pack", "rule")
        self.evaluations = Counter("rulepack_evaluations", "Evaluations of a rule on a watched object.", (*rule, "result"))
        self.actions = Counter("rulepack_actions", "Actions, by how they ended.", (*rule, "action", "outcome"))
        self.reconcile_seconds = Histogram(
            "rulepack_reconcile_duration_seconds", "Time that reconciling one object takes, actions included.", buckets=BUCKETS
        )
        self.errors = Counter("rulepack_reconcile_errors", "Reconciliations that ended in an unexpected error.")
        self.queue_depth = Gauge("rulepack_workqueue_depth", "Objects that wait for a worker.")
        self.leader = Gauge("rulepack_leader", "1 while this replica acts, 0 while it stands by.")
        self.shard_info = Gauge(
            "rulepack_shard_info", "Which of how many shards this replica is for; always 1.", ("shard", "shards")
        )
        self.pack_info = Gauge("rulepack_pack_info", "Packs in force; always 1.", ("pack", "mode", "source"))
        self.pack_errors = Gauge("rulepack_pack_errors", "Pack texts that are refused at present.")
        self.pack_waiting = Gauge(
            "rulepack_pack_waiting", "1 while the objects of the kind that the pack watches cannot be listed.", ("pack", "kind")
        )
        self.suspensions = Gauge(  # a label `namespace` is what Prometheus itself puts on what it scrapes
            "rulepack_namespace_suspended",
            "1 for a namespace (or a kind that lives in none) for which a pack is suspended, since it has spent its budget.",
            ("pack", "watched_namespace"),
        )
        self.left_out = Gauge("rulepack_objects_left_out", "Objects that cannot be decoded, and so are not evaluated.", ("kind",))
        self.last_events = Gauge(
            "rulepack_watch_last_event_timestamp_seconds", "When a list or watch of the kind last brought anything.", ("kind",)
        )
        self._renamed = (  # since 0.2; to be taken out with the release after it
            Renamed("rulepack_evaluation_seconds", self.reconcile_seconds),
            Renamed("rulepack_queue_depth", self.queue_depth),
        )
        self._declared: dict[str, _Declared] = {}
        self.registry = CollectorRegistry()
        for metric in (*vars(self).values(), *self._renamed):
            if isinstance(metric, Counter | Histogram | Renamed):
                self.registry.register(metric)

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Count it."""
        self.evaluations.record((pack, rule, result))

    def acted(self, act: Act) -> None:
        """Count it."""
        self.actions.record((act.pack, act.rule, act.action, act.result))

    def measured(self, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Measure it, or log why that is not possible."""
        try:
            self.measure(metric, labels, value)
        except MetricError as error:
            log.warning("%s", error)

    def suspended(self, pack: str, flow: str, obj: Ref) -> None:
        """Show it."""
        self.suspensions.record((pack, flow))

    def resumed(self, pack: str) -> None:
        """Show no more that anything of a pack is suspended."""
        self.suspensions.keep(lambda labels: labels[0] != pack)

    def declare(self, pack: str, specs: Iterable[MetricSpec]) -> None:
        """Make a pack's metrics measurable, and forget those that it declared before but no longer does.

        An unchanged declaration keeps its series, a changed one starts again. Raises MetricError where a name is
        taken by the engine or declared differently by another pack.
        """
        wanted = {spec.name: spec for spec in specs}
        for name, spec in wanted.items():
            known = self._declared.get(name)
            if known and known.spec != spec and (others := known.packs - {pack}):
                raise MetricError(
                    f"pack {pack}: metric {name} is declared differently by pack {', '.join(sorted(others))}; "
                    "expected the same type, help, labels and buckets, or another name"
                )
            if name.startswith("rulepack_"):
                raise MetricError(f"pack {pack}: metric {name}: names that begin with rulepack_ are the engine's own")
        for name, known in list(self._declared.items()):
            if pack in known.packs and known.spec != wanted.get(name):
                known.packs.discard(pack)
                if not known.packs:
                    self.registry.unregister(self._declared.pop(name).metric)
        for name, spec in wanted.items():
            if name not in self._declared:
                self._declared[name] = _Declared(spec, self._register(pack, spec), set())
            self._declared[name].packs.add(pack)

    def measure(self, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Add to a counter, set a gauge or observe a histogram that a pack declared.

        Raises MetricError where it is not declared, has other labels, or a counter would go down.
        """
        known = self._declared.get(metric)
        if known is None:
            raise MetricError(f"metric {metric} is not declared; expected it under `metrics` of the pack")
        spec = known.spec
        if labels.keys() != set(spec.labels):
            raise MetricError(
                f"metric {metric}: labels {', '.join(sorted(labels)) or '(none)'}; expected {', '.join(spec.labels) or '(none)'}"
            )
        if spec.type == "counter" and value < 0:
            raise MetricError(f"metric {metric}: a counter cannot go down (value {value}); expected 0 or more, or type gauge")
        known.metric.record(tuple([labels[name] for name in spec.labels]), value)

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)

    def _register(self, pack: str, spec: MetricSpec) -> Counter | Histogram:
        metric: Counter | Histogram
        try:
            if spec.type == "histogram":
                metric = Histogram(spec.name, spec.help, spec.labels, spec.buckets)
            else:
                metric = (Counter if spec.type == "counter" else Gauge)(spec.name, spec.help, spec.labels)
            self.registry.register(metric)
        except ValueError as error:  # such as a name that collides with the _total of another
            raise MetricError(f"pack {pack}: metric {spec.name}: {error}; expected another name") from error
        return metric
