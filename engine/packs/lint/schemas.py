"""Follows the field paths of an expression through OpenAPI schemas, as CustomResourceDefinitions have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.cel.documents import path_steps
from engine.cel.syntax import Call, Comprehension, Has, Literal, Local, Node, Select, Variable
from engine.cel.values import Mismatch

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
OBJECT = _mapping("apiVersion kind", metadata=_METADATA)
"""What every object has (kubernetes: apimachinery/pkg/apis/meta/v1/types.go, ObjectMeta)."""


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
        """What is known of a node's value."""
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
                return items_of(self.schema_of(operand))
            case Call(name="get", arguments=(value, Literal(value=str(path)) as literal, default)):
                self.schema_of(default)
                return self.descend_all(self.schema_of(value), _steps(path), literal.start + 1, _path(value))
            case Comprehension():
                return self._comprehension(node)
        for child in node.children:
            self.schema_of(child)
        return None

    def descend_all(self, schema: Schema, steps: Sequence[str], offset: int, path: tuple[str, ...] = ("object",)) -> Schema:
        """What is known at a path below a value."""
        for step in steps:
            schema = self._descend(schema, step, offset, path)
            offset += len(step) + 1
            path = (*path, step)
        return schema

    def _comprehension(self, node: Comprehension) -> Schema:
        domain = self.schema_of(node.domain)
        self._locals[node.slot] = items_of(domain)
        if node.condition is not None:
            self.schema_of(node.condition)
        body = self.schema_of(node.body)
        if node.macro == "map":
            return {"type": "array", "items": body or {}}
        return domain if node.macro == "filter" else None

    def _descend(self, schema: Schema, field: str, offset: int, path: tuple[str, ...]) -> Schema:
        """What is known of a field. A mapping without properties, or one that keeps unknown ones, may hold anything."""
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


def open_mapping(properties: Mapping[str, Schema]) -> Schema:
    """A mapping of which only some entries are known."""
    known = {name: schema for name, schema in properties.items() if schema is not None}
    return {"type": "object", "properties": known, "x-kubernetes-preserve-unknown-fields": True}


def items_of(schema: Schema) -> Schema:
    """What is known of a list's items."""
    items = (schema or {}).get("items")
    return items if isinstance(items, Mapping) else None


def _path(node: Node) -> tuple[str, ...]:
    """A readable path of a node, for messages; the part of it that is known."""
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
