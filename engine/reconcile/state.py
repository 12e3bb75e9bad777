"""What is remembered of an object from one evaluation to the next; all of it may be lost without harm."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, NamedTuple

from engine.actions import Cause
from engine.model.flags import Mode
from engine.model.objects import Object, Ref
from engine.model.observe import Act
from engine.model.outcome import Done, Obstacle, Unavailable, Waiting
from engine.model.plan import Annotate, Emission, Patch
from engine.model.text import cut
from engine.packs.pack import RulePack
from engine.packs.rule import Rule
from engine.reconcile.record import Result


@dataclass(slots=True)
class ActionProgress:
    """One action of an item: the state of its own, how many steps it has taken, what it ended with, and what it read last.

    `read` are the objects that it found; `asked` has also those that are not there or may not be read, and of many
    that a selector picks only where they are: one without a name stands for all of its kind and namespace.
    """

    state: Any = None
    steps: int = 0
    done: Done | None = None
    read: tuple[Ref, ...] = ()
    asked: tuple[Ref, ...] = ()


_NOT_READY = frozenset({
    Obstacle.TARGET_NOT_READY, Obstacle.TARGET_MISSING, Obstacle.DISRUPTION_BUDGET, Obstacle.CONTESTED,
})  # fmt: skip
"""What `retry.timeout` is for: what an action acts on is not ready. `CONDITION` is not: `wait` says itself for how long."""


@dataclass(slots=True)
class Stall:
    """What something waits for: since when at all, since when for that, why in words, and which causes were reported.

    `waited` are the seconds, up to `at`, in which what it acts on was not ready: no outage, no `wait`, and not the pack's budget.
    """

    obstacle: Obstacle
    reason: str
    since: float
    obstacle_since: float
    waited: float
    at: float
    reported: tuple[str, ...] = ()

    @classmethod
    def after(cls, before: Stall | None, outcome: Waiting | Unavailable, now: float) -> Stall:
        """Return it after another attempt that came to nothing."""
        obstacle = outcome.obstacle
        if before is None:
            return cls(obstacle, outcome.reason, now, now, 0.0, now)
        since = before.obstacle_since if before.obstacle is obstacle else now
        waited = before.waited + (now - before.at if before.obstacle in _NOT_READY else 0.0)
        return cls(obstacle, outcome.reason, before.since, since, waited, now, before.reported)

    @property
    def cause(self) -> str:
        """What is reported once: each missing right and each kind that is not served for itself, anything else by its kind."""
        return self.reason if self.obstacle in (Obstacle.MISSING_RIGHT, Obstacle.KIND_NOT_SERVED) else self.obstacle.value


@dataclass(slots=True)
class Own:
    """What a rule wants on the watched object itself; `cause` is why an action wants it, None for the firing record.

    `patch` is what that changes of the object as it was evaluated, None where it changes nothing. `act` is what to notify the
    observer of once it is written, None where that is nothing. It may be `written` before the firing record.
    """

    rule: str
    step: Annotate
    cause: Cause | None = None
    patch: Patch | None = None
    act: Act | None = None
    written: bool = False


@dataclass(slots=True)
class ItemProgress:
    """One loop item of a firing that is under way: attempts, what it waits for, and how it ended if not on record yet.

    `error` is set once the actions have failed for good and only `rescue` is left to do. `actions` holds each action's
    progress by its number, `own` what they want written on the watched object itself; `steps` counts what was done elsewhere.
    `audited` says that a step would have been taken, were it not for Audit.
    """

    attempts: int = 0
    retry_at: float = 0.0
    stall: Stall | None = None
    error: str = ""
    ended: Result | None = None
    actions: dict[int, ActionProgress] = field(default_factory=dict)
    own: list[Own] = field(default_factory=list)
    steps: int = 0
    audited: bool = False

    @property
    def seen(self) -> tuple[Ref, ...]:
        """Return what its actions have read so far, or tried to: the text of a later one may quote what an earlier one found."""
        if len(self.actions) == 1:
            (only,) = self.actions.values()
            return only.asked
        return tuple([ref for action in self.actions.values() for ref in action.asked])

    def due(self, now: float, *, woken: bool, first: bool) -> bool:
        """Return whether to try again now: it is time, or it waits for what has changed.

        That is a lookup where it is `woken`; and where it is tried for the `first` time under a catalog, somebody may have
        resumed the pack.
        """
        if self.retry_at <= now or self.stall is None:
            return self.retry_at <= now
        return (woken and self.stall.obstacle is Obstacle.CONDITION) or (first and self.stall.obstacle is Obstacle.SUSPENDED)


@dataclass(slots=True)
class FiringProgress:
    """The items of one firing, by their keys."""

    key: str
    mode: Mode
    items: dict[str, ItemProgress] = field(default_factory=dict)
    emission: Emission = Emission.ONCE

    def under_way(self, key: str) -> bool:
        """Return whether this is the firing with that key, and items of it have not ended."""
        return self.key == key and any(item.ended is None for item in self.items.values())

    def ended(self) -> dict[str, Result]:
        """Return the items that have ended and are not on record yet, and how they ended."""
        return {name: item.ended for name, item in self.items.items() if item.ended is not None}

    def waiting(self) -> Iterator[tuple[str, float, str]]:
        """Yield the items that wait: the name, since when, and what for."""
        for name, stall in self.stalls():
            yield name, stall.since, cut(stall.reason, 200)

    def stalls(self) -> Iterator[tuple[str, Stall]]:
        """Yield the items that wait, and what for."""
        for name, item in self.items.items():
            if item.ended is None and item.stall is not None:
                yield name, item.stall

    def renew(self) -> bool:
        """Have the actions that are done carried out again with what is under way; return False where only `rescue` is left."""
        if any(item.error for item in self.items.values()):
            return False
        for item in self.items.values():
            if item.ended is None:
                item.actions = {number: action for number, action in item.actions.items() if action.done is None}
                item.own = []
        return True

    def drop(self, keep: Collection[str] = ()) -> dict[str, Stall]:
        """Forget the items that have not ended, but for these; return those that waited."""
        dropped = {name: stall for name, stall in self.stalls() if name not in keep}
        self.items = {name: item for name, item in self.items.items() if item.ended is not None or name in keep}
        return dropped

    def keep_open(self) -> None:
        """Forget the items that have ended."""
        self.items = {name: item for name, item in self.items.items() if item.ended is None}


class Incident(Enum):
    """Whether the conditions of a rule hold that notifies of each incident: that time after they did not, it is another one."""

    NONE = auto()
    OPEN = auto()
    OVER = auto()

    @property
    def emission(self) -> Emission:
        """What a firing does to an Event that is there already."""
        return {Incident.NONE: Emission.ONCE, Incident.OPEN: Emission.REPEAT, Incident.OVER: Emission.ANEW}[self]


class RuleState(NamedTuple):
    """One rule and one object; times are in seconds of the monotonic clock.

    `true_since`: since when the conditions have been true. `fired_at`: when it last fired. `unknown`: why it had no answer.
    `firing`: what is under way. `incident`: whether the conditions hold, or have held before, for a rule that notifies of each
    incident. `stall`: what its lookups wait for. `left`: the key of a firing that is left to another operator, and since when.
    `refused`: it had no answer since a lookup is refused, or has none for a group. `scheduled`: up to which time of its schedule
    nothing is left to do. `failing`: how many items failed for good last. `audited`: for how many it would have acted last in
    Audit.
    """

    true_since: float | None = None
    fired_at: float | None = None
    unknown: str = ""
    firing: FiringProgress | None = None
    incident: Incident = Incident.NONE
    stall: Stall | None = None
    left: tuple[str, float] | None = None
    refused: bool = False
    scheduled: datetime | None = None
    failing: int = 0
    audited: int = 0

    def under_way(self, key: str) -> bool:
        """Return whether a firing with this key has items that have not ended."""
        return self.firing is not None and self.firing.under_way(key)

    def not_true(self) -> RuleState:
        """Return the state once the conditions are false: when they are true again, that is something new."""
        over = Incident.OVER if self.incident is Incident.OPEN else self.incident
        unchanged = self.true_since is None and over is self.incident and self.stall is None
        return self if unchanged else self._replace(true_since=None, incident=over, stall=None)

    def began(self, before: RuleState, *, fires: bool) -> RuleState:
        """Return the state after an evaluation that was not the first one: what begins to hold now is another incident.

        Nothing is remembered of a rule whose conditions did not hold, so an engine that has been restarted knows of earlier
        incidents only by this.
        """
        begins = before == INITIAL and (fires or self.true_since is not None)
        return self._replace(incident=Incident.OVER) if begins else self

    def idle(self, rule: Rule) -> bool:
        """Return whether nothing of it matters any more: no timer, no throttle, nothing under way, failing or audited."""
        timed = (rule.hold and self.true_since is not None) or (rule.throttle is not None and self.fired_at is not None)
        busy = timed or (self.firing and self.firing.items) or self.unknown or self.scheduled or self.failing or self.audited
        return not busy and self.incident is Incident.NONE and self.stall is None and self.left is None


INITIAL = RuleState()


@dataclass(slots=True)
class PackState:
    """One pack and one object: the object as last evaluated (where the pack reads that), and when to evaluate it again.

    `unrecorded` counts how often in a row what is wanted on the object could not be written, `unwritten` names the rules that
    want something there, and `stall` is what that waits for, or what a group waits for whose target cannot be read.
    """

    pack: RulePack
    uid: str
    evaluated: Object | None = None
    retry_at: float | None = None
    unrecorded: int = 0
    unwritten: Sequence[str] = ()
    stall: Stall | None = None
    rules: dict[str, RuleState] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Whether nothing of it matters any more."""
        return not self.rules and self.evaluated is None and self.retry_at is None and not self.unrecorded

    def due(self, now: float) -> bool:
        """Return whether to evaluate whatever the object holds: a timer has run out, or a record is to be written."""
        return self.unrecorded > 0 or (self.retry_at is not None and self.retry_at <= now)

    def settle(self, obj: Object) -> None:
        """Remember that an object was evaluated and that its records are written. Forget what that has ended."""
        self.evaluated = obj if self.pack.reads_old else None
        self.unrecorded, self.unwritten, self.stall = 0, (), None
        kept: dict[str, RuleState] = {}
        for name, state in self.rules.items():
            if state.firing is not None and state.firing.mode is Mode.ENFORCE:
                state.firing.keep_open()
            if not state.idle(self.pack.rule(name)):
                kept[name] = state
        self.rules = kept
