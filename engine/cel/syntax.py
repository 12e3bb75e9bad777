"""The syntax tree of an expression: small frozen nodes that both backends and the checks work on.

Every node knows the span of the source it stands for, as offsets `start` (included) and `end` (excluded).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    """Anything that has a value."""

    start: int
    end: int

    @property
    def children(self) -> tuple[Node, ...]:
        """The nodes directly below, in the order of the text."""
        return ()

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """null, a bool, an int, a double or a string."""

    value: Any


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """A variable of the scope, such as `object`."""

    name: str


@dataclass(frozen=True, slots=True)
class Local(Node):
    """The variable of an enclosing comprehension; `slot` numbers the comprehensions of an expression."""

    name: str
    slot: int


@dataclass(frozen=True, slots=True)
class Select(Node):
    """`operand.field`."""

    operand: Node
    field: str

    @property
    def children(self) -> tuple[Node, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Has(Node):
    """`has(operand.field)`."""

    operand: Node
    field: str

    @property
    def children(self) -> tuple[Node, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function or an operator, which has CEL's internal name, such as `_+_`. A method's receiver is the first argument."""

    name: str
    arguments: tuple[Node, ...]
    method: bool = False

    @property
    def children(self) -> tuple[Node, ...]:
        """The arguments."""
        return self.arguments


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    """`[a, b]`."""

    items: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The items."""
        return self.items


@dataclass(frozen=True, slots=True)
class MapOf(Node):
    """`{'a': b}`."""

    entries: tuple[tuple[Node, Node], ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """Keys and values, alternating."""
        return tuple(node for entry in self.entries for node in entry)


@dataclass(frozen=True, slots=True)
class Comprehension(Node):
    """`domain.macro(variable, body)`, and `domain.map(variable, condition, body)`."""

    macro: str
    domain: Node
    slot: int
    body: Node
    condition: Node | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        """Domain, condition where there is one, body."""
        return (self.domain, self.body) if self.condition is None else (self.domain, self.condition, self.body)


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression: its text, its tree and how many comprehensions it holds."""

    source: str
    root: Node
    slots: int

    def text(self, node: Node) -> str:
        """The source of a node on one line, shortened where it is long, for messages."""
        text = " ".join(self.source[node.start : node.end].split())
        return text if len(text) <= 80 else f"{text[:77]}..."


def field_path(node: Node) -> tuple[str, ...]:
    """The path of a variable and the fields selected below it, `('object', 'status')`; empty where a node is not one.

    `a['b']` is the same path as `a.b`.
    """
    fields: list[str] = []
    while not isinstance(node, Variable):
        match node:
            case Select():
                fields.append(node.field)
                node = node.operand
            case Call(name="_[_]", arguments=(operand, Literal(value=str(key)))):
                fields.append(key)
                node = operand
            case _:
                return ()
    return (node.name, *reversed(fields))


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column, counted from 1, of an offset in a text."""
    offset = min(offset, len(text))
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1
