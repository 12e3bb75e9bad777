"""What actions write on objects, compared with the type of the kind: unknown fields, and values that it does not take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from engine.actions import ACTIONS
from engine.actions.base import Body
from engine.cel import Path
from engine.cel.checker import union
from engine.cel.checker.advice import article
from engine.cel.checker.conversions import short_name
from engine.cel.checker.matching import comparable, members, named
from engine.cel.template import split
from engine.cel.types import BYTES, DOUBLE, DURATION, DYN, INT, NULL, STRING, TIMESTAMP, UINT, EnumType, ObjectType, Type
from engine.errors import ExpressionError
from engine.model.objects import Kind
from engine.model.text import found as described
from engine.model.text import one_of, suggestion
from engine.packs.kinds import built_in
from engine.packs.lint.base import Subject, raw_rules
from engine.packs.lint.scope import checked, kind_type
from engine.packs.parse import ParsedPack
from engine.packs.rule import Rule

QUANTITIES = frozenset([
    "allocatable", "allocatedResources", "averageValue", "capacity", "capacityMultiplier", "consumedCapacity", "counters",
    "default", "defaultRequest", "deviceMultiplier", "divisor", "hard", "limits", "max", "maxLimitRequestRatio",
    "maximumVolumeSize", "min", "overhead", "perContainer", "perPod", "podFixed", "quantity", "requests", "sizeLimit", "step",
    "tolerance", "used", "validValues",
])  # fmt: skip
"""Fields of quantities, or of maps that hold them: the API server takes a number there, though it only ever sends a text."""
METRIC_VALUE = ("target", "value")
"""The quantity of a metric of a HorizontalPodAutoscaler; other fields of that name are texts."""
_NUMBERS = (INT, UINT, DOUBLE)
_WRITTEN_AS_TEXT = (TIMESTAMP, DURATION, BYTES)


@dataclass(frozen=True, slots=True)
class Misfit:
    """What an action writes and the kind does not take: at a path of the document, a field that is `unknown`, or a value."""

    path: Path
    message: str
    expected: str
    unknown: bool = False


def misfits(subject: Subject, parsed: ParsedPack) -> Iterator[Misfit]:
    """Yield what the actions of a pack write and a kind does not take; of several watched kinds, what none of them takes."""
    given: dict[Path, list[Type]] = {}
    bodies = [
        (rule, path, body)
        for index, (rule, raw) in enumerate(zip(parsed.pack.rules, raw_rules(parsed), strict=True))
        for path, body in _bodies(("spec", "rules", index), raw)
    ]
    for each in checked(subject, parsed) if bodies else ():
        given.setdefault(each.expression.path, []).append(each.checker.type_of(each.expression.program.tree.root))
    for rule, path, body in bodies:
        yield from _of_subresource(parsed, path, body, _kinds(parsed, rule, body))
        found = [
            list(Comparison(kind, given).misfits(kind_type(subject, kind), body.value, path, ()))
            for kind in _kinds(parsed, rule, body)
        ]
        for misfit in found[0] if found else ():
            if all(misfit.path in [each.path for each in other] for other in found[1:]):
                yield misfit


def _bodies(path: Path, raw: Mapping[str, Any]) -> Iterator[tuple[Path, Body]]:
    """Yield what the actions of a rule write, with the path of it."""
    for part in ("actions", "rescue"):
        for number, entry in enumerate(raw.get(part) or ()):
            for name in entry.keys() & ACTIONS.keys() if isinstance(entry, Mapping) else ():
                spec = entry[name]
                for body in ACTIONS[name].bodies(spec) if isinstance(spec, Mapping) else ():
                    yield (*path, part, number, name, *body.path), body


def _of_subresource(parsed: ParsedPack, path: Path, body: Body, kinds: Sequence[Kind]) -> Iterator[Misfit]:
    """Yield what a patch of one of Kubernetes' own kinds writes, and the API server drops: a status, or all else of one."""
    match path:
        case ("spec", "rules", int(index), str(part), int(number), "patch", "patch") if all(map(built_in, kinds)) and kinds:
            of_status = "subresource" in raw_rules(parsed)[index][part][number]["patch"]
        case _:
            return
    for key in body.value.keys() & {"spec", "status"} if isinstance(body.value, Mapping) else ():
        if (key == "status") is not of_status:
            message = (
                f"the API server drops {key} of this patch, which {'is' if of_status else 'is not'} of the subresource status"
            )
            expected = "a patch of its own, without subresource" if of_status else "subresource: status beside patch"
            yield Misfit((*path, key), message, expected, unknown=True)


def _kinds(parsed: ParsedPack, rule: Rule, body: Body) -> Sequence[Kind]:
    if body.target is not None:
        return [Kind(str(body.target.get("apiVersion")), str(body.target.get("kind")))]
    if rule.aggregate is not None:
        return [rule.aggregate.target.kind] if rule.aggregate.target is not None and rule.aggregate.target.kind else []
    return parsed.pack.kinds(rule)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Compares values with the types of a kind; `given` has the types of expressions by their paths."""

    kind: Kind
    given: Mapping[Path, Sequence[Type]]

    def of_object(self, obj: Mapping[str, Any], path: Path) -> Iterator[Misfit]:
        """Yield what does not fit in a whole object of one of Kubernetes' own kinds at a path; nothing is known of others."""
        yield from self._inside(built_in(self.kind) or DYN, obj, path, ())

    def misfits(self, kind: Type, value: Any, path: Path, fields: tuple[str, ...]) -> Iterator[Misfit]:
        """Yield what does not fit in a value at a path, which is of these fields of the object."""
        if value is None:  # which removes the field
            return
        if _alone(value):
            kinds = [each for each in members(union(self.given.get(path, [DYN]))) if each != NULL]
            written = [STRING if each in _WRITTEN_AS_TEXT else each for each in kinds]
            amount = _is_quantity(fields) and any(each in _NUMBERS for each in written)
            if written and not amount and not any(comparable(kind, each) for each in written):
                yield Misfit(path, f"{'.'.join(fields)} of {self.kind.kind} is {article(union(written))}", _wanted(kind))
            return
        fitting = [member for member in members(kind) if _takes(member, value, fields)]
        if not fitting:
            yield Misfit(path, f"{'.'.join(fields)} of {self.kind.kind} is {described(value)}", _instead(kind, value, fields))
        elif len(fitting) == 1:
            yield from self._inside(fitting[0], value, path, fields)

    def _inside(self, kind: Type, value: Any, path: Path, fields: tuple[str, ...]) -> Iterator[Misfit]:
        """Yield what does not fit in the items or fields of a value."""
        if isinstance(value, list):
            parameters = getattr(kind, "parameters", ())
            for index, item in enumerate(value):
                yield from self.misfits(
                    parameters[0] if parameters else DYN, item, (*path, index), (*fields[:-1], f"{fields[-1]}[{index}]")
                )
        for key, item in value.items() if isinstance(value, Mapping) else ():
            here, inner = (*path, key), (*fields, str(key))
            if not isinstance(kind, ObjectType):
                parameters = getattr(kind, "parameters", ())
                yield from self.misfits(parameters[1] if parameters else DYN, item, here, inner)
            elif key in kind.fields:
                yield from self.misfits(kind.fields[key], item, here, inner)
            elif not kind.open and "${" not in str(key):
                message = f"{self.kind.kind} has no field {'.'.join(inner)}"
                yield Misfit(here, message, suggestion(str(key), sorted(kind.fields)), unknown=True)


def _alone(value: Any) -> bool:
    """Return whether a value is one `${…}` and nothing else: then it has the type of the expression."""
    if not isinstance(value, str) or "${" not in value:
        return False
    with suppress(ExpressionError):  # which is a fault of its own
        return [part.expression for part in split(value)] == [True]
    return True


def _takes(kind: Type, value: Any, fields: tuple[str, ...]) -> bool:
    """Return whether a field of a type takes a value, without what is inside of it."""
    name = getattr(named(kind), "name", DYN.name)
    if name == DYN.name:
        return True
    match value:
        case Mapping():
            return name == "map"
        case list():
            return name == "list"
        case bool():
            return name == "bool"
        case float() if name == INT.name and not value.is_integer():
            return False
        case int() | float():
            return name in [each.name for each in _NUMBERS] or (name == STRING.name and _is_quantity(fields))
        case str() if isinstance(kind, EnumType):
            return "${" in value or value in kind.values
    return name in (STRING.name, TIMESTAMP.name)


def _is_quantity(fields: tuple[str, ...]) -> bool:
    return not QUANTITIES.isdisjoint(fields) or fields[-2:] == METRIC_VALUE


def _wanted(kind: Type) -> str:
    return article(union(member for member in members(kind) if member not in (NULL, TIMESTAMP)))


def _instead(kind: Type, value: Any, fields: tuple[str, ...]) -> str:
    """Return what to write in place of a value of a field: the same as another type, if it can be one."""
    wanted = {short_name(member) for member in members(kind)}
    if wanted == {"string"} and isinstance(value, Mapping) and len(value) == 1 and "." in fields[-1]:
        return f"'{fields[-1]}/{next(iter(value))}' as one key, in which a JSON patch has ~1 for /"
    if isinstance(kind, EnumType) and isinstance(value, str):
        return one_of(value, kind.values)
    if "string" in wanted and isinstance(value, bool | int | float):
        return f"the text '{json.dumps(value)}'"
    if isinstance(value, str) and (("int" in wanted and value.isdecimal()) or ("bool" in wanted and value in ("true", "false"))):
        return f"{value} without quotes"
    return _wanted(kind)
