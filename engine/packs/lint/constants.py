"""Checks of values in expressions: constants without an answer, divisions of integers, and the order of texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.cel import Program, Scope, backend
from engine.cel.checker import Checker
from engine.cel.checker.matching import TIME_TEXT, named, without_null
from engine.cel.hints import of_duration
from engine.cel.parser import parse
from engine.cel.syntax import Call, Expression, Literal, Local, Node, Select, Variable, field_path
from engine.cel.types import DYN, INT, STRING
from engine.errors import EvaluationError, ExpressionError, Fault
from engine.packs.lint.base import Check, Severity, Subject, location_of
from engine.packs.lint.scope import checked

_LOGICAL = frozenset(["_&&_", "_||_", "_?_:_"])
_ORDERING = {"_<_": ("isLessThan", False), "_>=_": ("isLessThan", True), "_>_": ("isGreaterThan", False),
             "_<=_": ("isGreaterThan", True)}  # fmt: skip
"""Operators of order, and how quantities are compared in their place: by which method, and whether its opposite is meant."""
_COMPARING = frozenset([*_ORDERING, "_==_", "_!=_"])


class NoAnswer(Check):
    """A part of an expression never has an answer, whatever the object is.

    Such as `semver('v1.28')`, `1/0`, or `duration(params.age)` where the default of the parameter is `7d`, which is a duration
    for `for` and `resync`, but not in CEL: write `168h`.
    """

    name = "no-answer"
    severity = Severity.ERROR

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each largest part that depends on nothing, or on defaults of params, and has no answer."""
        for parsed in subject.packs:
            defaults = {name: param.default for name, param in parsed.pack.params.items() if param.default not in (None, "")}
            for compiled, checker, *_ in checked(subject, parsed):
                tree = parse(compiled.program.source)
                for node in () if checker.faults or checker.missing else _constant(tree.root, defaults, guarded=False):
                    failed, error = _failed(tree, node, defaults)
                    if failed is not None:
                        text = tree.text(failed)
                        with_default = " with its default" if any(isinstance(each, Variable) for each in failed.walk()) else ""
                        message = f"{text} has no answer{with_default}: {error.removeprefix(f'{text}: ')}"
                        yield self.fault(location_of(parsed, compiled, failed.start), message, _instead(tree, failed, defaults))


def _failed(tree: Expression, node: Node, defaults: Mapping[str, Any]) -> tuple[Call | None, str]:
    """Return the smallest call at or below a node that has no answer, and why; None where the node has one."""
    answer = answer_of(tree.text(node), defaults)
    if not isinstance(answer, EvaluationError):
        return None, ""
    below = (_failed(tree, child, defaults) for child in node.children)
    inner = next((found for found in below if found[0] is not None), None)
    return inner or (node if isinstance(node, Call) else None, str(answer))


def _constant(node: Node, defaults: Mapping[str, Any], *, guarded: bool) -> Iterator[Call]:
    """Yield the largest calls that depend on nothing but defaults; on these only where nothing around may keep them off."""
    params = _params(node)
    if isinstance(node, Call) and node.name not in _LOGICAL and params is not None:
        if params <= defaults.keys() and not (params and guarded):
            yield node
        return
    guarded = guarded or (isinstance(node, Call) and node.name in _LOGICAL)
    for child in node.children:
        yield from _constant(child, defaults, guarded=guarded)


def _params(node: Node) -> frozenset[str] | None:
    """Return the params that a node depends on; None where it depends on anything else."""
    match node:
        case Select(operand=Variable(name="params"), field=field):
            return frozenset([field])
        case Variable() | Local():
            return None
    below = [_params(child) for child in node.children]
    return None if None in below else frozenset().union(*filter(None, below))


def answer_of(text: str, defaults: Mapping[str, Any]) -> Any:
    """Return what an expression comes to, an EvaluationError where it has no answer; None where it does not compile."""
    try:
        program: Program = backend().compile(text, {"params"})
        return program.evaluate(Scope({"params": defaults}))
    except EvaluationError as error:
        return error
    except ExpressionError:
        return None


def _instead(tree: Expression, node: Call, defaults: Mapping[str, Any]) -> str:
    """Return what to write instead."""
    match node:
        case Call(name="semver", arguments=(argument,)):
            normalized = f"semver({tree.text(argument)}, true)"
            return "a version such as '1.28.0'" if isinstance(answer_of(normalized, defaults), EvaluationError) else normalized
        case Call(name="duration", arguments=(Select(field=field),)):
            return of_duration(str(defaults.get(field, ""))) or "a duration such as 90m or 24h"
        case Call(name="_/_" | "_%_"):
            return "a divisor that is not 0"
    return "an expression that has an answer"


class IntegerDivision(Check):
    """Two integers are divided, and the result is taken for a fraction or a percentage.

    `/` of two integers cuts off what is behind the point: `1 / 2` is 0, so that `ready / wanted < 0.5` is true until all are
    ready. Write `double(ready) / double(wanted) < 0.5`, or `ready * 100 / wanted < 50`.
    """

    name = "integer-division"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each division of integers that is compared with a fraction, multiplied, or made a double."""
        for parsed in subject.packs:
            for compiled, checker, *_ in checked(subject, parsed):
                tree = parse(compiled.program.source)
                for parent in tree.root.walk():
                    for node in parent.children if isinstance(parent, Call) else ():
                        if isinstance(parent, Call) and isinstance(node, Call) and _cut_off(checker, parent, node):
                            message = f"{tree.text(node)} divides integers, and has nothing behind the point"
                            location = location_of(parsed, compiled, node.start)
                            yield self.fault(location, message, _with_fraction(tree, parent, node))


def _with_fraction(tree: Expression, parent: Call, node: Call) -> str:
    """Return the division of doubles, or the product that is divided last, which stays one of integers."""
    left, right = node.arguments
    if parent.name == "_*_" and _whole(parent.arguments[1]):
        return f"{tree.text(left)} * {tree.text(parent.arguments[1])} / {tree.text(right)}"
    return " / ".join(f"{tree.text(each)}.0" if _whole(each) else f"double({tree.text(each)})" for each in (left, right))


def _whole(node: Node) -> bool:
    return isinstance(node, Literal) and type(node.value) is int


def _cut_off(checker: Checker, parent: Call, node: Call) -> bool:
    """Return whether a call divides integers, or one and what is not known, and its parent takes that for a fraction."""
    if node.name != "_/_":
        return False
    if parent.name in _COMPARING:
        fraction = any(isinstance(each, Literal) and type(each.value) is float for each in parent.arguments)
    else:
        fraction = parent.name == "double" or (parent.name == "_*_" and parent.arguments[0] is node)
    kinds = [named(without_null(checker.type_of(argument))) for argument in node.arguments]
    return fraction and INT in kinds and {*kinds} <= {INT, DYN}


class IncludesInText(Check):
    """A text is asked by `includes` whether it contains another, as JavaScript does; here that is whether both are equal.

    `includes` is of lists; of anything else, Kubernetes takes it for `==`. Write `object.metadata.name.contains('web')`. What may
    be a list is left alone.
    """

    name = "includes-in-text"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such call on what is a text by its type, its default or its place in the metadata."""
        for parsed in subject.packs:
            for compiled, checker, *_ in checked(subject, parsed):
                tree = parse(compiled.program.source)
                for node in () if checker.faults else tree.root.walk():
                    match node:
                        case Call(name="includes", arguments=(text, part)) if _is_text(checker, text):
                            message = f"{tree.text(node)} asks whether both are equal, since {tree.text(text)} is a text"
                            location = location_of(parsed, compiled, node.start)
                            yield self.fault(location, message, f"{tree.text(text)}.contains({tree.text(part)})")


def _is_text(checker: Checker, node: Node) -> bool:
    kind = named(without_null(checker.type_of(node)))
    if kind != DYN:
        return kind == STRING
    match node:
        case Call(name="get", arguments=(_, _, Literal(value=str()))):
            return True
    root, part, *_ = (*field_path(node), "", "")
    return root in ("object", "oldObject", "target") and part == "metadata" and field_path(node)[2:3] in _TEXTS_OF_METADATA


_TEXTS_OF_METADATA = (("name",), ("namespace",), ("uid",), ("generateName",), ("labels",), ("annotations",))


_AMOUNT = re.compile(r"[+-]?\d+(?:\.\d+)?(?P<unit>[numkMGTPE]|[KMGTPE]i)?")


class OrderOfTexts(Check):
    """Numbers or quantities are compared as texts, of which `'9'` comes after `'10'`.

    Values of annotations, labels and ConfigMaps are texts, and so are quantities such as `'500Mi'`. Write
    `int(object.metadata.annotations['a']) > 10`, or `quantity(a).isGreaterThan(quantity('1Gi'))`.
    """

    name = "order-of-texts"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each comparison by order with a text that is a number or a quantity."""
        for parsed in subject.packs:
            for compiled, checker, *_ in checked(subject, parsed):
                tree = parse(compiled.program.source)
                for node in () if checker.faults else tree.root.walk():
                    if isinstance(node, Call) and node.name in _ORDERING and (expected := _amounts(tree, node, checker)):
                        location = location_of(parsed, compiled, node.start)
                        yield self.fault(location, f"{tree.text(node)} compares texts, letter by letter", expected)


def _amounts(tree: Expression, node: Call, checker: Checker) -> str:
    """Return the comparison of amounts that one of texts was meant as, '' where neither is one."""
    left, right = node.arguments
    literal = right if isinstance(right, Literal) else left
    amount = _AMOUNT.fullmatch(literal.value) if isinstance(literal, Literal) and isinstance(literal.value, str) else None
    if amount is None:
        return ""
    if any(checker.type_of(each) == TIME_TEXT for each in node.arguments):
        sides = (f"timestamp('{amount[0]}-01-01T00:00:00Z')" if side is literal else tree.text(side) for side in (left, right))
        return f" {node.name.strip('_')} ".join(sides) if re.fullmatch(r"\d{4}", amount[0]) else ""
    if amount["unit"] is None:
        number = "double" if "." in amount[0] else "int"
        sides = (amount[0] if side is literal else f"{number}({tree.text(side)})" for side in (left, right))
        return f" {node.name.strip('_')} ".join(sides)
    word, negated = _ORDERING[node.name]
    return f"{'!' if negated else ''}quantity({tree.text(left)}).{word}(quantity({tree.text(right)}))"
