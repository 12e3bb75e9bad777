"""The paths in expressions, and what to write in place of one that leads below a text or a list, and so nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

from engine.cel import documents, queries
from engine.cel.checker.advice import article
from engine.cel.checker.matching import TIME_TEXT, members
from engine.cel.syntax import Call, Expression, Literal, Local, Node, Select, Variable, field_path
from engine.cel.types import DYN, MAP, NULL, STRING, Named, ObjectType, Type, map_of
from engine.cel.values import Mismatch

#: How paths have such keys, and how JMESPath has them.
BRACKETS, QUOTES = "['{}']", '."{}"'
_LABELS = frozenset(["annotations", "labels"])
"""Below `metadata`: maps of texts, whatever the kind."""


def is_map(kind: Type) -> bool:
    """Return whether a type is that of a map with any keys."""
    return isinstance(kind, Named) and kind.name == MAP.name


def value_of_label(path: Sequence[str]) -> int:
    """Return how many steps lead to the value of a label or an annotation, by their names; 0 where a path is to none."""
    pairs = pairwise(path)
    return next((at + 3 for at, (one, two) in enumerate(pairs) if one == "metadata" and two in _LABELS and at + 2 < len(path)), 0)


_LEFT_OUT = frozenset(
    ["deletionTimestamp", "completionTime", "startTime", "lastScheduleTime", "lastSuccessfulTime", "lastScaleTime"]
)
"""Times that are pointers in Kubernetes' types; of others, null means none, such as `lastTransitionTime`."""


def is_label(node: Node) -> bool:
    """Return whether a node is the value of a label or an annotation of an object of Kubernetes."""
    path = field_path(node)
    return path[:1] in (("object",), ("oldObject",), ("target",)) and 0 < value_of_label(path) == len(path)


def never_null(node: Node, kind: Type) -> bool:
    """Return whether a node is a label or an annotation, or a time that Kubernetes leaves out where there is none."""
    if field_path(node)[1:] == ("metadata", "deletionTimestamp"):  # whatever the kind
        return True
    return is_label(node) or (kind == TIME_TEXT and isinstance(node, Select) and node.field in _LEFT_OUT)


def has_metadata(node: Node, kind: Type) -> bool:
    """Return whether a value may have `metadata` of its own, as objects of Kubernetes have, by its type and its path."""
    path = field_path(node)
    known = len(path) > (2 if path[:1] == ("lookup",) else 1) and path[0] in ("object", "oldObject", "target", "lookup")
    if known and (path[-1] == "metadata" or value_of_label((*path, "")) == len(path) + 1):
        return False
    return any(_may_have_metadata(member) for member in members(kind))


def _may_have_metadata(kind: Type) -> bool:
    if isinstance(kind, ObjectType):
        return kind.open or "metadata" in kind.fields
    return kind in (DYN, NULL) or (is_map(kind) and kind != map_of(STRING, STRING))


def instead(steps: Sequence[str], key: int, number: int, kind: Type, form: str) -> str:
    """Return what to write in place of a path whose step of a number is below a value of a type that has no fields.

    `key` is the number of the step that is a key of a map, if one is: directly above, all that follows belongs to it.
    """
    if 0 <= key == number - 1:
        return ("".join(_step(step, form) for step in steps[:key]) + form.format(".".join(steps[key:]))).lstrip(".")
    return f"{''.join(_step(step, form) for step in steps[:number]).lstrip('.')}, which is {article(kind).partition('(')[0]}"


def _step(step: str, form: str) -> str:
    return f".{step}" if re.fullmatch(r"[\w-]+", step) else form.format(step)


def in_brackets(expression: Expression, operand: Select) -> str:
    """Return a field of a map with all that is selected below it as its key."""
    source = expression.source
    below = re.match(r"(?:\.\w+)*", source[operand.end :])
    return f"{expression.text(operand.operand)}['{operand.field}{below[0] if below else ''}']"


def paths_in(node: Call, source: str) -> Iterator[tuple[Node | None, tuple[str, ...], int, str]]:
    """Yield the paths that a literal of `get`, `nest` or `jmespath` has: below what, the steps, its offset, how it has keys.

    `nest` makes what is at its path. One that is not understood is a fault of its own.
    """
    with suppress(Mismatch):
        match node:
            case Call(name="jmespath", arguments=(value, Literal(value=str(query)) as literal)):
                for steps in sorted(queries.paths(query)):
                    yield value, queries.fields_of(steps), literal.start + 1, QUOTES
            case Call(name="get", arguments=(value, Literal(value=str(path)) as literal, _)):
                yield value, documents.path_steps(path), literal.start + 1, _form(source, literal)
            case Call(name="nest", arguments=(Literal(value=str(path)) as literal, _)):
                yield None, documents.path_steps(path), literal.start + 1, _form(source, literal)


def _form(source: str, literal: Literal) -> str:
    """Return how a path in a literal has keys: in the quotes that it is not in itself."""
    return BRACKETS.replace("'", '"') if source[literal.start : literal.start + 1] == "'" else BRACKETS


def path_of(node: Node) -> tuple[str, ...]:
    """Return a readable path of a node, for messages: the part of it that is known."""
    match node:
        case Variable(name=name) | Local(name=name):
            return (name,)
        case Select(operand=operand, field=field):
            return (*path_of(operand), field)
        case Call(name="_[_]" | "_?._" | "_[?_]", arguments=(operand, Literal(value=str(key)))):
            return (*path_of(operand), key)
        case Call(name="_[_]" | "_[?_]", arguments=(operand, _)):
            return path_of(operand)
        case Call(name="get", arguments=(value, Literal(value=str(path)), _)):
            try:
                return (*path_of(value), *documents.path_steps(path))
            except Mismatch:
                return ("a value",)
    return ("a value",)
