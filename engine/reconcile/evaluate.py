"""Does a rule fire for an object, and if not, what is the first thing that holds it back?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from engine.cel import Scope
from engine.errors import Unanswered
from engine.model.merge import canonical
from engine.model.names import digest
from engine.model.objects import metadata
from engine.packs.pack import Rule
from engine.reconcile.memory import RuleMemory
from engine.reconcile.record import NOTHING, Record

LOOP_LIMIT = 1000
KEY_LIMIT = 500
"""Characters of a firing key or a loop item's key: the record has to find room among an object's annotations."""


class Item(NamedTuple):
    """One loop item of a firing: the key it has on record, and its value. A rule without a loop has one, ''."""

    key: str
    value: Any = None


class Firing(NamedTuple):
    """A rule fires: under which key, and for which loop items that are not on record yet."""

    key: str
    items: Sequence[Item]


class Held(NamedTuple):
    """A rule does not fire: why, and when time alone may change that (seconds since the epoch).

    `unknown` is true where a condition has no answer: that is neither true nor false.
    """

    reason: str
    until: float | None = None
    unknown: bool = False


def evaluate(rule: Rule, scope: Scope, recorded: Callable[[], Record], memory: RuleMemory, *, initial: bool) -> Firing | Held:
    """Judge one rule. `initial` says that the object was there, and is unchanged, since the engine started.

    `recorded` reads the firing record, which is asked for only where the rule keeps one and its conditions hold.
    """
    try:
        with scope.budget:
            return _evaluate(rule, scope, recorded, memory, initial)
    except Unanswered as unanswered:
        return Held(str(unanswered), unknown=True)


def _evaluate(rule: Rule, scope: Scope, recorded: Callable[[], Record], memory: RuleMemory, initial: bool) -> Firing | Held:
    if held := condition(rule, scope):
        if not held.unknown:
            memory.holds_no_more()
        return held
    now = scope.value("now").timestamp()
    if memory.held_since is None:
        memory.held_since = now
    if now < memory.held_since + rule.hold:
        return Held(f"has not held for {rule.hold:g} s yet", until=memory.held_since + rule.hold)
    key, record = "", NOTHING
    if rule.once_per is not None:
        key, record = _key(rule.once_per.evaluate(scope)), recorded()
    if rule.once_per is not None and rule.loop is None and record.ended(key, ""):
        return Held(f"already fired for {key}")
    if _ignored(rule, scope, key, memory, initial):
        return Held("was already so when the engine started (existing)")
    items = [item for item in _items(rule, scope) if rule.once_per is None or not record.ended(key, item.key)]
    if not items:
        return Held(f"already fired for {key}" if record.key == key and record.items else "nothing to loop over")
    due = 0.0 if memory.fired_at is None or rule.throttle is None else memory.fired_at + rule.throttle
    if now < due and not memory.under_way(key):
        return Held(f"throttled to once in {rule.throttle:g} s", until=due)
    return Firing(key, items)


def condition(rule: Rule, scope: Scope) -> Held | None:
    """None where every clause of `when` is true. A false clause decides, even after one that has no answer."""
    unknown: Held | None = None
    for number, clause in enumerate(rule.when, start=1):
        try:
            if not clause.condition(scope):
                return Held(f"when[{number}] is false: {clause.source}")
        except Unanswered as unanswered:
            unknown = unknown or Held(f"when[{number}] has no answer: {unanswered}", unknown=True)
    return unknown


def _key(value: Any) -> str:
    """A value as it is put on record; a long text is cut, with a digest of all of it in place of the rest."""
    text = value if isinstance(value, str) else canonical(value)
    return text if len(text) <= KEY_LIMIT else f"{text[:KEY_LIMIT]}… {digest(text)}"


def _ignored(rule: Rule, scope: Scope, key: str, memory: RuleMemory, initial: bool) -> bool:
    if initial and memory.ignored is None and not memory.under_way(key):
        too_old = False
        if rule.existing.max_age is not None:
            since = _since(rule, scope)
            too_old = scope.value("now").timestamp() - since.timestamp() > rule.existing.max_age
        if rule.existing.policy == "Ignore" or too_old:
            memory.ignored = key
    return memory.ignored == key


def _since(rule: Rule, scope: Scope) -> datetime:
    value = metadata(scope.value("object")).get("creationTimestamp")
    if rule.existing.age_from is not None:
        value = rule.existing.age_from.evaluate(scope)
    if isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise Unanswered(f"existing.ageFrom gave {value!r}; expected a time such as 2026-01-24T22:30:00Z") from None


def _items(rule: Rule, scope: Scope) -> Sequence[Item]:
    if rule.loop is None:
        return (Item(""),)
    values = rule.loop.evaluate(scope)
    if isinstance(values, Mapping):
        values = [{"key": key, "value": value} for key, value in values.items()]
    if not isinstance(values, list):
        raise Unanswered(f"loop gave {type(values).__name__}, not a list: {rule.loop.source}")
    if len(values) > LOOP_LIMIT:
        raise Unanswered(f"loop gave {len(values)} items; at most {LOOP_LIMIT} are possible: {rule.loop.source}")
    items: dict[str, Item] = {}
    for value in values:
        if rule.loop_key is None:
            key = digest(canonical(value))
        else:
            key = _key(rule.loop_key.evaluate(scope.child(**{rule.loop_var: value})))
        items.setdefault(key, Item(key, value))
    return tuple(items.values())
