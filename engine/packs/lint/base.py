"""What a kind of fault is, and what a check for one is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from inspect import cleandoc
from typing import Any, ClassVar

from engine.cel import Compiled
from engine.cel.syntax import place
from engine.cel.types import Type
from engine.errors import Fault, Location
from engine.model.objects import Kind
from engine.packs.libraries import Libraries
from engine.packs.parse import ParsedPack


class Severity(StrEnum):
    """An error is refused, or does not do what was meant; a warning may be meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is checked together: packs that have been read, and the types of the objects of each kind, dyn where not known.

    `broken` names the packs that have faults, and may therefore lack what could not be read; `libraries` are those that the
    packs may use. `complete` says whether everything could be read.
    """

    packs: Sequence[ParsedPack]
    kinds: Callable[[Kind], Type]
    broken: frozenset[str] = frozenset()
    libraries: Libraries = field(default_factory=Libraries)
    complete: bool = True

    def sound(self) -> list[ParsedPack]:
        """Return the packs without faults, of which everything is known."""
        return [parsed for parsed in self.packs if parsed.pack.identity not in self.broken]


class Check(ABC):
    """Finds one kind of fault; the docstring of its class documents that kind for users."""

    name: ClassVar[str]
    severity: ClassVar[Severity]

    @abstractmethod
    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield each such fault of the packs."""

    def fault(self, location: Location, message: str, expected: str) -> Fault:
        """Return a fault of this kind."""
        return Fault(location, message, expected, self.name)


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of fault. Without a `check` it is found while a pack is read."""

    name: str
    severity: Severity
    documentation: str
    check: Check | None = None

    @classmethod
    def of(cls, check: type[Check]) -> Code:
        """Return the code of a check."""
        return cls(check.name, check.severity, cleandoc(check.__doc__ or ""), check())


def raw_rules(parsed: ParsedPack) -> list[dict[str, Any]]:
    """Return the rules of a pack as they were written, in the order of the bound ones."""
    rules: list[dict[str, Any]] = parsed.document.value["spec"]["rules"]
    return rules


def location_of(parsed: ParsedPack, expression: Compiled, offset: int) -> Location:
    """Return where an offset of an expression's text stands in the file."""
    line, column = place(expression.program.source, offset)
    column += expression.column - 1 if line == 1 else 0
    return parsed.document.locate(expression.path, expression.line + line - 1, column)
