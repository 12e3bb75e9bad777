"""The applications of another user interface, whose proxy knows its users and names the application that each of them may see."""

from __future__ import annotations

from typing import NamedTuple

from engine.cel import Program, Scope, backend
from engine.errors import EvaluationError, ExpressionError, UsageError
from engine.model.mappings import is_mapping
from engine.model.objects import Kind, Object
from engine.packs.libraries import shipped_libraries

VARIABLE = "application"
_OPTIONS = "--extension-header", "--extension-kind", "--extension-objects"


class Named(NamedTuple):
    """An object as an application names it, in whatever version."""

    group: str
    kind: str
    namespace: str
    name: str


class Applications(NamedTuple):
    """How a proxy names an application, of which kind that is, and which objects are part of it."""

    header: str
    """Holds NAMESPACE:NAME."""
    kind: Kind
    objects: Program
    """Gives a list of {group, kind, namespace, name}; what has no group or namespace may leave it out."""

    def objects_of(self, application: Object) -> frozenset[Named]:
        """Return the objects of an application. Raises EvaluationError."""
        found = self.objects.evaluate(Scope({VARIABLE: application}))
        if not isinstance(found, list):
            raise EvaluationError(f"{_OPTIONS[2]} gives no list")
        return frozenset(Named(*(str(each.get(field) or "") for field in Named._fields)) for each in found if is_mapping(each))


def parse_applications(header: str, kind: str, objects: str) -> Applications | None:
    """Return what these three options say, None where none is given. Raises UsageError."""
    given = header, kind, objects
    if not any(given):
        return None
    missing = [option for option, value in zip(_OPTIONS, given, strict=True) if not value]
    if missing:
        raise UsageError(f"{' and '.join(missing)} missing: {', '.join(_OPTIONS)} belong together; give all of them, or none")
    name, _, api_version = kind.partition(".")
    if not name or not api_version:
        raise UsageError(f"--extension-kind {kind!r}: expected KIND.APIVERSION, such as Deployment.apps/v1")
    try:
        program = backend().linked(shipped_libraries().functions).compile(objects, {VARIABLE})
    except ExpressionError as fault:
        raise UsageError(f"--extension-objects, {fault}") from fault
    return Applications(header, Kind(api_version, name), program)
