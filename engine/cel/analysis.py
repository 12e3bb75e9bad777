"""What can be known of an expression before it is evaluated: its variables, what it reads, and its faults."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from engine.cel.asks import Ask, Field, asks, field_of
from engine.cel.inline import Functions, inlined
from engine.cel.parser import parse
from engine.cel.reads import reads
from engine.cel.resolution import Resolution
from engine.cel.syntax import Expression, Variable


@dataclass(frozen=True, slots=True)
class Analysis:
    """A checked expression, the variables it names, the field paths it can see, and what it asks for."""

    expression: Expression
    variables: frozenset[str]
    reads: frozenset[tuple[str, ...]]
    asks: tuple[Ask, ...]
    field: Field | None


def analyse(text: str, variables: Collection[str], functions: Functions | None = None, *, checked: bool = True) -> Analysis:
    """Parse and check an expression that may name these variables and functions. Raises ExpressionError."""
    functions = functions or Functions()
    expression = inlined(parse(text), functions, variables)
    root = expression.root
    if checked:
        resolution = Resolution(expression, variables, functions)
        for node in root.walk():
            resolution.check(node)
    names = frozenset(node.name for node in root.walk() if isinstance(node, Variable))
    return Analysis(expression, names, frozenset(reads(root)), tuple(asks(root)), field_of(root))
