"""What a rule says about groups of objects: as it is written, and bound and compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field

from engine.actions.target import Target, TargetSpec
from engine.cel import Program
from engine.model.spec import Spec
from engine.packs.fields import Identifier, Period, Text


class AggregateListSpec(Spec):
    """A list of a group."""

    value: Text
    """CEL that gives what the list holds of a member."""
    where: Text | None = None
    """CEL condition: which members are on it; all where left out."""
    limit: int = Field(default=50, ge=0, le=1000)
    """How many are shown, in order; `group.<list>LeftOut` says how many more there are."""
    keep_for: Period = 0.0
    """How long a value stays on the list after its member has gone or has another one, so that it is not missed."""


class AggregateSpec(Spec):
    """Counts objects in groups. The rule then acts once for a group, on its target, instead of once for each object.

    It fires whenever a group has changed; once more, with counts of 0, when the last member has gone.
    """

    by: Text
    """CEL that gives the key of the group that an object belongs to; '' for none. `when` says which objects count at all."""
    target: TargetSpec | None = None
    """The object that a group is about, found from `groupKey`. In the rule's actions it is `object`, and `target` too.

    Without one there is no `object`; actions name what they are about, and all members count. Such a rule keeps no record.
    """
    counts: dict[Identifier, Text] = Field(default={}, max_length=50)
    """For each count a CEL condition: how many members meet it is `group.<count>`."""
    lists: dict[Identifier, AggregateListSpec] = Field(default={}, max_length=20)
    """Lists of values of members, sorted: `group.<list>`."""
    sum_: dict[Identifier, Text] = Field(default={}, alias="sum", max_length=20)
    """For each sum CEL that gives a number or null: what all members have together is `group.<sum>`, 0 where none has any."""
    min_: dict[Identifier, Text] = Field(default={}, alias="min", max_length=20)
    """For each minimum CEL that gives a number, a text or null: the smallest of all members is `group.<minimum>`, else null."""
    max_: dict[Identifier, Text] = Field(default={}, alias="max", max_length=20)
    """For each maximum CEL that gives a number, a text or null: the largest of all members is `group.<maximum>`, else null."""
    vars: dict[Identifier, Text] = Field(default={}, max_length=50)
    """Named expressions over `group`, `groupKey` and `target`, read as `vars.<name>` in `throttle.urgent` and the actions."""


class UrgentSpec(Spec):
    """What does not wait for the throttle of an aggregate."""

    when: Text
    """CEL condition over `group` and its `target`: while it is true, the rule fires although the interval has not passed."""
    every: Period = 3.0
    """The interval that it waits for all the same; the target is read at most so often."""


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
    reads_now: bool = False
    """Whether what an object contributes depends on `now`, itself or through vars of its rule."""


@dataclass(frozen=True, slots=True)
class Urgent:
    """The condition over a group under which its throttle does not hold it up, and the seconds that it waits all the same."""

    when: Program
    every: float
