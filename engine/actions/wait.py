"""The action `wait`: read other objects until a condition is true of them, and give what was found to the actions after it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from engine.actions.base import Body, Cause, MetadataWrite, Need
from engine.actions.lookup import Lookup, LookupSpec
from engine.cel import Compiler, Path, Program, Scope, Template
from engine.cel.times import to_duration
from engine.cel.types import BOOL, DYN, Type
from engine.cel.values import Mismatch
from engine.errors import EvaluationError
from engine.model.outcome import Done, Obstacle, Waiting
from engine.model.plan import Answers, Plan, Read
from engine.model.spec import Spec
from engine.model.text import plain, shown

PAUSE = 2.0
"""Seconds between two reads."""


class WaitSpec(Spec):
    """Read other objects until a condition is true of them, for so long at most; the rule's actions go on either way.

    Its result has `met`, whether the condition was true in the end, and `value`.
    """

    lookup: dict[str, LookupSpec]
    """What to read, as `lookup.<name>`: one object or null by name, a list by labelSelector. One may use others."""
    until: str = "true"
    """CEL over `lookup`: what to wait for; left out, it reads once."""
    at_most: str = "0s"
    """How long to wait, a duration that may hold `${…}`, from when the item of the rule first had to wait; no `retry` ends it."""
    value: str | None = None
    """CEL over `lookup`, evaluated once, at the end: what `results.<register>.value` is.

    It is null where this is left out, and where this has no answer because the condition was not true in the end.
    """


@dataclass(frozen=True, slots=True)
class WaitAction:
    """`wait`."""

    lookups: Mapping[str, Lookup]
    until: Program
    at_most: Template
    value: Program | None

    name: ClassVar[str] = "wait"
    Schema: ClassVar[type[Spec]] = WaitSpec
    written: ClassVar[frozenset[str]] = frozenset()
    notifies: ClassVar[bool] = False
    gives: ClassVar[Mapping[str, Type]] = {"met": BOOL, "value": DYN}

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile the spec; faults go to the compiler."""
        if "${" not in spec.at_most:
            try:
                to_duration(spec.at_most)
            except Mismatch as fault:
                compiler.fault((*path, "atMost"), str(fault), "a duration such as 5m")
        return cls(
            Lookup.compile_all(spec.lookup, compiler, (*path, "lookup")),
            compiler.program(spec.until, (*path, "until")),
            compiler.template(spec.at_most, (*path, "atMost")),
            None if spec.value is None else compiler.program(spec.value, (*path, "value")),
        )

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield nothing: it writes nothing."""
        return iter(())

    @classmethod
    def bodies(cls, spec: Mapping[str, Any]) -> Iterator[Body]:
        """Yield nothing: it writes no object that stands in the pack."""
        return iter(())

    def needs(self) -> Sequence[Need]:
        """get or list on what it reads, or the rights to follow it."""
        return [need for target in self.lookups.values() for need in target.needs()]

    def writes_own(self) -> bool:
        """Return False: it writes no metadata of the watched object."""
        return False

    def repeated(self, counters: Collection[str]) -> str:
        """Return '': it only reads."""
        return ""

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """Yield what is looked up, each with the answers to those before it."""
        found = dict(scope.values.get("lookup", {}))
        for name, target in self.lookups.items():
            read = target.read(scope.child(lookup=dict(found)))
            yield read
            found[name] = _answer(target, read, live)

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: None) -> Plan:
        """No step: it is done once the condition is true, or the time is over."""
        found = dict(scope.values.get("lookup", {}))
        for name, target in self.lookups.items():
            found[name] = _answer(target, target.read(scope.child(lookup=dict(found))), live)
        seen = scope.child(lookup=found)
        met = self.until.condition(seen)
        left = 0.0 if met else self._seconds(scope) - cause.waited
        if left > 0:
            reason = plain(f"{shown(self.until.source)} is not true yet")
            return Plan(outcome=Waiting(reason, scope.now + min(PAUSE, left), Obstacle.CONDITION, scope.now + left))
        return Plan(outcome=Done({"met": met, "value": self._value(seen, met=met)}))

    def _value(self, seen: Scope, *, met: bool) -> Any:
        """What `value` gives. Raises EvaluationError where it should have an answer."""
        if self.value is None:
            return None
        try:
            return self.value.evaluate(seen)
        except EvaluationError:
            if met:
                raise
            return None

    def _seconds(self, scope: Scope) -> float:
        text = self.at_most.render(scope)
        try:
            return to_duration(str(text)).total_seconds()
        except Mismatch as fault:
            raise EvaluationError(f"atMost: {fault}") from None


def _answer(target: Lookup, read: Read, live: Answers) -> Any:
    """What `lookup.<name>` is: a list by a selector, else the object, or null where it is not there."""
    return list(live[read]) if target.by_selector else next(iter(live[read]), None)
