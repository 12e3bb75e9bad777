"""The check of fields: follows the paths of expressions through OpenAPI schemas, as CustomResourceDefinitions have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.cel import Compiled
from engine.cel.documents import path_steps
from engine.cel.parser import parse
from engine.cel.syntax import Call, Comprehension, Has, Literal, Local, Node, Select, Variable
from engine.cel.values import Mismatch
from engine.errors import Fault, Location
from engine.model.objects import Kind
from engine.model.text import suggestion
from engine.packs.lint.base import Check, Severity, Subject, location_of, raw_rules
from engine.packs.parse import ParsedPack

Schema = Mapping[str, Any] | None
"""What is known of a value; None: nothing."""

_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}


def _mapping(texts: str, **others: Any) -> Mapping[str, Any]:
    return {"type": "object", "properties": {**dict.fromkeys(texts.split(), _TEXT), **others}}


_OWNER = _mapping("apiVersion kind name uid", controller={"type": "boolean"}, blockOwnerDeletion={"type": "boolean"})
_METADATA = _mapping(
    "name generateName namespace uid resourceVersion creationTimestamp deletionTimestamp selfLink",
    generation={"type": "integer"}, deletionGracePeriodSeconds={"type": "integer"}, labels=_TEXTS, annotations=_TEXTS,
    finalizers={"type": "array", "items": _TEXT}, managedFields={"type": "array"},
    ownerReferences={"type": "array", "items": _OWNER},
)  # fmt: skip
#: What every object has (kubernetes: apimachinery/pkg/apis/meta/v1/types.go, ObjectMeta).
_OBJECT = _mapping("apiVersion kind", metadata=_METADATA)


class UnknownField(Check):
    """An expression reads a field that the kind does not have, by its CustomResourceDefinition.

    Such as `object.status.phse`: it is never there, so a condition on it is Unknown for ever. Definitions are given with
    `--crds DIR`, or read from a cluster with `--kubeconfig`; kinds without a definition are not checked.
    """

    name = "unknown-field"
    severity = Severity.ERROR

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for every such field of every expression, and of `watch.fields`."""
        for parsed in subject.packs if subject.definitions else ():
            kind = parsed.pack.watch.kind
            watched = _schema(subject, kind)
            for index, path in enumerate(parsed.pack.watch.fields):
                typer = Typer({})
                typer.descend_all(watched, path, 0, ("object",))
                location = parsed.document.locate(("spec", "watch", "fields", index))
                yield from (self._missing(kind.kind, missing, location) for missing in typer.missing)
            for expression in parsed.expressions:
                target = _target_kind(parsed, expression)
                names = {"object": kind.kind, "oldObject": kind.kind, "target": target.kind if target else "target"}
                typer = Typer(_roots(subject, parsed, expression, watched, target))
                typer.schema_of(parse(expression.program.source).root)
                for missing in typer.missing:
                    location = location_of(parsed, expression, missing.offset)
                    yield self._missing(names.get(missing.root, missing.root), missing, location)

    def _missing(self, what: str, missing: Missing, location: Location) -> Fault:
        message = f"{what} has no field {'.'.join(missing.path)}"
        return self.fault(location, message, suggestion(missing.path[-1], missing.known))


def _roots(subject: Subject, parsed: ParsedPack, expression: Compiled, watched: Schema, target: Kind | None) -> dict[str, Schema]:
    """Return the schemas of the variables that an expression may name."""
    roots: dict[str, Schema] = {"object": watched, "oldObject": watched, "target": _schema(subject, target)}
    path = expression.path
    if path[:2] != ("spec", "rules"):
        return roots
    rule = parsed.pack.rules[int(path[2])]
    known: dict[str, Schema] = {}
    for name, program in rule.vars.items():
        seen = {"object": watched, "oldObject": watched, "vars": _open_mapping(known)}
        known[name] = Typer(seen).schema_of(parse(program.source).root)
    roots["vars"] = _open_mapping(known)
    if rule.loop is not None:
        roots[rule.loop_var] = _items_of(Typer(roots).schema_of(parse(rule.loop.source).root))
    if rule.aggregate is not None and path[3] in ("actions", "rescue"):
        roots["object"] = roots["target"] = _schema(subject, rule.aggregate.target.kind)
    return roots


def _target_kind(parsed: ParsedPack, expression: Compiled) -> Kind | None:
    """Return the kind of `target`: of the action's own target, or of the entry of `targets` whose consent it is."""
    match expression.path:
        case ("spec", "targets", int(index), *_):
            return parsed.pack.targets[index].kind
        case ("spec", "rules", int(rule), str(part), int(index), str(action), *_):
            spec = raw_rules(parsed)[rule][part][index][action]
            target = spec.get("target") if isinstance(spec, dict) else None
            if isinstance(target, dict):
                return Kind(str(target.get("apiVersion")), str(target.get("kind")))
    return None


def _schema(subject: Subject, kind: Kind | None) -> Schema:
    """Return what is known of a kind's objects: what its definition says, and the metadata that every object has."""
    definition = subject.definitions.get(kind) if kind else None
    if definition is None:
        return None
    return {**_OBJECT, **definition.schema, "properties": {**definition.schema.get("properties", {}), **_OBJECT["properties"]}}


@dataclass(frozen=True, slots=True)
class Missing:
    """A field that is not in the schema: its variable, the path below that, where it stands in the text, and what there is."""

    root: str
    path: tuple[str, ...]
    offset: int
    known: Sequence[str]


class Typer:
    """Goes through expressions that begin at these variables; `missing` holds what it has not found."""

    def __init__(self, roots: Mapping[str, Schema]) -> None:
        self.missing: list[Missing] = []
        self._roots = roots
        self._locals: dict[int, Schema] = {}

    def schema_of(self, node: Node) -> Schema:
        """Return what is known of a node's value."""
        match node:
            case Variable(name=name):
                return self._roots.get(name)
            case Local(slot=slot):
                return self._locals.get(slot)
            case Select(operand=operand, field=field):
                return self._descend(self.schema_of(operand), field, node.end - len(field), _path(operand))
            case Has(operand=operand, field=field):
                self._descend(self.schema_of(operand), field, node.start, _path(operand))
                return {"type": "boolean"}
            case Call(name="_[_]", arguments=(operand, Literal(value=str(key)) as literal)):
                return self._descend(self.schema_of(operand), key, literal.start + 1, _path(operand))
            case Call(name="_[_]", arguments=(operand, index)):
                self.schema_of(index)
                return _items_of(self.schema_of(operand))
            case Call(name="get", arguments=(value, Literal(value=str(path)) as literal, default)):
                self.schema_of(default)
                return self.descend_all(self.schema_of(value), _steps(path), literal.start + 1, _path(value))
            case Comprehension():
                return self._comprehension(node)
        for child in node.children:
            self.schema_of(child)
        return None

    def descend_all(self, schema: Schema, steps: Sequence[str], offset: int, path: tuple[str, ...]) -> Schema:
        """Return what is known at a path below a value."""
        for step in steps:
            schema = self._descend(schema, step, offset, path)
            offset += len(step) + 1
            path = (*path, step)
        return schema

    def _comprehension(self, node: Comprehension) -> Schema:
        domain = self.schema_of(node.domain)
        self._locals[node.slot] = _items_of(domain)
        if node.condition is not None:
            self.schema_of(node.condition)
        body = self.schema_of(node.body)
        if node.macro == "map":
            return {"type": "array", "items": body or {}}
        return domain if node.macro == "filter" else None

    def _descend(self, schema: Schema, field: str, offset: int, path: tuple[str, ...]) -> Schema:
        """Return what is known of a field. A mapping without properties, or one that keeps unknown ones, may hold anything."""
        properties = (schema or {}).get("properties")
        if schema is None or schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource"):
            return (properties or {}).get(field) if isinstance(properties, Mapping) else None
        extra = schema.get("additionalProperties")
        if isinstance(properties, Mapping) and field in properties:
            found: Schema = properties[field]
            return found
        if isinstance(extra, Mapping) or extra is True or not isinstance(properties, Mapping):
            return extra if isinstance(extra, Mapping) else None
        root, *above = path or ("a value",)
        self.missing.append(Missing(root, (*above, field), offset, sorted(properties)))
        return None


def _open_mapping(properties: Mapping[str, Schema]) -> Schema:
    """Return a mapping of which only some entries are known."""
    known = {name: schema for name, schema in properties.items() if schema is not None}
    return {"type": "object", "properties": known, "x-kubernetes-preserve-unknown-fields": True}


def _items_of(schema: Schema) -> Schema:
    """Return what is known of a list's items."""
    items = (schema or {}).get("items")
    return items if isinstance(items, Mapping) else None


def _path(node: Node) -> tuple[str, ...]:
    """Return a readable path of a node, for messages: the part of it that is known."""
    match node:
        case Variable(name=name) | Local(name=name):
            return (name,)
        case Select(operand=operand, field=field):
            return (*_path(operand), field)
        case Call(name="_[_]", arguments=(operand, Literal(value=str(key)))):
            return (*_path(operand), key)
        case Call(name="_[_]", arguments=(operand, _)):
            return _path(operand)
        case Call(name="get", arguments=(value, Literal(value=str(path)), _)):
            return (*_path(value), *_steps(path))
    return ("a value",)


def _steps(path: str) -> tuple[str, ...]:
    try:
        return path_steps(path)
    except Mismatch:
        return ()
