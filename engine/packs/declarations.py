"""Compiles what a pack declares beside its rules: params, targets, inputs and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.cel import Compiler, Path
from engine.model.objects import Kind
from engine.packs.inputs import BOUNDS, Input
from engine.packs.jsonschemas import Checker, schema_faults
from engine.packs.notes import Notes
from engine.packs.pack import DISRUPTIONS, OTHER_NAMESPACES, TRUSTED_NAMESPACES, MetricSpec, Param, Target
from engine.packs.schema import InputSpec, MetricDeclaration, PackTargetSpec

#: What every pack that has targets can be told beside its own parameters.
COMMON: Mapping[str, dict[str, Any]] = {
    OTHER_NAMESPACES: {
        "description": "Whether targets in other namespaces than the object's own are asked for their consent, or all denied.",
        "type": "string",
        "enum": ["Review", "Deny"],
        "default": "Review",
    },
    TRUSTED_NAMESPACES: {
        "description": "Namespaces that are not denied, and in which no SubjectAccessReview is needed.",
        "type": "array",
        "items": {"type": "string"},
        "maxItems": 100,
        "default": [],
    },
    DISRUPTIONS: {
        "description": "How many patches and deletions of other objects the pack may do in a minute; 0: any number. "
        "A rule that wants more is suspended until somebody resumes it.",
        "type": "integer",
        "minimum": 0,
        "maximum": 100_000,
        "default": 100,
    },
}


def params(specs: Mapping[str, dict[str, Any]], notes: Notes, path: Path) -> dict[str, Param]:
    """Parameters: each a JSON Schema with a default that fits it."""
    found = {}
    for name, schema in specs.items():
        here = (*path, name)
        if name in COMMON:
            notes.fault(here, f"every pack with targets has the parameter {name!r} already", "another name", at_key=True)
        faults = schema_faults(schema)
        notes.add(faults, here)
        if "default" not in schema:
            notes.fault(here, "'default' is missing", "the value where a cluster says nothing", at_key=True)
        elif not faults:
            notes.add(Checker(schema).faults(schema["default"]), (*here, "default"))
        found[name] = Param(name, schema, schema.get("default"))
    return found


def common() -> dict[str, Param]:
    """The parameters that every pack with targets has."""
    return {name: Param(name, schema, schema["default"]) for name, schema in COMMON.items()}


def inputs(specs: Mapping[str, InputSpec], notes: Notes, path: Path) -> dict[str, Input]:
    """Inputs: each with a valid schema, a default that fits it where one is given, and its share of how much may be parsed."""
    found = {}
    bounds = replace(BOUNDS, nodes=BOUNDS.nodes // max(1, len(specs)))
    for name, spec in specs.items():
        here = (*path, name)
        faults = schema_faults(spec.schema_)
        notes.add(faults, (*here, "schema"))
        if spec.default is not None and not faults:
            notes.add(Checker(spec.schema_).faults(spec.default), (*here, "default"))
        found[name] = Input(name, spec.annotation, spec.format, {} if faults else spec.schema_, spec.default, bounds)
    return found


def metrics(specs: Mapping[str, MetricDeclaration], notes: Notes, path: Path) -> dict[str, MetricSpec]:
    """Metrics: buckets only for histograms, ascending."""
    for name, spec in specs.items():
        here = (*path, name)
        if spec.buckets and spec.type != "histogram":
            notes.fault((*here, "buckets"), f"a {spec.type} has no buckets", "type: histogram, or no buckets", at_key=True)
        if spec.buckets != sorted(set(spec.buckets)):
            notes.fault((*here, "buckets"), "the buckets are not ascending", "each upper bound greater than the one before it")
        if spec.type == "histogram" and "le" in spec.labels:
            notes.fault((*here, "labels"), "the label 'le' is the histogram's own", "another label")
        notes.unique(spec.labels, "label", (*here, "labels"))
    return {name: MetricSpec(name, spec.type, spec.help, tuple(spec.labels), tuple(spec.buckets)) for name, spec in specs.items()}


def targets(specs: list[PackTargetSpec], notes: Notes, compiler: Compiler, path: Path) -> tuple[Target, ...]:
    """Targets: each kind once; `consent` compiled where it is an expression."""
    found: list[Target] = []
    for index, spec in enumerate(specs):
        here = (*path, index)
        kind = Kind(spec.api_version, spec.kind)
        if (spec.kind == "*") != (spec.api_version == "*"):
            notes.fault((*here, "kind"), "'*' stands in one of apiVersion and kind", "'*' in both (any kind), or in none")
        if any(kind == other.kind for other in found):
            notes.fault(here, f"a second entry for {kind.kind} ({kind.api_version})", "one for each kind, with all its verbs")
        consent: Any = spec.consent
        if consent not in ("SubjectAccessReview", "Never"):
            consent = compiler.program(consent, (*here, "consent"), ("target",))
        found.append(Target(kind, frozenset(spec.verbs), consent, spec.description))
    return tuple(found)
