"""What a JMESPath expression can see of the value that it is given."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from engine.cel.documents import query

#: The step of a path that stands for every element of a list.
ELEMENTS = "[]"
#: The last step of a path of which it matters only whether there is something.
EXISTS = "?"

Path = tuple[str, ...]


def paths(expression: str) -> frozenset[Path]:
    """The paths that an expression reads below its value; `()` where it may see all of it. Raises Mismatch."""
    read: set[Path] = set()
    _use(query(expression).parsed, (), read)
    return frozenset(read)


def _use(node: dict[str, Any], base: Path | None, read: set[Path]) -> None:
    """Note what a node reads whose whole value matters."""
    found = _follow(node, base, read)
    if found is not None:
        read.add(found)


def _follow(node: dict[str, Any], base: Path | None, read: set[Path]) -> Path | None:  # noqa: C901 (a case for each kind)
    """Note what a node reads on its way, and give the place that it leads to; None where its value is a new one.

    The kinds of nodes are those of jmespath/ast.py. One that is not known here counts as reading all of its value.
    """
    children = node["children"]
    match node["type"]:
        case "field":
            return _below(base, node["value"])
        case "identity" | "current" | "slice":
            return base
        case "index":
            return _below(base, ELEMENTS)
        case "subexpression" | "pipe" | "index_expression":
            for child in children:
                base = _follow(child, base, read)
            return base
        case "projection" | "filter_projection":
            left = _follow(children[0], base, read)
            for child in children[1:]:  # what is taken of each element, and the filter
                _use(child, _below(left, ELEMENTS), read)
            return None
        case "literal" | "expref":  # the argument that goes with an expression counts as read as a whole
            return None
        case "multi_select_list" | "multi_select_dict" | "key_val_pair" | "or_expression" | "and_expression" \
                | "not_expression" | "comparator" | "function_expression":  # fmt: skip
            for child in children:
                _use(child, base, read)
            return None
    if base is not None:
        read.add(base)
    return None


def _below(base: Path | None, step: str) -> Path | None:
    return None if base is None else (*base, step)


def fields_of(path: Path) -> Path:
    """The part of a path that names fields, up to a list of whose elements it goes on."""
    return tuple(takewhile(lambda step: step not in (ELEMENTS, EXISTS), path))
