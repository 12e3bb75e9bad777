"""Fights: somebody else undoes what a rule writes, and the rule writes it again, and so on.

A rule that writes the value which it has written last, on the same object, is one that somebody has undone. After some of
these the next one is made to wait, ever longer. A new value is never made to wait.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cachetools import TTLCache

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.errors import ApiError
from engine.kube.act import Actor
from engine.kube.clock import Clock
from engine.model.backoff import Backoff
from engine.model.flags import Mode
from engine.model.mappings import is_mapping
from engine.model.merge import canonical
from engine.model.objects import Object, Ref, metadata
from engine.model.observe import Observer
from engine.model.outcome import Obstacle, Waiting
from engine.model.plan import Emission, Patch
from engine.reconcile.events import Events
from engine.reconcile.item import ItemRun
from engine.reconcile.state import Own

FREE = 3
"""How often the same value may be written again without a pause."""
PAUSES = Backoff(2.0, 300.0)
QUIET, LIMIT = 900.0, 20_000
"""Seconds after which a fight is over where nothing was written again, and how many objects are watched for one."""
FIELD_MANAGER = "rulepack"


class Field(NamedTuple):
    """What one rule writes on one object: the same parts of it, whatever their values."""

    pack: str
    rule: str
    item: str
    target: Ref
    shape: int


@dataclass(slots=True)
class _Written:
    """The last value of a field, how often it was undone and written again, and until when the next time has to wait."""

    value: int
    undone: int = 0
    free_at: float | None = None


class Fight(NamedTuple):
    """A write that is to wait: until when, how often it was undone, and whether the wait has just begun."""

    free_at: float
    undone: int
    begins: bool


class Fights:
    """What was written lately, by rules and objects."""

    def __init__(self, actor: Actor, events: Events, observer: Observer, clock: Clock) -> None:
        self._actor, self._events, self._observer = actor, events, observer
        self._written: TTLCache[Field, _Written] = TTLCache(LIMIT, QUIET, timer=clock.monotonic)

    async def contested(self, run: ItemRun, step: Patch) -> Waiting | None:
        """Return Waiting for a write that somebody else undoes, and report who that is; None where it may be written."""
        fight = self._pause(run.cause, step, run.scope.now) if run.mode is Mode.ENFORCE else None
        if fight is None:
            return None
        if fight.begins:
            self._observer.contested(run.cause.pack, run.cause.rule, step.target)
            who = [f"field manager {name}" for name in await _managers_of(self._actor, step)]
            who += [f"rule {name}" for name in self._others(run.cause, step)]
            message = (
                f"Rule {run.cause.pack}/{run.cause.rule} writes the same on {step.target} again and again, as it is undone by "
                f"{', '.join(who) or 'somebody whom managedFields does not name'}. It now waits ever longer between two writes."
            )
            cause = run.cause._replace(key=f"contested {step.target}", emission=Emission.REPEAT)
            content = Content("Warning", "WriteContested", message, {})
            await self._events.emit(run.key, event(cause, run.cause.object, content, run.scope.value("now")))
        return Waiting(f"what it writes on {step.target} was undone {fight.undone} times", fight.free_at, Obstacle.CONTESTED)

    def _pause(self, cause: Cause, step: Patch, now: float) -> Fight | None:
        """Return how long a write has to wait that would change an object, None where it need not."""
        last = self._written.get(_field(cause, step))
        if last is None or last.undone < FREE or last.value != _value(step):
            return None
        begins, undone = last.free_at is None, last.undone + 1
        if last.free_at is None:
            last.free_at = now + PAUSES.pause(undone - FREE)
        return Fight(last.free_at, undone, begins) if now < last.free_at else None

    def wrote(self, cause: Cause, step: Patch) -> None:
        """Note that a write has changed an object."""
        field, value = _field(cause, step), _value(step)
        last = self._written.get(field)
        self._written[field] = _Written(value, last.undone + 1 if last is not None and last.value == value else 0)

    def wrote_own(self, steps: Iterable[Own]) -> None:
        """Note what rules have written on the watched object itself; records, which have no cause, are nobody else's."""
        for each in steps:
            if each.cause is not None and each.patch is not None:
                self.wrote(each.cause, each.patch)

    def _others(self, cause: Cause, step: Patch) -> list[str]:
        """Return the other rules that have written on the same object lately, as pack/rule."""
        field = _field(cause, step)
        rules = {f"{each.pack}/{each.rule}" for each in list(self._written) if each.target == field.target}
        return sorted(rules - {f"{cause.pack}/{cause.rule}"})


async def _managers_of(actor: Actor, step: Patch) -> list[str]:
    """Return the other field managers of what a step writes, those of the last write first. What is cached has left them out."""
    seen: Object = step.before or {}
    if "managedFields" not in metadata(seen):
        try:
            seen = {"metadata": await actor.metadata_of(step.target)}
        except ApiError:
            return []
    return managers(seen, step.body)


def managers(obj: Object, body: Any) -> list[str]:
    """Return the field managers, other than this engine, that own a part of an object which a merge patch changes."""
    paths = [*_paths(body)] if isinstance(body, Mapping) else []
    found = {}
    for entry in metadata(obj).get("managedFields") or ():
        name, fields = str(entry.get("manager", "")), entry.get("fieldsV1") or {}
        if name != FIELD_MANAGER and any(_owns(fields, path) for path in paths):
            found[name] = str(entry.get("time", ""))
    return sorted(found, key=lambda name: found[name], reverse=True)


def _value(step: Patch) -> int:
    """A hash in place of the value itself, since thousands are remembered."""
    return hash(canonical(step.body))


def _field(cause: Cause, step: Patch) -> Field:
    return Field(cause.pack, cause.rule, cause.item, step.target, hash((step.subresource, _shape(step.body))))


def _shape(body: Any) -> Hashable:
    """A body without its values."""
    if is_mapping(body):
        return frozenset((key, _shape(value)) for key, value in body.items())
    if isinstance(body, list):
        return tuple(f"{item.get('op')} {item.get('path')}" if is_mapping(item) else "" for item in body)
    return None


def _paths(body: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in body.items():
        if isinstance(value, Mapping) and value:
            yield from _paths(value, (*above, key))
        else:
            yield (*above, key)


def _owns(fields: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    """Whether a set of fields in the format FieldsV1 holds a path (kubernetes: structured-merge-diff, fieldpath/serialize.go)."""
    for step in path:
        fields = fields.get(f"f:{step}")  # type: ignore[assignment]
        if fields is None:
            return False
    return True
