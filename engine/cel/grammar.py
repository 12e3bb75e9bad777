"""The grammar of expressions: cel-python's, read where it is installed, and what `grammar.lark` adds to it.

cel-python itself is not imported, since that takes 67 ms and is of no use here.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from lark import Lark, Token
from lark.exceptions import LarkError

from engine.cel.foreign import of_syntax
from engine.cel.syntax import place
from engine.errors import ExpressionError

_HINTS = {
    "=": "'==' to compare", "&": "'&&'", "|": "'||'", "and": "'&&'", "or": "'||'", "not": "'!'",
    "$": "a CEL expression without ${…}", "is": "'=='",
}  # fmt: skip


def parsed(source: str) -> Any:
    """Lark's tree of an expression. Raises ExpressionError with line and column of what does not fit."""
    try:
        return _grammar().parse(source)
    except LarkError as fault:
        raise _syntax_error(source, fault) from None


@cache
def _grammar() -> Lark:
    """The parser; `true` and `false` become tokens of their own, which cel-python does with a parser that loses their places."""

    def boolean(token: Token) -> Token:
        return Token.new_borrow_pos("BOOL_LIT", token.value, token) if token.value in ("true", "false") else token

    package = find_spec("celpy")
    assert package is not None and package.submodule_search_locations, "cel-python is a dependency"
    return Lark(
        files("engine.cel").joinpath("grammar.lark").read_text(),
        parser="lalr",
        start="expr",
        g_regex_flags=re.M,
        import_paths=list(package.submodule_search_locations),
        lexer_callbacks={"IDENT": boolean},
        propagate_positions=True,
        maybe_placeholders=False,
    )


def _syntax_error(source: str, cause: Any) -> ExpressionError:
    token = getattr(cause, "token", None)
    foreign, at, instead = of_syntax(source)
    if foreign:
        return ExpressionError(foreign, *place(source, at), instead)
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
    above, newline, before = source[: token.start_pos or 0].rpartition("\n")
    if hint == expected and expected.startswith("an operator") and newline and above and not before.strip():
        hint = f"{expected}, such as '&&' before this line"
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
