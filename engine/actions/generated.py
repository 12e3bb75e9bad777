"""What `apply` with `prune` generates: how it is seen, and how it is removed again, which no pack writes itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from engine.actions.base import Cause, Need
from engine.actions.lookup import Lookup
from engine.actions.target import Target
from engine.cel import Scope
from engine.model.generated import PACK
from engine.model.objects import Kind, Object, Ref, ref_of, version_of
from engine.model.outcome import Obstacle, Waiting
from engine.model.plan import Answers, Delete, LookupWatch, Plan, Read

SUSPENDED_WAIT = 30.0
"""Seconds until a removal that is suspended is decided again, so that it goes on soon after somebody resumes it."""


@dataclass(frozen=True, slots=True)
class Generates(Lookup):
    """The objects of a kind that an action generates, followed as a lookup is; `read` is of the one that it is to make."""

    @classmethod
    def of_target(cls, target: Target) -> Self:
        """Return what is followed for an action with this target."""
        watch = None if target.kind is None else watch_of(target.kind)
        return cls(target.kind, False, target.fields, target.place, watch=watch)


def watch_of(kind: Kind) -> LookupWatch:
    """Return what is watched: everything of a kind that any rule has generated."""
    return LookupWatch(kind, "", PACK)


def read_of(kind: Kind, selector: str) -> Read:
    """Return the read of the objects of a kind, in all namespaces, that carry some labels and are generated."""
    return Read(Ref(kind, "", ""), selector, watch=watch_of(kind))


@dataclass(frozen=True, slots=True)
class Removal:
    """Remove generated objects whose reason is gone, each only as it was seen; or wait, where `suspended` says why."""

    objects: Sequence[Object]
    suspended: str = ""

    name: ClassVar[str] = "apply"
    notifies: ClassVar[bool] = False

    def needs(self) -> Sequence[Need]:
        """Return nothing: the action that generates says what it takes to remove."""
        return ()

    def writes_own(self) -> bool:
        """Return False."""
        return False

    def repeated(self, counters: Collection[str]) -> str:
        """Return '': what is gone cannot be removed again."""
        return ""

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """Return nothing: the API server compares the resourceVersion."""
        return ()

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: None) -> Plan:
        """Return one deletion for each object."""
        if self.suspended:
            return Plan(outcome=Waiting(self.suspended, scope.now + SUSPENDED_WAIT, Obstacle.SUSPENDED))
        steps = [Delete(ref_of(obj), resource_version=version_of(obj)) for obj in self.objects]
        return Plan(steps, targets=len(steps))
