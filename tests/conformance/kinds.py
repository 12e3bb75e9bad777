"""Writes engine/packs/kinds.json: the schemas of Kubernetes' own kinds, as kube-apiserver publishes them, without their texts.

`KUBERNETES_VERSION=1.37 python -m tests.conformance.kinds` adds what that version has to what is written there already, so that
nothing that any supported version takes is called wrong; a test compares it with the version of the tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.packs.kinds import METADATA
from tests.controlplane.binaries import programs
from tests.controlplane.plane import WITHOUT_CONTROLLERS, ControlPlane

FILE = Path(__file__).parents[2] / "engine/packs/kinds.json"
#: Also the versions of groups that a cluster does not serve unless it is told to.
OPTIONS = (*WITHOUT_CONTROLLERS, "--runtime-config=api/all=true")
#: What says of a value which type it has (engine/cel/checker/openapi.py).
KEYWORDS = frozenset([
    "type", "format", "enum", "items", "properties", "additionalProperties", "$ref", "nullable",
    "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
])  # fmt: skip
KINDS = "x-kubernetes-group-version-kind"
Schema = dict[str, Any]


def served(plane: ControlPlane) -> dict[str, Schema]:
    """The schemas of all kinds that have metadata of their own, and those that these refer to, by their names."""
    found: dict[str, Schema] = {}
    for entry in plane.request("GET", "/openapi/v3")["paths"].values():
        path = entry["serverRelativeURL"]
        if path.startswith(("/openapi/v3/api/", "/openapi/v3/apis/")):
            found |= (plane.request("GET", path).get("components") or {}).get("schemas", {})
    wanted = [name for name, schema in found.items() if _is_built_in(name) and _is_kind(schema)]
    kept: dict[str, Schema] = {}
    while wanted:
        if (name := wanted.pop()) not in kept:
            schema = found[name]
            kept[name] = _reduced(schema) | ({KINDS: schema[KINDS]} if _is_kind(schema) else {})
            wanted += _references(kept[name])
    return kept


def _is_kind(schema: Schema) -> bool:
    of = (schema.get("properties") or {}).get("metadata", {})
    return KINDS in schema and METADATA in set(_references(of))


def _is_built_in(name: str) -> bool:
    """Whether a schema is of Kubernetes itself, and not of a CustomResourceDefinition."""
    return name.startswith(("io.k8s.api.", "io.k8s.apiextensions-apiserver.", "io.k8s.kube-aggregator."))


def _reduced(schema: Any) -> Any:
    """The schema with only what says a type; `allOf` of one schema, in which versions differ, becomes that one."""
    if isinstance(schema, list):
        return [_reduced(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if len(members := schema.get("allOf", [])) == 1:
        return _reduced(members[0])
    kept = {key: value if key == "enum" else _reduced(value) for key, value in schema.items() if key in KEYWORDS - {"properties"}}
    if isinstance(fields := schema.get("properties"), dict):
        kept["properties"] = {name: _reduced(field) for name, field in fields.items()}
    return kept


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.rpartition("/")[2]
        schema = list(schema.values())
    for each in schema if isinstance(schema, list) else ():
        yield from _references(each)


def merged(one: Mapping[str, Schema], other: Mapping[str, Schema]) -> dict[str, Schema]:
    """The schemas that allow what either allows."""
    return {name: _merged(one.get(name), other.get(name)) for name in sorted({*one, *other})}


def _merged(one: Schema | None, other: Schema | None) -> Schema:
    if one is None or other is None or one == other:
        return one or other or {}
    both = {**one, **other}
    if "properties" in one and "properties" in other:
        both["properties"] = merged(one["properties"], other["properties"])
    if "enum" in both:
        values = sorted({*one["enum"], *other["enum"]}) if "enum" in one and "enum" in other else None
        both = {**both, "enum": values} if values else {key: value for key, value in both.items() if key != "enum"}
    return both


def text(schemas: Mapping[str, Schema]) -> str:
    """The file's text, with one schema on each line."""
    lines = (f"{json.dumps(name)}:{json.dumps(schemas[name], sort_keys=True, separators=(',', ':'))}" for name in sorted(schemas))
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    with ControlPlane(programs(), options=OPTIONS) as plane:
        known = json.loads(FILE.read_text()) if FILE.exists() else {}
        FILE.write_text(text(merged(known, served(plane))))
