"""The action `scale`: set how many replicas an object wants."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from engine.actions.base import Body, Cause, MetadataWrite, Need
from engine.actions.target import WATCHED, Target, TargetSpec, missing
from engine.cel import Compiler, Path, Scope, Template
from engine.cel.types import INT, Type
from engine.errors import EvaluationError
from engine.model.merge import changes
from engine.model.objects import ref_of
from engine.model.outcome import Done
from engine.model.plan import Answers, Patch, Plan, Read
from engine.model.spec import Spec

MOST = 2**31 - 1
"""`replicas` is an int32. Source: kubernetes, api/apps/v1, DeploymentSpec."""


class ScaleSpec(Spec):
    """Set `spec.replicas`. Nothing is written where it is as wanted; a HorizontalPodAutoscaler of the object would undo it."""

    target: TargetSpec = WATCHED
    """The object to scale; the watched object where it is left out, which `targets` has to allow as well."""
    replicas: int | str
    """How many: a whole number from 0 on, or `${…}` that gives one, which may read `target`, the object as it is now."""


@dataclass(frozen=True, slots=True)
class ScaleAction:
    """`scale`."""

    target: Target
    replicas: Template

    name: ClassVar[str] = "scale"
    Schema: ClassVar[type[Spec]] = ScaleSpec
    written: ClassVar[frozenset[str]] = frozenset({"replicas"})
    notifies: ClassVar[bool] = False
    gives: ClassVar[Mapping[str, Type]] = {"changed": INT}

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile the spec; faults go to the compiler."""
        fixed = isinstance(spec.replicas, int) or not spec.replicas.lstrip().startswith("${")
        if fixed and not (isinstance(spec.replicas, int) and 0 <= spec.replicas <= MOST):
            compiler.fault(
                (*path, "replicas"), f"{spec.replicas!r} is no number of replicas", "a whole number from 0 on, or ${…}"
            )
        replicas = compiler.template(spec.replicas, (*path, "replicas"), ("target",))
        return cls(Target.compile(spec.target, compiler, (*path, "target")), replicas)

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield the one field."""
        target = spec.get("target")
        if "replicas" in spec:
            yield MetadataWrite(
                target if isinstance(target, Mapping) else None, "fields", (), {"replicas": spec["replicas"]}, "spec."
            )

    @classmethod
    def bodies(cls, spec: Mapping[str, Any]) -> Iterator[Body]:
        """Yield nothing: it is one number."""
        return iter(())

    def needs(self) -> Sequence[Need]:
        """get (or list) and patch on the target."""
        return self.target.needs("patch")

    def writes_own(self) -> bool:
        """Return False: it writes no metadata of the watched object."""
        return False

    def repeated(self, counters: Collection[str]) -> str:
        """Return that it changes objects."""
        return f"changes objects by {self.name}"

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """The target."""
        return (self.target.read(scope),)

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: None) -> Plan:
        """Return one patch of each target that wants another number."""
        read = self.target.read(scope)
        if not live[read] and read.label_selector is None:
            return Plan(outcome=missing(read, scope))
        steps = []
        for found in live[read]:
            body = {"spec": {"replicas": self._wanted(scope.child(target=found))}}
            if changes(found, body):
                steps.append(Patch(ref_of(found), body, before=found))
        return Plan(steps, Done({"changed": len(steps)}), len(steps))

    def _wanted(self, scope: Scope) -> int:
        number = self.replicas.render(scope)
        if type(number) is not int or not 0 <= number <= MOST:
            raise EvaluationError(f"replicas is {number!r}; expected a whole number from 0 on")
        return number
