"""The types of the variables that the expressions of a pack see, by the schemas of kinds, params and inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from engine.actions import ACTIONS
from engine.cel import Compiled, Program
from engine.cel.checker import Checker, elements, type_of_schema, union
from engine.cel.checker.openapi import Fields
from engine.cel.parser import parse
from engine.cel.reads import reads
from engine.cel.syntax import Has, Node
from engine.cel.types import DOUBLE, DYN, INT, NULL, STRING, TIMESTAMP, EnumType, ObjectType, Type, list_of, map_of
from engine.cel.uses import in_order, uses_of_vars
from engine.errors import ExpressionError
from engine.model.flags import Mode
from engine.model.objects import Kind
from engine.packs.crds import Definition
from engine.packs.declarations import lookups_of
from engine.packs.kinds import built_in, metadata
from engine.packs.lint.base import Subject, raw_rules
from engine.packs.parse import ParsedPack
from engine.packs.rule import Rule

Types = Mapping[str, Type]


def kind_type(subject: Subject, kind: Kind | None) -> Type:
    """Return the type of a kind's objects; dyn where nothing is known of it."""
    return DYN if kind is None else subject.kinds(kind)


def types_of_kinds(definitions: Mapping[Kind, Definition], served: Mapping[Kind, Type]) -> Callable[[Kind], Type]:
    """Return what gives the type of a kind: by its definition, by what a cluster serves, else by Kubernetes' own models."""

    def find(kind: Kind) -> Type:
        definition = definitions.get(kind)
        if definition is None:
            return served.get(kind) or built_in(kind) or DYN
        declared = type_of_schema(definition.schema, kind.kind, pruned=True)
        if not isinstance(declared, ObjectType):
            return DYN
        return object_type(kind.kind, {**declared.fields, "apiVersion": STRING, "kind": STRING, "metadata": metadata()})

    return find


def object_type(name: str, fields: Types, *, more: bool = False) -> ObjectType:
    """Return the type of an object with these fields, and others where there may be `more`."""
    return ObjectType(name, Fields(fields, lambda field: fields[field]), open=more)


class Checked(NamedTuple):
    """An expression with the types in it, and the names of the kinds of its `object` and its `target`."""

    expression: Compiled
    checker: Checker
    watched: str
    target: str


def checked(subject: Subject, parsed: ParsedPack) -> Iterator[Checked]:
    """Yield each expression of a pack, checked for the watched kinds that it is evaluated for.

    One that itself distinguishes kinds, and what is shared by rules for several kinds, need only fit one of them.
    """
    scopes: dict[Sequence[Kind], _PackScope] = {}
    for expression in parsed.expressions:
        target = _target_kind(parsed, expression)
        tree, condition = expression.program.tree, is_condition(expression)
        kinds = _kinds_of(parsed, expression)
        for together in [kinds] if _distinguishes(parsed, expression, tree.root) else [(kind,) for kind in kinds]:
            if together not in scopes:
                scopes[together] = _PackScope(subject, parsed, together)
            checker = Checker(tree, scopes[together].variables(expression, target))
            if condition:
                checker.condition(tree.root)
            elif expression.path[:2] == ("spec", "rules") and expression.path[3:] == ("loop",):
                checker.loop(tree.root)
            else:
                checker.type_of(tree.root)
            watched = " or ".join(kind.kind for kind in together)
            yield Checked(expression, checker, watched, target.kind if target else "target")


def _kinds_of(parsed: ParsedPack, expression: Compiled) -> tuple[Kind, ...]:
    """The watched kinds for which an expression is evaluated: those of its rule; all where it is about none of them."""
    pack, path = parsed.pack, expression.path
    return (pack.kinds(pack.rules[int(path[2])]) if path[:2] == ("spec", "rules") else ()) or tuple(pack.watches)


def _distinguishes(parsed: ParsedPack, expression: Compiled, root: Node) -> bool:
    """Whether an expression may read what only some of the kinds have: it names the kind, asks what is there, or is shared."""
    path = expression.path
    if path[:2] != ("spec", "rules") or path[3] == "vars" or any(isinstance(node, Has) for node in root.walk()):
        return True
    condition = raw_rules(parsed)[int(path[2])][path[3]][path[4]].get("when") if path[3] in ("actions", "rescue") else None
    sources = [expression.program.reads, *([_reads(condition)] if isinstance(condition, str) else [])]
    return any(read[:2] in (("object", "kind"), ("object", "apiVersion")) for reads in sources for read in reads)


def _reads(source: str) -> Iterable[tuple[str, ...]]:
    try:
        return list(reads(parse(source).root))
    except ExpressionError:  # a fault of its own
        return ()


class _PackScope:
    """The variables of one pack for objects of some of the kinds that it watches: for all of its rules, and of each rule."""

    def __init__(self, subject: Subject, parsed: ParsedPack, kinds: Sequence[Kind]) -> None:
        self._subject, self._parsed = subject, parsed
        pack = parsed.pack
        watched = union([kind_type(subject, kind) for kind in kinds])
        params = {name: type_of_schema(param.schema, f"params.{name}", pruned=False) for name, param in pack.params.items()}
        inputs = {}
        for name, each in pack.inputs.items():
            typed = type_of_schema(each.schema, f"inputs.{name}", pruned=False)
            inputs[name] = union([typed, NULL]) if each.default is None else typed
        self._common: Types = {
            "object": watched,
            "oldObject": union([watched, NULL]),
            "params": object_type("params", params),
            "inputs": object_type("inputs", inputs),
            "inputErrors": map_of(STRING, STRING),
            "flags": map_of(STRING, EnumType(tuple(map(str, Mode)))),
            "now": TIMESTAMP,
            "error": STRING,
            "groupKey": STRING,
        }
        self._common |= {"vars": self._vars(pack.vars, self._common)}
        self._rules = [self._rule(rule, raw) for rule, raw in zip(pack.rules, raw_rules(parsed), strict=True)]

    def variables(self, expression: Compiled, target: Kind | None) -> Types:
        """Return the types of the variables that an expression may name."""
        path = expression.path
        if path[:2] == ("spec", "discover"):
            return {"object": kind_type(self._subject, self._parsed.pack.discover[str(path[2])].kind)}
        found = self._rules[int(path[2])] if path[:2] == ("spec", "rules") else self._common
        found = {**found, "target": union([kind_type(self._subject, target), NULL])}
        if path[:2] == ("spec", "rules"):
            if path[3] in ("actions", "rescue"):
                found["results"] = self._results(int(path[2]))
            aggregate = self._parsed.pack.rules[int(path[2])].aggregate
            if aggregate is not None and (path[3] in ("actions", "rescue", "throttle") or path[3:5] == ("aggregate", "vars")):
                found["object"] = found["target"] = kind_type(self._subject, aggregate.target.kind if aggregate.target else None)
                found["vars"] = self._vars(aggregate.vars, found)
        return found

    def _rule(self, rule: Rule, raw: Mapping[str, Any]) -> Types:
        schedule = object_type("schedule", {"time": TIMESTAMP})
        found = {**self._common, "lookup": self._lookups(rule, raw), "group": _group(rule), "schedule": schedule}
        found["vars"] = self._vars(rule.vars, found)
        if rule.loop is not None:
            pair = elements(_type_of(rule.loop, found))
            found[rule.loop_var] = pair[1] if pair else DYN
            found["vars"] = self._vars(rule.vars, found)
        return found

    def _vars(self, programs: Mapping[str, Program], variables: Types) -> ObjectType:
        """Return the types of vars, which may use one another."""
        known: dict[str, Type] = {}
        for name in in_order(uses_of_vars(programs)):
            known[name] = _type_of(programs[name], {**variables, "vars": object_type("vars", known, more=True)})
        return object_type("vars", known, more=True)

    def _lookups(self, rule: Rule, raw: Mapping[str, Any]) -> ObjectType:
        """Return the types of what is looked up: a list by a selector, else the object, or null where it is not there."""
        found: dict[str, Type] = {}
        for name, target in rule.lookups.items():
            kind = kind_type(self._subject, target.kind)
            found[name] = list_of(kind) if target.by_selector else union([kind, NULL])
        for name in lookups_of((*raw.get("actions", ()), *raw.get("rescue", ()))):
            found[name] = DYN
        return object_type("lookup", found)

    def _results(self, rule: int) -> ObjectType:
        """Return the types of what the actions of a rule give."""
        raw = raw_rules(self._parsed)[rule]
        found: dict[str, Type] = {}
        for entry in (*raw.get("actions", ()), *raw.get("rescue", ())):
            register, names = entry.get("register"), entry.keys() & ACTIONS.keys()
            if isinstance(register, str):
                gives = {field: kind for name in names for field, kind in ACTIONS[name].gives.items()}
                found[register] = object_type(f"results.{register}", gives) if gives else NULL
        return object_type("results", found)


def _type_of(program: Program, variables: Types) -> Type:
    return Checker(program.tree, variables).type_of(program.tree.root)


def _group(rule: Rule) -> ObjectType:
    """Return the type of what is known of a group: numbers, and values of which the types are not followed."""
    aggregate = rule.aggregate
    fields: dict[str, Type] = {}
    if aggregate is not None:
        fields = {**dict.fromkeys(aggregate.counts, INT), **dict.fromkeys(aggregate.lists, list_of(DYN))}
        fields |= {f"{name}LeftOut": INT for name in aggregate.lists} | dict.fromkeys(aggregate.sums, union([INT, DOUBLE]))
    return object_type("group", fields, more=True)


def is_condition(expression: Compiled) -> bool:
    """Return whether an expression must be true or false, by where it stands."""
    match expression.path:
        case ("spec", "targets", _, "consent"):
            return True
        case ("spec", "rules", _, "when", _) | ("spec", "rules", _, "aggregate", "counts", _):
            return True
        case ("spec", "rules", _, "aggregate", "lists", _, "where") | ("spec", "rules", _, "throttle", "urgent", "when"):
            return True
        case ("spec", "rules", _, "actions" | "rescue", _, "when"):
            return True
        case ("spec", "rules", _, "actions" | "rescue", _, _, "guard" | "doneWhen" | "that" | "where"):
            return True
    return False


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
