"""The action `delete`: remove one object or those that a selector picks, a few at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from engine.actions.base import Cause, MetadataWrite, Need
from engine.actions.target import Target, TargetSpec
from engine.cel import Compiler, Path, Program, Scope, Template
from engine.errors import Unanswered
from engine.model.objects import Object, dig, metadata, ref_of
from engine.model.plan import Decision, Delete, Read
from engine.model.spec import Spec

READY_WAIT = 1.0
CALM = 30.0


class DeleteSpec(Spec):
    """Remove objects. Each is removed only while it has the uid that was seen."""

    target: TargetSpec
    """The object, or the selector of the objects, to remove."""
    where: str | None = None
    """CEL over the live `target`: only those for which it is true are removed."""
    evict: bool = False
    """Ask the Eviction API, which honours PodDisruptionBudgets (pods only)."""
    max_unavailable: int | str | None = None
    """At most so many of what the selector picks may be missing or not Ready at a time; all go at once where left out."""


@dataclass(frozen=True, slots=True)
class DeleteAction:
    """`delete`."""

    target: Target
    where: Program | None
    evict: bool
    max_unavailable: Template | None

    name: ClassVar[str] = "delete"
    Schema: ClassVar[type[Spec]] = DeleteSpec
    written: ClassVar[frozenset[str]] = frozenset()
    conflict_is_final: ClassVar[bool] = False

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile the spec; faults go to the compiler."""
        limit = spec.max_unavailable
        return cls(
            Target.compile(spec.target, compiler, (*path, "target")),
            None if spec.where is None else compiler.program(spec.where, (*path, "where"), ("target",)),
            spec.evict,
            None if limit is None else compiler.template(limit, (*path, "maxUnavailable")),
        )

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield nothing: it writes no metadata."""
        return iter(())

    def needs(self) -> Sequence[Need]:
        """list (or get), and delete or evict."""
        return self.target.needs("evict" if self.evict else "delete")

    def writes_own(self) -> bool:
        """Return False: it writes no metadata of the watched object."""
        return False

    def repeated(self, counters: Collection[str]) -> str:
        """Return that it acts on another object."""
        return f"acts on another object by {self.name}"

    def reads(self, scope: Scope) -> Sequence[Read]:
        """The targets."""
        return (self.target.read(scope),)

    def plan(self, cause: Cause, scope: Scope, live: Mapping[Read, Sequence[Object]], memory: dict[str, Any]) -> Decision:
        """Remove as many as may be missing now; wait while there are more, or while replacements are not Ready."""
        present = live[self.target.read(scope)]
        doomed = [found for found in present if not _terminating(found) and self._picked(scope, found)]
        if self.max_unavailable is None:
            return self._remove(doomed, doomed)
        limit = self.max_unavailable.render(scope)
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise Unanswered(f"maxUnavailable is {limit!r}; expected a whole number of at least 1")
        missing = self._missing(present, float(scope.value("now").timestamp()), memory)
        allowed = max(0, limit - missing)
        idle = [found for found in doomed if not _ready(found)]  # nobody misses them: they go first, whatever the limit
        serving = [found for found in doomed if _ready(found)]
        if serving and not idle and not allowed:
            held_up = sorted(
                f"{metadata(found).get('name')} {'is terminating' if _terminating(found) else 'not Ready'}"
                for found in present
                if not _ready(found)
            )
            who = ", ".join(held_up[:5]) or "a replacement is not there yet"
            return Decision(wait=READY_WAIT, reason=f"{missing} of {memory['expected']} unavailable: {who}")
        return self._remove([*idle, *serving[:allowed]], doomed)

    def _picked(self, scope: Scope, found: Object) -> bool:
        return self.where is None or self.where.condition(scope.child(target=found))

    def _remove(self, now: Sequence[Object], doomed: Sequence[Object]) -> Decision:
        steps = [Delete(ref_of(found), self.evict) for found in now]
        left = len(doomed) - len(now)
        if left:
            return Decision(steps, wait=READY_WAIT, reason=f"{left} still to be removed", targets=len(doomed))
        return Decision(steps, targets=len(doomed), result={"deleted": len(now)})

    @staticmethod
    def _missing(present: Sequence[Object], now: float, memory: dict[str, Any]) -> int:
        """How many of the objects that were there at first are missing or not Ready.

        Where nothing is starting or terminating for half a minute, nobody is replacing what is missing (it was scaled
        down, say), and what is there counts as all there should be.
        """
        ready = sum(1 for found in present if _ready(found))
        moving = len(present) != ready
        state = (len(present), ready)
        if memory.get("state") != state or moving:
            memory["state"], memory["calm_since"] = state, now
        expected = max(memory.get("expected", 0), len(present))
        if not moving and now - memory["calm_since"] >= CALM:
            expected = ready
        memory["expected"] = expected
        return int(expected - ready)


def _terminating(found: Object) -> bool:
    return metadata(found).get("deletionTimestamp") is not None


def _ready(found: Object) -> bool:
    """A pod is ready by its condition; an object without conditions is ready where it is not going away."""
    conditions = dig(found, ("status", "conditions"), [])
    ready = [item.get("status") for item in conditions if isinstance(item, Mapping) and item.get("type") == "Ready"]
    known = ready[0] == "True" if ready else dig(found, ("kind",)) != "Pod"
    return known and not _terminating(found)
