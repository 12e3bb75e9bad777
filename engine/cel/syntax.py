"""The syntax tree of an expression: small frozen nodes that the compiler, the checks and the index of rules work on.

Every node knows the span of the source it stands for, as offsets `start` (included) and `end` (excluded). `Node` is the union
of all kinds, so that a `match` over it that ends in `assert_never` is known to leave none out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Union


@dataclass(frozen=True, slots=True)
class _Node:
    start: int
    end: int

    @property
    def children(self) -> tuple[Node, ...]:
        """The nodes directly below, in the order of the text."""
        return ()

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self  # type: ignore[misc]  # every kind of node is part of the union
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Literal(_Node):
    """null, a bool, an int, a uint, a double, a string, bytes, or the name of a type such as `int`."""

    value: Any


@dataclass(frozen=True, slots=True)
class Variable(_Node):
    """A variable of the scope, such as `object`."""

    name: str


@dataclass(frozen=True, slots=True)
class Local(_Node):
    """A variable that an enclosing macro has bound; `slot` numbers these variables within an expression."""

    name: str
    slot: int


@dataclass(frozen=True, slots=True)
class Select(_Node):
    """`operand.field`."""

    operand: Node
    field: str

    @property
    def children(self) -> tuple[Node, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Has(_Node):
    """`has(operand.field)`."""

    operand: Node
    field: str

    @property
    def children(self) -> tuple[Node, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Call(_Node):
    """A function or an operator, which has CEL's internal name, such as `_+_`. A method's receiver is the first argument.

    `a.?b` is the operator `_?._` of `a` and the literal `'b'`, and `a[?b]` is `_[?_]`. A function of a namespace has its
    whole name, such as `math.abs`.
    """

    name: str
    arguments: tuple[Node, ...]
    method: bool = False

    @property
    def children(self) -> tuple[Node, ...]:
        """The arguments."""
        return self.arguments


@dataclass(frozen=True, slots=True)
class ListOf(_Node):
    """`[a, ?b]`; `optional` holds the indexes of the items that are left out where they are `optional.none()`."""

    items: tuple[Node, ...]
    optional: frozenset[int] = frozenset()

    @property
    def children(self) -> tuple[Node, ...]:
        """The items."""
        return self.items


@dataclass(frozen=True, slots=True)
class MapOf(_Node):
    """`{'a': b, ?'c': d}`; `optional` holds the indexes of the entries that are left out where they are `optional.none()`."""

    entries: tuple[tuple[Node, Node], ...]
    optional: frozenset[int] = frozenset()

    @property
    def children(self) -> tuple[Node, ...]:
        """Keys and values, alternating."""
        return tuple(node for entry in self.entries for node in entry)


@dataclass(frozen=True, slots=True)
class Comprehension(_Node):
    """`domain.macro(variable, body)`; of those that take a condition as well, `domain.map(variable, condition, body)`.

    `slot` is that of the variable: an item of a list or a key of a map. With two variables, it is that of the index or key,
    and `second` that of the item or value.
    """

    macro: str
    domain: Node
    slot: int
    body: Node
    condition: Node | None = None
    second: int | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        """Domain, condition where there is one, body."""
        return (self.domain, self.body) if self.condition is None else (self.domain, self.condition, self.body)


@dataclass(frozen=True, slots=True)
class Bind(_Node):
    """`cel.bind(variable, value, body)`."""

    slot: int
    value: Node
    body: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """Value and body."""
        return (self.value, self.body)


Node = Union[Literal, Variable, Local, Select, Has, Call, ListOf, MapOf, Comprehension, Bind]  # noqa: UP007  # of names to come


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression: its text, its tree and how many variables its macros bind.

    `functions` are those of libraries that are inlined in it, by their whole names.
    """

    source: str
    root: Node
    slots: int
    functions: frozenset[str] = frozenset()

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


#: What always has an answer, so that nothing need ask whether it is there.
GIVEN = frozenset(["vars", "params"])


def key_test(source: str, mapping: Node, key: str) -> str:
    """Return how to test for a key, by its text, in a mapping, or for an index in a list; either may be absent itself."""
    index = key.isdecimal()
    owner, steps = mapping, list[str]()
    while isinstance(owner, Select):
        steps.insert(0, owner.field)
        owner = owner.operand
    text = source[mapping.start : mapping.end]
    if steps and not (isinstance(owner, Variable) and owner.name in GIVEN):
        text = f"get({source[owner.start : owner.end]}, '{'.'.join(steps)}', {'[]' if index else '{}'})"
    return f"size({text}) > {key}" if index else f"{key} in {text}"


def after_not(source: str, start: int, test: str) -> str:
    """Return a test to be written from an offset on: in brackets where a `!` stands before that."""
    return f"({test})" if source[:start].rstrip().endswith("!") else test


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column, counted from 1, of an offset in a text."""
    offset = min(offset, len(text))
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1
