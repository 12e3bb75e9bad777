"""What a kind of fault is: its name, how bad it is, what finds it, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from engine.cel import Compiled, Path
from engine.cel.syntax import place
from engine.errors import Fault, Location
from engine.model.objects import Kind
from engine.packs.crds import Definition
from engine.packs.parse import ParsedPack


class Severity(StrEnum):
    """An error is refused, or does not do what was meant; a warning may be meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at together: packs that have been read, and the definitions of custom kinds that are known.

    `broken` names the packs that have faults, and may therefore lack what could not be read.
    """

    packs: Sequence[ParsedPack]
    definitions: Mapping[Kind, Definition] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()


Check = Callable[[Subject], Iterator[Fault]]


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of fault. Without a `check` it is found while a pack is read."""

    name: str
    severity: Severity
    documentation: str
    check: Check | None = None


def raw_rules(parsed: ParsedPack) -> list[dict[str, Any]]:
    """The rules of a pack as they were written, in the order of the compiled ones."""
    rules: list[dict[str, Any]] = parsed.document.value["spec"]["rules"]
    return rules


def raw_actions(rule: Mapping[str, Any]) -> Iterator[tuple[Path, str, Any]]:
    """Each action of a rule as it was written: its path below the rule, its name, and its spec."""
    for part in ("actions", "rescue"):
        for index, entry in enumerate(rule.get(part, ())):
            for name, spec in entry.items():
                if name not in ("when", "register"):
                    yield (part, index, name), name, spec


def place_of(parsed: ParsedPack, expression: Compiled, offset: int) -> Location:
    """Where an offset of an expression's text stands in the file."""
    line, column = place(expression.program.source, offset)
    column += expression.column - 1 if line == 1 else 0
    return parsed.document.locate(expression.path, expression.line + line - 1, column)
