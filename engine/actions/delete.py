"""The action `delete`: remove one object or those that a selector picks, a few at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

from engine.actions.base import Body, Cause, MetadataWrite, Need
from engine.actions.target import WATCHED, Target, TargetSpec
from engine.cel import Compiler, Path, Program, Scope, Template
from engine.cel.types import INT, Type
from engine.errors import EvaluationError
from engine.model.objects import Object, dig, metadata, ref_of
from engine.model.outcome import Done, Waiting
from engine.model.plan import Answers, Delete, Plan, Propagation, Read
from engine.model.spec import Spec

READY_WAIT = 1.0
CALM = 30.0


class DeleteSpec(Spec):
    """Remove objects. Each is removed only while it has the uid that was seen.

    A clean-up finds all that has gathered when it is first in force: where more than `disruptionsPerMinute` (100) objects are to
    go, it removes these and is then suspended for the namespace until you resume it. Set the parameter higher before, or to 0.
    """

    target: TargetSpec = WATCHED
    """The object, or the selector of the objects, to remove; the watched object where it is left out. `targets` has to grant
    `get` and `delete` on it as well (`evict` instead of `delete` with `evict: true`)."""
    where: str | None = None
    """CEL over the live `target`: only those for which it is true are removed."""
    evict: bool = False
    """Ask the Eviction API, which honours PodDisruptionBudgets (pods only)."""
    propagation_policy: Propagation | None = None
    """What becomes of what the object owns: it goes after it (`Background`, the default), before it (`Foreground`), or stays
    (`Orphan`)."""
    max_unavailable: int | str | None = None
    """At most so many of what the selector picks may be missing or not Ready at a time; all go at once where left out."""
    desired: int | str | None = None
    """With `maxUnavailable`, how many there should be: what is missing is counted against that, whatever is left of them.

    Left out, it is the most that were there since the action began; what nobody replaces for half a minute counts no more.
    """


class Presence(NamedTuple):
    """How many objects the selector has picked, and how many of them are Ready, from one plan to the next.

    `expected` is how many there should be, `calm_since` when `present` or `ready` last changed or somebody was on the way.
    """

    present: int
    ready: int
    expected: int
    calm_since: float

    @classmethod
    def after(cls, before: Presence | None, objects: Sequence[Object], desired: int | None, now: float) -> Presence:
        """Return what holds of the objects that are there now, of which so many are `desired`; None: nobody says.

        Then, where nothing is starting or terminating for half a minute, nobody is replacing what is missing (it was scaled
        down, say), and what is there counts as all there should be.
        """
        present, ready = len(objects), sum(1 for found in objects if _ready(found))
        calm = present == ready and before is not None and (before.present, before.ready) == (present, ready)
        calm_since = before.calm_since if calm and before is not None else now
        expected = max(before.expected if before else 0, present) if desired is None else desired
        if desired is None and present == ready and now - calm_since >= CALM:
            expected = ready
        return cls(present, ready, expected, calm_since)

    @property
    def missing(self) -> int:
        """How many are missing or not Ready."""
        return self.expected - self.ready

    def unavailable(self, objects: Sequence[Object]) -> str:
        """Return who is not Ready, in words."""
        names = sorted(
            f"{metadata(found).get('name')} {'is terminating' if _terminating(found) else 'not Ready'}"
            for found in objects
            if not _ready(found)
        )
        return f"{self.missing} of {self.expected} unavailable: {', '.join(names[:5]) or 'a replacement is not there yet'}"


@dataclass(frozen=True, slots=True)
class DeleteAction:
    """`delete`."""

    target: Target
    where: Program | None
    evict: bool
    propagation: Propagation
    max_unavailable: Template | None
    desired: Template | None

    name: ClassVar[str] = "delete"
    Schema: ClassVar[type[Spec]] = DeleteSpec
    written: ClassVar[frozenset[str]] = frozenset()
    notifies: ClassVar[bool] = False
    gives: ClassVar[Mapping[str, Type]] = {"deleted": INT}

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile the spec; faults go to the compiler."""
        limit, desired = spec.max_unavailable, spec.desired
        if limit is None and desired is not None:
            compiler.fault((*path, "desired"), "desired without maxUnavailable", "maxUnavailable, how many may be missing")
        if spec.evict and spec.propagation_policy is not None:
            compiler.fault((*path, "propagationPolicy"), "propagationPolicy with evict", "one of both: a pod owns nothing")
        return cls(
            Target.compile(spec.target, compiler, (*path, "target")),
            None if spec.where is None else compiler.program(spec.where, (*path, "where"), ("target",)),
            spec.evict,
            spec.propagation_policy or "Background",
            None if limit is None else compiler.template(limit, (*path, "maxUnavailable")),
            None if desired is None else compiler.template(desired, (*path, "desired")),
        )

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield nothing: it writes no metadata."""
        return iter(())

    @classmethod
    def bodies(cls, spec: Mapping[str, Any]) -> Iterator[Body]:
        """Yield nothing: it writes no object that stands in the pack."""
        return iter(())

    def needs(self) -> Sequence[Need]:
        """list (or get), and delete or evict."""
        return self.target.needs("evict" if self.evict else "delete")

    def writes_own(self) -> bool:
        """Return False: it writes no metadata of the watched object."""
        return False

    def repeated(self, counters: Collection[str]) -> str:
        """Return that it changes objects."""
        return f"changes objects by {self.name}"

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """The targets."""
        return (self.target.read(scope),)

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: Presence | None) -> Plan:
        """Remove as many as may be missing now; wait while there are more, or while replacements are not Ready."""
        present = live[self.target.read(scope)]
        doomed = [found for found in present if not _terminating(found) and self._picked(scope, found)]
        if self.max_unavailable is None:
            return self._remove(doomed, doomed, scope)
        limit = _number(self.max_unavailable, "maxUnavailable", 1, scope)
        desired = None if self.desired is None else _number(self.desired, "desired", 0, scope)
        presence = Presence.after(state, present, desired, scope.now)
        allowed = max(0, limit - presence.missing)
        idle = [found for found in doomed if not _ready(found)]  # nobody misses them: they go first, whatever the limit
        serving = [found for found in doomed if _ready(found)]
        if serving and not idle and not allowed:
            return Plan(outcome=Waiting(presence.unavailable(present), scope.now + READY_WAIT), state=presence)
        return self._remove([*idle, *serving[:allowed]], doomed, scope)._replace(state=presence)

    def _picked(self, scope: Scope, found: Object) -> bool:
        return self.where is None or self.where.condition(scope.child(target=found))

    def _remove(self, now: Sequence[Object], doomed: Sequence[Object], scope: Scope) -> Plan:
        steps = [Delete(ref_of(found), self.evict, self.propagation) for found in now]
        left = len(doomed) - len(now)
        outcome = Waiting(f"{left} still to be removed", scope.now + READY_WAIT) if left else Done({"deleted": len(now)})
        return Plan(steps, outcome, len(doomed))


def _number(template: Template, name: str, least: int, scope: Scope) -> int:
    number = template.render(scope)
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise EvaluationError(f"{name} is {number!r}; expected a whole number of at least {least}")
    return number


def _terminating(found: Object) -> bool:
    return metadata(found).get("deletionTimestamp") is not None


def _ready(found: Object) -> bool:
    """A pod is ready by its condition; an object without conditions is ready where it is not going away."""
    conditions = dig(found, ("status", "conditions"), [])
    ready = [item.get("status") for item in conditions if isinstance(item, Mapping) and item.get("type") == "Ready"]
    known = ready[0] == "True" if ready else dig(found, ("kind",)) != "Pod"
    return known and not _terminating(found)
