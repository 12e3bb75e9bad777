"""Whether an expression is quicker on cel-cpp: known once, when it is compiled, from nothing but its form.

Handing over costs 4 µs whatever is in the expression, 0.4 µs more for each value than reading it costs the interpreter, and
0.15 to 0.25 µs for each value inside a list or map; cel-cpp then gains 0.4 to 0.6 µs at each operation (CPU time on an AMD EPYC,
`python -m tests.bench.micro`). So it is quicker at long chains of operations on few values, and at quantifiers with two or
more operations on each text or number of a list. It is slower wherever there is less to do; where items are maps, of which all is
converted for the few fields that are read; at `map` and `filter`, which copy their result with each item; and where its functions
call back into Python. Quantifiers inside one another are rarely sure to end soon, so the interpreter mostly has them anyway.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.cel.functions import FUNCTIONS
from engine.cel.syntax import Call, Comprehension, Has, ListOf, Literal, Local, MapOf, Node, Select, field_path

#: Operations that make up for handing over an expression; each value needs one more.
_HANDING_OVER = 10
#: Items that a list is taken to have, and operations on an item that gain as much as one elsewhere, since it is converted.
_ITEMS, _INSIDE = 12, 2
_QUANTIFIERS = frozenset({"all", "exists", "exists_one"})
#: Calls whose argument of that number may be a list or map, so that nobody knows what it costs to hand over.
_WHOLE = {"size": 0, "_in_": 1, "_[_]": 0}


def native(node: Node) -> bool:
    """Whether a node is computed here, on the plain values: a path below a variable, a test for a field, an own function."""
    match node:
        case Has(operand=operand):
            return bool(field_path(operand))
        case Call() if own(node):
            return not any(isinstance(below, Local) for below in node.walk())
    return bool(field_path(node))


def own(node: Node) -> bool:
    """Whether a node calls one of the engine's own functions."""
    return isinstance(node, Call) and node.name in FUNCTIONS and FUNCTIONS[node.name].own


def quicker(root: Node) -> bool:
    """Whether cel-cpp is expected to be quicker at it than the interpreter."""
    nodes = list(_handled(root))
    skipped = [below for node in nodes if _lazy(node) for part in node.children[1:] for below in part.walk()]
    if not all(map(_suited, nodes)) or any(map(_costly, skipped)):
        return False  # values are handed over before it is known which of them are needed
    values = {field_path(node) or node for node in nodes if native(node)}
    return _operations(root) >= _HANDING_OVER + len(values)


def _handled(node: Node) -> Iterator[Node]:
    """The nodes that cel-cpp would handle, and the values that it would be given."""
    yield node
    if not native(node):
        for child in node.children:
            yield from _handled(child)


def _suited(node: Node) -> bool:
    """Whether what is to be handed over for a node, or given back, is sure to be small."""
    match node:
        case _ if native(node):
            return True
        case Comprehension(macro=macro, body=body):
            return macro in _QUANTIFIERS and not any(isinstance(below, Comprehension) for below in body.walk())
        case Select() | Has() | MapOf():
            return False
        case Call(name=name, arguments=arguments) if name in _WHOLE:
            return not (native(arguments[_WHOLE[name]]) or isinstance(arguments[_WHOLE[name]], Local))
    return not own(node)


def _lazy(node: Node) -> bool:
    """Whether only the first part of a node is sure to be evaluated."""
    return isinstance(node, Call) and node.name in ("_&&_", "_||_", "_?_:_")


def _costly(node: Node) -> bool:
    """Whether computing a value for nothing would cost more than reading a field."""
    return own(node) or field_path(node)[:1] == ("vars",)


def _operations(node: Node) -> int:
    """How many operations cel-cpp would be sure to carry out."""
    if native(node) or isinstance(node, Literal | Local):
        return 0
    if isinstance(node, Comprehension):
        items = len(node.domain.items) if isinstance(node.domain, ListOf) else _ITEMS
        return _operations(node.domain) + items * _operations(node.body) // _INSIDE
    return 1 + sum(map(_operations, node.children[:1] if _lazy(node) else node.children))
