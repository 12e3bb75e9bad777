"""What a rule says about groups of objects, bound and compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.actions.target import Target
from engine.cel import Program


@dataclass(frozen=True, slots=True)
class AggregateList:
    """A list of a group: which members are on it (None: all), what it holds of each, and how much of it is shown."""

    value: Program
    where: Program | None = None
    limit: int = 50
    keep_for: float = 0.0
    """Seconds for which a value stays after its member has gone."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Objects in groups: what each contributes to its group, and the one object that a group is about, if any."""

    by: Program
    target: Target | None
    counts: Mapping[str, Program] = field(default_factory=dict)
    lists: Mapping[str, AggregateList] = field(default_factory=dict)
    sums: Mapping[str, Program] = field(default_factory=dict)
    minima: Mapping[str, Program] = field(default_factory=dict)
    maxima: Mapping[str, Program] = field(default_factory=dict)
    vars: Mapping[str, Program] = field(default_factory=dict)
    """Named expressions over the group and its target."""


@dataclass(frozen=True, slots=True)
class Urgent:
    """The condition over a group under which its throttle does not hold it up, and the seconds that it waits all the same."""

    when: Program
    every: float
