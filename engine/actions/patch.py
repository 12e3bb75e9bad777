"""The action `patch`: change another object by a merge patch or a JSON patch, under a guard."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from jsonpointer import JsonPointer, JsonPointerException

from engine.actions.base import Body, Cause, MetadataWrite, Need, written_fields, written_parts
from engine.actions.target import WATCHED, Target, TargetSpec, missing
from engine.cel import Compiler, Path, Program, Scope, Template
from engine.cel.types import INT, Type
from engine.model.merge import changes
from engine.model.objects import Object, metadata, ref_of
from engine.model.outcome import Done, Waiting
from engine.model.plan import Answers, Patch, Plan, Read
from engine.model.spec import Spec
from engine.model.text import found as written
from engine.model.text import shown

GUARD_WAIT = 2.0


class PatchSpec(Spec):
    """Change an object. A merge patch that would change nothing is not sent."""

    target: TargetSpec = WATCHED
    """The object to change; the watched object where it is left out, which `targets` has to allow as well."""
    type: Literal["merge", "json"] = "merge"
    """`merge` (RFC 7386: null removes a key) or `json` (RFC 6902: a list of operations; needs a `guard`)."""
    patch: Any
    """The patch; every string may hold `${…}`, which may read `target`, the object as it is now."""
    subresource: Literal["status"] | None = None
    """`status`, for kinds whose status can only be changed on its own."""
    guard: str | None = None
    """CEL over the live `target`: while it is false nothing is written, and the target is read again."""
    done_when: str | None = None
    """CEL over the live `target`: where it is true the effect is already there, and nothing is written."""


#: The type of a patch -> what it is, in Python and in words, and how the other one is written.
_FORMS: Mapping[str, tuple[type, str, str]] = {
    "merge": (Mapping, "a mapping, such as {spec: {replicas: 2}}", "type: json for a list of operations"),
    "json": (list, "a list of operations, such as [{op: replace, path: /spec/replicas, value: 2}]", "no type for a merge patch"),
}


@dataclass(frozen=True, slots=True)
class PatchAction:
    """`patch`."""

    target: Target
    format: Literal["merge", "json"]
    body: Template
    subresource: Literal["", "status"]
    guard: Program | None
    done_when: Program | None

    name: ClassVar[str] = "patch"
    Schema: ClassVar[type[Spec]] = PatchSpec
    written: ClassVar[frozenset[str]] = frozenset({"patch"})
    notifies: ClassVar[bool] = False
    gives: ClassVar[Mapping[str, Type]] = {"changed": INT}

    @classmethod
    def compile(cls, spec: Any, compiler: Compiler, path: Path) -> Self:
        """Compile the spec; faults go to the compiler."""
        if spec.type == "json" and spec.guard is None:
            compiler.fault(
                (*path, "type"), "a json patch has no guard", "guard: a CEL condition over the live target", "unguarded-patch"
            )
        form, of_type, other = _FORMS[spec.type]
        if not isinstance(spec.patch, form) and not (isinstance(spec.patch, str) and spec.patch.startswith("${")):
            expected = f"{of_type}; {other}" if isinstance(spec.patch, (Mapping, list)) else of_type
            compiler.fault((*path, "patch"), f"{written(spec.patch)} is no {spec.type} patch", expected)
        extra = ("target",)
        return cls(
            Target.compile(spec.target, compiler, (*path, "target")),
            spec.type,
            compiler.template(spec.patch, (*path, "patch"), extra),
            spec.subresource or "",
            None if spec.guard is None else compiler.program(spec.guard, (*path, "guard"), extra),
            None if spec.done_when is None else compiler.program(spec.done_when, (*path, "doneWhen"), extra),
        )

    @classmethod
    def metadata(cls, spec: Mapping[str, Any]) -> Iterator[MetadataWrite]:
        """Yield what a merge patch says."""
        patch = spec.get("patch")
        if spec.get("type", "merge") == "merge" and isinstance(patch, Mapping):
            yield from written_parts(spec, patch.get("metadata"), ("patch", "metadata"))
            yield from written_fields(spec, patch, ("patch",))

    @classmethod
    def bodies(cls, spec: Mapping[str, Any]) -> Iterator[Body]:
        """Yield a merge patch, or what each operation of a JSON patch is about."""
        patch, target = spec.get("patch"), spec.get("target") if isinstance(spec.get("target"), Mapping) else None
        if spec.get("type", "merge") == "merge" and isinstance(patch, Mapping):
            yield Body(target, ("patch",), patch)
        if spec.get("type") == "json" and isinstance(patch, list):
            named = ((index, _named(operation)) for index, operation in enumerate(patch))
            yield from (Body(target, ("patch", index, "path"), value) for index, value in named if value)

    def needs(self) -> Sequence[Need]:
        """get (or list) and patch on the target, or on its status."""
        return self.target.needs("patch/status" if self.subresource else "patch")

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
        """One patch of each target where the effect is not there yet and the guard lets it through."""
        read = self.target.read(scope)
        if not live[read] and read.label_selector is None:
            return Plan(outcome=missing(read, scope))
        steps: list[Patch] = []
        unmet = ""
        for found in live[read]:
            seen = scope.child(target=found)
            if self.done_when is not None and self.done_when.condition(seen):
                continue
            if self.guard is not None and not self.guard.condition(seen):
                unmet = unmet or f"{ref_of(found)} does not meet the guard yet: {shown(self.guard.source)}"
                continue
            body = self.body.render(seen)
            if self.format == "json" or changes(found, body):
                steps.append(
                    Patch(ref_of(found), body, self.format, self._seen(found), before=found, subresource=self.subresource)
                )
        if unmet:
            return Plan(steps, Waiting(unmet, scope.now + GUARD_WAIT), len(steps))
        return Plan(steps, Done({"changed": len(steps)}), len(steps))

    def _seen(self, found: Object) -> str:
        """A condition that was checked holds only for the resourceVersion that it saw."""
        conditional = self.guard is not None or self.done_when is not None
        return str(metadata(found).get("resourceVersion", "")) if conditional else ""


def _named(operation: Any) -> dict[str, Any]:
    """Return the smallest object with the field that an operation of a JSON patch names; {} for one that is in a list."""
    pointer = operation.get("path") if isinstance(operation, Mapping) else None
    if not isinstance(pointer, str) or "${" in pointer:
        return {}
    try:
        steps = JsonPointer(pointer).parts
    except JsonPointerException:
        return {}
    value = operation.get("value")
    for step in reversed(steps):
        value = {step: value}
    return value if steps and not any(step == "-" or step.isdecimal() for step in steps) else {}
