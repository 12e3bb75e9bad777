"""`${…}` in the strings of a YAML value.

A string that is one `${…}` alone gives the expression's value with its type; inside text, values become text. What is
rendered is data: it is never parsed again, so no value can bring structure of its own.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from engine.cel.conversions import to_string
from engine.cel.documents import to_json
from engine.cel.operators import MAX_TEXT
from engine.cel.program import Program, Scope
from engine.cel.syntax import place
from engine.cel.values import Mismatch, type_name
from engine.errors import EvaluationError, ExpressionError
from engine.model.mappings import is_mapping

#: What the end of an expression is searched by: string literals and comments are skipped as a whole, braces counted.
_TOKEN = re.compile(
    r"""[rR](?:'''.*?'''|\"\"\".*?\"\"\"|'[^'\n]*'|"[^"\n]*")"""
    r"""|'''(?:\\.|.)*?'''|\"\"\"(?:\\.|.)*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*\"|//[^\n]*|[A-Za-z0-9_]+|[{}'"]""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a template's text: literal text, or an expression and where its own text begins."""

    text: str
    expression: bool
    offset: int


def split(text: str) -> list[Part]:
    """The parts of a template. Raises ExpressionError where a `${` has no end."""
    parts: list[Part] = []
    literal: list[str] = []
    at = 0
    while (found := text.find("${", at)) >= 0:
        if text[found - 1 : found] == "$" and found > at:
            literal += [text[at : found - 1], "${"]
            at = found + 2
            continue
        literal.append(text[at:found])
        if "".join(literal):
            parts.append(Part("".join(literal), False, at))
        literal = []
        end = _end(text, found + 2)
        parts.append(Part(text[found + 2 : end], True, found + 2))
        at = end + 1
    literal.append(text[at:])
    if "".join(literal):
        parts.append(Part("".join(literal), False, at))
    return parts


def _end(text: str, start: int) -> int:
    depth = 0
    at = start
    while (match := _TOKEN.search(text, at)) is not None:
        at = match.end()
        if match[0] in ("'", '"'):
            raise ExpressionError("this string has no end", *place(text, match.start()), f"a closing {match[0]}")
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            if depth == 0:
                return match.start()
            depth -= 1
    raise ExpressionError("this ${ has no end", *place(text, start - 2), "a closing }")


@dataclass(frozen=True, slots=True)
class Template:
    """A YAML value with `${…}` in its strings, compiled."""

    programs: tuple[Program, ...]
    write: Callable[[Scope], Any]

    def render(self, scope: Scope) -> Any:
        """The value with every `${…}` in its place, made of JSON types only.

        A time becomes RFC 3339 text with Z, a duration text such as `300s`, bytes their Base64. Raises EvaluationError where an
        expression has no answer, where text would hold null, and where a key would not be a string.
        """
        if scope.budget.open:
            return self.write(scope)
        with scope.budget:
            return self.write(scope)


def value_of(program: Program) -> Callable[[Scope], Any]:
    """Writes a lone `${…}`: the value with its type."""
    return lambda scope: _json_types(program.evaluate(scope))


def text_of(parts: list[str | Program]) -> Callable[[Scope], str]:
    """Writes `${…}` inside text."""

    def write(scope: Scope) -> str:
        text = "".join(part if isinstance(part, str) else _as_text(part, scope) for part in parts)
        if len(text) > MAX_TEXT:
            raise EvaluationError(f"a text has {len(text)} characters, more than {MAX_TEXT}")
        return text

    return write


def _as_text(program: Program, scope: Scope) -> str:
    value = program.evaluate(scope)
    try:
        if value is None:
            raise Mismatch("it is null, which has no place in a text")
        return to_json(value) if isinstance(value, (dict, list)) else to_string(value)
    except Mismatch as fault:
        raise EvaluationError(f"${{{program.source}}}: {fault}") from None


def _json_types(value: Any) -> Any:
    match value:
        case None | bool() | str() | float():
            return value
        case int():
            return int(value)
        case datetime() | timedelta():
            return to_string(value)
        case bytes():
            return base64.b64encode(value).decode()
        case list():
            return [_json_types(item) for item in value]
    if not is_mapping(value):
        raise EvaluationError(f"a value of type {type_name(value)} has no place in JSON")
    if not all(type(key) is str for key in value):
        raise EvaluationError("a map has a key that is not a string, so it has no place in JSON")
    return {key: _json_types(item) for key, item in value.items()}
