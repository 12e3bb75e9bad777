"""What a rule looks up: one object by name, or those that selectors pick, and whether changes of it are followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Discriminator, Tag, field_validator, model_validator

from engine.actions.base import Need
from engine.actions.target import Target, TargetSpec
from engine.cel import Compiler, Path, Scope
from engine.cel.template import split
from engine.cel.uses import in_order, refuse_circles, uses, with_vars
from engine.errors import EvaluationError, ExpressionError
from engine.model.fieldselectors import field_terms, of_name
from engine.model.labels import LabelSelector, selector_text
from engine.model.objects import NAMESPACE, SECRET, Kind
from engine.model.plan import LookupWatch, Read
from engine.model.selectable import FIELDS
from engine.model.text import shown

_COMPUTED = "\0"
"""Stands for each `${…}` where the rest of a text is parsed; no YAML has it."""


def _form(selector: Any) -> str:
    return "<text>" if isinstance(selector, str) else "<fields>"


FieldSelector = Annotated[Annotated[dict[str, str], Tag("<fields>")] | Annotated[str, Tag("<text>")], Discriminator(_form)]
"""Fields with their values, or a text as kubectl takes it."""


class LookupSpec(TargetSpec):
    """Other objects to read. Every string may hold `${…}`.

    Where `targets` grant `list` and `watch` on the kind, they are followed: the rule is evaluated again when what it looked up
    has changed, and when a selector begins or ceases to select an object. Otherwise they are read when the rule is evaluated.
    """

    namespace_selector: LabelSelector | None = None
    """Objects of all namespaces with these labels, in place of `namespace`; `{}` selects all namespaces.

    `targets` must grant `list` on Namespaces too, and `watch` for it to be followed.
    """
    field_selector: FieldSelector | None = None
    """Fields with their values, or a text such as `status.phase!=Running,spec.nodeName=one`, beside `labelSelector`, which may be
    `{}`: those by which the API server can select the kind.

    Of Events these are `involvedObject.name`, `.uid` and the like, `reason` and `type`; of a kind that a
    CustomResourceDefinition adds, its `selectableFields`; of each kind `metadata.name`.
    """
    live: bool | None = None
    """`true` reads at each evaluation, and follows nothing. `false` says that an answer may be some seconds old.

    A Secret whose name holds `${…}` is read live unless this is `false`: the engine would have to hold all of them.
    """

    @field_validator("field_selector")
    @classmethod
    def _selects_by_fields(cls, selector: dict[str, str] | str | None) -> dict[str, str] | str | None:
        for field in selector if isinstance(selector, dict) else ():
            if "${" in field or field.endswith("!"):
                raise ValueError(f"{field} is no field; expected its path, such as status.phase")
        try:
            terms = list(field_terms(_literal(selector)))
        except ValueError as bad:
            problem = f"'{str(bad).replace(_COMPUTED, '${…}')}' is no field with a value"
            raise ValueError(f"{problem}; expected field=value, field==value or field!=value, without spaces") from None
        if any(_COMPUTED in term.field for term in terms):
            raise ValueError("a field is computed; expected its path, such as status.phase")
        return selector

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
    field_selector: str = ""
    """As it is written, with a sign in place of each `${…}`."""

    @classmethod
    def of(cls, name: str, spec: LookupSpec, compiler: Compiler, path: Path) -> Self:
        """Compile `lookup.<name>` at a path; faults go to the compiler."""
        fields = spec.model_dump(by_alias=True, exclude_none=True, exclude={"live"})
        kind, by_selector, template, namespace = Target.parts(spec, fields, compiler, path)
        literal = _literal(spec.field_selector)
        known = None if kind is None else FIELDS.get(kind)
        for term in field_terms(literal):
            if kind is not None and known is not None and term.field not in known:
                place = (*path, "fieldSelector", *([term.field] if isinstance(spec.field_selector, dict) else []))
                problem = f"the API server does not select {kind.kind} objects by {term.field}"
                compiler.fault(place, problem, " or ".join(sorted(known)))
        across = spec.namespace_selector is not None
        namespace = None if across else namespace
        return cls(kind, by_selector, template, namespace, name, spec.live, _watch(spec, fields), across, literal)

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
        read = self.placed(fields, scope)._replace(watch=self.watch, fields=self._selected(fields.get("fieldSelector")))
        if (namespaces := fields.get("namespaceSelector")) is None:
            return read
        try:
            return read._replace(ref=read.ref._replace(namespace=""), namespaces=selector_text(namespaces))
        except ValueError as problem:
            raise EvaluationError(f"target {problem}") from None

    def _selected(self, selector: Mapping[str, Any] | str | None) -> str:
        """Return a rendered field selector. Raises EvaluationError for a computed value that would change what it selects."""
        for field, value in selector.items() if isinstance(selector, Mapping) else ():
            if not isinstance(value, str):
                raise EvaluationError(f"fieldSelector: {field} is {shown(value)}, expected a text")
        text = _joined(selector)
        if any(text.count(each) != self.field_selector.count(each) for each in ",=\\"):
            raise EvaluationError(f"fieldSelector is {shown(text)}, expected `${{…}}` to be a text without , = and \\ there")
        return ",".join(map(str, field_terms(text)))


def _joined(selector: Mapping[str, str] | str | None) -> str:
    return ",".join(f"{field}={value}" for field, value in selector.items()) if isinstance(selector, Mapping) else selector or ""


def _literal(selector: Mapping[str, str] | str | None) -> str:
    """Return a field selector with a sign in place of each `${…}`; '' where one has no end, which its compiler says."""
    try:
        return "".join(_COMPUTED if part.expression else part.text for part in split(_joined(selector)))
    except ExpressionError:
        return ""


def _watch(spec: LookupSpec, fields: dict[str, Any]) -> LookupWatch | None:
    """What an informer holds, by as much as is known before the rule runs; all of the kind where that is nothing."""
    computed = "${" in str(spec.name)
    kind = Kind(spec.api_version, spec.kind)
    if spec.live or "${" in spec.api_version + spec.kind or (kind == SECRET and computed and spec.live is None):
        return None
    labels = {} if spec.label_selector is None or "${" in str(fields["labelSelector"]) else fields["labelSelector"]
    try:
        text = selector_text(labels)
    except ValueError:  # said where the rule runs
        text = ""
    namespace = "" if "${" in spec.namespace else spec.namespace
    terms = sorted(str(term) for term in field_terms(_literal(spec.field_selector)) if _COMPUTED not in term.value)
    return LookupWatch(kind, namespace, text, ",".join(terms) if spec.name is None or computed else of_name(spec.name))
