"""What an expression can see of its variables: the field paths that it reads.

`[]` in a path stands for the elements of a list, `?` at its end for no more than whether something is there. Where a path goes
through elements, a map may be there as well: then all of it is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.cel import documents, queries
from engine.cel.queries import ELEMENTS, EXISTS, Path
from engine.cel.syntax import Call, Comprehension, Has, Literal, Local, Node, Select, Variable

_Bound = Mapping[int, Path]
"""What variables of enclosing macros stand for, by slot: the elements of a list that is at a path."""


def reads(node: Node, bound: _Bound | None = None) -> Iterator[Path]:  # noqa: C901 (a case for each kind)
    """Yield the paths that a node reads: the longest in the text, and those that `get`, `annotation` and the like name."""
    bound = bound or {}
    path = _path(node, bound)
    if isinstance(node, Has) and (operand := _path(node.operand, bound)):
        path = (*operand, node.field)
    if path:
        yield path
        return
    match node:
        case Call(name="_?._" | "_[?_]") if path := _optional_path(node, bound):
            yield path
        case Call(name="get", arguments=(value, Literal(value=str(steps)), default)) if path := _path(value, bound):
            yield (*path, *documents.path_steps(steps))
            yield from reads(default, bound)
        case Call(name="jmespath", arguments=(value, Literal(value=str(expression)))) if path := _path(value, bound):
            yield from ((*path, *steps) for steps in queries.paths(expression))
        case Call(name="annotation" | "label" as name, arguments=(value, Literal(value=str(key)))) if path := _path(value, bound):
            yield (*path, "metadata", f"{name}s", key)
        case Call(name="annotation" | "label" as name, arguments=(value, key)) if path := _path(value, bound):
            yield (*path, "metadata", f"{name}s")  # which of them, only the evaluation knows
            yield from reads(key, bound)
        case Call(name="_==_" | "_!=_", arguments=(value, Literal(value=None))) if path := _path(value, bound):
            yield (*path, EXISTS)
        case Call(name="_==_" | "_!=_", arguments=(Literal(value=None), value)) if path := _path(value, bound):
            yield (*path, EXISTS)
        case Call(name="size", arguments=(value,)):
            yield from _number(value, bound)
        case Comprehension() if node.macro != "filter":
            yield from _number(node.domain, bound)
            yield from _of_each(node, bound)
        case _:
            for child in node.children:
                yield from reads(child, bound)


def _number(node: Node, bound: _Bound) -> Iterator[Path]:
    """The paths that a list reads of which it matters how many elements it has, and not what they are."""
    if isinstance(node, Comprehension) and node.macro == "filter" and _elements(node, bound):
        yield from _number(node.domain, bound)
        yield from _of_each(node, bound)
    elif path := _elements(node, bound):
        yield (*path, EXISTS)
    else:
        yield from reads(node, bound)


def _of_each(node: Comprehension, bound: _Bound) -> Iterator[Path]:
    """The paths that a macro reads besides the list that it goes through."""
    item = node.slot if node.second is None else node.second
    within = {**bound, item: _elements(node.domain, bound)}
    for part in node.children[1:]:
        yield from reads(part, within)


def _elements(node: Node, bound: _Bound) -> Path:
    """The path of the elements of a list; empty where a node is not one that is at a path below a variable."""
    if isinstance(node, Comprehension) and node.macro == "filter":
        return _elements(node.domain, bound)
    path = _path(node, bound)
    return (*path, ELEMENTS) if len(path) > 1 else ()


def _path(node: Node, bound: _Bound) -> Path:
    """The path of a field, as `field_path` gives it, also below the variable of a macro."""
    fields: list[str] = []
    while True:
        match node:
            case Variable(name=name):
                return (name, *reversed(fields))
            case Local(slot=slot):
                path = bound.get(slot, ())
                return (*path, *reversed(fields)) if path else ()
            case Select(operand=operand, field=field) | Call(name="_[_]", arguments=(operand, Literal(value=str(field)))):
                fields.append(field)
                node = operand
            case _:
                return ()


def _optional_path(node: Node, bound: _Bound) -> Path:
    """The path of `object.?a.b[?'c']`; empty where a node is not one."""
    match node:
        case Call(name="_?._" | "_[?_]" | "_[_]", arguments=(operand, Literal(value=str(key)))):
            path = _optional_path(operand, bound)
            return (*path, key) if path else ()
        case _ if path := _path(node, bound):
            return path
        case Select() | Has():
            path = _optional_path(node.operand, bound)
            return (*path, node.field) if path else ()
    return ()
