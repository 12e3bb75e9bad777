"""The metrics that packs declare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A metric that a pack's `metric` actions write, as it is exposed; `buckets` (upper bounds) are for a histogram only.

    `namespace` is that of its packs, which share it with none of another namespace.
    """

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    namespace: str = ""
