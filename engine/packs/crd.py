"""The CustomResourceDefinition of `kind: RulePack`, written from the schema classes.

A structural schema can say less than JSON Schema, and the API server drops what a schema does not name. So every mapping keeps
unknown fields, for the operator to refuse them by path: a condition with a misspelt key must not become a rule without one.
Source of the rules for structural schemas: kubernetes, apiextensions-apiserver/pkg/apiserver/schema/validation.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.packs.published import published_schema
from engine.packs.schema import API_VERSION, RulePackSpec

GROUP, VERSION = API_VERSION.split("/")
KEEP = "x-kubernetes-preserve-unknown-fields"
#: Keywords that mean the same in a structural schema.
_SAME = frozenset([
    "type", "description", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
    "maxProperties", "required",
])  # fmt: skip
#: What the schema class says in other words, or what only the operator checks.
_LEFT_OUT = frozenset(["anyOf", "default", "additionalProperties", "properties", "items", "oneOf", "const"])
#: Spellings for files and ConfigMaps only: YAML 1.1, which kubectl reads, takes `on` for true and `Off` for false.
_OLD_KEYS = frozenset(["on"])
_OLD_MODE = "Off"


def custom_resource_definition() -> dict[str, Any]:
    """Return the manifest of the CustomResourceDefinition."""
    published = published_schema(RulePackSpec)
    defs = published["$defs"]
    spec = _structural({"$ref": "#/$defs/PackSpec"}, defs)
    del spec["required"]  # a reference to a shipped pack has neither `watch` nor `rules`
    spec["properties"]["shipped"] = _text("The name of a pack that the operator ships, instead of watch and rules.", minLength=1)
    spec["properties"]["configMap"] = _text("The ConfigMap that holds the pack; the operator writes such objects.", minLength=1)
    # Of a reference they are values; of a pack each declares one.
    spec["properties"]["params"]["additionalProperties"] = {KEEP: True, "nullable": True}
    declared = spec["properties"]["params"]["description"]
    spec["properties"]["params"]["description"] = (
        "Beside `shipped` or `configMap`: values for params of that pack, such as `disruptionsPerMinute: 20`, which go before "
        f"those in ConfigMap rulepack-params. Beside `rules`: {declared[0].lower()}{declared[1:]}"
    )
    spec["description"] = "The pack itself, or a reference to one that the operator ships or that a ConfigMap holds."
    spec["x-kubernetes-validations"] = [
        {
            "rule": "[has(self.rules), has(self.shipped), has(self.configMap)].filter(given, given).size() == 1",
            "message": "set either rules and watch, or shipped, or configMap; an object that refers to a pack of this name "
            "becomes your own pack by kubectl replace",
        }
    ]
    schema = {
        "type": "object",
        "description": published["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": STATUS_SCHEMA,
        },
        "x-kubernetes-validations": [
            {
                "rule": "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63",
                "message": "metadata.name: lower case letters, digits and '-', at most 63",
            }
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"rulepacks.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": "RulePack", "listKind": "RulePackList", "plural": "rulepacks", "singular": "rulepack",
                      "shortNames": ["rp"]},
            "versions": [{
                "name": VERSION,
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "additionalPrinterColumns": COLUMNS,
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    }  # fmt: skip


def _structural(node: Mapping[str, Any], defs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the structural schema that says most of what a JSON Schema says. Raise ValueError for a keyword not thought of."""
    if "$ref" in node:
        node = {**defs[node["$ref"].rpartition("/")[2]], **{key: each for key, each in node.items() if key != "$ref"}}
    described = {"description": node["description"]} if "description" in node else {}
    alternatives = [each for each in node.get("anyOf", ()) if each.get("type") != "null"]
    if len(alternatives) == 1:
        return {**_structural(alternatives[0], defs), **described}
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
        out["items"] = _structural(node["items"], defs)
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
    return {**_structural(node, defs), "nullable": True}


def _text(description: str, **keywords: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **keywords}


def _count(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def _list(description: str, keys: list[str], properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """Return a list of mappings: a list map where it has keys, of which each field manager owns items, else one value."""
    merged = (
        {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys} if keys else {"x-kubernetes-list-type": "atomic"}
    )
    return {
        "type": "array", "description": description, **merged,
        "items": {"type": "object", "required": required, "properties": properties},
    }  # fmt: skip


_TIME = {"format": "date-time"}
_CONDITIONS = _list(
    "Accepted, Ready and Stalled, by the API conventions.",
    ["type"],
    {
        "type": _text("Accepted, Ready or Stalled."),
        "status": _text("Whether it is so.", enum=["True", "False", "Unknown"]),
        "observedGeneration": _count("The generation of the spec that it is about."),
        "lastTransitionTime": _text("When status last changed.", **_TIME),
        "reason": _text("Why, in one word."),
        "message": _text("Why, in a sentence."),
    },
    ["type", "status", "lastTransitionTime", "reason", "message"],
)


def _faults(description: str) -> dict[str, Any]:
    return _list(
        description,
        [],
        {
            "path": _text("Where, such as spec.rules[0].when[1]; in an expression with line and column."),
            "code": _text("The kind of fault; `rulepack lint --explain CODE` says more."),
            "message": _text("What is wrong, and what was expected."),
        },
        ["path", "code", "message"],
    )


_RULES = _list(
    "The rules, with approximate counts since the pack came into force.",
    ["name"],
    {
        "name": _text("The rule."),
        "fired": _count("How often it acted, and did not fail after all; what is only audited is not counted here."),
        "audited": _count("How often it would have acted, while it was in Audit."),
        "failed": _count("How often its actions failed for good."),
        "waiting": _count("How many items wait."),
        "waitingSince": _text("Since when the oldest of them waits.", **_TIME),
        "waitingFor": _text("What most of them wait for."),
        "suspended": {"type": "array", "description": "Namespaces for which it is suspended.", "items": {"type": "string"},
                      "x-kubernetes-list-type": "atomic"},
        "lastFiring": _text("When it last acted.", **_TIME),
        "lastObject": _text("On which object."),
    },
    ["name"],
)  # fmt: skip
STATUS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "How the pack fares; written by the operator.",
    "properties": {
        "observedGeneration": _count("The generation of the spec that the operator has read."),
        "generationInForce": _count(
            "The generation that is in force: an older one where the newest is refused; none where none is."
        ),
        "mode": _text("The mode in force: Enforce, Audit or Disabled."),
        "ruleCount": _count("How many rules are in force."),
        "fired": _count("How often its rules acted: about, since counts may be lost with a process."),
        "waiting": _count("How many items wait."),
        "conditions": _CONDITIONS,
        "faultCount": _count("How many faults the spec has."),
        "faults": _faults("What is wrong in the spec: the first ten."),
        "warningCount": _count("How many things in the spec may not be meant."),
        "warnings": _faults("What may not be meant, such as what does not fit the schemas of the cluster: the first ten."),
        "parts": _list(
            "What each shard counts; one part where there are no shards.",
            ["shard"],
            {"shard": _count("The number of the shard."), "rules": _RULES},
            ["shard"],
        ),
    },
}
COLUMNS = [
    {"name": name, "type": kind, "jsonPath": path}
    for name, kind, path in (
        ("Mode", "string", ".status.mode"),
        ("Rules", "integer", ".status.ruleCount"),
        ("Ready", "string", ".status.conditions[?(@.type=='Ready')].status"),
        ("Fired", "integer", ".status.fired"),
        ("Waiting", "integer", ".status.waiting"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )
]
