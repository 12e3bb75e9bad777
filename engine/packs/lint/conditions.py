"""Checks that compare conditions without data: which can never be true, and which keep two rules apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.actions import ACTIONS
from engine.cel import Program, Scope
from engine.cel.parser import parse
from engine.cel.syntax import Call, Has, Select, Variable
from engine.cel.types import Named, Type
from engine.errors import EvaluationError, Fault, Location
from engine.packs.declarations import needed_through
from engine.packs.lint.base import Check, Severity, Subject, location_of, raw_rules
from engine.packs.lint.facts import Fact, excluding, facts_of, facts_of_rule
from engine.packs.lint.scope import checked
from engine.packs.parse import ParsedPack
from engine.packs.rule import Rule
from engine.packs.watches import Watch


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
                if not parsed.pack.kinds(rule):
                    location = parsed.document.locate_key(("spec", "rules", index, "when"))
                    kinds = " and ".join(kind.kind for kind in parsed.pack.watches)
                    yield self.fault(location, f"rule {rule.name} can never fire: the pack watches {kinds} only", "one of them")
                    continue
                for number, clause in enumerate(rule.when):
                    own = list(facts_of(clause.source))
                    reason, expected = _never(clause, before, own)
                    if reason:
                        location = parsed.document.locate(("spec", "rules", index, "when", number))
                        yield self.fault(location, f"rule {rule.name} can never fire: {reason}", expected)
                        break
                    before += own


class AlwaysTrue(Check):
    """A condition is true of every object that has what it reads, so that it keeps nothing from firing.

    Such as `size(object.spec.containers) >= 0`, where `> 0` was meant, or `a != 'x' || a != 'y'`, where `&&` was meant: whatever
    `a` is, it differs from one of both; write `!(a in ['x', 'y'])`. A rule for every object has no `when`. `has(lookup.x)` is
    always true too, and `has()` of a param or an input: what is not found, or not set, is null. Write `lookup.x != null`.
    """

    name = "always-true"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each clause of which the opposite can never be true, and for each `has()` that is always true."""
        for parsed in subject.packs:
            yield from self._always_there(subject, parsed)
            for index, rule in enumerate(parsed.pack.rules):
                for number, clause in enumerate(rule.when):
                    opposite = list(facts_of(f"!({clause.source})")) if clause.variables else []
                    if excluding(opposite, opposite):
                        location = parsed.document.locate(("spec", "rules", index, "when", number))
                        message = f"when[{number + 1}] of rule {rule.name} is true of any object that has what it reads"
                        yield self.fault(location, message, "a condition that can be false, or none")

    def _always_there(self, subject: Subject, parsed: ParsedPack) -> Iterator[Fault]:
        """Yield a fault for each `has()` of a lookup, a param or an input of any expression."""
        for compiled, checker, *_ in checked(subject, parsed):
            tree = parse(compiled.program.source)
            negated = {node.arguments[0]: node for node in tree.root.walk() if isinstance(node, Call) and node.name == "!_"}
            for node in tree.root.walk():
                match node:
                    case Has(operand=Variable(name="lookup" | "params" | "inputs" as root), field=field):
                        written = negated.get(node, node)
                        value = f"{root}.{field}"
                        kind = checker.type_of(Select(node.start, node.end, node.operand, field))
                        always = "false" if node in negated else "true"
                        message = f"{tree.text(written)} is always {always}: {value} is there, or null"
                        location = location_of(parsed, compiled, written.start)
                        yield self.fault(location, message, _is_set(value, kind, there=node not in negated))


class MissedChange(Check):
    """A rule without `oncePer` goes by `oldObject`, which is null after a restart or a change of leader.

    What changes meanwhile is never compared: the rule does not fire for it, and nothing says so. Name what may change in
    `oncePer`, such as `oncePer: hash(toJson(get(object, 'data', {})))`: what was so at the last firing is on record on the
    object. A clause that says `oldObject == null ||` is left alone.
    """

    name = "missed-change"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for the first such condition of each rule."""
        for parsed in subject.packs:
            for index, rule in enumerate(parsed.pack.rules):
                if rule.once_per is not None or rule.on == "Delete":
                    continue
                for number, clause in enumerate(rule.when):
                    if _goes_by_old(clause, rule):
                        location = parsed.document.locate(("spec", "rules", index, "when", number))
                        message = f"rule {rule.name} goes by oldObject, null after a restart: a change meanwhile is missed"
                        expected = "oncePer with what may change, such as hash(toJson(get(object, 'data', {}))), and no oldObject"
                        yield self.fault(location, message, expected)
                        break


def _is_set(value: str, kind: Type, *, there: bool) -> str:
    """Return what asks whether something is set, or found, by its type."""
    sign = "!=" if there else "=="
    match kind:
        case Named(name="list" | "map"):
            return f"size({value}) {'>' if there else '=='} 0"
        case Named(name="string"):
            return f"{value} {sign} ''"
        case Named(name="int" | "double" | "bool"):
            return "a comparison with another value, or none"
    return f"{value} {sign} null"


def _goes_by_old(clause: Program, rule: Rule) -> bool:
    if "oldObject == null" in clause.source:
        return False
    return "oldObject" in clause.variables or bool(needed_through(clause, rule.vars, "oldObject"))


def _never(clause: Program, before: list[Fact], own: list[Fact]) -> tuple[str, str]:
    """Return why a clause is never true together with the facts before it, and what was expected; '' where it can be."""
    if _false(clause, own):
        return "this is false of any object", "a condition"
    both = excluding(before + own, own)
    if both is None:
        return "", ""
    if both[0].source == both[1].source:
        return f"{both[0].source} is false of any object", "a condition that can be true"
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
    """One key that a rule writes: of which object, which key, to what, where that stands, and what is true when it does."""

    object: str
    key: str
    value: Any
    rule: Rule
    name: str
    location: Location
    facts: Sequence[Fact]


class SameAnnotation(Check):
    """Two rules write the same annotation, label or field of the same object, and nothing keeps them apart.

    Where both fire, the one that is evaluated last wins, and from one change to the next that may be either; two that are each
    kept so undo each other's writes for ever. Let their conditions exclude one another, such as by `== 'Succeeded'` in one and
    `== 'Failed'` in the other, or write different keys. Schedules that are never due at the same time keep rules apart too. Rules
    of all packs that are given together are compared.
    """

    name = "same-annotation"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each later write of a key that another rule writes; of packs with faults nothing is known."""
        earlier: dict[tuple[str, str], list[_Write]] = {}
        for write in (write for parsed in subject.sound() for write in _writes(parsed)):
            others = earlier.setdefault((write.object, write.key), [])
            for other in others:
                if other.name != write.name and other.value != write.value and not _apart(other, write):
                    message = f"rule {other.name} ({other.location}) also writes {write.key} of the same object"
                    yield self.fault(write.location, message, "conditions that exclude one another, or another key")
                    break
            others.append(write)


def _apart(one: _Write, other: _Write) -> bool:
    schedules = one.rule.schedule, other.rule.schedule
    if schedules[0] is not None and schedules[1] is not None and not schedules[0].meets(schedules[1]):
        return True
    return one.rule.on != other.rule.on or excluding(one.facts, other.facts) is not None


def _writes(parsed: ParsedPack) -> Iterator[_Write]:
    for watch in parsed.pack.watches.values():
        yield from _writes_about(parsed, watch)


def _writes_about(parsed: ParsedPack, watch: Watch) -> Iterator[_Write]:
    """Yield what rules write for objects of one of the watched kinds."""
    chosen = selected(watch)
    for index, (rule, raw) in enumerate(zip(parsed.pack.rules, raw_rules(parsed), strict=True)):
        if watch.kind not in parsed.pack.kinds(rule):
            continue
        own = json.dumps(raw["aggregate"].get("target")) if rule.aggregate else str(watch.kind)
        entries = [(part, number, entry) for part in ("actions", "rescue") for number, entry in enumerate(raw.get(part, ()))]
        for part, number, entry in entries:
            (name,) = entry.keys() & ACTIONS.keys()
            when = entry.get("when")
            facts = [*chosen, *facts_of_rule(rule, *([when] if isinstance(when, str) else when or ()))]
            owner = f"{parsed.pack.identity}/{rule.name}"
            for write in ACTIONS[name].metadata(entry[name]):
                target = own if write.target is None else json.dumps(write.target)
                for key, value in write.entries.items():
                    if "${" not in key:
                        path = ("spec", "rules", index, part, number, name, *write.path, key)
                        what = f"{write.part.removesuffix('s')} {write.below}{key}"
                        yield _Write(target, what, value, rule, owner, parsed.document.locate_key(path), facts)


def selected(watch: Watch) -> list[Fact]:
    """Return what is true of the labels of every object that a pack watches: their values, and whether they are there."""
    found = []
    for part in re.sub(r"\([^()]*\)", "()", watch.selection.labels).split(","):
        if match := re.fullmatch(r"(!?)([^=!()\s]+)(?:=([^=()\s]*))?", part):
            absent, key, value = match.groups()
            found.append(Fact(f"label {key} is there", (True,), not absent, part))
            if value is not None:
                found.append(Fact(f"label {key}", (value,), True, part))
    return found
