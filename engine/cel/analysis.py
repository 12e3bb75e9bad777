"""What can be known of an expression before it is evaluated: its variables, what it reads, and its faults."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from engine.cel import documents, queries
from engine.cel.asks import Ask, Field, asks, field_of
from engine.cel.parser import parse
from engine.cel.resolution import Resolution
from engine.cel.syntax import Call, Expression, Has, Literal, Node, Variable, field_path


@dataclass(frozen=True, slots=True)
class Analysis:
    """A checked expression, the variables it names, the field paths it can see, and what it asks for."""

    expression: Expression
    variables: frozenset[str]
    reads: frozenset[tuple[str, ...]]
    asks: tuple[Ask, ...]
    field: Field | None


def analyse(text: str, variables: Collection[str], *, checked: bool = True) -> Analysis:
    """Parse and check an expression that may name these variables. Raises ExpressionError."""
    expression = parse(text)
    root = expression.root
    if checked:
        resolution = Resolution(expression, variables)
        for node in root.walk():
            resolution.check(node)
    names = frozenset(node.name for node in root.walk() if isinstance(node, Variable))
    return Analysis(expression, names, frozenset(_reads(root)), tuple(asks(root)), field_of(root))


def _reads(node: Node) -> Iterator[tuple[str, ...]]:
    """The paths a node reads: the longest in the text, and those that `get`, `annotation`, `label` and `jmespath` name."""
    path = field_path(node)
    if isinstance(node, Has) and (operand := field_path(node.operand)):
        path = (*operand, node.field)
    if path:
        yield path
        return
    match node:
        case Call(name="_?._" | "_[?_]") if path := _optional_path(node):
            yield path
        case Call(name="get", arguments=(value, Literal(value=str(steps)), default)) if field_path(value):
            yield (*field_path(value), *documents.path_steps(steps))
            yield from _reads(default)
        case Call(name="jmespath", arguments=(value, Literal(value=str(expression)))) if path := field_path(value):
            yield from ((*path, *steps) for steps in queries.paths(expression))
        case Call(name="annotation" | "label" as name, arguments=(value, Literal(value=str(key)))) if field_path(value):
            yield (*field_path(value), "metadata", f"{name}s", key)
        case Call(name="annotation" | "label" as name, arguments=(value, key)) if field_path(value):
            yield (*field_path(value), "metadata", f"{name}s")  # which of them, only the evaluation knows
            yield from _reads(key)
        case _:
            for child in node.children:
                yield from _reads(child)


def _optional_path(node: Node) -> tuple[str, ...]:
    """The path of `object.?a.b[?'c']`; empty where a node is not one."""
    match node:
        case Call(name="_?._" | "_[?_]" | "_[_]", arguments=(operand, Literal(value=str(key)))):
            path = _optional_path(operand)
            return (*path, key) if path else ()
        case _ if path := field_path(node):
            return path
        case _ if hasattr(node, "field") and hasattr(node, "operand"):
            path = _optional_path(node.operand)
            return (*path, node.field) if path else ()
    return ()
