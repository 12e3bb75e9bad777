"""Rules that extend others: what is written once, written out, with everything still located where it stands."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.cel import Path
from engine.errors import Fault, Location
from engine.model.text import found, shown, suggestion
from engine.packs.document import Document, Locate
from engine.packs.yamltext import PACK_BOUNDS

OWN = frozenset([
    "name", "previousNames", "description", "extends", "event", "on", "for", "schedule", "throttle", "resync",
])  # fmt: skip
"""Keys that no rule has from another: what it is called, and when it is evaluated."""
JOINED = ("vars", "lookup")
"""Keys whose names are joined with those of the other rule."""


@dataclass(frozen=True, slots=True)
class Extended:
    """A document whose rules are written out; what a rule has from another one is located there."""

    value: Any
    _written: Document
    _origins: Mapping[Path, Path]

    def locate(self, path: Path, line: int = 1, column: int = 1) -> Location:
        """Return the location of a value, or of a line and column inside the scalar at `path`."""
        written, inherited = self._origin(path)
        return replace(self._written.locate(written, line, column), inherited=inherited)

    def within(self, path: Path) -> Locate:
        """Return how locations inside the scalar at `path` map to those of the whole."""
        written, inherited = self._origin(path)
        locate = self._written.within(written)
        return lambda line, column: replace(locate(line, column), inherited=inherited)

    def locate_key(self, path: Path) -> Location:
        """Return the location of the key that a path ends with."""
        written, inherited = self._origin(path)
        return replace(self._written.locate_key(written), inherited=inherited)

    def _origin(self, path: Path) -> tuple[Path, str]:
        """Return where a path leads in what was written, and for what is from another rule, which rule has it from which.

        A key of a rule, or a name of `vars`, may be from another rule.
        """
        for length in (5, 4):
            if origin := self._origins.get(path[:length]):
                own, other = (shown(str(self.value["spec"]["rules"][each[2]].get("name")), 60) for each in (path, origin))
                return (*origin, *path[length:]), f"rule {own} has it from rule {other}, which it extends"
        return path, ""


def extended(document: Document) -> tuple[Document, Mapping[int, Fault]]:
    """Return a document of a pack with its rules written out, and for each rule that cannot be, its fault."""
    body = document.value.get("spec") if isinstance(document.value, dict) else None
    rules = body.get("rules") if isinstance(body, dict) else None
    if not isinstance(rules, list) or not any(isinstance(rule, dict) and "extends" in rule for rule in rules):
        return document, {}
    writer = _Writer(document, rules)
    value = {**document.value, "spec": {**document.value["spec"], "rules": writer.rules()}}
    return Extended(value, document, writer.origins), writer.faults


def merged(faults: Iterable[Fault]) -> list[Fault]:
    """Return each fault once; where only rules that extend another one have it, with what they have from that."""
    found: dict[Fault, list[str]] = {}
    for fault in faults:
        found.setdefault(fault, []).append(fault.location.inherited)
    return [_naming(fault, [] if "" in said else said) for fault, said in found.items()]


def _naming(fault: Fault, inherited: Iterable[str]) -> Fault:
    """Return a fault whose message says who has inherited what is wrong."""
    said = "; ".join(dict.fromkeys(inherited))
    message = f"{fault.message} ({said})" if said else fault.message
    return replace(fault, location=replace(fault.location, inherited=""), message=message)


@dataclass(slots=True)
class _Writer:
    document: Document
    written: list[Any]
    origins: dict[Path, Path] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)
    size: int = 0

    def rules(self) -> list[Any]:
        """Return the rules, written out as far as they can be."""
        return [self._rule(index, rule) for index, rule in enumerate(self.written)]

    def _rule(self, index: int, rule: Any) -> Any:
        if not isinstance(rule, dict) or "extends" not in rule:
            return rule
        other = rule["extends"]
        if not isinstance(other, str):
            return self._refuse(index, f"{found(other)} stands here", "the name of a rule")
        number = next((number for number, each in self._others(index) if each.get("name") == other), None)
        if number is None:
            known = [str(each.get("name")) for _, each in self._others(index) if "extends" not in each]
            return self._refuse(index, f"there is no other rule {shown(other, 60)}", suggestion(other, known))
        base = self.written[number]
        if "extends" in base:
            message = f"rule {shown(other, 60)} itself extends {shown(str(base['extends']), 60)}"
            return self._refuse(index, message, "a rule that extends none")
        taken = self._taken(index, rule, number, base)
        self.size += len(json.dumps(taken, default=str))
        if self.size > PACK_BOUNDS.size:
            message = "with what they have from others written out, the rules are too long"
            return self._refuse(index, message, f"at most {PACK_BOUNDS.size} characters")
        return {**rule, **taken}

    def _others(self, index: int) -> Iterator[tuple[int, dict[str, Any]]]:
        return ((number, rule) for number, rule in enumerate(self.written) if number != index and isinstance(rule, dict))

    def _taken(self, index: int, rule: dict[str, Any], number: int, base: dict[str, Any]) -> dict[str, Any]:
        """Return what a rule has from another one, and note where it stands."""
        own, origin = ("spec", "rules", index), ("spec", "rules", number)
        taken = {key: value for key, value in base.items() if key not in OWN and key not in rule}
        self.origins |= {(*own, key): (*origin, key) for key in taken}
        for key in JOINED:
            mine, others = rule.get(key), base.get(key)
            if isinstance(mine, dict) and isinstance(others, dict):
                self.origins |= {(*own, key, name): (*origin, key, name) for name in others.keys() - mine.keys()}
                taken[key] = {**others, **mine}
        return taken

    def _refuse(self, index: int, message: str, expected: str) -> Any:
        where = self.document.locate(("spec", "rules", index, "extends"))
        self.faults[index] = Fault(where, message, expected, "declaration")
        return self.written[index]
