"""What a rule looks up: one object by name, or those that selectors pick, and whether changes of it are followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import model_validator

from engine.actions.base import Need
from engine.actions.target import Target, TargetSpec
from engine.cel import Compiler, Path, Scope
from engine.cel.uses import in_order, refuse_circles, uses, with_vars
from engine.errors import EvaluationError
from engine.model.labels import LabelSelector, selector_text
from engine.model.objects import NAMESPACE, SECRET, Kind
from engine.model.plan import LookupWatch, Read
from engine.model.selectable import FIELDS
from engine.model.text import shown


class LookupSpec(TargetSpec):
    """Other objects to read. Every string may hold `${…}`.

    Where `targets` grant `list` and `watch` on the kind, they are followed: the rule is evaluated again when what it looked up
    has changed, and when a selector begins or ceases to select an object. Otherwise they are read when the rule is evaluated.
    """

    namespace_selector: LabelSelector | None = None
    """Objects of all namespaces with these labels, in place of `namespace`; `{}` selects all namespaces.

    `targets` must grant `list` on Namespaces too, and `watch` for it to be followed.
    """
    field_selector: dict[str, str] | None = None
    """Fields with their values, beside `labelSelector`, which may be `{}`: those by which the API server can select the kind.

    Of Events these are `involvedObject.name`, `.uid` and the like, `reason` and `type`; of a kind that a
    CustomResourceDefinition adds, its `selectableFields`; of each kind `metadata.name`. Such a lookup is read, and not followed.
    """
    live: bool | None = None
    """`true` reads at each evaluation, and follows nothing. `false` says that an answer may be some seconds old.

    A Secret whose name holds `${…}` is read live unless this is `false`: the engine would have to hold all of them.
    """

    @model_validator(mode="after")
    def _one_way_to_place(self) -> Self:
        if self.namespace_selector is not None and (self.namespace or self.label_selector is None):
            raise ValueError("namespaceSelector goes with labelSelector, and without namespace")
        if self.field_selector is not None and self.label_selector is None:
            raise ValueError("fieldSelector goes with labelSelector (labelSelector: {} is all objects)")
        return self


@dataclass(frozen=True, slots=True)
class Lookup(Target):
    """A compiled lookup. `watch` is what answers it, None where it is always read."""

    name: str = ""
    live: bool | None = None
    watch: LookupWatch | None = None
    selects_namespaces: bool = False
    selects_fields: bool = False

    @classmethod
    def of(cls, name: str, spec: LookupSpec, compiler: Compiler, path: Path) -> Self:
        """Compile `lookup.<name>` at a path; faults go to the compiler."""
        fields = spec.model_dump(by_alias=True, exclude_none=True, exclude={"live"})
        kind, by_selector, template = Target.parts(spec, fields, compiler, path)
        for field in spec.field_selector or ():
            known = None if kind is None or "${" in field else FIELDS.get(kind)
            if kind is not None and known is not None and field not in known:
                problem = f"the API server does not select {kind.kind} objects by {field}"
                compiler.fault((*path, "fieldSelector", field), problem, " or ".join(sorted(known)))
        across, by_fields = spec.namespace_selector is not None, spec.field_selector is not None
        return cls(kind, by_selector, template, name, spec.live, _watch(spec, fields), across, by_fields)

    @classmethod
    def compile_all(cls, specs: Mapping[str, LookupSpec], compiler: Compiler, path: Path) -> dict[str, Self]:
        """Compile what is written under `lookup` at a path; return the lookups in the order in which they are to be read.

        Each comes after those that it uses, as `lookup.<name>`; of others, one object comes before a list, which costs more.
        """
        lookups = {name: cls.of(name, spec, compiler, (*path, name)) for name, spec in specs.items()}
        written = {name: lookup.fields.programs for name, lookup in lookups.items()}
        refuse_circles("lookup", uses(written, "lookup"), lookups, compiler, path)
        cheapest = sorted(lookups, key=lambda name: (lookups[name].by_selector, name))
        needed = {name: with_vars(written[name], compiler.vars) for name in cheapest}
        return {name: lookups[name] for name in in_order(uses(needed, "lookup"))}

    def needs(self, *verbs: str) -> list[Need]:
        """The right to read it, which is that to follow it where the pack has that."""
        own = [need._replace(followed=self.watch is not None) for need in Target.needs(self, *verbs)]
        return [*own, Need(NAMESPACE, "list", followed=True)] if self.selects_namespaces else own

    def read(self, scope: Scope) -> Read:
        """What it resolves to now. Raises EvaluationError where a name is none that the API server would take."""
        fields = self.fields.render(scope)
        read = self.placed(fields, scope)._replace(watch=self.watch, fields=_fields_text(fields.get("fieldSelector") or {}))
        if (namespaces := fields.get("namespaceSelector")) is None:
            return read
        try:
            return read._replace(ref=read.ref._replace(namespace=""), namespaces=selector_text(namespaces))
        except ValueError as problem:
            raise EvaluationError(f"target {problem}") from None


def _fields_text(selector: Mapping[str, Any]) -> str:
    """Return a field selector in the form of a request. Raises EvaluationError for a value that would change its meaning.

    Source of the form: kubernetes, apimachinery/pkg/fields/selector.go.
    """
    for field, value in selector.items():
        if not isinstance(value, str) or set(value) & set(",=\\"):
            raise EvaluationError(f"fieldSelector: {field} is {shown(value)}, expected a text without , = and \\")
    return ",".join(f"{field}={value}" for field, value in selector.items())


def _watch(spec: LookupSpec, fields: dict[str, Any]) -> LookupWatch | None:
    """What an informer holds, by as much as is known before the rule runs; all of the kind where that is nothing."""
    computed = "${" in str(spec.name)
    kind = Kind(spec.api_version, spec.kind)
    if spec.field_selector is not None:
        return None
    if spec.live or "${" in spec.api_version + spec.kind or (kind == SECRET and computed and spec.live is None):
        return None
    labels = {} if spec.label_selector is None or "${" in str(fields["labelSelector"]) else fields["labelSelector"]
    try:
        text = selector_text(labels)
    except ValueError:  # said where the rule runs
        text = ""
    namespace = "" if "${" in spec.namespace else spec.namespace
    return LookupWatch(kind, namespace, text, "" if spec.name is None or computed else f"metadata.name={spec.name}")
