"""What conditions say without data, and which of them cannot be true of the same object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.cel.parser import parse
from engine.cel.syntax import Call, Comprehension, Expression, ListOf, Literal, Node
from engine.errors import ExpressionError
from engine.packs.rule import Rule

#: An ordering as its values are: below (-1), equal (0) or above (1) what it is compared with.
_ORDER = {"_>_": (1,), "_>=_": (0, 1), "_<_": (-1,), "_<=_": (-1, 0), "_==_": (0,), "_!=_": (-1, 1)}
_OPPOSITE = {"_>_": "_<=_", "_<=_": "_>_", "_<_": "_>=_", "_>=_": "_<_", "_==_": "_!=_", "_!=_": "_==_"}
_TURNED = {"_>_": "_<_", "_<_": "_>_", "_>=_": "_<=_", "_<=_": "_>=_"}
_NUMBERS = (int, float)


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of the value of a text: that it is one of `values`, or, where not `within`, none of them.

    `order` says how it compares with `values[0]`, a number, instead; `source` is what was written.
    """

    text: str
    values: tuple[Any, ...]
    within: bool
    source: str
    order: tuple[int, ...] = ()

    def excludes(self, other: Fact) -> bool:
        """Return whether both cannot be true of the same object."""
        if self.text != other.text:
            return False
        if self.order or other.order:
            return self._beside(other)
        one, two = self._typed(), other._typed()
        if self.within and other.within:
            return not one & two
        if self.within or other.within:
            return one <= two if self.within else two <= one
        return False

    def _typed(self) -> frozenset[tuple[bool, Any]]:
        return frozenset((isinstance(value, bool), value) for value in self.values)

    def _beside(self, other: Fact) -> bool:
        """Return whether no number fits both, of which one or both are orderings."""
        bounds = [value for fact in (self, other) for value in fact.values]
        if not all(type(value) in _NUMBERS for value in bounds):
            return False
        tried = {each for bound in bounds for each in (bound - 0.5, bound, bound + 0.5)}
        return not any(self._holds(each) and other._holds(each) for each in tried)

    def _holds(self, number: float) -> bool:
        if not self.order:
            return (number in self.values) is self.within
        return (number > self.values[0]) - (number < self.values[0]) in self.order


def facts_of_rule(rule: Rule, *further: str) -> list[Fact]:
    """Return what is true whenever a rule acts: by its conditions, further ones, and the filter of its loop."""
    found = [fact for source in (*(clause.source for clause in rule.when), *further) for fact in facts_of(source)]
    expression = _parsed(rule.loop.source) if rule.loop is not None else None
    if expression is not None and isinstance(expression.root, Comprehension) and expression.root.macro == "filter":
        loop = expression.root
        found += _facts(expression, loop.body, f"{expression.text(loop.domain)}: ")
    return found


def excluding(one: Sequence[Fact], other: Sequence[Fact]) -> tuple[Fact, Fact] | None:
    """Return two facts, one of each list, that exclude one another."""
    return next(((a, b) for a in one for b in other if a.excludes(b)), None)


def facts_of(source: str) -> Iterator[Fact]:
    """Yield what an expression says, as a whole and part by part of its `&&`."""
    expression = _parsed(source)
    if expression is not None:
        yield from _facts(expression, expression.root, "")


def _facts(expression: Expression, node: Node, within: str) -> Iterator[Fact]:
    source = _text(expression, node)
    match node:
        case Call(name="_&&_"):
            yield Fact(within + source, (True,), True, source)
            for part in node.arguments:
                yield from _facts(expression, part, within)
        case Call(name="!_", arguments=(value,)):
            yield from _negated(expression, value, within, source)
        case Call(name="_in_", arguments=(value, ListOf(items=items))) if all(isinstance(each, Literal) for each in items):
            yield Fact(within + _text(expression, value), _literals(items), True, source)
        case Call(name=name) if name in _ORDER:
            yield from _compared(expression, node, name, within, source)
        case _:
            yield Fact(within + source, (True,), True, source)


def _literals(items: Sequence[Node]) -> tuple[Any, ...]:
    return tuple(each.value for each in items if isinstance(each, Literal))


def _negated(expression: Expression, node: Node, within: str, source: str) -> Iterator[Fact]:
    """Yield what is known where a node is false."""
    yield Fact(within + _text(expression, node), (True,), False, source)
    match node:
        case Call(name="_||_"):
            for part in node.arguments:
                yield from _negated(expression, part, within, source)
        case Call(name="!_", arguments=(value,)):
            yield from _facts(expression, value, within)
        case Call(name="_in_", arguments=(value, ListOf(items=items))) if all(isinstance(each, Literal) for each in items):
            yield Fact(within + _text(expression, value), _literals(items), False, source)
        case Call(name=name) if name in _ORDER:
            yield from _compared(expression, node, _OPPOSITE[name], within, source)


def _compared(expression: Expression, node: Call, name: str, within: str, source: str) -> Iterator[Fact]:
    """Yield what a comparison by an operator says of its two sides."""
    left, right = node.arguments
    if isinstance(left, Literal) and not isinstance(right, Literal):
        left, right, name = right, left, _TURNED.get(name, name)
    text = within + _text(expression, left)
    if isinstance(left, Call) and left.name == "size":
        yield Fact(text, (0,), True, source, _ORDER["_>=_"])
    if _text(expression, left) == _text(expression, right):
        yield Fact(f"{text} and {_text(expression, right)}", (0,), True, source)
    if isinstance(right, Literal) and name in ("_==_", "_!=_"):
        yield Fact(text, (right.value,), name == "_==_", source)
    elif isinstance(right, Literal) and type(right.value) in _NUMBERS:
        yield Fact(text, (right.value,), True, source, _ORDER[name])
    else:
        other = _text(expression, right)
        yield Fact(f"{text} and {other}", _ORDER[name], True, source)
        yield Fact(f"{within}{other} and {_text(expression, left)}", tuple(-sign for sign in _ORDER[name]), True, source)


def _text(expression: Expression, node: Node) -> str:
    return " ".join(expression.source[node.start : node.end].split())


def _parsed(source: str) -> Expression | None:
    try:
        return parse(source)
    except ExpressionError:
        return None
