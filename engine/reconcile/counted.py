"""What is known of one aggregate rule: its groups, the state of each, and what its throttle holds up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.cel import Scope
from engine.errors import EvaluationError
from engine.model.objects import GroupKey, Object, ObjectKey
from engine.model.outcome import Skipped
from engine.packs.pack import RulePack
from engine.packs.rule import Rule
from engine.reconcile.hidden import named, without_secrets
from engine.reconcile.silent import logger
from engine.reconcile.state import PackState
from engine.reconcile.totals import Totals

log = logger(__name__)


@dataclass(slots=True)
class Counted:
    """One aggregate rule: its groups, once all objects are counted in them, and the state of each.

    `first` holds what came of the objects as they were when all were counted, until each of them is evaluated by itself.
    `tried_at` says when a group was last read although its throttle holds it up, since something of it may be urgent.
    """

    pack: RulePack
    rule: Rule
    params: Mapping[str, Any]
    totals: Totals
    ready: bool = False
    recounted_at: float = 0.0
    states: dict[str, PackState] = field(default_factory=dict)
    tried_at: dict[str, float] = field(default_factory=dict)
    first: dict[ObjectKey, tuple[Object, Skipped]] = field(default_factory=dict)
    woken: set[str] = field(default_factory=set)
    """The groups that are to be evaluated again because something that they looked up has changed."""
    fired: set[str] = field(default_factory=set)
    """The groups for which the rule has fired, and so has to once more when they are empty."""
    acted_for: dict[str, tuple[Mapping[str, Any], float]] = field(default_factory=dict)
    """What the groups held when their actions were begun, and when that was."""
    outdated: set[str] = field(default_factory=set)
    """The groups that have changed since then, and are to be acted for once more as soon as what is under way has ended."""

    def forget_if_empty(self, group: str) -> None:
        """Forget the state of a group without members."""
        if not self.totals.has_members(group):
            self.fired.discard(group)
            self.woken.discard(group)
            self.states.pop(group, None)
            self.tried_at.pop(group, None)
            self.acted_for.pop(group, None)
            self.outdated.discard(group)

    def act_for(self, group: str, view: Mapping[str, Any], now: float) -> None:
        """Have actions act for a group as it is now: also those that are done while others wait, as the throttle allows."""
        state = self.states[group].rules.get(self.rule.name)
        firing = None if state is None else state.firing
        if firing is not None and firing.under_way("") and group in self.acted_for:
            before, began = self.acted_for[group]
            if before == view:
                return
            if now < began + (self.rule.throttle or 0.0) or not firing.renew():
                self.outdated.add(group)
                return
        self.acted_for[group] = view, now
        self.outdated.discard(group)

    def throttled(self, group: str, state: PackState, now: float) -> Skipped | None:
        """Return why a group is not even read now, None where it is: its throttle allows it, or something may be urgent."""
        rule, until = self.rule, self._throttled_until(state)
        if now >= until:
            return None
        if rule.urgent is not None:
            last = max(self.tried_at.get(group, 0.0), state.rules[rule.name].fired_at or 0.0)
            until = min(until, last + rule.urgent.every)
            if now >= until:
                self.tried_at[group] = now
                return None
        return self._held_up(until)

    def not_urgent(self, group: str, scope: Scope, now: float) -> Skipped | None:
        """Return why a group that its throttle holds up does not fire, None where nothing holds it up, or it is urgent."""
        rule, until = self.rule, self._throttled_until(self.states[group])
        if now >= until or rule.urgent is None:
            return None
        try:
            return None if rule.urgent.when.condition(scope) else self._held_up(until)
        except EvaluationError as error:
            hides, key = rule.name in self.pack.reads_secrets, GroupKey(self.pack.identity, rule.name, group)
            log.warning("whether %s is urgent has no answer: %s", named(hides, key), without_secrets(hides, str(error)))
            return self._held_up(until)

    def _held_up(self, until: float) -> Skipped:
        return Skipped(f"throttled to once in {self.rule.throttle:g} s", until)

    def _throttled_until(self, state: PackState) -> float:
        fired_at = state.rules[self.rule.name].fired_at if self.rule.name in state.rules else None
        return 0.0 if self.rule.throttle is None or fired_at is None else fired_at + self.rule.throttle
