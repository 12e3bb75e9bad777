"""The actions `annotate` and `label`: set or remove metadata, of the watched object or of another one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from engine.actions.base import Body, Cause, MetadataWrite, Need, written_parts
from engine.actions.target import Target, TargetSpec, missing
from engine.cel import Compiler, Path, Scope, Template
from engine.cel.types import INT, Type
from engine.errors import EvaluationError
from engine.model.merge import changes
from engine.model.names import bad_label
from engine.model.objects import Ref, ref_of
from engine.model.outcome import Done
from engine.model.plan import Annotate, Answers, Patch, Plan, Read
from engine.model.spec import Spec

ANNOTATIONS_LIMIT = 256 * 1024


Targets = Annotated[list[TargetSpec], Field(min_length=1, max_length=100)] | None


class AnnotateSpec(Spec):
    """Set annotations; null removes one. Nothing is written where they already are as wanted."""

    annotations: dict[str, Any]
    """Annotations by key; a value is a string that may hold `${…}`, or null to remove the key."""
    target: TargetSpec | None = None
    """The object to annotate; the watched object where it is left out."""
    targets: Targets = None
    """Several objects to annotate, in place of `target`."""


class LabelSpec(Spec):
    """Set labels; null removes one. Nothing is written where they already are as wanted."""

    labels: dict[str, Any]
    """Labels by key; a value is a string that may hold `${…}`, or null to remove the key."""
    target: TargetSpec | None = None
    """The object to label; the watched object where it is left out."""
    targets: Targets = None
    """Several objects to label, in place of `target`."""


@dataclass(frozen=True, slots=True)
class _Metadata:
    """What `annotate` and `label` have in common: a part of the metadata and what it should hold."""

    targets: Sequence[Target]
    values: Template

    name: ClassVar[str]
    Schema: ClassVar[type[Spec]]
    written: ClassVar[frozenset[str]]
    part: ClassVar[str]
    notifies: ClassVar[bool] = False
    gives: ClassVar[Mapping[str, Type]] = {"changed": INT}

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile the spec; faults go to the compiler."""
        if spec.target is not None and spec.targets is not None:
            compiler.fault((*path, "targets"), "target and targets stand here", "one of both")
        targets = [Target.compile(each, compiler, (*path, "targets", index)) for index, each in enumerate(spec.targets or ())]
        if spec.target is not None:
            targets.append(Target.compile(spec.target, compiler, (*path, "target")))
        return cls(tuple(targets), compiler.template(getattr(spec, cls.part), (*path, cls.part), ("target",)))

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield what the spec names."""
        return written_parts(spec, spec, ())

    @classmethod
    def bodies(cls, spec: Mapping[str, Any]) -> Iterator[Body]:
        """Yield nothing: its values become texts."""
        return iter(())

    def needs(self) -> Sequence[Need]:
        """get and patch on each target; the watched object's own metadata comes with the record."""
        return [need for target in self.targets for need in target.needs("patch")]

    def writes_own(self) -> bool:
        """Return whether it has no target: then it is about the watched object."""
        return not self.targets

    def repeated(self, counters: Collection[str]) -> str:
        """Return that it changes objects; the watched object's own metadata is written only where it differs."""
        return f"changes objects by {self.name}" if self.targets else ""

    def reads(self, scope: Scope, live: Answers) -> Iterable[Read]:
        """Each target, unless it is the watched object."""
        return [target.read(scope) for target in self.targets]

    def plan(self, cause: Cause, scope: Scope, live: Answers, state: None) -> Plan:
        """A patch of each target that differs, or metadata for the watched object's own patch."""
        if not self.targets:
            return Plan([Annotate(**{self.part: self._wanted(scope)})])
        reads = dict.fromkeys(target.read(scope) for target in self.targets)
        absent = next((read for read in reads if not live[read] and read.label_selector is None), None)
        steps: dict[Ref, Patch] = {}
        for found in (found for read in reads for found in live[read]):
            body = {"metadata": {self.part: self._wanted(scope.child(target=found))}}
            if changes(found, body):
                steps[ref_of(found)] = Patch(ref_of(found), body, before=found)
        outcome = Done({"changed": len(steps)}) if absent is None else missing(absent, scope)
        return Plan(list(steps.values()), outcome, len(steps))

    def _wanted(self, scope: Scope) -> dict[str, str | None]:
        wanted = {key: None if value is None else _text(value) for key, value in self.values.render(scope).items()}
        for key, text in wanted.items():
            if text is not None and (problem := _PROBLEM[self.part](key, text)):
                raise EvaluationError(problem)
        return wanted


class AnnotateAction(_Metadata):
    """`annotate`."""

    name: ClassVar[str] = "annotate"
    Schema: ClassVar[type[Spec]] = AnnotateSpec
    part: ClassVar[str] = "annotations"
    written: ClassVar[frozenset[str]] = frozenset({"annotations"})


class LabelAction(_Metadata):
    """`label`."""

    name: ClassVar[str] = "label"
    Schema: ClassVar[type[Spec]] = LabelSpec
    part: ClassVar[str] = "labels"
    written: ClassVar[frozenset[str]] = frozenset({"labels"})


def _too_long(key: str, value: str) -> str:
    """An object's annotations have a limit of 256 KiB (apimachinery/pkg/api/validation/objectmeta.go)."""
    size = len(value.encode())
    return (
        f"annotation {key} would have {size} bytes; at most {ANNOTATIONS_LIMIT} are possible" if size > ANNOTATIONS_LIMIT else ""
    )


_PROBLEM = {"annotations": _too_long, "labels": bad_label}


def _text(value: Any) -> str:
    """A typed value as annotation text; only scalars have one form that everybody expects."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise EvaluationError("an annotation or label is a string; wrap a list or mapping in toJson(…)")
