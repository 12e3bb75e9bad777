"""Counters, gauges and histograms as numbers in a mapping, which are metrics only when they are read.

Those of prometheus_client have an object and a lock for each series, and for each bucket of it: several kB for each object that
a pack measures by name, and many times the calls. These are used within one event loop.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import inf

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]
"""The values of a series' labels, in the order of their names."""


class Series(Collector):
    """All series of one metric; where it has no labels there is one, from the start."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        self._about, self._labels = (name, documentation), labels

    @abstractmethod
    def measure(self, labels: Labels, value: float = 1.0) -> None:
        """Add to a counter, set a gauge, or count one more in a histogram."""

    @abstractmethod
    def describe(self) -> Iterable[Metric]:
        """The metric without any series: a registry compares the names."""


class Counts(Series):
    """A counter."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, documentation, labels)
        self._values: dict[Labels, float] = {} if labels else {(): 0.0}

    def measure(self, labels: Labels, value: float = 1.0) -> None:
        """Add to it."""
        self._values[labels] = self._values.get(labels, 0.0) + value

    def describe(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """See `Series.describe`."""
        yield CounterMetricFamily(*self._about, labels=self._labels)

    def collect(self) -> Iterable[Metric]:
        """The numbers as they are now."""
        for family in self.describe():
            for labels, value in self._values.items():
                family.add_metric(labels, value)
            yield family


class Levels(Counts):
    """A gauge."""

    def measure(self, labels: Labels, value: float = 1.0) -> None:
        """Set it."""
        self._values[labels] = value

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """See `Series.describe`."""
        yield GaugeMetricFamily(*self._about, labels=self._labels)


class Spreads(Series):
    """A histogram, whose buckets are given by their upper bounds."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = (), buckets: Sequence[float] = ()) -> None:
        super().__init__(name, documentation, labels)
        bounds = tuple(buckets) or Histogram.DEFAULT_BUCKETS
        self._bounds = bounds if bounds[-1] == inf else (*bounds, inf)
        self._counts: dict[Labels, list[int]] = {} if labels else {(): [0] * len(self._bounds)}
        self._sums: dict[Labels, float] = dict.fromkeys(self._counts, 0.0)

    def measure(self, labels: Labels, value: float = 1.0) -> None:
        """Count one more of this value."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * len(self._bounds)
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + value

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """See `Series.describe`."""
        yield HistogramMetricFamily(*self._about, labels=self._labels)

    def collect(self) -> Iterable[Metric]:
        """The numbers as they are now."""
        names = [floatToGoString(bound) for bound in self._bounds]  # type: ignore[no-untyped-call]
        for family in self.describe():
            for labels, counts in self._counts.items():
                buckets = list(zip(names, accumulate(counts), strict=True))  # each holds what the ones before it hold
                family.add_metric(labels, buckets, self._sums[labels])
                if self._bounds[0] < 0:  # then it leaves out the count, not only the sum, which might go down
                    family.add_sample(f"{family.name}_count", dict(zip(self._labels, labels, strict=True)), buckets[-1][1])
            yield family
