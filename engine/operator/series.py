"""Counters, gauges and histograms: plain numbers while they are recorded, a text when they are read.

Those of prometheus_client have an object and a lock for each series, and for each bucket of it: 3.8 kB and 55 µs for each object
that a pack measures by name, against 0.4 kB and 2 µs here. Rendering goes series by series, so that who reads a great many
of them neither needs memory for all of their text nor keeps the event loop. They are used within one event loop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from itertools import accumulate
from math import inf
from typing import ClassVar

from prometheus_client import Histogram as PrometheusHistogram
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]
"""The values of a series' labels, in the order of their names."""


class Counter:
    """A counter. Where it has no labels there is one series, from the start."""

    type: ClassVar[str] = "counter"

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        self.name, self.documentation, self.labels = name.removesuffix("_total"), documentation, tuple(labels)
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}

    def __contains__(self, labels: Labels) -> bool:
        return labels in self._values

    def __len__(self) -> int:
        return len(self._values)

    @property
    def names(self) -> set[str]:
        """The names that its samples have, and the one that nothing else may have."""
        return {self.name, self._sample}

    def begin(self, labels: Labels) -> None:
        """Have a series at 0, so that its first increase is one."""
        self._values.setdefault(labels, 0.0)

    def record(self, labels: Labels, value: float = 1.0) -> None:
        """Add to it."""
        self._values[labels] = self._values.get(labels, 0.0) + value

    def keep(self, wanted: Callable[[Labels], bool]) -> None:
        """Forget the series whose labels are not wanted."""
        self._values = {labels: value for labels, value in self._values.items() if wanted(labels)}

    def forget(self, labels: Labels) -> None:
        """Forget one series, if it is there."""
        self._values.pop(labels, None)

    def text(self) -> Iterator[str]:
        """Yield what Prometheus reads (its text format 0.0.4): first what the metric is, then one series after the other."""
        yield _head(self._sample, self.documentation, self.type)
        for labels, value in list(self._values.items()):
            yield _line(self._sample, _pairs(self.labels, labels), value)

    @property
    def _sample(self) -> str:
        return f"{self.name}_total"


class Gauge(Counter):
    """A gauge. `read`, where it is set, gives all its series whenever the metrics are read."""

    type = "gauge"
    read: Callable[[], Mapping[Labels, float]] | None = None

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, documentation, labels)
        self.name = name

    def record(self, labels: Labels, value: float = 1.0) -> None:
        """Set it."""
        self._values[labels] = value

    def text(self) -> Iterator[str]:
        """See `Counter.text`."""
        if self.read is not None:
            self._values = dict(self.read())
        return super().text()

    @property
    def _sample(self) -> str:
        return self.name


class Histogram:
    """A histogram, whose buckets are given by their upper bounds."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = (), buckets: Sequence[float] = ()) -> None:
        self.name, self.documentation, self.labels = name, documentation, tuple(labels)
        bounds = tuple(buckets) or PrometheusHistogram.DEFAULT_BUCKETS
        self._bounds = bounds if bounds[-1] == inf else (*bounds, inf)
        self._counts: dict[Labels, list[int]] = {} if labels else {(): [0] * len(self._bounds)}
        self._sums: dict[Labels, float] = dict.fromkeys(self._counts, 0.0)

    def __contains__(self, labels: Labels) -> bool:
        return labels in self._counts

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def names(self) -> set[str]:
        """See `Counter.names`."""
        return {self.name, *(f"{self.name}_{suffix}" for suffix in ("bucket", "count", "sum"))}

    def record(self, labels: Labels, value: float) -> None:
        """Count one more of this value."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * len(self._bounds)
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + value

    def forget(self, labels: Labels) -> None:
        """See `Counter.forget`."""
        self._counts.pop(labels, None)
        self._sums.pop(labels, None)

    def text(self) -> Iterator[str]:
        """See `Counter.text`."""
        bounds = [f'le="{floatToGoString(bound)}"' for bound in self._bounds]  # type: ignore[no-untyped-call]
        yield _head(self.name, self.documentation, "histogram")
        for labels, counts in list(self._counts.items()):
            pairs, up_to = _pairs(self.labels, labels), list(accumulate(counts))  # a bucket holds what those before it hold
            before, after = _around_le(self.labels, labels)
            lines = [_line(f"{self.name}_bucket", f"{before}{le}{after}", count) for le, count in zip(bounds, up_to, strict=True)]
            lines.append(_line(f"{self.name}_count", pairs, up_to[-1]))
            if self._bounds[0] >= 0:  # otherwise the sum might go down
                lines.append(_line(f"{self.name}_sum", pairs, self._sums.get(labels, 0.0)))
            yield "".join(lines)


class Renamed:
    """A metric under the name that it had before, for dashboards and alerts that still use that."""

    def __init__(self, old: str, metric: Gauge | Histogram) -> None:
        self._old, self._metric = old, metric

    @property
    def names(self) -> set[str]:
        """See `Counter.names`."""
        return self._renamed().names

    def text(self) -> Iterator[str]:
        """See `Counter.text`."""
        return self._renamed().text()

    def _renamed(self) -> Gauge | Histogram:
        renamed = copy(self._metric)
        renamed.name, renamed.documentation = self._old, f"Deprecated: use {self._metric.name}."
        return renamed


def _head(name: str, documentation: str, type: str) -> str:
    text = documentation.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {name} {text}\n# TYPE {name} {type}\n"


def _pairs(names: Labels, values: Labels) -> str:
    """Return labels in the order of their names, as prometheus_client writes them."""
    return ",".join([f'{name}="{_escaped(value)}"' for name, value in sorted(zip(names, values, strict=True))])


def _around_le(names: Labels, values: Labels) -> tuple[str, str]:
    """Return what stands before the label `le`, and what after it."""
    pairs = sorted(zip(names, values, strict=True))
    before, after = ([pair for pair in pairs if (pair[0] < "le") is first] for first in (True, False))
    first, last = (_pairs(*zip(*part, strict=True)) if part else "" for part in (before, after))
    return first and f"{first},", last and f",{last}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _line(name: str, pairs: str, value: float) -> str:
    return f"{name}{{{pairs}}} {_number(value)}\n" if pairs else f"{name} {_number(value)}\n"


def _number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]
