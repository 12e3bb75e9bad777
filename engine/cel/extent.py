"""The most work that an expression can be on given values, known before it is evaluated: for cel-cpp, which counts none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.cel.syntax import Call, Comprehension, Literal, Node
from engine.model.mappings import is_mapping

#: Calls that look at every character, and how many characters they look at in a microsecond; all others compare or copy.
_READING = frozenset({"contains", "trim", "lowerAscii", "upperAscii", "substring", "indexOf", "lastIndexOf", "size", "_+_"})
_SEARCHED, _READ, _COPIED = 5, 200, 2_000

Most = Callable[[Iterable[Any]], int]


def uncountable(root: Node) -> bool:
    """Whether what an expression costs depends on what a text says: how many pieces it has, or what it is as a pattern."""
    calls = [node for node in root.walk() if isinstance(node, Call)]
    return any(call.name == "split" or (call.name == "matches" and not isinstance(call.arguments[1], Literal)) for call in calls)


def most(root: Node) -> Most:
    """A function from the values that an expression is given to the microseconds that it takes at most."""
    nodes = list(root.walk())
    size, loops = len(nodes), _loops(root)
    calls = {node.name for node in nodes if isinstance(node, Call)}
    rate = _SEARCHED if "matches" in calls else _READ if calls & _READING else _COPIED
    deep = any(isinstance(node, Call) and node.name in ("_==_", "_!=_", "_in_") and not _simple(node) for node in nodes)

    def on(values: Iterable[Any]) -> int:
        count, characters = _extent(values)
        each = 1 + characters // rate + (count if deep else 0)
        return size * int((count + size) ** loops) * each

    return on


def _loops(node: Node) -> int:
    """How deep comprehensions stand inside one another; what `map` puts together may be as large again."""
    below = max(map(_loops, node.children), default=0)
    return below + (2 if isinstance(node, Comprehension) and node.macro == "map" else isinstance(node, Comprehension))


def _simple(call: Call) -> bool:
    return any(isinstance(argument, Literal) for argument in call.arguments)


def _extent(values: Iterable[Any]) -> tuple[int, int]:
    """How many values there are, those inside others included, and how many characters."""
    count = characters = 0
    rest = list(values)
    while rest:
        each = rest.pop()
        count += 1
        if type(each) is str:
            characters += len(each)
        elif is_mapping(each):
            rest.extend(each.values())
            count += len(each)
        elif type(each) is list:
            rest.extend(each)
    return count, characters
