"""What conditions say without data, and which of them cannot be true of the same object."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.cel.parser import parse
from engine.cel.syntax import Call, Comprehension, Expression, ListOf, Literal, Local, MapOf, Node
from engine.errors import ExpressionError
from engine.packs.rule import Rule

#: An ordering as its values are: below (-1), equal (0) or above (1) what it is compared with.
_ORDER = {"_>_": (1,), "_>=_": (0, 1), "_<_": (-1,), "_<=_": (-1, 0), "_==_": (0,), "_!=_": (-1, 1)}
_OPPOSITE = {"_>_": "_<=_", "_<=_": "_>_", "_<_": "_>=_", "_>=_": "_<_", "_==_": "_!=_", "_!=_": "_==_"}
_TURNED = {"_>_": "_<_", "_<_": "_>_", "_>=_": "_<=_", "_<=_": "_>=_"}
_NUMBERS = (int, float)
#: The opposite of what joins conditions, once each of them is turned into its own opposite.
_DUAL = {"_&&_": "_||_", "_||_": "_&&_", "exists": "all", "all": "exists"}
_COMPARED = 64
"""How many values of a list are compared one by one."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of the value of a text: that it is one of `values`, or, where not `within`, none of them.

    `order` says how it compares with `values[0]`, a number, instead; `source` is what was written. Where there are `either`, all
    that is known is that one of these lists of facts is true.
    """

    text: str
    values: tuple[Any, ...]
    within: bool
    source: str
    order: tuple[int, ...] = ()
    either: tuple[tuple[Fact, ...], ...] = ()

    def alternatives(self) -> Sequence[Sequence[Fact]]:
        """Return lists of facts of which one is true; none where this is a single fact."""
        if self.within and not self.order and 1 < len(self.values) <= _COMPARED:
            return [(replace(self, values=(value,)),) for value in self.values]
        return self.either

    def excludes(self, other: Fact) -> bool:
        """Return whether both cannot be true of the same object."""
        if self.text != other.text or self.either or other.either:
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


def excluding(one: Sequence[Fact], other: Sequence[Fact], deep: int = 2) -> tuple[Fact, Fact] | None:
    """Return two facts, one of each list, that exclude one another; one of alternatives where the others exclude each of them.

    `deep` bounds how often alternatives are compared with alternatives.
    """
    found = next(((a, b) for a in one for b in other if a.excludes(b)), None)
    if found is None and deep:
        found = next(((a, b) for a in one if (b := _excluded(a, other, deep - 1))), None)
        found = found or next(((a, b) for b in other if (a := _excluded(b, one, deep - 1))), None)
    return found


def _excluded(fact: Fact, others: Sequence[Fact], deep: int) -> Fact | None:
    """Return a fact of others where these exclude each alternative of a fact, else None."""
    last = None
    for each in fact.alternatives():
        pair = excluding(each, others, deep)
        if pair is None:
            return None
        last = pair[1]
    return last


def facts_of(source: str) -> Iterator[Fact]:
    """Yield what an expression says, as a whole and part by part of its `&&`."""
    expression = _parsed(source)
    if expression is not None:
        yield from _facts(expression, expression.root, "")


def _facts(expression: Expression, node: Node, within: str) -> Iterator[Fact]:
    source = _text(expression, node)
    match node:
        case Call(name="_&&_"):
            yield from _truth(expression, node, within, source)
            for part in node.arguments:
                yield from _facts(expression, part, within)
        case Call(name="_||_"):
            yield from _truth(expression, node, within, source)
            yield from _either([list(_facts(expression, part, within)) for part in node.arguments], source)
        case Comprehension(macro="exists", second=None):
            yield from _truth(expression, node, within, source)
            yield from _of_item(expression, node, within, source)
        case Call(name="hasItem", arguments=(domain, MapOf(entries=entries))):
            yield from _truth(expression, node, within, source)
            parts = [f"item.{key.value} == {expression.source[value.start:value.end]}"
                     for key, value in entries if isinstance(key, Literal) and isinstance(value, Literal)]  # fmt: skip
            yield from _of_condition(expression, domain, " && ".join(parts), within, source)
        case Call(name="!_", arguments=(value,)):
            yield from _negated(expression, value, within, source)
        case Call(name="_in_", arguments=(value, ListOf(items=items))) if all(isinstance(each, Literal) for each in items):
            yield Fact(within + _text(expression, value), _literals(items), True, source)
        case Call(name=name) if name in _ORDER:
            yield from _compared(expression, node, name, within, source)
        case _:
            yield from _truth(expression, node, within, source)


def _truth(expression: Expression, node: Node, within: str, source: str, *, negated: bool = False) -> Iterator[Fact]:
    """Yield that a node is true, and its opposite is not; or the other way round."""
    yield Fact(within + _normal(expression, node, {}, negated=negated), (True,), True, source)
    yield Fact(within + _normal(expression, node, {}, negated=not negated), (True,), False, source)


def _of_item(expression: Expression, node: Comprehension, within: str, source: str) -> Iterator[Fact]:
    """Yield what is known where a list has an item: that it has one for each part of the `&&`, and what a condition is."""
    domain, names = _renamed(expression, node.domain, {}), {node.slot: "$0"}
    if isinstance(node.body, Call) and node.body.name == "_&&_":
        for part in node.body.arguments:
            yield Fact(f"{within}{domain}.exists({_normal(expression, part, names, negated=False)})", (True,), True, source)
    yield from _of_condition(expression, node.domain, _renamed(expression, node.body, {node.slot: "item"}), within, source)


def _of_condition(expression: Expression, domain: Node, body: str, within: str, source: str) -> Iterator[Fact]:
    """Yield what is known of the condition of a type, which stands once in `conditions`, where `body` is true of it."""
    name = re.sub(r"^get\((\w+), '([\w.]+)', \[\]\)$", r"\1.\2", _text(expression, domain))
    found = list(facts_of(body)) if name.endswith(".conditions") else []
    kind = next((fact.values[0] for fact in found if fact.text == "item.type" and fact.within and len(fact.values) == 1), None)
    if kind is not None:
        yield from (
            replace(fact, text=f"{within}{name} {kind!r} {fact.text}", source=source) for fact in found if not fact.either
        )


def _either(alternatives: Sequence[Sequence[Fact]], source: str) -> Iterator[Fact]:
    """Yield what is known where one of several alternatives holds: the values of which each of them allows some."""
    yield Fact("", (), True, source, either=tuple(tuple(each) for each in alternatives))
    for text in {fact.text for fact in alternatives[0]}:
        found = [next((fact for fact in each if _lists(fact, text)), None) for each in alternatives]
        values = [fact.values for fact in found if fact is not None]
        if len(values) == len(alternatives):
            yield Fact(text, sum(values, ()), True, source)


def _lists(fact: Fact, text: str) -> bool:
    return fact.text == text and fact.within and not fact.order and not fact.either


def _normal(expression: Expression, node: Node, names: Mapping[int, str], *, negated: bool) -> str:
    """Return a condition, or its opposite, in a form that two ways to write the same have in common.

    `!` stands before single parts only, by De Morgan's laws; the variables of macros are numbered by how deep they are.
    """
    match node:
        case Call(name="!_", arguments=(value,)):
            return _normal(expression, value, names, negated=not negated)
        case Call(name="_&&_" | "_||_" as name):
            parts = sorted(_normal(expression, part, names, negated=negated) for part in node.arguments)
            return f"({f' {_DUAL[name] if negated else name} '.join(parts)})"
        case Comprehension(macro="exists" | "all" as macro, second=None):
            inner = {**names, node.slot: f"${len(names)}"}
            body = _normal(expression, node.body, inner, negated=negated)
            return f"{_renamed(expression, node.domain, names)}.{_DUAL[macro] if negated else macro}({body})"
        case Call(name=name, arguments=(left, right)) if name in _OPPOSITE:
            operator = _OPPOSITE[name] if negated else name
            return f"{_renamed(expression, left, names)} {operator} {_renamed(expression, right, names)}"
    return f"{'!' if negated else ''}{_renamed(expression, node, names)}"


def _renamed(expression: Expression, node: Node, names: Mapping[int, str]) -> str:
    """Return the text of a node with other names for some variables of macros."""
    source, end = expression.source, node.end
    variables = [each for each in node.walk() if isinstance(each, Local) and each.slot in names]
    for each in sorted(variables, key=lambda each: -each.start):
        source = source[: each.start] + names[each.slot] + source[each.end :]
        end += len(names[each.slot]) - (each.end - each.start)
    return " ".join(source[node.start : end].split())


def _literals(items: Sequence[Node]) -> tuple[Any, ...]:
    return tuple(each.value for each in items if isinstance(each, Literal))


def _negated(expression: Expression, node: Node, within: str, source: str) -> Iterator[Fact]:
    """Yield what is known where a node is false."""
    yield from _truth(expression, node, within, source, negated=True)
    match node:
        case Call(name="_||_"):
            for part in node.arguments:
                yield from _negated(expression, part, within, source)
        case Call(name="_&&_"):
            yield from _either([list(_negated(expression, part, within, source)) for part in node.arguments], source)
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
