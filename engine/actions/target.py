"""Which object an action is about: what users write under `target`, and what it resolves to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import model_validator

from engine.actions.base import Need
from engine.cel import Compiler, Path, Scope, Template
from engine.cel.uses import in_order, refuse_circles, uses, with_vars
from engine.errors import EvaluationError
from engine.model.names import bad_label, misnamed
from engine.model.objects import Kind, Ref, metadata
from engine.model.outcome import Obstacle, Waiting
from engine.model.plan import Read
from engine.model.spec import Spec

MISSING_WAIT = 5.0
"""Seconds until a target that is not there is read again."""


class TargetSpec(Spec):
    """The object to act on. Every string may hold `${…}`."""

    api_version: str
    """apiVersion of the target, such as `v1` or `apps/v1`."""
    kind: str
    """Kind of the target, such as `Pod`."""
    namespace: str = ""
    """Namespace of the target; the watched object's own where it is left out."""
    name: str | None = None
    """Name of the target; either this or `labelSelector`."""
    label_selector: dict[str, str] | None = None
    """Labels that all targets carry, with their values; either this or `name`."""

    @model_validator(mode="after")
    def _one_way_to_pick(self) -> Self:
        if (self.name is None) == (self.label_selector is None):
            raise ValueError("a target has either name or labelSelector")
        return self


WATCHED = TargetSpec.model_validate({
    "apiVersion": "${object.apiVersion}", "kind": "${object.kind}", "name": "${object.metadata.name}",
})  # fmt: skip
"""The watched object, as the default of `target`; of an aggregate the group's target. A pack puts its kind in place."""


@dataclass(frozen=True, slots=True)
class Target:
    """A compiled target; `kind` is None where only the running rule knows it."""

    kind: Kind | None
    by_selector: bool
    fields: Template

    @classmethod
    def compile(cls, spec: TargetSpec, compiler: Compiler, path: Path) -> Self:
        """Compile `target` at a path; faults go to the compiler."""
        known = "${" not in spec.api_version + spec.kind
        fields = compiler.template(spec.model_dump(by_alias=True, exclude_none=True), path)
        return cls(Kind(spec.api_version, spec.kind) if known else None, spec.label_selector is not None, fields)

    @classmethod
    def compile_all(cls, specs: Mapping[str, TargetSpec], compiler: Compiler, path: Path) -> dict[str, Self]:
        """Compile what is written under `lookup` at a path; return the targets in the order in which they are to be read.

        Each comes after those that it uses, as `lookup.<name>`; of others, one object comes before a list, which costs more.
        """
        targets = {name: cls.compile(spec, compiler, (*path, name)) for name, spec in specs.items()}
        written = {name: target.fields.programs for name, target in targets.items()}
        refuse_circles("lookup", uses(written, "lookup"), targets, compiler, path)
        cheapest = sorted(targets, key=lambda name: (targets[name].by_selector, name))
        needed = {name: with_vars(written[name], compiler.vars) for name in cheapest}
        return {name: targets[name] for name in in_order(uses(needed, "lookup"))}

    def needs(self, *verbs: str) -> list[Need]:
        """The rights to read it and for these verbs on it."""
        return [Need(self.kind, verb) for verb in ("list" if self.by_selector else "get", *verbs)]

    def listing(self) -> list[Need]:
        """The right to list all objects of its kind."""
        return [Need(self.kind, "list")]

    def read(self, scope: Scope) -> Read:
        """What it resolves to now. Raises EvaluationError where a name is none that the API server would take."""
        fields: Mapping[str, Any] = self.fields.render(scope)
        own = str(metadata(scope.value("object")).get("namespace") or "")
        kind = Kind(str(fields["apiVersion"]), str(fields["kind"]))
        ref = Ref(kind, str(fields.get("namespace") or own), str(fields.get("name", "")))
        selector = fields.get("labelSelector")
        problem = misnamed(ref if selector is None else Ref(kind, ref.namespace, "any"))
        if problem:
            raise EvaluationError(f"target {problem}")
        if selector is None:
            return Read(ref)
        for key, value in selector.items():
            if problem := bad_label(key, value):
                raise EvaluationError(f"target {problem}")
        return Read(ref, ",".join(f"{key}={value}" for key, value in sorted(selector.items())))


def missing(read: Read, scope: Scope) -> Waiting:
    """Return what becomes of a target that is not there: it may be on its way, or be replaced, so it has some time."""
    what = str(read.ref) if read.label_selector is None else f"{read.ref}(labels {read.label_selector})"
    return Waiting(f"{what} not found", scope.now + MISSING_WAIT, Obstacle.TARGET_MISSING)
