"""What tests do not show: errors that lint finds in packs under test, and objects of tests that no cluster would take so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.cel import Backend, Path
from engine.errors import Fault
from engine.model.objects import Kind
from engine.packs.kinds import instead_of, no_kind
from engine.packs.lint import CODES, Severity, lint
from engine.packs.lint.bodies import Comparison
from engine.testing.suite import Loaded, Suite


def lint_errors(loaded: Loaded, cel: Backend) -> list[Fault]:
    """Return what lint calls an error in the packs under test, without what was a fault while they were read."""
    _, faults = lint(loaded.texts, cel, libraries=loaded.libraries) if loaded.texts else (0, [])
    return [fault for fault in faults if CODES[fault.code].severity is Severity.ERROR and fault not in loaded.faults]


def unfit_objects(suite: Suite) -> list[Fault]:
    """Return what in the objects of a suite's tests does not fit Kubernetes' own kinds, and kinds that no cluster has."""
    declared = {Kind(each.api_version, each.kind) for each in suite.spec.kinds}
    faults = []
    for path, obj, applied in _objects(suite):
        kind = Kind(str(obj.get("apiVersion")), str(obj.get("kind")))
        if kind in declared:
            continue
        if expected := instead_of(kind):
            faults.append(Fault(suite.document.locate((*path, "kind")), no_kind(kind), expected))
        for misfit in Comparison(kind, {}).of_object(obj, path) if applied else ():
            at = suite.document.locate_key(misfit.path) if misfit.unknown else suite.document.locate(misfit.path)
            faults.append(Fault(at, misfit.message, misfit.expected))
    return faults


def _objects(suite: Suite) -> Iterator[tuple[Path, Mapping[str, Any], bool]]:
    """Yield the objects that the steps of a suite name, each with its path, and whether it is applied."""
    spec = suite.document.value["spec"]
    lists: list[tuple[Path, list[Any]]] = [(("spec", "setup"), spec.get("setup") or [])]
    lists += [(("spec", "tests", number, "steps"), case["steps"]) for number, case in enumerate(spec["tests"])]
    for path, steps in lists:
        for number, step in enumerate(steps):
            expected = step.get("expect") or {}
            here: Path = (*path, number)
            for key, value in (("apply", step.get("apply")), ("delete", step.get("delete"))):
                yield from ((*each, key == "apply") for each in _each(value, (*here, key)))
            for key in ("objects", "absent"):
                yield from ((*each, False) for each in _each(expected.get(key), (*here, "expect", key)))


def _each(value: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the objects of a value that is one, or a list of them; a text is the name of a file."""
    if isinstance(value, dict):
        yield path, value
    for index, item in enumerate(value) if isinstance(value, list) else ():
        if isinstance(item, dict):
            yield (*path, index), item
