"""Checks that compare conditions without data: which can never be true, and which keep two rules apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.actions import ACTIONS
from engine.cel import Program, Scope
from engine.cel.parser import parse
from engine.cel.syntax import Call, Comprehension, Expression, Literal, Node
from engine.errors import EvaluationError, ExpressionError, Fault, Location
from engine.packs.lint.base import Check, Severity, Subject, raw_rules
from engine.packs.pack import Rule
from engine.packs.parse import ParsedPack

#: `a <= b` is true where `a > b` is false, and `a >= b` where `a < b` is.
_ORDER = {"_>_": (">", True), "_<=_": (">", False), "_<_": ("<", True), "_>=_": ("<", False)}


@dataclass(frozen=True, slots=True)
class Fact:
    """A condition of the form `text == value`, or `text != value` where `equal` is false; `source` is what was written."""

    text: str
    equal: bool
    value: object
    source: str

    def excludes(self, other: Fact) -> bool:
        """Return whether both cannot be true of the same object."""
        if self.text != other.text:
            return False
        same = self.value == other.value and isinstance(self.value, bool) == isinstance(other.value, bool)
        return not same if self.equal and other.equal else same and self.equal != other.equal


class DeadRule(Check):
    """A rule can never fire: a condition is false whatever the object, or two of them exclude one another.

    Such as `when: [object.status.phase == 'Succeeded', object.status.phase == 'Failed']`, where one of both was meant: a list
    is "and"; write `object.status.phase in ['Succeeded', 'Failed']`. A rule that is to rest has `mode: Off`.
    """

    name = "dead-rule"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for the first such condition of each rule."""
        for parsed in subject.packs:
            for index, rule in enumerate(parsed.pack.rules):
                before: list[Fact] = []
                for number, clause in enumerate(rule.when):
                    own = list(_facts_of(clause.source))
                    reason, expected = _never(clause, before, own)
                    if reason:
                        location = parsed.document.locate(("spec", "rules", index, "when", number))
                        yield self.fault(location, f"rule {rule.name} can never fire: {reason}", expected)
                        break
                    before += own


def _never(clause: Program, before: list[Fact], own: list[Fact]) -> tuple[str, str]:
    """Return why a clause is never true together with the facts before it, and what was expected; '' where it can be."""
    if _false(clause, own):
        return "this is false of any object", "a condition"
    both = _excluding(before + own, own)
    if both is None:
        return "", ""
    return f"{both[0].source} and {both[1].source} exclude one another", "conditions that can be true together"


def _false(clause: Program, own: list[Fact]) -> bool:
    if clause.variables:
        return any(fact.source == "false" for fact in own)
    try:
        return clause.evaluate(Scope({})) is False
    except EvaluationError:
        return False


@dataclass(frozen=True, slots=True)
class _Write:
    """One key that a rule writes: of which object, which key, to what, and where that stands."""

    object: str
    key: str
    value: Any
    rule: Rule
    name: str
    location: Location


class SameAnnotation(Check):
    """Two rules write the same annotation or label of the same object, and nothing keeps them apart.

    Where both fire, the one that is evaluated last wins, and from one change to the next that may be either. Let their
    conditions exclude one another, such as by `== 'Succeeded'` in one and `== 'Failed'` in the other, or write different keys.
    Rules of all packs that are given together are compared.
    """

    name = "same-annotation"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each later write of a key that another rule writes; of packs with faults nothing is known."""
        earlier: dict[tuple[str, str], list[_Write]] = {}
        for write in (write for parsed in subject.sound() for write in _writes(parsed)):
            others = earlier.setdefault((write.object, write.key), [])
            for other in others:
                if other.name != write.name and other.value != write.value and not _apart(other.rule, write.rule):
                    message = f"rule {other.name} ({other.location}) also writes {write.key} of the same object"
                    yield self.fault(write.location, message, "conditions that exclude one another, or another key")
                    break
            others.append(write)


def _apart(one: Rule, other: Rule) -> bool:
    return one.on != other.on or _excluding(_facts_of_rule(one), _facts_of_rule(other)) is not None


def _writes(parsed: ParsedPack) -> Iterator[_Write]:
    for index, (rule, raw) in enumerate(zip(parsed.pack.rules, raw_rules(parsed), strict=True)):
        own = json.dumps(raw["aggregate"]["target"]) if rule.aggregate else str(parsed.pack.watch.kind)
        entries = [(part, number, entry) for part in ("actions", "rescue") for number, entry in enumerate(raw.get(part, ()))]
        for part, number, entry in entries:
            (name,) = entry.keys() & ACTIONS.keys()
            for write in ACTIONS[name].metadata(entry[name]):
                target = own if write.target is None else json.dumps(write.target)
                for key, value in write.entries.items():
                    if "${" not in key:
                        path = ("spec", "rules", index, part, number, name, *write.path, key)
                        what, name_of_rule = f"{write.part.removesuffix('s')} {key}", f"{parsed.pack.identity}/{rule.name}"
                        yield _Write(target, what, value, rule, name_of_rule, parsed.document.locate_key(path))


def _facts_of_rule(rule: Rule) -> list[Fact]:
    """Return what is true whenever a rule acts: by its conditions, and by the filter of its loop."""
    found = [fact for clause in rule.when for fact in _facts_of(clause.source)]
    expression = _parsed(rule.loop.source) if rule.loop is not None else None
    if expression is not None and isinstance(expression.root, Comprehension) and expression.root.macro == "filter":
        loop = expression.root
        found += _facts(expression, loop.body, f"{expression.text(loop.domain)}: ")
    return found


def _excluding(one: list[Fact], other: list[Fact]) -> tuple[Fact, Fact] | None:
    """Return two facts, one of each list, that exclude one another."""
    return next(((a, b) for a in one for b in other if a.excludes(b)), None)


def _facts_of(source: str) -> Iterator[Fact]:
    """Yield what an expression says, part by part of its `&&`."""
    expression = _parsed(source)
    if expression is not None:
        yield from _facts(expression, expression.root, "")


def _facts(expression: Expression, node: Node, within: str) -> Iterator[Fact]:
    match node:
        case Call(name="_&&_"):
            for part in node.arguments:
                yield from _facts(expression, part, within)
        case (
            Call(name="_==_" | "_!=_" as name, arguments=(value, Literal() as literal))
            | Call(name="_==_" | "_!=_" as name, arguments=(Literal() as literal, value))
        ):
            yield Fact(within + _text(expression, value), name == "_==_", literal.value, _text(expression, node))
        case Call(name=name, arguments=(left, right)) if name in _ORDER:
            operator, true = _ORDER[name]
            text = f"{within}{_text(expression, left)} {operator} {_text(expression, right)}"
            yield Fact(text, True, true, _text(expression, node))
        case Call(name="!_", arguments=(value,)):
            yield Fact(within + _text(expression, value), True, False, _text(expression, node))
        case _:
            yield Fact(within + _text(expression, node), True, True, _text(expression, node))


def _text(expression: Expression, node: Node) -> str:
    return " ".join(expression.source[node.start : node.end].split())


def _parsed(source: str) -> Expression | None:
    try:
        return parse(source)
    except ExpressionError:
        return None
