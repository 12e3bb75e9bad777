"""A rule of a pack, bound and compiled: frozen, ready to be evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.actions import Effect, Need
from engine.actions.generated import Generates
from engine.actions.lookup import Lookup
from engine.cel import Program
from engine.errors import Location
from engine.model.flags import Mode
from engine.packs.aggregate import Aggregate, Urgent
from engine.packs.parts import instances
from engine.packs.schedule import Schedule

DURABLE = 300.0
"""Seconds: timers of that length and more outlive the process."""


@dataclass(frozen=True, slots=True)
class Existing:
    """What becomes of what was already so when the rule came into force; `max_age` in seconds before that."""

    policy: Literal["CatchUp", "Ignore"] = "CatchUp"
    max_age: float | None = None
    age_from: Program | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """How often actions are tried again that something stands in the way of, and for how long they wait for what is not ready.

    None: without end; in seconds.
    """

    limit: int | None = None
    backoff: float = 2.0
    max_backoff: float = 300.0
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How many targets one action may touch in a firing (None: any number), and what happens to more."""

    max_targets: int | None = None
    on_exceed: Literal["Fail", "Truncate"] = "Fail"


@dataclass(frozen=True, slots=True)
class RuleAction:
    """One entry of `actions` or `rescue`: what to do, and under which condition; `location` is where it stands.

    `register` is the name under which its result is kept; '': none.
    """

    action: Effect
    location: Location
    register: str = ""
    when: Program | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """When this is true of an object, do that. Durations are in seconds; `hold` is what users write as `for`.

    `vars` holds the pack's vars too.
    """

    name: str
    description: str = ""
    vars: Mapping[str, Program] = field(default_factory=dict)
    when: tuple[Program, ...] = ()
    on: Literal["Change", "Delete"] = "Change"
    hold: float = 0.0
    schedule: Schedule | None = None
    once_per: Program | None = None
    existing: Existing = Existing()
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    aggregate: Aggregate | None = None
    loop: Program | None = None
    loop_var: str = "item"
    loop_key: Program | None = None
    throttle: float | None = None
    urgent: Urgent | None = None
    resync: float | None = None
    limits: Limits = Limits()
    actions: tuple[RuleAction, ...] = ()
    retry: Retry = Retry()
    rescue: tuple[RuleAction, ...] = ()
    mode: Mode | None = None
    previous_names: tuple[str, ...] = ()
    reads_now: frozenset[int] = frozenset()
    """The indexes of the clauses of `when` that depend on `now`, themselves or through vars."""
    durable_hold: bool = field(init=False)
    """Whether how long its conditions have held is put on record."""
    generates: tuple[Generates, ...] = field(init=False)
    """What its actions generate, and remove again."""
    notifies: bool = field(init=False)
    """Whether it notifies of each incident anew: that its conditions hold, after they did not."""
    durable_throttle: bool = field(init=False)
    """Whether when it fired is put on record, for its throttle: where it writes on the object, or the group's target, anyway.

    Others can be level-triggered, and an annotation that nobody asked for may have effects: some controllers copy those of
    an object to its pods, and so replace them.
    """

    def __post_init__(self) -> None:
        living = self.on == "Change" and self.aggregate is None
        long = self.throttle is not None and self.throttle >= DURABLE
        notifying = living and self.once_per is None and any(entry.action.notifies for entry in self.actions)
        object.__setattr__(self, "notifies", notifying)
        object.__setattr__(self, "generates", tuple(instances([entry.action for entry in self.actions], Generates)))
        object.__setattr__(self, "durable_hold", self.on == "Change" and self.hold >= DURABLE)
        recorded = (self.aggregate is not None and self.aggregate.target is not None) or (
            living and (self.once_per is not None or self.annotates())
        )
        object.__setattr__(self, "durable_throttle", long and recorded)

    def needs(self) -> Iterator[Need]:
        """Yield the rights on targets that it uses: by its actions, its rescue, its lookups and its aggregate."""
        for entry in (*self.actions, *self.rescue):
            yield from entry.action.needs()
        for lookup in self.lookups.values():
            yield from lookup.needs()
        if self.aggregate is not None and self.aggregate.target is not None:
            yield from self.aggregate.target.needs("patch")
            yield from self.aggregate.target.listing()

    def writes_own(self) -> bool:
        """Return whether it writes metadata of the watched objects: annotations, labels, or its firing record with its timers."""
        if self.aggregate is not None or self.on == "Delete":
            return False
        return self.once_per is not None or self.durable_hold or self.annotates()

    def annotates(self) -> bool:
        """Return whether an action of it writes metadata of the watched object."""
        return any(entry.action.writes_own() for entry in (*self.actions, *self.rescue))
