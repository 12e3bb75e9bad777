"""What an expression can cost at most on given values, known before it is evaluated: for cel-cpp, which counts nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.cel.syntax import Call, Comprehension, Literal, Node
from engine.model.mappings import is_mapping

#: Calls that look at every character, and how many characters they look at in a microsecond; all others compare or copy.
_READING = frozenset({"contains", "trim", "lowerAscii", "upperAscii", "substring", "indexOf", "lastIndexOf", "size", "_+_"})
_SEARCHED, _READ, _COPIED = 5, 200, 2_000

#: Weight of all values that cel-cpp is given for one expression (as `budget.weigh` counts), and the microseconds that it may
#: need at most with them: with more, the interpreter counts what they cost.
_MAX_GIVEN, _MAX_NEEDED = 2_000, 25_000
_TEXT, _PLAIN = frozenset({str}), frozenset({type(None), bool, int, float})

Affordable = Callable[[Iterable[Any]], bool]


def uncountable(root: Node) -> bool:
    """Whether what an expression costs depends on what a text says: how many pieces it has, or what it is as a pattern."""
    calls = [node for node in root.walk() if isinstance(node, Call)]
    return any(call.name == "split" or (call.name == "matches" and not isinstance(call.arguments[1], Literal)) for call in calls)


def affordable(root: Node) -> Affordable:
    """A function that says whether an expression is sure to cost little on the values that it is given."""
    nodes = list(root.walk())
    size, loops = len(nodes), _loops(root)
    calls = {node.name for node in nodes if isinstance(node, Call)}
    rate = _SEARCHED if "matches" in calls else _READ if calls & _READING else _COPIED
    deep = any(isinstance(node, Call) and node.name in ("_==_", "_!=_", "_in_") and not _simple(node) for node in nodes)

    def on(values: Iterable[Any]) -> bool:
        count, characters = _extent(values)
        each = 1 + characters // rate + (count if deep else 0)
        return count + characters // 500 <= _MAX_GIVEN and size * int((count + size) ** loops) * each <= _MAX_NEEDED

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
            kinds = frozenset(map(type, each))
            if kinds <= _PLAIN:
                count += len(each)
            elif kinds == _TEXT:
                count += len(each)
                characters += sum(map(len, each))
            else:
                rest.extend(each)
    return count, characters
