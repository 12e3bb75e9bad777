"""Which rules with `prune` generate the same object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.actions.apply import ApplyAction
from engine.errors import Fault
from engine.model.flags import Mode
from engine.packs.lint.base import Check, Severity, Subject, raw_rules
from engine.packs.lint.conditions import selected
from engine.packs.lint.facts import Fact, excluding, facts_of_rule
from engine.packs.parse import ParsedPack
from engine.packs.rule import Rule
from engine.packs.watches import Watch

_OF_THE_PACK = frozenset({"params", "inputs", "flags"})
_OF_THE_OBJECT = frozenset({"object"})
_LOOPED = ("loop", "loopVar", "lookup", "vars")
"""What else names depend on: in two rules it gives the same where it is written in the same way."""


@dataclass(frozen=True, slots=True)
class _Made:
    """One action that generates: of which rule, for which watched objects, what, and by what its name is known."""

    parsed: ParsedPack
    rule: Rule
    raw: dict[str, Any]
    watch: Watch
    number: int
    index: int
    text: str
    variables: frozenset[str]
    facts: list[Fact]

    @property
    def name(self) -> str:
        return f"{self.parsed.pack.identity}/{self.rule.name}"

    def same(self, other: _Made) -> bool:
        """Return whether both name the same object, for the same watched one where the names depend on that."""
        if self.text != other.text or excluding(self.facts, other.facts) is not None:
            return False
        if self.variables and self.watch.kind != other.watch.kind:
            return False
        if self.variables <= _OF_THE_OBJECT:
            return True
        if self.parsed is not other.parsed:
            return False
        return self.variables <= _OF_THE_OBJECT | _OF_THE_PACK or all(self.raw.get(key) == other.raw.get(key) for key in _LOOPED)


class SameGenerated(Check):
    """Two actions with `prune` generate the same object.

    An object belongs to the rule that has made it: where both rules fire, the second one fails with the Event `RuleFailed`,
    which names the first, and where the first one has its object removed the second one may make it. Two actions of one rule
    write it over and over. Give the objects different names, let the conditions exclude one another, or make the object in one
    rule. Objects are compared by what is written as apiVersion, kind, name and namespace, in all packs that are given together.
    """

    name = "same-generated"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each later action that generates what another one does."""
        earlier: list[_Made] = []
        for made in (made for parsed in subject.sound() for made in _made(parsed)):
            others = (other for other in earlier if (other.name, other.number) != (made.name, made.number) and other.same(made))
            if other := next(others, None):
                place = other.parsed.document.locate(_path(other))
                message = f"rule {other.name} ({place}) also generates this object"
                yield self.fault(made.parsed.document.locate(_path(made)), message, "another name, or one rule that makes it")
            earlier.append(made)


def _path(made: _Made) -> tuple[str | int, ...]:
    return "spec", "rules", made.index, "actions", made.number, "apply", "manifest", "metadata", "name"


def _made(parsed: ParsedPack) -> Iterator[_Made]:
    for watch in parsed.pack.watches.values():
        chosen = selected(watch)
        for index, (rule, raw) in enumerate(zip(parsed.pack.rules, raw_rules(parsed), strict=True)):
            if watch.kind not in parsed.pack.kinds(rule) or rule.mode is Mode.OFF:
                continue
            facts = [*chosen, *facts_of_rule(rule)]
            for number, entry in enumerate(rule.actions):
                action = entry.action
                if isinstance(action, ApplyAction) and action.generates is not None:
                    manifest = raw["actions"][number]["apply"]["manifest"]
                    meta = manifest["metadata"]
                    text = json.dumps([manifest["apiVersion"], manifest["kind"], meta.get("namespace"), meta["name"]])
                    variables = frozenset(name for program in action.target.fields.programs for name in program.variables)
                    yield _Made(parsed, rule, raw, watch, number, index, text, variables, facts)
