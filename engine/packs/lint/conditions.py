"""What conditions say that can be compared without data, so that two of them can be seen to exclude one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.cel.parser import parse
from engine.cel.syntax import Call, Comprehension, Expression, Literal, Node
from engine.errors import ExpressionError
from engine.packs.pack import Rule

#: `a <= b` is true where `a > b` is false, and `a >= b` where `a < b` is.
_ORDER = {"_>_": (">", True), "_<=_": (">", False), "_<_": ("<", True), "_>=_": ("<", False)}


@dataclass(frozen=True, slots=True)
class Fact:
    """A condition of the form `text == value`, or `text != value` where `equal` is false; `source` is what was written."""

    text: str
    equal: bool
    value: object
    source: str

    def excludes(self, other: Fact) -> bool:
        """Whether both cannot be true of the same object."""
        if self.text != other.text:
            return False
        same = self.value == other.value and isinstance(self.value, bool) == isinstance(other.value, bool)
        return not same if self.equal and other.equal else same and self.equal != other.equal


def facts(source: str) -> Iterator[Fact]:
    """What an expression says, part by part of its `&&`."""
    expression = _parsed(source)
    if expression is not None:
        yield from _facts(expression, expression.root, "")


def facts_of(rule: Rule) -> list[Fact]:
    """What is true whenever a rule acts: by its conditions, and by the filter of its loop."""
    found = [fact for clause in rule.when for fact in facts(clause.source)]
    expression = _parsed(rule.loop.source) if rule.loop is not None else None
    if expression is not None and isinstance(expression.root, Comprehension) and expression.root.macro == "filter":
        loop = expression.root
        found += _facts(expression, loop.body, f"{expression.text(loop.domain)}: ")
    return found


def excluding(one: list[Fact], other: list[Fact]) -> tuple[Fact, Fact] | None:
    """Two facts, one of each, that exclude one another."""
    return next(((a, b) for a in one for b in other if a.excludes(b)), None)


def _facts(expression: Expression, node: Node, within: str) -> Iterator[Fact]:
    match node:
        case Call(name="_&&_"):
            for part in node.arguments:
                yield from _facts(expression, part, within)
        case (
            Call(name="_==_" | "_!=_" as name, arguments=(value, Literal() as literal))
            | Call(name="_==_" | "_!=_" as name, arguments=(Literal() as literal, value))
        ):
            yield Fact(within + _text(expression, value), name == "_==_", literal.value, _text(expression, node))
        case Call(name=name, arguments=(left, right)) if name in _ORDER:
            operator, true = _ORDER[name]
            text = f"{within}{_text(expression, left)} {operator} {_text(expression, right)}"
            yield Fact(text, True, true, _text(expression, node))
        case Call(name="!_", arguments=(value,)):
            yield Fact(within + _text(expression, value), True, False, _text(expression, node))
        case _:
            yield Fact(within + _text(expression, node), True, True, _text(expression, node))


def _text(expression: Expression, node: Node) -> str:
    return " ".join(expression.source[node.start : node.end].split())


def _parsed(source: str) -> Expression | None:
    try:
        return parse(source)
    except ExpressionError:
        return None
