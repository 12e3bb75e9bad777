"""The Prometheus metrics of the engine, and those that rule packs declare."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from engine.errors import RulepackError
from engine.model.objects import Ref
from engine.model.observe import Act, ActResult, Evaluated
from engine.operator.series import Counter, Gauge, Histogram, Labels, Renamed
from engine.packs.metrics import MetricSpec
from engine.packs.pack import RulePack

log = logging.getLogger(__name__)

BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
"""Seconds that one reconciliation takes: a tenth of a millisecond where nothing is to be done, 30 where requests are slow."""
MAX_SERIES = 10_000
"""How many series a metric of a pack may have: of a histogram with 12 buckets 20 MB of text for each scrape."""
GONE_SECONDS = 600.0
"""How long the series that names an object stays after the object: Prometheus has read it by then."""
PIECE = 2**15
"""Characters of text that are rendered before others get a turn: less than a millisecond of work."""


class MetricError(RulepackError):
    """A pack's metric cannot be declared, or a measurement does not fit its declaration."""


class _Declared(NamedTuple):
    """A metric that packs declare, and which they are."""

    spec: MetricSpec
    metric: Counter | Histogram
    packs: set[str]


@dataclass(slots=True)
class _Naming:
    """The series that name an object, and since when it is gone."""

    series: set[tuple[str, Labels]]
    gone_since: float | None = None


class Metrics:
    """An observer (engine.model.observe.Observer).

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
        self.queue_depth = Gauge("rulepack_workqueue_depth", "Objects that wait for a worker; 0 while this replica stands by.")
        self.leader = Gauge("rulepack_leader", "1 while this replica acts, 0 while it stands by.")
        self.shards = Gauge("rulepack_shards", "How many share the cluster; 1 where it is not shared.")
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
            "1 for a namespace (or a kind that lives in none) for which a pack has spent its budget, or holds removals back.",
            ("pack", "watched_namespace"),
        )
        self.left_out = Gauge("rulepack_objects_left_out", "Objects that cannot be decoded, which rules go without.", ("kind",))
        self.waiting = Gauge("rulepack_items_waiting", "Items that wait, by what stands in the way.", (*rule, "reason"))
        self.others = Gauge(
            "rulepack_other_operators", "Namespaces in which another operator acts by the same pack, as its records show.",
            ("pack", "operator"),
        )  # fmt: skip
        self.contests = Counter(
            "rulepack_contested_writes", "Writes that had to wait, since somebody else undoes them again and again.", rule
        )
        self.last_events = Gauge(
            "rulepack_watch_last_event_timestamp_seconds", "When a list or watch of the kind last brought anything.", ("kind",)
        )
        self._renamed = (  # since 0.2; to be taken out with the release after it
            Renamed("rulepack_evaluation_seconds", self.reconcile_seconds),
            Renamed("rulepack_queue_depth", self.queue_depth),
        )
        self.series_dropped = Counter(
            "rulepack_series_dropped", "Measurements that a pack's metric had no room for.", ("metric",)
        )
        own = [metric for metric in vars(self).values() if isinstance(metric, Counter | Histogram)]
        self._own: tuple[Counter | Histogram | Renamed, ...] = (*own, *self._renamed)
        self._declared: dict[str, _Declared] = {}
        self._naming: dict[Ref, _Naming] = {}

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Count it."""
        self.evaluations.record((pack, rule, result))

    def acted(self, act: Act) -> None:
        """Count it."""
        self.actions.record((act.pack, act.rule, act.action, act.result))

    def begin(self, packs: Iterable[RulePack]) -> None:
        """Have the counters that alerts use at 0 for each rule: of a series that begins at 1 Prometheus sees no increase."""
        for pack in packs:
            for rule in pack.rules:
                self.evaluations.begin((pack.identity, rule.name, Evaluated.UNKNOWN))
                for action in (*rule.actions, *rule.rescue):
                    for outcome in (ActResult.FAILED, ActResult.REFUSED):
                        self.actions.begin((pack.identity, rule.name, action.action.name, outcome))

    def measured(self, obj: Ref, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Measure it, or log why that is not possible. A series that has the object's name among its labels goes with it."""
        try:
            series = self.measure(metric, labels, value)
        except MetricError as error:
            log.warning("%s", error)
            return
        if series is not None and obj.name in labels.values():
            self._naming.setdefault(obj._replace(uid=""), _Naming(set())).series.add((metric, series))

    def forget_gone(self, exists: Callable[[Ref], bool], now: float) -> None:
        """Forget the series that name an object which has been gone for ten minutes; `now` is in seconds."""
        for ref, naming in list(self._naming.items()):
            if exists(ref):
                naming.gone_since = None
            elif naming.gone_since is None:
                naming.gone_since = now
            elif now - naming.gone_since >= GONE_SECONDS:
                del self._naming[ref]
                for metric, labels in naming.series:
                    if known := self._declared.get(metric):
                        known.metric.forget(labels)

    def suspended(self, pack: str, flow: str, obj: Ref) -> None:
        """Do nothing: `suspensions` is read from the engine's activity."""

    def contested(self, pack: str, rule: str, target: Ref) -> None:
        """Count it."""
        self.contests.record((pack, rule))

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
                    del self._declared[name]
        for name, spec in wanted.items():
            if name not in self._declared:
                self._declared[name] = _Declared(spec, self._register(pack, spec), set())
            self._declared[name].packs.add(pack)

    def measure(self, metric: str, labels: Mapping[str, str], value: float) -> Labels | None:
        """Add to a counter, set a gauge or observe a histogram that a pack declared; return the series, None where it is full.

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
        series = tuple([labels[name] for name in spec.labels])
        if len(known.metric) >= MAX_SERIES and series not in known.metric:
            if (metric,) not in self.series_dropped:
                log.error("metric %s has %d series, and gets no more: use fewer different labels", metric, MAX_SERIES)
            self.series_dropped.record((metric,))
            return None
        known.metric.record(series, value)
        return series

    def pieces(self) -> Iterator[bytes]:
        """Yield all metrics in the Prometheus text format, in pieces, between which others may get a turn."""
        parts: list[str] = []
        size = 0
        for metric in (*self._own, *(declared.metric for declared in self._declared.values())):
            for part in metric.text():
                parts.append(part)
                size += len(part)
                if size >= PIECE:
                    yield "".join(parts).encode()
                    parts, size = [], 0
        yield "".join(parts).encode()

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return b"".join(self.pieces())

    def _register(self, pack: str, spec: MetricSpec) -> Counter | Histogram:
        metric: Counter | Histogram
        if spec.type == "histogram":
            metric = Histogram(spec.name, spec.help, spec.labels, spec.buckets)
        else:
            metric = (Counter if spec.type == "counter" else Gauge)(spec.name, spec.help, spec.labels)
        for other in (*self._own, *(declared.metric for declared in self._declared.values())):
            if common := metric.names & other.names:
                raise MetricError(f"pack {pack}: metric {spec.name}: {min(common)} is taken; expected another name")
        return metric
