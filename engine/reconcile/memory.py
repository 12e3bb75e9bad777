"""What the engine remembers of an object between two looks at it; all of it may be lost without harm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.model.flags import Mode
from engine.model.objects import Object
from engine.model.plan import Annotate
from engine.packs.pack import Rule, RulePack
from engine.reconcile.record import State


@dataclass(slots=True)
class ItemMemory:
    """One loop item of a firing that is under way: attempts, waits, and how it ended if that is not on record yet.

    `denials` counts answers that a right is missing. `error` is set once the actions have failed for good and only `rescue`
    is left to do. `actions` keeps each action's notes by its number, `own` what they want written on the watched object
    itself; `steps` counts what was done elsewhere.
    """

    attempts: int = 0
    denials: int = 0
    due: float = 0.0
    waiting_since: float | None = None
    reason: str = ""
    error: str = ""
    ended: State | None = None
    actions: dict[int, dict[str, Any]] = field(default_factory=dict)
    own: list[Annotate] = field(default_factory=list)
    steps: int = 0


@dataclass(slots=True)
class RuleMemory:
    """One rule and one object: since when the condition has held, when it last fired, and what is under way."""

    held_since: float | None = None
    fired_at: float | None = None
    ignored: str | None = None
    unknown: str = ""
    key: str = ""
    mode: Mode = Mode.ENFORCE
    items: dict[str, ItemMemory] = field(default_factory=dict)

    def holds_no_more(self) -> None:
        """The condition is false: when it is true again, that is something new."""
        self.held_since = self.ignored = None

    def under(self, key: str, mode: Mode) -> dict[str, ItemMemory]:
        """The items of a firing; another key or another mode starts anew."""
        if (self.key, self.mode) != (key, mode):
            self.key, self.mode, self.items = key, mode, {}
        return self.items

    def under_way(self, key: str) -> bool:
        """Whether a firing with this key has items that have not ended."""
        return self.key == key and any(item.ended is None for item in self.items.values())

    def idle(self, rule: Rule) -> bool:
        """Whether nothing of it matters any more: no timer, no throttle, nothing under way, nothing told once."""
        timed = (rule.hold and self.held_since is not None) or (rule.throttle is not None and self.fired_at is not None)
        return not (timed or self.items or self.unknown or self.ignored is not None)


@dataclass(slots=True)
class PackMemory:
    """One pack and one object: the object as last judged (where the pack reads that), and the next look.

    `unrecorded` counts how often in a row the firing record could not be written.
    """

    pack: RulePack
    uid: str
    judged: Object | None = None
    due: float | None = None
    unrecorded: int = 0
    rules: dict[str, RuleMemory] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Whether nothing of it matters any more."""
        return not self.rules and self.judged is None and self.due is None and not self.unrecorded

    def rule(self, name: str) -> RuleMemory:
        """The memory of one rule, made when first asked for."""
        found = self.rules.get(name)
        if found is None:
            found = self.rules[name] = RuleMemory()
        return found

    def waits(self, now: float) -> bool:
        """Whether there is something to do whatever the object looks like: a timer has run out, or a record is to be written."""
        return self.unrecorded > 0 or (self.due is not None and self.due <= now)

    def settle(self, obj: Object) -> None:
        """Remember that an object was judged and that what is to be recorded of it is. Forget what that has ended."""
        self.judged = obj if self.pack.reads_old else None
        self.unrecorded = 0
        kept: dict[str, RuleMemory] = {}
        for name, memory in self.rules.items():
            if memory.items and memory.mode is Mode.ENFORCE:
                memory.items = {name: item for name, item in memory.items.items() if item.ended is None}
            if not memory.idle(self.pack.rule(name)):
                kept[name] = memory
        self.rules = kept
