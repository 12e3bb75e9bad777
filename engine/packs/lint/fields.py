"""The checks of types: fields that kinds do not have, and values that operators, functions and conditions do not take."""

from __future__ import annotations

from collections.abc import Iterator

from engine.cel.checker import Checker, Missing
from engine.cel.syntax import Expression, Literal
from engine.cel.types import Type
from engine.errors import Fault, Location
from engine.model.text import suggestion
from engine.packs.lint.base import Check, Severity, Subject, location_of
from engine.packs.lint.bodies import misfits
from engine.packs.lint.scope import checked, kind_type
from engine.packs.watches import watch_path


def missing_of(kind: Type, path: tuple[str, ...]) -> list[Missing]:
    """Return what objects of this type lack on a path."""
    checker = Checker(Expression("", Literal(0, 0, None), 0), {})
    checker.descend(kind, path, 0, ("object",))
    return checker.missing


class UnknownField(Check):
    """An expression reads a field that the kind does not have, or a patch or a manifest writes one.

    Such as `object.status.phse`: it is never there, so a condition on it is Unknown for ever. The same goes for a path that leads
    below a text or a list: in `fields`, `get` and `jmespath`, a key with dots stands in brackets, as in
    `metadata.annotations['example.com/owner']`. Of what is written, the API server drops such a field, or refuses the whole
    object. Kubernetes' own kinds are known; definitions of others are given with `--crds DIR`, or read from a cluster with
    `--kubeconfig`. Kinds without a definition are not checked. Fields below `params`, `inputs`, `results` and the like are
    checked too.
    """

    name = "unknown-field"
    severity = Severity.ERROR

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for every such field of every expression, of `watch.fields`, and of what is written."""
        for parsed in subject.packs:
            for number, (kind, watch) in enumerate(parsed.pack.watches.items()):
                for index, path in enumerate(watch.fields):
                    location = parsed.document.locate((*watch_path(parsed.document, number), "fields", index))
                    found = missing_of(kind_type(subject, kind), path)
                    yield from (self._missing(kind.kind, missing, location) for missing in found)
            for misfit in misfits(subject, parsed):
                if misfit.unknown:
                    yield self.fault(parsed.document.locate_key(misfit.path), misfit.message, misfit.expected)
            for each in checked(subject, parsed):
                names = {"object": each.watched, "oldObject": each.watched, "target": each.target}
                for missing in each.checker.missing:
                    location = location_of(parsed, each.expression, missing.offset)
                    yield self._missing(names.get(missing.root, missing.root), missing, location)

    def _missing(self, what: str, missing: Missing, location: Location) -> Fault:
        message = f"{what} has no field {'.'.join(missing.path)}"
        return self.fault(location, message, missing.expected or suggestion(missing.path[-1], missing.known))


class WrongType(Check):
    """The types in an expression do not fit, so that it is false for ever, or never has an answer; or a value that is written.

    Such as `object.spec.replicas == '3'`, where the field is an integer, or a `when` that is no condition at all. The types are
    those of the kinds (see `unknown-field`), of the schemas of `params` and `inputs`, and of the functions. The same goes for
    what a patch or a manifest writes: the API server refuses `replicas: three`, and an annotation `x: 5`. A field with
    `format: date-time` is a time as well as its text; of any other text, write `timestamp(…)`.
    """

    name = "wrong-type"
    severity = Severity.ERROR

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for everything that does not fit."""
        for parsed in subject.packs:
            for misfit in misfits(subject, parsed):
                if not misfit.unknown:
                    yield self.fault(parsed.document.locate(misfit.path), misfit.message, misfit.expected)
            for each in checked(subject, parsed):
                for found in each.checker.faults:
                    yield self.fault(location_of(parsed, each.expression, found.offset), found.message, found.expected)
