"""The Prometheus metrics of the engine, and those that rule packs declare."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.errors import RulepackError
from engine.model.objects import Ref
from engine.model.observe import Act, Evaluated
from engine.operator.series import Counts, Levels, Series, Spreads
from engine.packs.pack import MetricSpec

log = logging.getLogger(__name__)

Sample = tuple[tuple[str, ...], float]
"""The values of a series' labels, and its own."""


class MetricError(RulepackError):
    """A pack's metric cannot be declared, or a measurement does not fit its declaration."""


class Metrics:
    """The engine's own registry. No label ever holds an object's name unless a pack asks for it."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.evaluations = Counts(
            "rulepack_evaluations", "Evaluations of a rule on a watched object.", ("pack", "rule", "result")
        )
        self.actions = Counts("rulepack_actions", "Actions, by how they ended.", ("pack", "rule", "action", "outcome"))
        self.evaluation_seconds = Spreads(
            "rulepack_evaluation_seconds", "Time that one look at an object takes, actions included.",
            buckets=(0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0),
        )  # fmt: skip
        self.errors = Counter(
            "rulepack_reconcile_errors", "Looks at an object that ended in an unexpected error.", registry=registry
        )
        self.queue_depth = Gauge("rulepack_queue_depth", "Objects that wait for a worker.", registry=registry)
        self.leader = Gauge("rulepack_leader", "1 while this replica acts, 0 while it stands by.", registry=registry)
        self.shard_info = Gauge(
            "rulepack_shard_info",
            "Which of how many shards this replica is for; always 1.",
            ("shard", "shards"),
            registry=registry,
        )
        self.pack_info = Gauge("rulepack_pack_info", "Packs in force; always 1.", ("pack", "mode", "source"), registry=registry)
        self.pack_errors = Gauge("rulepack_pack_errors", "Pack texts that are refused at present.", registry=registry)
        self.suspensions = Gauge(
            "rulepack_rule_suspended", "1 for a rule that is suspended, since its pack has spent its budget.", ("pack", "rule"),
            registry=registry,
        )  # fmt: skip
        registry.register(self.evaluations)
        registry.register(self.actions)
        registry.register(self.evaluation_seconds)
        self._declared: dict[str, tuple[MetricSpec, Series]] = {}
        self._declarers: dict[str, set[str]] = {}

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Count it (engine.model.observe.Observer)."""
        self.evaluations.measure((pack, rule, result))

    def acted(self, act: Act) -> None:
        """Count it (engine.model.observe.Observer)."""
        self.actions.measure((act.pack, act.rule, act.action, act.result))

    def measured(self, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Measure it, or log why that is not possible (engine.model.observe.Observer)."""
        try:
            self.measure(metric, labels, value)
        except MetricError as error:
            log.warning("%s", error)

    def suspended(self, pack: str, rule: str, obj: Ref) -> None:
        """Show it (engine.model.observe.Observer)."""
        self.suspensions.labels(pack, rule).set(1)

    def resumed(self, pack: str) -> None:
        """Show no more that rules of a pack are suspended."""
        self.suspensions.remove_by_labels({"pack": pack})

    def watch(self, last_events: Callable[[], Iterable[Sample]], waiting: Callable[[], Iterable[Sample]]) -> None:
        """Report when the watch of a (kind,) last brought something, and whether a (pack, kind) waits for the kind to be served.

        Both are asked for whenever the metrics are read.
        """
        self.registry.register(_Computed(
            "rulepack_watch_last_event_timestamp_seconds", "When a list or watch of the kind last brought anything.",
            ("kind",), last_events,
        ))  # fmt: skip
        self.registry.register(_Computed(
            "rulepack_pack_waiting", "1 while the cluster does not serve the kind that the pack watches.",
            ("pack", "kind"), waiting,
        ))  # fmt: skip

    def declare(self, pack: str, specs: Iterable[MetricSpec]) -> None:
        """Make a pack's metrics measurable, and forget those that it declared before but no longer does.

        An unchanged declaration keeps its series, a changed one starts again. Raises MetricError where a name is
        taken by the engine or declared differently by another pack.
        """
        wanted = {spec.name: spec for spec in specs}
        for name, spec in wanted.items():
            others = self._declarers.get(name, set()) - {pack}
            if others and self._declared[name][0] != spec:
                raise MetricError(
                    f"pack {pack}: metric {name} is declared differently by pack {', '.join(sorted(others))}; "
                    "expected the same type, help, labels and buckets, or another name"
                )
            if name.startswith("rulepack_"):
                raise MetricError(f"pack {pack}: metric {name}: names that begin with rulepack_ are the engine's own")
        for name in [name for name, packs in self._declarers.items() if pack in packs and name not in wanted]:
            self._withdraw(pack, name)
        for name, spec in wanted.items():
            if name in self._declared and self._declared[name][0] != spec:
                self._withdraw(pack, name)
            if name not in self._declared:
                self._declared[name] = (spec, _series(pack, spec, self.registry))
            self._declarers.setdefault(name, set()).add(pack)

    def measure(self, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Add to a counter, set a gauge or observe a histogram that a pack declared.

        Raises MetricError where it is not declared, has other labels, or a counter would go down.
        """
        if metric not in self._declared:
            raise MetricError(f"metric {metric} is not declared; expected it under `metrics` of the pack")
        spec, series = self._declared[metric]
        if labels.keys() != set(spec.labels):
            raise MetricError(
                f"metric {metric}: labels {', '.join(sorted(labels)) or '(none)'}; expected {', '.join(spec.labels) or '(none)'}"
            )
        if spec.type == "counter" and value < 0:
            raise MetricError(f"metric {metric}: a counter cannot go down (value {value}); expected 0 or more, or type gauge")
        series.measure(tuple([labels[name] for name in spec.labels]), value)

    def text(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)

    def _withdraw(self, pack: str, name: str) -> None:
        self._declarers[name].discard(pack)
        if not self._declarers[name]:
            del self._declarers[name]
            self.registry.unregister(self._declared.pop(name)[1])


class _Computed(Collector):
    """A gauge that is computed when it is read, so that informers need not know of metrics; the greatest value counts."""

    def __init__(self, name: str, text: str, labels: Sequence[str], samples: Callable[[], Iterable[Sample]]) -> None:
        self._name, self._text, self._labels, self._samples = name, text, labels, samples

    def collect(self) -> Iterable[Metric]:
        greatest: dict[tuple[str, ...], float] = {}
        for labels, value in self._samples():
            greatest[labels] = max(value, greatest.get(labels, 0.0))
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in greatest.items():
            family.add_metric(labels, value)
        yield family


def _series(pack: str, spec: MetricSpec, registry: CollectorRegistry) -> Series:
    """A new metric in the registry. Raises MetricError for a name such as one that collides with the _total of another."""
    series: Series
    try:
        if spec.type == "histogram":
            series = Spreads(spec.name, spec.help, spec.labels, spec.buckets)
        else:
            series = (Counts if spec.type == "counter" else Levels)(spec.name, spec.help, spec.labels)
        registry.register(series)
    except ValueError as error:
        raise MetricError(f"pack {pack}: metric {spec.name}: {error}; expected another name") from error
    return series
