"""The metrics that packs declare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from engine.model.spec import Spec
from engine.packs.fields import MetricLabel, Text


class MetricDeclaration(Spec):
    """A metric that the pack's `metric` actions write."""

    type: Literal["counter", "gauge", "histogram"]
    """`counter`, `gauge` or `histogram`."""
    help: Text
    """What it counts or measures."""
    labels: list[MetricLabel] = Field(default=[], max_length=10)
    """Names of its labels."""
    buckets: list[float] = Field(default=[], max_length=50)
    """Upper bounds of a histogram's buckets, ascending."""


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
