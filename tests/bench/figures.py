"""The few statistics of a report."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """p50, p99 (nearest rank) and maximum of durations, in milliseconds; nothing where there are none."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    ranks = {"p50": 50, "p99": 99, "max": 100}
    return {name: round(ordered[math.ceil(percent * len(ordered) / 100) - 1] * 1000, 2) for name, percent in ranks.items()}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, minimum and maximum over the rounds."""
    return {"median": round(statistics.median(values), 3), "min": min(values), "max": max(values)}
