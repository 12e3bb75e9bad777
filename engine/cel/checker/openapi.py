"""The types that schemas give: OpenAPI v3 of CustomResourceDefinitions and of clusters, and JSON Schema of what users write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.cel.checker.matching import TIME_TEXT, union
from engine.cel.types import BOOL, DOUBLE, DYN, INT, NULL, STRING, EnumType, ObjectType, Type, list_of, map_of
from engine.cel.values import type_of

_UNKNOWN_FIELDS = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource")
#: Keywords that say more of a value than its type, in ways that a type does not have.
_ALTERNATIVES = frozenset(["anyOf", "oneOf", "allOf", "not", "if"])
#: Components of Kubernetes' OpenAPI that allow more than the API server ever sends.
_SENT: Mapping[str, Mapping[str, Any]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"x-kubernetes-int-or-string": True},
}
#: How many references may follow one another: Kubernetes writes two, and a text of others could go in circles.
_LONGEST_CHAIN = 8


class Fields(Mapping[str, Type]):
    """The types of an object's fields, each found when it is first needed: a schema may be large, or refer to itself."""

    def __init__(self, names: Iterable[str], find: Callable[[str], Type]) -> None:
        self._names = frozenset(names)
        self._find = find
        self._found: dict[str, Type] = {}

    def __getitem__(self, name: str) -> Type:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def type_of_schema(schema: Any, name: str, *, pruned: bool) -> Type:
    """Return the type of the values of a schema, dyn for what is not certain; `name` is that of an object's type.

    Where they are `pruned`, as the API server does with custom resources, an object has no other fields than its schema names;
    by the JSON Schema of a pack it may have any, unless `additionalProperties` is false, and a number there is always a double.
    """
    return SchemaTypes(pruned).of(schema, name)


def type_of_kind(document: Mapping[str, Any], group: str, version: str, kind: str) -> Type:
    """Return the type of a kind's objects by the OpenAPI v3 of its group and version; dyn where that does not have it."""
    components = document.get("components")
    schemas = components.get("schemas") if isinstance(components, Mapping) else None
    wanted = {"group": group, "version": version, "kind": kind}
    for schema in schemas.values() if isinstance(schemas, Mapping) else ():
        if isinstance(schema, Mapping) and wanted in (schema.get("x-kubernetes-group-version-kind") or ()):
            return SchemaTypes(True, schemas or {}).of(schema, kind)
    return DYN


@dataclass(frozen=True, slots=True)
class SchemaTypes:
    """The types of schemas, see `type_of_schema`, that may refer to these `components` by name."""

    pruned: bool
    components: Mapping[str, Any] = field(default_factory=dict)

    def of(self, schema: Any, name: str) -> Type:
        """Return the type of the values of a schema."""
        schema, name = self._resolved(schema, name)
        if not isinstance(schema, Mapping):
            return DYN
        if schema.get("x-kubernetes-int-or-string"):
            return union([INT, STRING])
        kinds = schema.get("type")
        known = kinds if isinstance(kinds, list) else [kinds]
        if kinds is None and "properties" in schema and not _ALTERNATIVES & schema.keys():
            known = ["object"]
        found = [self._of_type(str(kind), schema, name) for kind in known]
        if "enum" in schema and isinstance(schema["enum"], list):
            found = list(_of_enum(schema["enum"]))
        elif "const" in schema:
            found = [type_of(schema["const"])]
        return union([*found, NULL] if schema.get("nullable") else found)

    def _resolved(self, schema: Any, name: str) -> tuple[Any, str]:
        """Return what a schema refers to, if it only does that, as OpenAPI writes it: alone, or as the one member of `allOf`."""
        for _ in range(_LONGEST_CHAIN):
            if not isinstance(schema, Mapping):
                break
            members = schema.get("allOf")
            if "type" not in schema and isinstance(members, list) and len(members) == 1:
                schema = members[0]
            elif isinstance(reference := schema.get("$ref"), str):
                name = reference.rpartition("/")[2]
                schema = _SENT.get(name) or self.components.get(name)
            else:
                break
        return schema, name

    def _of_type(self, kind: str, schema: Mapping[str, Any], name: str) -> Type:
        match kind:
            case "string":
                return TIME_TEXT if schema.get("format") == "date-time" else STRING
            case "boolean":
                return BOOL
            case "integer":
                return INT
            case "number":
                # Of objects 1 is an int and 1.5 a double, as they stand in JSON; params and inputs are converted to doubles.
                return union([INT, DOUBLE]) if self.pruned else DOUBLE
            case "null":
                return NULL
            case "array":
                return list_of(self.of(schema.get("items"), name))
            case "object":
                return self._of_object(schema, name)
        return DYN

    def _of_object(self, schema: Mapping[str, Any], name: str) -> Type:
        fields, further = schema.get("properties"), schema.get("additionalProperties", not self.pruned)
        unknown = any(schema.get(key) for key in _UNKNOWN_FIELDS) or "patternProperties" in schema
        if not isinstance(fields, Mapping) or not fields:
            return map_of(STRING, DYN if unknown else self.of(further, name))
        found = Fields(fields, lambda each: self.of(fields[each], f"{name}.{each}"))
        return ObjectType(name, found, open=unknown or further is True or isinstance(further, Mapping))


def _of_enum(values: list[Any]) -> Iterator[Type]:
    texts = tuple(value for value in values if isinstance(value, str))
    if texts:
        yield EnumType(texts)
    yield from (type_of(value) for value in values if not isinstance(value, str))
