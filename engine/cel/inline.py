"""Functions that rule packs share: each call is replaced by the function's own expression before anything else is known of it.

What is checked, indexed and evaluated therefore knows no such functions: the cost, the fields that an expression reads and its
types are those of what stands in the place of the call. Every node that comes from a function has the span of the call.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import NamedTuple

from engine.cel.syntax import (
    Bind,
    Call,
    Comprehension,
    Expression,
    Has,
    ListOf,
    Literal,
    Local,
    MapOf,
    Node,
    Select,
    Variable,
    field_path,
    place,
)
from engine.cel.types import DYN, Named, short
from engine.errors import Awaited, ExpressionError

MAX_NODES = 5_000
"""Nodes of one expression with all functions in it: functions that call functions grow fast."""
MAX_DEPTH = 100
"""How deep the nodes of such an expression may nest: Python's stack must hold them."""


@dataclass(frozen=True, slots=True)
class Defined:
    """A function by its whole name, such as `texts.urgent`; in its `body` nothing is left to inline.

    `parameters` are names and types, `result` is the type that it declares, dyn where it declares none.
    """

    name: str
    parameters: tuple[tuple[str, Named], ...]
    body: Expression
    result: Named = DYN

    @property
    def usage(self) -> str:
        """How it is called."""
        return f"{self.name}({', '.join(name for name, _ in self.parameters)})"

    @property
    def signature(self) -> str:
        """How it is called, with types where it declares them."""
        parameters = ", ".join(name if kind == DYN else f"{name}: {short(kind)}" for name, kind in self.parameters)
        return f"{self.name}({parameters})" + ("" if self.result == DYN else f" -> {short(self.result)}")


class Hiding(NamedTuple):
    """Where the library of a name is that counts, and by where the others are that it hides, the names of their functions."""

    where: str
    others: Mapping[str, frozenset[str]]

    def text(self, library: str, function: str = "") -> str:
        """Say so, and which of them have a function of that name."""
        have = [f"{where} (which has {function})" if function in names else where for where, names in self.others.items()]
        return f"{library!r} here is {self.where}, which hides {' and '.join(have)}"


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions that expressions may call beside the built-in ones, by whole name.

    `refused` names the libraries that there are, and that have faults. `hidden` has by name what another library of that name
    keeps from being called.
    """

    defined: Mapping[str, Defined] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    hidden: Mapping[str, Hiding] = field(default_factory=dict)

    def hint(self, name: str) -> str:
        """What to write instead of an unknown function of this whole name, '' where that is not known."""
        library, dot, _ = name.rpartition(".")
        if not dot:
            return ""
        if library in self.refused:
            return f"library {library!r} without faults: it is refused as it is{self.note(name)}"
        if close := get_close_matches(name, self.defined, n=1, cutoff=0.75):
            return f"'{close[0]}' (did you mean that?){self.note(name)}"
        own = self._of(library)
        return f"one of {', '.join(own)}{self.note(name)}" if own else ""

    def note(self, name: str) -> str:
        """Which library a function of this whole name is looked for in, where there are several of its name; else ''."""
        library, _, function = name.rpartition(".")
        hiding = self.hidden.get(library)
        return "" if hiding is None else f"; {hiding.text(library, function)}"

    def awaited(self, name: str) -> Awaited | None:
        """The library that an unknown function of this whole name would be of, None where that is there."""
        library = name.rpartition(".")[0]
        refused = library in self.refused
        return Awaited(library, refused) if library and (refused or not self._of(library)) else None

    def _of(self, library: str) -> list[str]:
        """The whole names of the functions of a library."""
        return [each for each in sorted(self.defined) if each.startswith(f"{library}.")]


def called(node: Node, variables: Collection[str]) -> str:
    """The whole name of the function that a node calls by `library.function(…)`; '' where it is no such call."""
    match node:
        case Call(name=name, arguments=(Variable(name=library), *_), method=True) if library not in variables:
            return f"{library}.{name}"
    return ""


def inlined(expression: Expression, functions: Functions, variables: Collection[str]) -> Expression:
    """The expression with the bodies of functions in the place of their calls.

    Raises ExpressionError where a call does not fit its function, or too much comes of it. A call of what is not defined stays.
    """
    if not any(called(node, variables) in functions.defined for node in expression.root.walk()):
        return expression
    inliner = _Inliner(expression, functions, variables)
    root = inliner.of(expression.root)
    if _deeper(root, MAX_DEPTH):
        raise inliner.fault("the functions that this expression calls nest too deeply", root, f"at most {MAX_DEPTH} levels")
    return Expression(expression.source, root, inliner.slots, frozenset(inliner.used) | expression.functions)


class _Inliner:
    """Rebuilds the nodes of one expression. `slots` grows by those of each body that is put in."""

    def __init__(self, expression: Expression, functions: Functions, variables: Collection[str]) -> None:
        self.slots = expression.slots
        self.used: set[str] = set()
        self._expression, self._functions, self._variables = expression, functions, variables
        self._nodes = 0

    def fault(self, message: str, node: Node, expected: str) -> ExpressionError:
        return ExpressionError(message, *place(self._expression.source, node.start), expected)

    def of(self, node: Node) -> Node:
        """The node without calls of such functions."""
        function = self._functions.defined.get(called(node, self._variables))
        if function is None or not isinstance(node, Call):
            return _with(node, [self.of(child) for child in node.children])
        arguments = [self.of(argument) for argument in node.arguments[1:]]
        self._check(node, function, arguments)
        self.used |= {function.name, *function.body.functions}
        return self._put(node, function, arguments)

    def _check(self, node: Call, function: Defined, arguments: list[Node]) -> None:
        from engine.cel.resolution import static_type  # it knows this module

        count, wanted = len(arguments), len(function.parameters)
        if count != wanted:
            message = f"{function.name}() is given {count} argument{'' if count == 1 else 's'}"
            raise self.fault(message, node, function.usage + self._functions.note(function.name))
        for argument, (name, declared) in zip(arguments, function.parameters, strict=True):
            kind = static_type(argument)
            if kind is not None and declared != DYN and kind.name != declared.name:
                message = f"{function.name}() is given a value of type {short(kind)} as {name}"
                raise self.fault(message, argument, short(declared) + self._functions.note(function.name))
        self._nodes += sum(1 for _ in function.body.root.walk())
        if self._nodes > MAX_NODES:
            raise self.fault(f"{function.name}() makes this expression too large", node, f"at most {MAX_NODES} nodes")

    def _put(self, call: Call, function: Defined, arguments: list[Node]) -> Node:
        """The body for these arguments. One that is more than a field or a literal is evaluated once, before the body."""
        first, self.slots = self.slots, self.slots + function.body.slots
        values: dict[str, Node] = {}
        evaluated: list[tuple[int, Node]] = []
        for argument, (name, _) in zip(arguments, function.parameters, strict=True):
            values[name] = argument
            if not (isinstance(argument, (Literal, Local)) or field_path(argument)):
                values[name] = Local(argument.start, argument.end, name, self.slots)
                evaluated.append((self.slots, argument))
                self.slots += 1
        body = _body(function.body.root, values, first, (call.start, call.end))
        for slot, argument in reversed(evaluated):
            body = Bind(call.start, call.end, slot, argument, body)
        return body


def _body(node: Node, values: Mapping[str, Node], first: int, span: tuple[int, int]) -> Node:
    """A node of a function's body with arguments for its parameters, its variables from slot `first` on, at the call's span."""
    if isinstance(node, Variable):
        return values[node.name]
    node = replace(_with(node, [_body(child, values, first, span) for child in node.children]), start=span[0], end=span[1])
    match node:
        case Local() | Bind():
            return replace(node, slot=node.slot + first)
        case Comprehension():
            return replace(node, slot=node.slot + first, second=None if node.second is None else node.second + first)
    return node


def _with(node: Node, children: list[Node]) -> Node:
    """The node with other children, in the order of its own."""
    match node:
        case Select() | Has():
            return replace(node, operand=children[0])
        case Call():
            return replace(node, arguments=tuple(children))
        case ListOf():
            return replace(node, items=tuple(children))
        case MapOf():
            return replace(node, entries=tuple(zip(children[::2], children[1::2], strict=True)))
        case Comprehension():
            condition = None if node.condition is None else children[1]
            return replace(node, domain=children[0], condition=condition, body=children[-1])
        case Bind():
            return replace(node, value=children[0], body=children[1])
    return node


def _deeper(node: Node, levels: int) -> bool:
    return levels == 0 or any(_deeper(child, levels - 1) for child in node.children)
