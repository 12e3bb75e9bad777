"""An expression reads a field that the kind does not have, by its CustomResourceDefinition.

Such as `object.status.phse`: it is never there, so a condition on it is Unknown for ever. Definitions are given with
`--crds DIR`, or read from a cluster with `--kubeconfig`; kinds without a definition are not checked.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.cel import Compiled
from engine.cel.parser import parse
from engine.errors import Fault, Location
from engine.model.objects import Kind
from engine.model.text import suggestion
from engine.packs.lint.base import Code, Severity, Subject, place_of, raw_rules
from engine.packs.lint.schemas import OBJECT, Missing, Schema, Typer, items_of, open_mapping
from engine.packs.parse import ParsedPack


def check(subject: Subject) -> Iterator[Fault]:
    """Every such field of every expression, and of `watch.fields`."""
    for parsed in subject.packs if subject.definitions else ():
        watched = _schema(subject, parsed.pack.watch.kind)
        for index, path in enumerate(parsed.pack.watch.fields):
            typer = Typer({"object": watched})
            typer.descend_all(watched, path, 0)
            for missing in typer.missing:
                yield _fault(parsed.pack.watch.kind.kind, missing, parsed.document.locate(("spec", "watch", "fields", index)))
        for expression in parsed.expressions:
            roots = _roots(subject, parsed, expression, watched)
            typer = Typer(roots)
            typer.schema_of(parse(expression.program.source).root)
            for missing in typer.missing:
                yield _fault(_kind(subject, parsed, expression, missing), missing, place_of(parsed, expression, missing.offset))


def _roots(subject: Subject, parsed: ParsedPack, expression: Compiled, watched: Schema) -> dict[str, Schema]:
    roots: dict[str, Schema] = {"object": watched, "oldObject": watched, "target": _target(subject, parsed, expression)}
    path = expression.path
    if path[:2] != ("spec", "rules"):
        return roots
    rule = parsed.pack.rules[int(path[2])]
    known: dict[str, Schema] = {}
    for name, program in rule.vars.items():
        seen = {"object": watched, "oldObject": watched, "vars": open_mapping(known)}
        known[name] = Typer(seen).schema_of(parse(program.source).root)
    roots["vars"] = open_mapping(known)
    if rule.loop is not None:
        roots[rule.loop_var] = items_of(Typer(roots).schema_of(parse(rule.loop.source).root))
    if rule.aggregate is not None and path[3] in ("actions", "rescue"):
        roots["object"] = roots["target"] = _schema(subject, rule.aggregate.target.kind)
    return roots


def _target(subject: Subject, parsed: ParsedPack, expression: Compiled) -> Schema:
    """The schema of `target` at a place: that of the action's own target, or of the entry of `targets` whose consent it is."""
    return _schema(subject, _target_kind(parsed, expression))


def _target_kind(parsed: ParsedPack, expression: Compiled) -> Kind | None:
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
    definition = subject.definitions.get(kind) if kind else None
    return (
        {**OBJECT, **definition.schema, "properties": {**definition.schema.get("properties", {}), **OBJECT["properties"]}}
        if definition
        else None
    )


def _kind(subject: Subject, parsed: ParsedPack, expression: Compiled, missing: Missing) -> str:
    kind = _target_kind(parsed, expression) if missing.root == "target" else parsed.pack.watch.kind
    return kind.kind if kind and missing.root in ("object", "oldObject", "target") else missing.root


def _fault(what: str, missing: Missing, place: Location) -> Fault:
    message = f"{what} has no field {'.'.join(missing.path)}"
    return Fault(place, message, suggestion(missing.path[-1], missing.known), CODE.name)


CODE = Code("unknown-field", Severity.ERROR, __doc__, check)
