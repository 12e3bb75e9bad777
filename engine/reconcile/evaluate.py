"""Does a rule fire for an object, and if not, what is the first thing that keeps it from firing?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from engine.cel import Scope
from engine.errors import EvaluationError
from engine.model.flags import Mode
from engine.model.merge import canonical
from engine.model.names import digest
from engine.model.objects import Object, annotations_of, metadata
from engine.model.outcome import Done, Outcome, Skipped, Why
from engine.model.text import Quoting, after, plain
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.rule import Rule
from engine.reconcile.record import NOTHING, Record
from engine.reconcile.state import RuleState
from engine.reconcile.upcoming import upcoming

LOOP_LIMIT = 1000
NO_ITEMS = "nothing to loop over"
NOT_WANTED = plain("it is no longer among what the rule is to do")
KEY_LIMIT = 500
"""Characters of a firing key or a loop item's key: the record has to find room among an object's annotations."""


TOLERANCE = timedelta(seconds=5)
"""By how much the clocks of two machines may differ."""


class Item(NamedTuple):
    """One loop item of a firing: the key it has on record, and its value. A rule without a loop has one, ''."""

    key: str
    value: Any = None


class Firing(NamedTuple):
    """A rule fires: under which key, and for which loop items that are not on record yet."""

    key: str
    items: Sequence[Item]


ONCE = Firing("", (Item(""),))
"""The firing of a rule without `oncePer` and without a loop."""


def variables_of(catalog: Catalog, pack: RulePack, obj: Object, old: Object | None, now: float) -> Mapping[str, Any]:
    """Return what a pack's expressions see of an object at a time (seconds since the epoch); `oldObject` is null at first."""
    params = catalog.params.get(pack.identity, {})
    inputs: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, spec in pack.inputs.items():
        text = annotations_of(obj).get(spec.key(params))
        value, errors[name] = (spec.default, "") if text is None else spec.parse(text)
        if not errors[name]:
            inputs[name] = value
    return {
        "object": obj,
        "oldObject": old,
        "params": params,
        "flags": catalog.flags,
        "inputs": inputs,
        "inputErrors": errors,
        "now": datetime.fromtimestamp(now, UTC),
    }


def evaluate(
    rule: Rule, scope: Scope, state: RuleState, recorded: Callable[[], Record], in_force: datetime | None = None
) -> tuple[Outcome, RuleState]:
    """Evaluate one rule. Return Done with a Firing, or Skipped; and the state after it. Write nothing.

    `recorded` reads the firing record, which is asked for only where the rule keeps one and its conditions hold. `in_force`
    is when the rule came into force, None where that is not known.
    """
    try:
        with scope.budget:
            skipped = condition(rule, scope)
            if skipped is not None and (skipped.unknown or not rule.reads_now):
                return skipped, state if skipped.unknown else state.not_true()
        if skipped is not None:
            return skipped._replace(retry_at=upcoming(rule, scope)), state.not_true()
        with scope.budget:
            if rule.hold and state.true_since is None:
                state = state._replace(true_since=scope.now)
            return _fires(rule, scope, state, recorded, in_force)
    except EvaluationError as error:
        return Skipped(str(error), unknown=True), state


def _fires(
    rule: Rule, scope: Scope, state: RuleState, recorded: Callable[[], Record], in_force: datetime | None
) -> tuple[Outcome, RuleState]:
    """Whether a rule whose conditions are true fires now."""
    if rule.hold and state.true_since is not None and scope.now < state.true_since + rule.hold:
        return Skipped(plain(f"has not held for {rule.hold:g} s yet"), state.true_since + rule.hold), state
    key, record = "", NOTHING
    if rule.once_per is not None:
        key, record = _key(rule.once_per.evaluate(scope)), recorded()
        if rule.loop is None and record.ended(key, ""):
            return _fired(key), state
    if in_force is not None and (ignored := _ignored(rule, scope, in_force)):
        return Skipped(Quoting(ignored, "existing leaves it out")), state
    items = [item for item in _items(rule, scope) if rule.once_per is None or not record.ended(key, item.key)]
    if not items:
        fired = record.key == key and record.items
        return _fired(key) if fired else Skipped(NO_ITEMS, why=Why.NO_ITEMS), state
    if rule.throttle is not None and state.fired_at is not None and not state.under_way(key):
        due = state.fired_at + rule.throttle
        if scope.now < due:
            return Skipped(plain(f"throttled to once in {rule.throttle:g} s"), due), state
    return Done(Firing(key, items)), state


def condition(rule: Rule, scope: Scope) -> Skipped | None:
    """Return None where every clause of `when` is true. A false clause decides, even after one that has no answer.

    The reason names that too, since the rule does not fire either once the false one is true.
    """
    unknown: Skipped | None = None
    for number, clause in enumerate(rule.when, start=1):
        try:
            if not clause.condition(scope):
                false = _false(number, clause.source)
                return Skipped(false if unknown is None else Quoting(f"{false}; {unknown.reason}", false), why=Why.FALSE)
        except EvaluationError as error:
            unknown = unknown or Skipped(after(f"when[{number}] has no answer", error), unknown=True)
    return unknown


@lru_cache(10_000)  # most conditions are false most of the time
def _false(number: int, source: str) -> str:
    return plain(f"when[{number}] is false: {source}")


def unwanted(rule: Rule, skipped: Skipped) -> str:
    """Return in words for people why what waits of a rule is not done any more, now that it does not fire."""
    if rule.loop is not None and skipped.why in (Why.NO_ITEMS, Why.FIRED):
        return NOT_WANTED
    return Quoting(f"it does not apply any more ({skipped.reason})", "it does not apply any more")


def replaced(key: str, mode: Mode | None) -> str:
    """Return in words for people why what waits is not done any more: by another mode, or for another firing key."""
    if mode is not None:
        return plain(f"its mode is {mode.value} now")
    return Quoting(f"it is to be done for {key} now", "it is to be done for another key now")


def _fired(key: str) -> Skipped:
    return Skipped(Quoting(f"already fired for {key}", "already fired"), why=Why.FIRED, key=key)


def _key(value: Any) -> str:
    """A value as it is put on record; a long text is cut, with a digest of all of it in place of the rest."""
    text = value if isinstance(value, str) else canonical(value)
    return text if len(text) <= KEY_LIMIT else f"{text[:KEY_LIMIT]}… {digest(text)}"


def _ignored(rule: Rule, scope: Scope, in_force: datetime) -> str:
    """Why `existing` leaves out what was so before the rule came into force, '' where it does not.

    The times compared are from different machines: a rule that came in the future, by a clock that was ahead, has come now for
    all that is not in the future itself.
    """
    existing = rule.existing
    if existing.policy == "CatchUp" and existing.max_age is None:
        return ""
    age = timedelta(seconds=existing.max_age or 0.0) if existing.policy == "CatchUp" else timedelta()
    now: datetime = scope.value("now")
    since = _since(rule, scope)
    came = in_force if since > now else min(in_force, now)
    if since >= came - age - TOLERANCE:
        return ""
    before = f"more than {age.total_seconds():g} s before" if age else "before"
    if existing.age_from is None:
        created = f"was created at {_utc(since)}, {before} the rule came into force at {_utc(in_force)}"
        return f"{created} (existing has no ageFrom, so the creation counts, with {TOLERANCE.seconds} s of tolerance)"
    return f"was so {before} the rule came into force, at {_utc(in_force)} (existing, with {TOLERANCE.seconds} s of tolerance)"


def _utc(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _since(rule: Rule, scope: Scope) -> datetime:
    """What `ageFrom` gives, the object's creation where there is none. Raises EvaluationError."""
    value = metadata(scope.value("object")).get("creationTimestamp")
    if rule.existing.age_from is not None:
        value = rule.existing.age_from.evaluate(scope)
    try:
        since = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return since if since.tzinfo else since.replace(tzinfo=UTC)
    except ValueError:
        raise EvaluationError(f"existing.ageFrom gave {value!r}; expected a time such as 2026-01-24T22:30:00Z") from None


def _items(rule: Rule, scope: Scope) -> Sequence[Item]:
    if rule.loop is None:
        return ONCE.items
    values = rule.loop.evaluate(scope)
    if isinstance(values, Mapping):
        values = [{"key": key, "value": value} for key, value in values.items()]
    if not isinstance(values, list):
        raise EvaluationError(f"loop gave {type(values).__name__}, not a list: {rule.loop.source}")
    if len(values) > LOOP_LIMIT:
        raise EvaluationError(f"loop gave {len(values)} items; at most {LOOP_LIMIT} are possible: {rule.loop.source}")
    items: dict[str, Item] = {}
    for value in values:
        if rule.loop_key is None:
            key = digest(canonical(value))
        else:
            key = _key(rule.loop_key.evaluate(scope.child(**{rule.loop_var: value})))
        items.setdefault(key, Item(key, value))
    return tuple(items.values())
