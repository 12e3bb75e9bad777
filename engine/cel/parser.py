"""Text to syntax tree, by cel-python's grammar of CEL, with messages for people.

Rule expressions speak of JSON, so bytes and unsigned integers are left out of the language, and so are messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import celpy
from lark import Lark, Token, Tree
from lark.exceptions import LarkError

from engine.cel.syntax import Call, Comprehension, Expression, Has, ListOf, Literal, Local, MapOf, Node, Select, Variable, place
from engine.errors import ExpressionError

#: Characters of one expression.
MAX_LENGTH = 10_000
#: How deep operators, calls and brackets may nest: cel-cpp refuses more than 32 levels.
MAX_DEPTH = 28
#: How many comprehensions may stand inside one another.
MAX_COMPREHENSIONS = 2

MACROS = ("all", "exists", "exists_one", "filter", "map")
_BINARY = {
    "relation_lt": "_<_", "relation_le": "_<=_", "relation_gt": "_>_", "relation_ge": "_>=_", "relation_eq": "_==_",
    "relation_ne": "_!=_", "relation_in": "_in_", "addition_add": "_+_", "addition_sub": "_-_",
    "multiplication_mul": "_*_", "multiplication_div": "_/_", "multiplication_mod": "_%_",
}  # fmt: skip
_ESCAPE = re.compile(r"\\(?:[0-3][0-7]{2}|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.|$)", re.DOTALL)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", **{c: c for c in "\\'\"`?"}}
_HINTS = {
    "=": "'==' to compare", "&": "'&&'", "|": "'||'", "and": "'&&'", "or": "'||'", "not": "'!'",
    "$": "a CEL expression without ${…}", "is": "'=='",
}  # fmt: skip


@lru_cache(maxsize=1024)
def parse(source: str) -> Expression:
    """The tree of an expression. Raises ExpressionError with line and column of what does not fit."""
    if len(source) > MAX_LENGTH:
        raise ExpressionError(f"the expression has {len(source)} characters", expected=f"at most {MAX_LENGTH}")
    if not source.strip():
        raise ExpressionError("the expression is empty", expected="a CEL expression")
    try:
        tree = _grammar().parse(source)
    except LarkError as fault:
        raise _syntax_error(source, fault) from None
    builder = _Builder(source)
    return Expression(source, builder.build(tree, {}, 0), builder.slots)


@cache
def _grammar() -> Lark:
    """cel-python's grammar; its CELParser is not used, because that loses the places of `true` and `false`."""

    def boolean(token: Token) -> Token:
        return Token.new_borrow_pos("BOOL_LIT", token.value, token) if token.value in ("true", "false") else token

    return Lark(
        files(celpy).joinpath("cel.lark").read_text(),
        parser="lalr",
        start="expr",
        g_regex_flags=re.M,
        lexer_callbacks={"IDENT": boolean},
        propagate_positions=True,
        maybe_placeholders=False,
        priority="invert",
    )


def _syntax_error(source: str, cause: Any) -> ExpressionError:
    token = getattr(cause, "token", None)
    if token is None:
        offset = int(getattr(cause, "pos_in_stream", 0))
        character = source[offset : offset + 1]
        line, column = place(source, offset)
        if character in ("'", '"'):
            return ExpressionError("this string has no end", line, column, f"a closing {character}")
        return ExpressionError(f"unexpected {character!r}", line, column, _HINTS.get(character, "an operator or a value"))
    expected = _expected(getattr(cause, "accepts", None) or getattr(cause, "expected", ()))
    if token.type == "$END":
        return ExpressionError("the expression ends too early", *place(source, len(source.rstrip())), expected)
    hint = _HINTS.get(str(token), expected)
    return ExpressionError(f"unexpected '{token}'", *place(source, token.start_pos or 0), hint)


def _expected(terminals: Any) -> str:
    names = set(terminals)
    if {"IDENT", "LPAR"} <= names and "INT_LIT" in names:
        return "a value: a variable, a literal, a call or '('"
    if "IDENT" in names:
        return "a name"
    brackets = {"RPAR": "')'", "RSQB": "']'", "RBRACE": "'}'", "COMMA": "','", "COLON": "':'"}
    found = [text for name, text in brackets.items() if name in names]
    return " or ".join(["an operator", *found, *(["the end"] if "$END" in names else [])])


class _Builder:
    def __init__(self, source: str) -> None:
        self.source = source
        self.slots = 0
        self.enclosing = 0

    def error(self, message: str, at: int, expected: str = "") -> ExpressionError:
        return ExpressionError(message, *place(self.source, at), expected)

    def build(self, tree: Any, scope: Mapping[str, int], depth: int) -> Node:
        while len(tree.children) == 1 and isinstance(tree.children[0], Tree) and tree.data not in ("list_lit", "map_lit"):
            tree = tree.children[0]
        start, end = tree.meta.start_pos, tree.meta.end_pos
        if depth > MAX_DEPTH:
            raise self.error("the expression nests too deeply", start, f"at most {MAX_DEPTH} levels; move a part of it to `vars`")
        below = [child for child in tree.children if isinstance(child, Tree)]

        def sub(child: Any) -> Node:
            return self.build(child, scope, depth + 1)

        match tree.data:
            case "literal":
                return Literal(start, end, self.literal(tree.children[0]))
            case "ident":
                name = str(tree.children[0])
                return Local(start, end, name, scope[name]) if name in scope else Variable(start, end, name)
            case "expr":
                return Call(start, end, "_?_:_", tuple(sub(child) for child in below))
            case "conditionalor" | "conditionaland":
                return self.logical(tree, sub)
            case "relation" | "addition" | "multiplication":
                operator, right = below
                return Call(start, end, _BINARY[operator.data], (sub(operator.children[0]), sub(right)))
            case "unary":
                operand = sub(below[1])
                negative = below[0].data == "unary_neg"
                if negative and isinstance(operand, Literal) and type(operand.value) in (int, float):
                    return Literal(start, end, -operand.value)
                return Call(start, end, "-_" if negative else "!_", (operand,))
            case "member_dot":
                return Select(start, end, sub(below[0]), str(tree.children[1]))
            case "member_index":
                return Call(start, end, "_[_]", (sub(below[0]), sub(below[1])))
            case "ident_arg" if str(tree.children[0]) == "has":
                return self.has(tree, sub)
            case "ident_arg":
                return Call(start, end, str(tree.children[0]), tuple(sub(child) for child in self.arguments(tree)))
            case "member_dot_arg" if str(tree.children[1]) in MACROS:
                return self.comprehension(tree, scope, depth)
            case "member_dot_arg":
                arguments = [below[0], *self.arguments(tree)]
                return Call(start, end, str(tree.children[1]), tuple(sub(child) for child in arguments), method=True)
            case "list_lit":
                return ListOf(start, end, tuple(sub(child) for child in self.arguments(tree)))
            case "map_lit":
                items = below[0].children if below else []
                keys_values = [sub(child) for child in items]
                return MapOf(start, end, tuple(zip(keys_values[0::2], keys_values[1::2], strict=True)))
            case _:
                raise self.error(f"'{self.source[start:end]}' is not part of rule expressions", start, "JSON values only")

    def logical(self, tree: Any, sub: Any) -> Node:
        """A chain of `||` or `&&` as one node, since such chains are long and not deep."""
        parts = []
        node = tree
        while isinstance(node, Tree) and node.data == tree.data and len(node.children) == 2:
            parts.append(sub(node.children[1]))
            node = node.children[0]
        parts.append(sub(node))
        name = "_||_" if tree.data == "conditionalor" else "_&&_"
        return Call(tree.meta.start_pos, tree.meta.end_pos, name, tuple(reversed(parts)))

    @staticmethod
    def arguments(tree: Any) -> list[Any]:
        lists = [child for child in tree.children if isinstance(child, Tree) and child.data == "exprlist"]
        return list(lists[0].children) if lists else []

    def has(self, tree: Any, sub: Any) -> Node:
        arguments = self.arguments(tree)
        operand = sub(arguments[0]) if len(arguments) == 1 else None
        if not isinstance(operand, Select):
            raise self.error("has() tests for a field", tree.meta.start_pos, "has(a.b)")
        return Has(tree.meta.start_pos, tree.meta.end_pos, operand.operand, operand.field)

    def comprehension(self, tree: Any, scope: Mapping[str, int], depth: int) -> Node:
        macro = str(tree.children[1])
        arguments = self.arguments(tree)
        domain = self.build(tree.children[0], scope, depth + 1)
        if len(arguments) != 2 and not (macro == "map" and len(arguments) == 3):
            raise self.error(f"{macro}() has {len(arguments)} arguments", tree.meta.start_pos, f"list.{macro}(x, expression)")
        variable = self.build(arguments[0], {}, depth + 1)
        if not isinstance(variable, Variable):
            raise self.error(f"{macro}() names its variable first", variable.start, f"list.{macro}(x, expression)")
        if self.enclosing >= MAX_COMPREHENSIONS:
            message = f"more than {MAX_COMPREHENSIONS} comprehensions inside one another"
            raise self.error(message, tree.meta.start_pos, "a part of it in `vars`")
        slot = self.slots
        self.slots += 1
        self.enclosing += 1
        bodies = [self.build(argument, {**scope, variable.name: slot}, depth + 1) for argument in arguments[1:]]
        self.enclosing -= 1
        condition = bodies[0] if len(bodies) == 2 else None
        return Comprehension(tree.meta.start_pos, tree.meta.end_pos, macro, domain, slot, bodies[-1], condition)

    def literal(self, token: Token) -> Any:
        text, at = str(token), token.start_pos or 0
        match token.type:
            case "NULL_LIT":
                return None
            case "BOOL_LIT":
                return text == "true"
            case "INT_LIT":
                value = int(text, 0) if "x" in text.lower() else int(text)
                # The sign may be an operator of its own, so 2**63 itself is let through here.
                if not -(2**63) <= value <= 2**63:
                    raise self.error(f"{text} does not fit", at, "an integer of 64 bits")
                return value
            case "FLOAT_LIT":
                number = float(text)
                if number in (float("inf"), float("-inf")):
                    raise self.error(f"{text} does not fit", at, "a double")
                return number
            case "STRING_LIT" | "MLSTRING_LIT":
                return self.string(text, at)
            case _:
                raise self.error(f"{text} is not part of rule expressions", at, "an int, a double, a string, a bool or null")

    def string(self, text: str, at: int) -> str:
        raw = text[0] in "rR"
        body = text[1:] if raw else text
        quotes = 3 if body[:3] in ("'''", '"""') and len(body) >= 6 else 1
        body = body[quotes:-quotes]

        def unescape(match: re.Match[str]) -> str:
            escape = match[0][1:]
            if escape in _ESCAPED:
                return _ESCAPED[escape]
            if len(escape) > 1:
                code = int(escape, 8) if escape.isdigit() else int(escape[1:], 16)
                if code < 0x110000 and not 0xD800 <= code < 0xE000:
                    return chr(code)
            raise self.error(f"unknown escape {match[0]} in a string", at, r"one of \n \t \\ \' \" \xNN \uNNNN, or r'…'")

        return body if raw else _ESCAPE.sub(unescape, body)
