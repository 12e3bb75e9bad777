"""The types of an expression: from those of its variables through every node to its value, and what does not fit on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from engine.cel.checker import advice, paths
from engine.cel.checker.faults import Missing, TypeFault
from engine.cel.checker.matching import TIME_TEXT, comparable, elements, joined, members, named, result_of, union, without_null
from engine.cel.checker.paths import BRACKETS, in_brackets, instead, is_map, never_null, path_of, paths_in, value_of_label
from engine.cel.libraries import FUNCTIONS
from engine.cel.syntax import (
    Bind,
    Call,
    Comprehension,
    Expression,
    Has,
    ListOf,
    Literal,
    Local,
    MapOf,
    Node,
    Select,
    Variable,
)
from engine.cel.times import is_time
from engine.cel.types import BOOL, DYN, NULL, STRING, TYPE, EnumType, Named, ObjectType, Type, list_of, map_of, optional_of
from engine.cel.values import type_of
from engine.model.text import one_of

_CONDITIONS = frozenset(["all", "exists", "exists_one", "filter"])
_LISTS = frozenset(["map", "transformList"])


class Checker:
    """Finds the types of one expression, by those of the variables that are known; of the others it says nothing.

    `faults` holds what does not fit, `missing` the fields that the types do not have. What has a fault is dyn above it, so
    that one fault is found once.
    """

    def __init__(self, expression: Expression, variables: Mapping[str, Type]) -> None:
        self.faults: list[TypeFault] = []
        self.missing: list[Missing] = []
        self._expression = expression
        self._variables = variables
        self._locals: dict[int, Type] = {}

    def type_of(self, node: Node) -> Type:  # noqa: C901 (a case for each kind of node)
        """Return the type of a node's value."""
        match node:
            case Literal(value=value):
                return TYPE if isinstance(value, Named) else type_of(value)
            case Variable(name=name):
                return self._variables.get(name, DYN)
            case Local(slot=slot):
                return self._locals.get(slot, DYN)
            case Select(operand=operand, field=field):
                return self._field(self.type_of(operand), field, node.end - len(field), operand)
            case Has(operand=operand, field=field):
                self._field(self.type_of(operand), field, node.start, operand)
                return BOOL
            case Call():
                return self._call(node)
            case ListOf(items=items, optional=optional):
                return list_of(union(self._item(item, index in optional) for index, item in enumerate(items)))
            case MapOf():
                return self._map(node)
            case Comprehension():
                return self._comprehension(node)
            case Bind(slot=slot, value=value, body=body):
                self._locals[slot] = self.type_of(value)
                return self.type_of(body)
            case _:
                assert_never(node)

    def condition(self, node: Node) -> None:
        """Find the types of a node that must be a condition."""
        kind = self.type_of(node)
        if not any(member in (BOOL, DYN) for member in members(kind)):
            text = self._expression.text(node)
            self._fault(
                node, f"{text} is {advice.article(kind)}, not a condition", advice.of_condition(self._expression, node, kind)
            )

    def loop(self, node: Node) -> None:
        """Find the types of a node that must be a list."""
        kind = self.type_of(node)
        if not any(member == DYN or getattr(named(member), "name", "") == "list" for member in members(kind)):
            text = self._expression.text(node)
            self._fault(node, f"{text} is {advice.article(kind)}, and a loop takes a list", advice.of_loop(text, kind))

    def descend(self, kind: Type, steps: Sequence[str], offset: int, path: tuple[str, ...], form: str = BRACKETS) -> Type:
        """Return the type at a path below a value, which may be absent or null on the way; `form` is how its text has keys."""
        value = value_of_label((*path, *steps)) - len(path)
        key = value - 1
        for number, step in enumerate(steps):
            kind = without_null(kind)
            found = None if number == value and kind == DYN else self._step(kind, step, offset, path)
            if found is None:
                root, *above = path
                missing = Missing(root, (*above, *steps[number:]), offset, (), instead(steps, key, number, kind, form))
                self.missing.append(missing)
                return DYN
            key = number if is_map(kind) else key
            kind, offset, path = found, offset + len(step) + 1, (*path, step)
        return kind

    def _fault(self, node: Node, message: str, expected: str) -> Type:
        self.faults.append(TypeFault(node.start, message, expected))
        return DYN

    def _item(self, item: Node, optional: bool) -> Type:
        kind = self.type_of(item)
        return _held(kind) if optional else kind

    def _map(self, node: MapOf) -> Type:
        keys = union([self.type_of(key) for key, _ in node.entries])
        return map_of(keys, union([self._item(value, at in node.optional) for at, (_, value) in enumerate(node.entries)]))

    def _field(self, kind: Type, field: str, offset: int, operand: Node) -> Type:
        """Return the type of a field; an optional of it where the operand is an optional."""
        if isinstance(kind, Named) and kind.name == "optional_type":
            return optional_of(self._field(_held(kind), field, offset, operand))
        path = path_of(operand)
        in_label = kind == DYN and value_of_label(path) == len(path)
        found = None if in_label else self._step(kind, field, offset, path)
        if found is None:
            expected = advice.of_field(self._expression, operand, kind, field)
            if isinstance(operand, Select) and (in_label or is_map(self._quietly(operand.operand))):
                expected = in_brackets(self._expression, operand)
            what = advice.article(STRING if in_label else kind)
            return self._fault(operand, f"{self._expression.text(operand)} is {what}, which has no fields", expected)
        return found

    def _step(self, kind: Type, field: str, offset: int, path: tuple[str, ...]) -> Type | None:
        """Return the type of a field, dyn where it is missing; None where such a value has no fields at all."""
        found = [each for member in members(kind) if (each := _field_of(member, field)) is not None]
        if found:
            return union(found)
        objects = [member for member in members(kind) if isinstance(member, ObjectType)]
        if not objects:
            return None
        root, *above = path or ("a value",)
        self.missing.append(Missing(root, (*above, field), offset, sorted(objects[0].fields)))
        return DYN

    def _call(self, node: Call) -> Type:  # noqa: C901 (a case for each kind of call)
        match node:
            case Call(name="_[_]", arguments=(operand, Literal(value=str(key)) as literal)) if self._has_fields(operand):
                return self._field(self.type_of(operand), key, literal.start + 1, operand)
            case Call(name="_?._" | "_[?_]", arguments=(operand, Literal(value=str(key)) as literal)) if self._has_fields(
                operand
            ):
                return optional_of(self._field(_held(self.type_of(operand)), key, literal.start, operand))
            case Call(name="get", arguments=(value, Literal(value=str()), default)):
                return self._get(node, value, default)
            case Call(name="annotation" | "label", arguments=(owner, _)) if not paths.has_metadata(owner, self._quietly(owner)):
                message = f"{node.name}() is given {self._expression.text(owner)}, which has no metadata"
                return self._fault(owner, message, advice.of_metadata(self._expression, node))
            case Call(name="jmespath" | "nest"):
                for above, steps, offset, form in paths_in(node, self._expression.source):
                    kind, path = (DYN, ("the map",)) if above is None else (self._quietly(above), path_of(above))
                    self.descend(kind, steps, offset, path, form)
            case Call(name="_?_:_", arguments=(test, positive, negative)):
                self.condition(test)
                return joined((positive, self.type_of(positive)), (negative, self.type_of(negative)))
            case Call(name="_&&_" | "_||_" | "!_", arguments=arguments):
                for argument in arguments:
                    self.condition(argument)
                return BOOL
            case Call(name="_==_" | "_!=_"):
                return self._comparison(node)
        return self._overloaded(node)

    def _quietly(self, node: Node) -> Type:
        """Return the type of a node without a word of what does not fit in it."""
        quiet = Checker(self._expression, self._variables)
        quiet._locals = self._locals.copy()
        return quiet.type_of(node)

    def _has_fields(self, operand: Node) -> bool:
        """Return whether a value is an object, or an optional of one, by its type; what is not known is no matter here."""
        return any(isinstance(member, ObjectType) for member in members(_held(self._quietly(operand))))

    def _get(self, node: Call, value: Node, default: Node) -> Type:
        kind, otherwise = self.type_of(value), self.type_of(default)
        found = list(paths_in(node, self._expression.source))
        if not found:
            return DYN
        ((_, steps, offset, form),) = found
        kind = without_null(self.descend(kind, steps, offset, path_of(value), form))
        if isinstance(kind, EnumType) and isinstance(default, Literal) and isinstance(default.value, str):
            return EnumType((*kind.values, default.value))
        return joined((value, kind), (default, otherwise))

    def _comparison(self, node: Call) -> Type:
        kinds = [self.type_of(argument) for argument in node.arguments]
        if NULL in kinds:  # a label is a text, whatever the kind of the object; some times are absent
            kinds = [STRING if never_null(*each) else each[1] for each in zip(node.arguments, kinds, strict=True)]
        if not comparable(*kinds):
            expected = advice.of_comparison(self._expression, node, kinds)
            never = "are never equal" if node.name == "_==_" else "always differ"
            self._fault(node, f"{advice.article(kinds[0])} and {advice.article(kinds[1])} {never}", expected)
        for one, other in ((0, 1), (1, 0)):
            self._enumerated(kinds[one], node.arguments[one], node.arguments[other])
        return BOOL

    def _enumerated(self, kind: Type, value: Node, other: Node) -> None:
        """Add a fault where a literal is none of the values that the other side may have; '' asks whether there is one."""
        text = other.value if isinstance(other, Literal) else ""
        if not isinstance(text, str) or not text:
            return
        message = f"{self._expression.text(value)} is never {text!r}"
        if isinstance(kind, EnumType) and text not in kind.values:
            self._fault(other, message, one_of(text, [each for each in kind.values if each]))
        elif kind == TIME_TEXT and not is_time(text):
            self._fault(other, message, advice.TIME)

    def _overloaded(self, node: Call) -> Type:
        """Return the type of a call by the signatures that its function declares."""
        kinds = [self.type_of(argument) for argument in node.arguments]
        signatures = [each.signature for each in FUNCTIONS.overloads(node.name, member=node.method)]
        if node.name in ("_[_]", "_[?_]", "_?._") and DYN not in members(kinds[0]):
            signatures = [each for each in signatures if each.parameters[0] != DYN]
        if node.name == "_in_" and isinstance(items := node.arguments[1], ListOf):
            for item in items.items:
                self._enumerated(kinds[0], node.arguments[0], item)
        found = result_of(signatures, kinds)
        if found is not None or not signatures:
            return DYN if found is None else found
        expected = advice.of_call(self._expression, node, kinds, signatures)
        return self._fault(node, self._unfit(node, kinds), expected)

    def _unfit(self, node: Call, kinds: Sequence[Type]) -> str:
        given = [advice.article(kind) for kind in kinds]
        if not node.name[0].isalpha():
            sign = {"_[_]": "[]", "_[?_]": "[?]", "_?._": ".?"}.get(node.name, node.name.strip("_"))
            return f"'{sign}' does not work on {' and '.join(given)}"
        if node.method:
            arguments = f" with {', '.join(given[1:])}" if len(given) > 1 else ""
            return f"{node.name}() does not work on {given[0]}{arguments}"
        return f"{node.name}() does not take {', '.join(given)}"

    def _comprehension(self, node: Comprehension) -> Type:
        domain = self.type_of(node.domain)
        pair = elements(domain)
        if pair is None:
            text = self._expression.text(node.domain)
            self._fault(
                node.domain, f"{text} is {advice.article(domain)}, which {node.macro}() cannot go through", "a list or a map"
            )
            pair = DYN, DYN
        self._bind(node, domain, pair)
        if node.condition is not None:
            self.condition(node.condition)
        if node.macro in _CONDITIONS:
            self.condition(node.body)
            return self._filtered(domain, pair) if node.macro == "filter" else BOOL
        body = self.type_of(node.body)
        if node.macro in _LISTS:
            return list_of(body)
        return map_of(pair[0], body) if node.macro == "transformMap" else body

    def _bind(self, node: Comprehension, domain: Type, pair: tuple[Type, Type]) -> None:
        """Give the variables their types: with one it is an item of a list or a key of a map."""
        if node.second is not None:
            self._locals[node.slot], self._locals[node.second] = pair
            return
        lists = [member for member in members(domain) if member == DYN or getattr(named(member), "name", "") == "list"]
        items = [found[1] for each in lists if (found := elements(each)) is not None]
        keys = [found[0] for each in members(domain) if each not in lists and (found := elements(each)) is not None]
        self._locals[node.slot] = union([*items, *keys])

    def _filtered(self, domain: Type, pair: tuple[Type, Type]) -> Type:
        """Return a list of the items of a list, or of the keys of a map."""
        found = named(domain)
        return list_of(pair[0] if found is not None and found.name == "map" else pair[1])


def _held(kind: Type) -> Type:
    """Return the type of what an optional holds; of anything else the type itself."""
    if isinstance(kind, Named) and kind.name == "optional_type":
        return kind.parameters[0] if kind.parameters else DYN
    return kind


def _field_of(kind: Type, field: str) -> Type | None:
    """Return the type of a field of a value, dyn where that is not known; None where there is no such field."""
    match kind:
        case ObjectType(fields=fields, open=more):
            return fields.get(field, DYN if more else None)
        case Named(name="dyn"):
            return DYN
        case Named(name="map", parameters=parameters):
            return parameters[1] if parameters else DYN
        case Named(name="optional_type"):
            return DYN
    return None
