"""Which object an action is about: what users write under `target`, and what it resolves to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import model_validator

from engine.actions.base import Need
from engine.cel import Compiler, Path, Scope, Template
from engine.errors import EvaluationError
from engine.model.labels import LabelSelector, selector_text
from engine.model.names import misnamed
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
    label_selector: LabelSelector | None = None
    """Labels that all targets carry, with their values, or `matchLabels` and `matchExpressions`; `{}` selects all objects of the
    namespace. Either this or `name`."""

    @model_validator(mode="after")
    def _one_way_to_pick(self) -> Self:
        if self.name is not None and self.label_selector is not None:
            raise ValueError("name and labelSelector stand here together; expected one of both")
        if self.name is None and self.label_selector is None:
            problem = "neither name nor labelSelector stands here; expected one of both (labelSelector: {} is all objects)"
            raise ValueError(problem)
        return self


WATCHED = TargetSpec.model_validate({
    "apiVersion": "${object.apiVersion}", "kind": "${object.kind}", "name": "${object.metadata.name}",
})  # fmt: skip
"""The watched object, as the default of `target`; of an aggregate the group's target. A pack puts its kind in place."""


@dataclass(frozen=True, slots=True)
class Target:
    """A compiled target; `kind` is None where only the running rule knows it.

    `place` is the namespace as it is written, '' for the watched object's own, None where only the running rule knows it.
    """

    kind: Kind | None
    by_selector: bool
    fields: Template
    place: str | None

    @classmethod
    def compile(cls, spec: TargetSpec, compiler: Compiler, path: Path) -> Self:
        """Compile `target` at a path; faults go to the compiler."""
        return cls(*cls.parts(spec, spec.model_dump(by_alias=True, exclude_none=True), compiler, path))

    @staticmethod
    def parts(
        spec: TargetSpec, fields: Mapping[str, Any], compiler: Compiler, path: Path
    ) -> tuple[Kind | None, bool, Template, str | None]:
        """Return the kind, whether it selects by labels, the compiled fields, and the namespace as `place` has it."""
        known = "${" not in spec.api_version + spec.kind
        kind = Kind(spec.api_version, spec.kind) if known else None
        place = None if "${" in spec.namespace else spec.namespace
        return kind, spec.label_selector is not None, compiler.template(fields, path), place

    def needs(self, *verbs: str) -> list[Need]:
        """The rights to read it and for these verbs on it."""
        return [Need(self.kind, verb) for verb in ("list" if self.by_selector else "get", *verbs)]

    def listing(self) -> list[Need]:
        """The right to list all objects of its kind."""
        return [Need(self.kind, "list")]

    def read(self, scope: Scope) -> Read:
        """What it resolves to now. Raises EvaluationError where a name is none that the API server would take."""
        return self.placed(self.fields.render(scope), scope)

    @staticmethod
    def placed(fields: Mapping[str, Any], scope: Scope) -> Read:
        """Return what rendered fields name. Raises EvaluationError where a name is none that the API server would take."""
        own = str(metadata(scope.value("object")).get("namespace") or "")
        kind = Kind(str(fields["apiVersion"]), str(fields["kind"]))
        ref = Ref(kind, str(fields.get("namespace") or own), str(fields.get("name", "")))
        selector = fields.get("labelSelector")
        problem = misnamed(ref if selector is None else Ref(kind, ref.namespace, "any"))
        if problem:
            raise EvaluationError(f"target {problem}")
        if selector is None:
            return Read(ref)
        try:
            return Read(ref, selector_text(selector))
        except ValueError as bad:
            raise EvaluationError(f"target {bad}") from None


def missing(read: Read, scope: Scope) -> Waiting:
    """Return what becomes of a target that is not there: it may be on its way, or be replaced, so it has some time."""
    what = str(read.ref) if read.label_selector is None else f"{read.ref}(labels {read.label_selector})"
    return Waiting(f"{what} not found", scope.now + MISSING_WAIT, Obstacle.TARGET_MISSING)
