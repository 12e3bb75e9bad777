"""Text to syntax tree, with messages for people."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from lark import Tree

from engine.cel.grammar import parsed
from engine.cel.libraries import FUNCTIONS
from engine.cel.literals import literal
from engine.cel.macros import GLOBAL, MACROS, Use
from engine.cel.syntax import Call, Expression, ListOf, Literal, Local, MapOf, Node, Select, Variable, place
from engine.cel.types import TYPE_NAMES
from engine.cel.values import fits_int
from engine.errors import ExpressionError

#: Characters of one expression.
MAX_LENGTH = 10_000
#: How deep operators, calls and brackets may nest: Python's stack must hold them, and those of the vars that they need.
MAX_DEPTH = 100

_BINARY = {
    "relation_lt": "_<_", "relation_le": "_<=_", "relation_gt": "_>_", "relation_ge": "_>=_", "relation_eq": "_==_",
    "relation_ne": "_!=_", "relation_in": "_in_", "addition_add": "_+_", "addition_sub": "_-_",
    "multiplication_mul": "_*_", "multiplication_div": "_/_", "multiplication_mod": "_%_",
}  # fmt: skip
#: What stands for itself even with a single child.
_KEPT = frozenset({"list_lit", "map_lit", "element", "optional_element"})


@lru_cache(maxsize=1024)
def parse(source: str) -> Expression:
    """The tree of an expression. Raises ExpressionError with line and column of what does not fit."""
    if len(source) > MAX_LENGTH:
        raise ExpressionError(f"the expression has {len(source)} characters", expected=f"at most {MAX_LENGTH}")
    if not source.strip():
        raise ExpressionError("the expression is empty", expected="a CEL expression")
    builder = _Builder(source)
    root = builder.build(parsed(source), {})
    return Expression(source, root, builder.slots)


class _Builder:
    """Makes nodes of Lark's trees; `bound` holds the slots of the variables that the macros around have bound."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.slots = 0
        self._depth = 0
        self._bound: Mapping[str, int] = {}

    def error(self, message: str, at: int, expected: str = "") -> ExpressionError:
        return ExpressionError(message, *place(self.source, at), expected)

    def slot(self) -> int:
        self.slots += 1
        return self.slots - 1

    def identifier(self, tree: Any) -> str | None:
        while len(tree.children) == 1 and isinstance(tree.children[0], Tree):
            tree = tree.children[0]
        return str(tree.children[0]) if tree.data == "ident" else None

    def build(self, tree: Any, bound: Mapping[str, int] | None = None) -> Node:
        while len(tree.children) == 1 and isinstance(tree.children[0], Tree) and tree.data not in _KEPT:
            tree = tree.children[0]
        if self._depth > MAX_DEPTH:
            message = "the expression nests too deeply"
            raise self.error(message, tree.meta.start_pos, f"at most {MAX_DEPTH} levels; move a part of it to `vars`")
        before, self._depth = self._bound, self._depth + 1
        self._bound = {**before, **bound} if bound else before
        try:
            return self._node(tree)
        finally:
            self._bound, self._depth = before, self._depth - 1

    def _node(self, tree: Any) -> Node:
        start, end = tree.meta.start_pos, tree.meta.end_pos
        below = [child for child in tree.children if isinstance(child, Tree)]
        match tree.data:
            case "literal":
                return Literal(start, end, literal(tree.children[0], self.error))
            case "ident" | "dot_ident":
                return self._name(str(tree.children[0]), start, end)
            case "expr":
                return Call(start, end, "_?_:_", (self.build(below[0]), self.build(below[1]), self.build(below[2])))
            case "conditionalor" | "conditionaland":
                return self._logical(tree)
            case "relation" | "addition" | "multiplication":
                operator, right = below
                return Call(start, end, _BINARY[operator.data], (self.build(operator.children[0]), self.build(right)))
            case "unary":
                return self._unary(tree, below)
            case "list_lit" | "map_lit":
                return self._list(tree, below) if tree.data == "list_lit" else self._map(tree, below)
            case _:
                return self._member(tree, below)

    def _name(self, name: str, start: int, end: int) -> Node:
        if name in self._bound:
            return Local(start, end, name, self._bound[name])
        return Literal(start, end, TYPE_NAMES[name]) if name in TYPE_NAMES else Variable(start, end, name)

    def _logical(self, tree: Any) -> Node:
        """A chain of `||` or `&&` as one node, since such chains are long and not deep."""
        parts = []
        node = tree
        while isinstance(node, Tree) and node.data == tree.data and len(node.children) == 2:
            parts.append(self.build(node.children[1]))
            node = node.children[0]
        parts.append(self.build(node))
        name = "_||_" if tree.data == "conditionalor" else "_&&_"
        return Call(tree.meta.start_pos, tree.meta.end_pos, name, tuple(reversed(parts)))

    def _unary(self, tree: Any, below: list[Any]) -> Node:
        operand = self.build(below[1])
        negative = below[0].data == "unary_neg"
        start, end = tree.meta.start_pos, tree.meta.end_pos
        if negative and isinstance(operand, Literal) and (type(value := operand.value) is float or _negatable(value)):
            return Literal(start, end, -value)
        return Call(start, end, "-_" if negative else "!_", (operand,))

    def _list(self, tree: Any, below: list[Any]) -> Node:
        elements = below[0].children if below else []
        items = tuple(self.build(element.children[0]) for element in elements)
        optional = frozenset(index for index, element in enumerate(elements) if element.data == "optional_element")
        return ListOf(tree.meta.start_pos, tree.meta.end_pos, items, optional)

    def _map(self, tree: Any, below: list[Any]) -> Node:
        pairs = below[0].children if below else []
        entries = tuple((self.build(pair.children[0]), self.build(pair.children[1])) for pair in pairs)
        optional = frozenset(index for index, pair in enumerate(pairs) if pair.data == "optional_entry")
        return MapOf(tree.meta.start_pos, tree.meta.end_pos, entries, optional)

    def _member(self, tree: Any, below: list[Any]) -> Node:
        start, end = tree.meta.start_pos, tree.meta.end_pos
        match tree.data:
            case "member_dot":
                if (name := self._qualified(tree)) in TYPE_NAMES:
                    return Literal(start, end, TYPE_NAMES[name])
                return Select(start, end, self.build(below[0]), _field(below[1]))
            case "member_optional":
                field = Literal(below[1].meta.start_pos, end, _field(below[1]))
                return Call(start, end, "_?._", (self.build(below[0]), field))
            case "member_index" | "member_index_optional":
                name = "_[_]" if tree.data == "member_index" else "_[?_]"
                return Call(start, end, name, (self.build(below[0]), self.build(below[1])))
            case "ident_arg" | "dot_ident_arg":
                return self._call(Use(str(tree.children[0]), start, end, None, _arguments(tree)))
            case "member_dot_arg":
                return self._method(tree, below)
            case _:
                text = self.source[start:end]
                raise self.error(f"'{text}' is not part of rule expressions", start, "JSON values only")

    def _method(self, tree: Any, below: list[Any]) -> Node:
        start, end, name = tree.meta.start_pos, tree.meta.end_pos, str(tree.children[1])
        qualified = f"{self._qualified(below[0])}.{name}"
        if qualified in FUNCTIONS or qualified in GLOBAL:
            return self._call(Use(qualified, start, end, None, _arguments(tree)))
        return self._call(Use(name, start, end, below[0], _arguments(tree)))

    def _call(self, use: Use) -> Node:
        macro = MACROS.get(use.name)
        if macro is not None and (use.target is None) is (use.name in GLOBAL):
            if len(use.arguments) not in macro.counts:
                raise self.error(f"{use.name}() has {len(use.arguments)} arguments", use.start, macro.usage)
            return macro.expand(self, use)
        receiver = () if use.target is None else (self.build(use.target),)
        arguments = tuple(self.build(argument) for argument in use.arguments)
        return Call(use.start, use.end, use.name, (*receiver, *arguments), method=use.target is not None)

    def _qualified(self, tree: Any) -> str:
        """The dotted name that a tree consists of, whose first part no macro has bound; '' where it is none."""
        names: list[str] = []
        while True:
            while len(tree.children) == 1 and isinstance(tree.children[0], Tree):
                tree = tree.children[0]
            if tree.data == "member_dot":
                names.append(_field(tree.children[1]))
                tree = tree.children[0]
            elif tree.data in ("ident", "dot_ident") and str(tree.children[0]) not in self._bound:
                return ".".join([str(tree.children[0]), *reversed(names)])
            else:
                return ""


def _negatable(value: Any) -> bool:
    return type(value) is int and fits_int(-value)


def _field(tree: Any) -> str:
    return str(tree.children[0]).strip("`")


def _arguments(tree: Any) -> list[Any]:
    lists = [child for child in tree.children if isinstance(child, Tree) and child.data == "exprlist"]
    return list(lists[0].children) if lists else []
