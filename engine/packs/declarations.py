"""What a pack declares beside its rules (params, targets, inputs, metrics), and the names that its expressions may use."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine.actions.metric import MetricAction
from engine.cel import Cel, Compiler, Path, Program, fields_of
from engine.cel.syntax import place
from engine.cel.uses import used_names, uses_of_vars, way
from engine.errors import ExpressionError
from engine.model.objects import Kind
from engine.model.text import shown, suggestion
from engine.packs.belongs import PARAMS_MAP
from engine.packs.diagnostics import Diagnostics
from engine.packs.identity import metric_name
from engine.packs.inputs import BOUNDS, Input
from engine.packs.jsonschemas import Checker, schema_faults
from engine.packs.metrics import MetricDeclaration, MetricSpec
from engine.packs.pack import DISRUPTIONS, OTHER_NAMESPACES, TRUSTED_NAMESPACES, Discovery, Param, Target
from engine.packs.schema import DiscoverySpec, InputSpec, PackTargetSpec

#: What every expression of a rule sees. `target`, the loop's variable, `results` and `error` come where they have a value.
VARIABLES = frozenset(["object", "oldObject", "params", "inputs", "inputErrors", "vars", "flags", "lookup", "now"])

#: What the actions of an aggregate see: there the object is the target of a group.
GROUP_VARIABLES = frozenset(["object", "target", "group", "groupKey", "params", "flags", "lookup", "now", "vars"])

#: Where a name is looked for that was written without what it stands below.
_ROOTS = ("vars", "params", "inputs", "lookup", "results", "group")

#: The parameters that every pack with targets has beside its own.
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
        "description": "How many patches and deletions, of whatever object, the pack may do at once, and how many "
        "come free again in each minute; 0: any number. Labels and annotations of the watched object do not count. "
        "A namespace that wants more is suspended until somebody resumes it.",
        "type": "integer",
        "minimum": 0,
        "maximum": 100_000,
        "default": 100,
    },
}


class DeclaredNames:
    """A CEL backend that also refuses `params.x`, `inputs.x` and the like where no x is declared.

    `loop_var` is the name of the loop's item, where there is a loop.
    """

    def __init__(self, cel: Cel, declared: Mapping[str, Collection[str]], loop_var: str = "") -> None:
        self._cel, self._declared, self._loop_var = cel, declared, loop_var

    def compile(self, text: str, variables: Collection[str]) -> Program:
        """Compile an expression. Raise ExpressionError where it does not compile, or a name is not declared."""
        try:
            program = self._cel.compile(text, variables)
        except ExpressionError as fault:
            if meant := self._meant(fault.unknown, variables):
                raise ExpressionError(fault.message, fault.line, fault.column, meant) from None
            raise
        for root, *fields in sorted(map(fields_of, program.reads)):
            if fields and root in self._declared and fields[0] not in self._declared[root]:
                line, column = place(text, _offset(text, root, fields[0]))
                raise ExpressionError(f"{root} has no '{fields[0]}'", line, column, suggestion(fields[0], self._declared[root]))
        return program

    def having(self, loop_var: str = "", **declared: Collection[str]) -> DeclaredNames:
        """Return the same with further names."""
        return DeclaredNames(self._cel, {**self._declared, **declared}, loop_var or self._loop_var)

    def _meant(self, unknown: str, variables: Collection[str]) -> str:
        """Return what an unknown variable is called in full: what has its name below another variable, or the loop's item."""
        roots = [root for root in _ROOTS if root in variables and unknown in self._declared.get(root, ())]
        if unknown == "item" and self._loop_var in variables:
            return f"{self._loop_var}, which is the loopVar of the rule"
        return " or ".join(f"{root}.{unknown}" for root in roots)


def _offset(text: str, root: str, name: str) -> int:
    """Return where a text reads a name of a root, as `root.name`, `root['name']` or `get(root, 'name')`."""
    name = re.escape(name)
    found = re.search(rf"\b{root}\s*(?:\.\s*({name})\b|\[\s*['\"]({name})['\"]|\s*,\s*['\"]({name})\b)", text)
    return next(start for start in map(found.start, (1, 2, 3)) if start >= 0) if found else 0


def lookups_of(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the entries of a list of actions look up themselves, by its name below `lookup`."""
    own = [spec["lookup"] for entry in entries for spec in entry.values() if isinstance(spec, dict) and "lookup" in spec]
    return {name: target for lookups in own if isinstance(lookups, dict) for name, target in lookups.items()}


def needed_through(program: Program, programs: Mapping[str, Program], variable: str) -> str:
    """Return the var (`vars.x`) through which a program needs a variable, '' where it needs it through none."""
    found = uses_of_vars(programs)
    needing = [each for each, var in programs.items() if variable in var.variables]
    used = (each for each in used_names((program,), "vars") if each in found)
    return next((f"vars.{each}" for each in used if any(way(found, each, other) for other in needing)), "")


def bind_params(specs: Mapping[str, dict[str, Any]], diagnostics: Diagnostics, path: Path) -> dict[str, Param]:
    """Return the parameters: each a JSON Schema with a default that fits it."""
    valid = {}
    for name, schema in specs.items():
        here = (*path, name)
        if name in COMMON:
            expected = f"another name; its value belongs in {PARAMS_MAP}, under the name of the pack"
            diagnostics.fault(here, f"every pack with targets has the parameter {name!r} already", expected, at_key=True)
        if "default" not in schema:
            diagnostics.fault(here, "'default' is missing", "the value where a cluster says nothing", at_key=True)
        if _bind_schema(schema, [schema["default"]] if "default" in schema else [], diagnostics, here, (*here, "default")):
            valid[name] = schema
    return {name: Param(name, schema, None) for name, schema in specs.items()} | params(valid)


def params(schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, Param]:
    """Return parameters by their JSON Schemas, which are valid and hold their defaults."""
    return {name: Param(name, schema, Checker(schema).typed(schema.get("default"))) for name, schema in schemas.items()}


def bind_discoveries(
    specs: Mapping[str, DiscoverySpec], params: Collection[str], diagnostics: Diagnostics, compiler: Compiler, path: Path
) -> dict[str, Discovery]:
    """Return what gives params their values; add a fault for each that is no param of the pack."""
    found = {}
    for name, spec in specs.items():
        here = (*path, name)
        if name not in params:
            diagnostics.fault(here, f"the pack declares no parameter {name!r}", suggestion(name, params), at_key=True)
        value = compiler.program(spec.value, (*here, "value"))
        key = compiler.program(spec.key, (*here, "key")) if spec.key else None
        found[name] = Discovery(Kind(spec.api_version, spec.kind), spec.name or "", spec.label_selector, value, key)
    return found


def bind_inputs(
    specs: Mapping[str, InputSpec], params: Collection[str], diagnostics: Diagnostics, path: Path
) -> dict[str, Input]:
    """Return the inputs: each with a valid schema, a default that fits it, and its share of how much may be parsed."""
    found = {}
    bounds = replace(BOUNDS, nodes=BOUNDS.nodes // max(1, len(specs)))
    for name, spec in specs.items():
        here, defaults = (*path, name), [] if spec.default is None else [spec.default]
        valid = _bind_schema(spec.schema_, defaults, diagnostics, (*here, "schema"), (*here, "default"))
        param = spec.annotation_param or ""
        if param and param not in params:
            message = f"the pack declares no parameter {param!r}"
            diagnostics.fault((*here, "annotationParam"), message, suggestion(param, params))
        found[name] = Input(name, spec.annotation, spec.format, spec.schema_ if valid else {}, spec.default, bounds, param)
    return found


def _bind_schema(
    schema: Mapping[str, Any], defaults: Sequence[Any], diagnostics: Diagnostics, path: Path, default_path: Path
) -> bool:
    """Return whether a JSON Schema is valid; add its faults, and those of the default, if any, that does not fit."""
    faults = schema_faults(schema)
    diagnostics.value(faults, path)
    for default in defaults if not faults else ():
        diagnostics.value(Checker(schema).faults(default), default_path)
    return not faults


def bind_metrics(
    specs: Mapping[str, MetricDeclaration], namespace: str, diagnostics: Diagnostics, path: Path
) -> dict[str, MetricSpec]:
    """Return the metrics of a pack, by the names it has for them; only histograms have buckets, and those ascend."""
    for name, spec in specs.items():
        here = (*path, name)
        if spec.buckets and spec.type != "histogram":
            diagnostics.fault((*here, "buckets"), f"a {spec.type} has no buckets", "type: histogram, or no buckets", at_key=True)
        if spec.buckets != sorted(set(spec.buckets)):
            expected = "each upper bound greater than the one before it"
            diagnostics.fault((*here, "buckets"), "the buckets are not ascending", expected)
        if spec.type == "histogram" and "le" in spec.labels:
            diagnostics.fault((*here, "labels"), "the label 'le' is the histogram's own", "another label")
        diagnostics.unique(spec.labels, "label", (*here, "labels"))
    return {
        name: MetricSpec(metric_name(namespace, name), spec.type, spec.help, tuple(spec.labels), tuple(spec.buckets), namespace)
        for name, spec in specs.items()
    }


def bind_targets(specs: list[PackTargetSpec], diagnostics: Diagnostics, compiler: Compiler, path: Path) -> tuple[Target, ...]:
    """Return the targets: each kind once, with `consent` compiled where it is an expression."""
    found: list[Target] = []
    for index, spec in enumerate(specs):
        here = (*path, index)
        kind = Kind(spec.api_version, spec.kind)
        if (spec.kind == "*") != (spec.api_version == "*"):
            diagnostics.fault((*here, "kind"), "'*' stands in one of apiVersion and kind", "'*' in both (any kind), or in none")
        if any(kind == other.kind for other in found):
            message = f"a second entry for {kind.kind} ({kind.api_version})"
            diagnostics.fault(here, message, "one for each kind, with all its verbs")
        consent: Any = spec.consent
        if consent not in ("SubjectAccessReview", "Never"):
            consent = compiler.program(consent, (*here, "consent"), ("target",))
        found.append(Target(kind, frozenset(spec.verbs), consent, spec.description))
    return tuple(found)


def check_metric(action: MetricAction, metrics: Mapping[str, MetricSpec], diagnostics: Diagnostics, path: Path) -> None:
    """Add a fault where a pack does not declare the metric of an action, or not with its labels."""
    metric = metrics.get(action.metric)
    if metric is None:
        expected = suggestion(action.metric, metrics)
        diagnostics.fault((*path, "name"), f"the pack declares no metric {shown(action.metric, 60)}", expected)
        return
    here = (*path, "labels")
    for label in action.label_names:
        if label not in metric.labels:
            message = f"{metric.name} has no label {shown(label, 60)}"
            diagnostics.fault((*here, label), message, suggestion(label, metric.labels), at_key=True)
    missing = [label for label in metric.labels if label not in action.label_names]
    if missing:
        expected = f"a value for each label of {metric.name}"
        diagnostics.fault(here, f"{', '.join(missing)} missing", expected, at_key=True)
