"""The action `assert`: go on only if another object is there and is as it should be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from engine.actions.base import Body, Cause, MetadataWrite, Need
from engine.actions.target import Target, TargetSpec, missing
from engine.cel import Compiler, Path, Program, Scope, Template
from engine.cel.types import Type
from engine.model.outcome import Refused
from engine.model.plan import Answers, Plan, Read
from engine.model.spec import Spec
from engine.model.text import plain


class AssertSpec(Spec):
    """Fail the rule's actions (and so go on with `rescue`) where the target is not there, or `that` is not true."""

    target: TargetSpec
    """The object that must be there; with a selector, at least one."""
    that: str | None = None
    """CEL over the live `target` that must be true of each."""
    message: str = "${target.kind} ${target.metadata.name} is not as the rule needs it"
    """What the failure says; may hold `${…}` and read `target`."""


@dataclass(frozen=True, slots=True)
class AssertAction:
    """`assert`."""

    target: Target
    that: Program | None
    message: Template

    name: ClassVar[str] = "assert"
    Schema: ClassVar[type[Spec]] = AssertSpec
    written: ClassVar[frozenset[str]] = frozenset()
    notifies: ClassVar[bool] = False
    gives: ClassVar[Mapping[str, Type]] = {}

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile the spec; faults go to the compiler."""
        return cls(
            Target.compile(spec.target, compiler, (*path, "target")),
            None if spec.that is None else compiler.program(spec.that, (*path, "that"), ("target",)),
            compiler.template(spec.message, (*path, "message"), ("target",)),
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
        """get or list on the target."""
        return self.target.needs()

    def writes_own(self) -> bool:
        """Return False: it writes no metadata of the watched object."""
        return False

    def repeated(self, counters: Collection[str]) -> str:
        """Return '': it only reads."""
        return ""

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """The target."""
        return (self.target.read(scope),)

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: None) -> Plan:
        """No step: either the rule goes on, or it is refused."""
        read = self.target.read(scope)
        if not live[read]:
            return Plan(outcome=missing(read, scope))
        for found in live[read]:
            seen = scope.child(target=found)
            if self.that is not None and not self.that.condition(seen):
                message = str(self.message.render(seen))
                return Plan(outcome=Refused(message if self.message.programs else plain(message)))
        return Plan()
