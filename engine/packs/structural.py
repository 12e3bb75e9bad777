"""CustomResourceDefinitions of the engine's own kinds, written from the schema classes.

A structural schema can say less than JSON Schema, and the API server drops what a schema does not name. So every mapping keeps
unknown fields, for the operator to refuse them by path: a condition with a misspelt key must not become a rule without one, and a
`mode` beside `spec` must not become a pack in Enforce.
Source of the rules for structural schemas: kubernetes, apiextensions-apiserver/pkg/apiserver/schema/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from engine.model.objects import Kind
from engine.model.plurals import guessed_resource
from engine.packs.schema import API_VERSION

GROUP, VERSION = API_VERSION.split("/")
KEEP = "x-kubernetes-preserve-unknown-fields"
#: Keywords that mean the same in a structural schema.
_SAME = frozenset([
    "type", "description", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
    "minProperties", "maxProperties", "required",
])  # fmt: skip
#: What the schema class says in other words, or what only the operator checks.
_LEFT_OUT = frozenset(["anyOf", "default", "additionalProperties", "properties", "items", "oneOf", "const"])
#: Spellings for files and ConfigMaps only: YAML 1.1, which kubectl reads, takes `on` for true and `Off` for false.
_OLD_KEYS = frozenset(["on"])
_OLD_MODE = "Off"


class Named(NamedTuple):
    """What the API server calls a kind for short, and what it takes as the name of an object: a pattern, and in words."""

    kind: str
    short: str
    pattern: str
    names: str


class Column(NamedTuple):
    """What kubectl prints of an object: the column's name, type and path, and a priority of 1 for `-o wide` only."""

    name: str
    type: str
    path: str
    priority: int = 0

    @property
    def manifest(self) -> dict[str, Any]:
        """Return it as a CustomResourceDefinition has it."""
        shown = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return {**shown, "priority": self.priority} if self.priority else shown


def definition(
    named: Named, description: str, spec: Mapping[str, Any], status: Mapping[str, Any], columns: Sequence[Column]
) -> dict[str, Any]:
    """Return the manifest of a CustomResourceDefinition; `columns` are what kubectl prints."""
    plural = guessed_resource(Kind(API_VERSION, named.kind)).plural
    schema = {
        "type": "object",
        "description": description,
        KEEP: True,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.matches('{named.pattern}') && size(self.metadata.name) <= 63",
                "message": f"metadata.name: {named.names}, at most 63",
            }
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": named.kind, "listKind": f"{named.kind}List", "plural": plural, "singular": named.kind.lower(),
                      "shortNames": [named.short]},
            "versions": [{
                "name": VERSION,
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [each.manifest for each in columns],
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    }  # fmt: skip


def structural(node: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the structural schema that says most of what a JSON Schema says. Raise ValueError for a keyword not thought of."""
    if "$ref" in node:
        node = {**defs[node["$ref"].rpartition("/")[2]], **{key: each for key, each in node.items() if key != "$ref"}}
    described = {"description": node["description"]} if "description" in node else {}
    alternatives = [each for each in node.get("anyOf", ()) if each.get("type") != "null"]
    if len(alternatives) == 1:
        return {**structural(alternatives[0], defs), **described}
    if {each.get("type") for each in alternatives} == {"integer", "string"}:
        return {"x-kubernetes-int-or-string": True, **described}
    if "type" not in node:  # several forms, or any value
        return {KEEP: True, **({"description": f"{node['description']}{_fields(alternatives, defs)}"} if described else {})}
    if unknown := node.keys() - _SAME - _LEFT_OUT:
        raise ValueError(f"the schema has {sorted(unknown)}: say what becomes of it in the CustomResourceDefinition")
    out = {key: node[key] for key in node if key in _SAME}
    if "const" in node:
        out["enum"] = [node["const"]]
    if _OLD_MODE in out.get("enum", ()):
        out["enum"] = [each for each in out["enum"] if each != _OLD_MODE]
    if node["type"] == "array":
        out["items"] = structural(node["items"], defs)
    elif node["type"] == "object":
        out |= _mapping(node, defs)
    return out


def _fields(forms: Sequence[Mapping[str, Any]], defs: Mapping[str, Any]) -> str:
    """Return the fields of a mapping that has a short form too, as a sentence: no schema shows them; '' where it has none."""
    (model,) = {form["$ref"].rpartition("/")[2] for form in forms if "$ref" in form} or {""}
    described = [
        f"{name}{' (required)' if name in defs[model].get('required', ()) else ''}: {_first_sentence(field['description'])}"
        for name, field in (defs[model]["properties"].items() if model else ())
    ]
    return f" Fields: {' '.join(described)}" if described else ""


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".") + "."


def _mapping(node: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a structural schema says of the keys of a mapping."""
    if "properties" in node:
        properties = {key: _kept(each, defs) for key, each in node["properties"].items() if key not in _OLD_KEYS}
        return {"properties": properties, KEEP: True}
    values = node.get("additionalProperties")
    return {"additionalProperties": _kept(values, defs)} if isinstance(values, dict) and values else {KEEP: True}


def _kept(node: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a key that keeps its null, for the operator to refuse.

    Where a schema is not nullable, the API server drops the key of a null: `when:` without a value would be a rule without a
    condition (apiextensions-apiserver, pkg/apiserver/schema/defaulting/prune.go, PruneNonNullableNullsWithoutDefaults).
    """
    return {**structural(node, defs), "nullable": True}


def text(description: str, **keywords: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **keywords}


def count(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def listed(description: str, keys: list[str], properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """Return a list of mappings: a list map where it has keys, of which each field manager owns items, else one value."""
    merged = (
        {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys} if keys else {"x-kubernetes-list-type": "atomic"}
    )
    return {
        "type": "array", "description": description, **merged,
        "items": {"type": "object", "required": required, "properties": properties},
    }  # fmt: skip


TIME = {"format": "date-time"}
CONDITIONS = listed(
    "Accepted, Ready and Stalled, by the API conventions.",
    ["type"],
    {
        "type": text("Accepted, Ready or Stalled."),
        "status": text("Whether it is so.", enum=["True", "False", "Unknown"]),
        "observedGeneration": count("The generation of the spec that it is about."),
        "lastTransitionTime": text("When status last changed.", **TIME),
        "reason": text("Why, in one word."),
        "message": text("Why, in a sentence."),
    },
    ["type", "status", "lastTransitionTime", "reason", "message"],
)


def faults(description: str) -> dict[str, Any]:
    return listed(
        description,
        [],
        {
            "path": text("Where, such as spec.rules[0].when[1]; in an expression with line and column."),
            "code": text("The kind of fault; `rulepack lint --explain CODE` says more."),
            "message": text("What is wrong, and what was expected."),
        },
        ["path", "code", "message"],
    )
