"""What can be known of an expression before it is evaluated: its variables, what it reads, and its faults."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from engine.cel import conversions, documents, operators, queries
from engine.cel.asks import Ask, Field, asks, field_of
from engine.cel.functions import FUNCTIONS, Function
from engine.cel.operators import ARITHMETIC, NAMES, Mismatch
from engine.cel.parser import MACROS, parse
from engine.cel.syntax import (
    Call,
    Comprehension,
    Expression,
    Has,
    ListOf,
    Literal,
    MapOf,
    Node,
    Select,
    Variable,
    field_path,
    place,
)
from engine.errors import ExpressionError

_BOOLEAN = ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_in_", "_&&_", "_||_", "!_")
#: Function -> which argument, where it is a literal, is checked before anything is evaluated, and by what.
_CHECKED_LITERALS: dict[str, tuple[int, Any]] = {
    "matches": (1, documents.regular_expression),
    "jmespath": (1, documents.query),
    "get": (1, documents.path_steps),
    "timestamp": (0, conversions.to_timestamp),
    "duration": (0, conversions.to_duration),
}


@dataclass(frozen=True, slots=True)
class Analysis:
    """A checked expression, the variables it names, the field paths it can see, and what it asks for."""

    expression: Expression
    variables: frozenset[str]
    reads: frozenset[tuple[str, ...]]
    asks: tuple[Ask, ...]
    field: Field | None


def analyse(text: str, variables: Collection[str]) -> Analysis:
    """Parse and check an expression that may name these variables. Raises ExpressionError."""
    expression = parse(text)
    root, checker = expression.root, _Checker(expression, variables)
    for node in root.walk():
        checker.check(node)
    names = frozenset(node.name for node in root.walk() if isinstance(node, Variable))
    return Analysis(expression, names, frozenset(_reads(root)), tuple(asks(root)), field_of(root))


def _reads(node: Node) -> Iterator[tuple[str, ...]]:
    """The paths a node reads: the longest in the text, and those that `get`, `annotation`, `label` and `jmespath` name."""
    path = field_path(node)
    if isinstance(node, Has) and (operand := field_path(node.operand)):
        path = (*operand, node.field)
    if path:
        yield path
        return
    match node:
        case Call(name="get", arguments=(value, Literal(value=str(steps)), default)) if field_path(value):
            yield (*field_path(value), *documents.path_steps(steps))
            yield from _reads(default)
        case Call(name="jmespath", arguments=(value, Literal(value=str(expression)))) if path := field_path(value):
            yield from ((*path, *steps) for steps in queries.paths(expression))
        case Call(name="annotation" | "label" as name, arguments=(value, Literal(value=str(key)))) if field_path(value):
            yield (*field_path(value), "metadata", f"{name}s", key)
        case _:
            for child in node.children:
                yield from _reads(child)


class _Checker:
    def __init__(self, expression: Expression, variables: Collection[str]) -> None:
        self._expression = expression
        self._variables = variables

    def check(self, node: Node) -> None:
        match node:
            case Variable(name="vars"):
                self._whole_vars(node)
            case Variable(name=name) if name not in self._variables:
                raise self._fault(f"unknown variable '{name}'", node, _suggest(name, self._variables, "one of "))
            case MapOf(entries=entries):
                self._keys(entries)
            case Call():
                self._call(node)
            case Literal(value=int(value)) if value == 2**63:
                raise self._fault(f"{value} does not fit", node, "an integer of 64 bits")

    def _whole_vars(self, node: Variable) -> None:
        if "vars" not in self._variables:
            raise self._fault("unknown variable 'vars'", node, _suggest("vars", self._variables, "one of "))
        for parent in self._expression.root.walk():
            if isinstance(parent, (Select, Has)) and parent.operand is node:
                return
            if isinstance(parent, Call) and len(field_path(parent)) == 2 and parent.arguments[0] is node:
                return
        raise self._fault("vars is used as a whole", node, "vars.<name>")

    def _keys(self, entries: tuple[tuple[Node, Node], ...]) -> None:
        seen: set[str] = set()
        for key, _ in entries:
            if not isinstance(key, Literal):
                continue
            if not isinstance(key.value, str):
                raise self._fault(f"the key {self._expression.text(key)} is not a string", key, "a string, as in JSON")
            if key.value in seen:
                raise self._fault(f"the key {key.value!r} stands twice", key)
            seen.add(key.value)

    def _call(self, node: Call) -> None:
        if node.name.startswith("_") or node.name.endswith("_"):
            self._operator(node)
            return
        function = FUNCTIONS.get(node.name)
        if function is None:
            candidates = [
                name for name, known in FUNCTIONS.items() if known.method is node.method or known.function is not node.method
            ]
            names = [*candidates, *MACROS] if node.method else [*candidates, "has"]
            raise self._fault(f"unknown function '{node.name}'", node, _suggest(node.name, names, ""))
        if not (function.method if node.method else function.function):
            raise self._fault(f"{node.name}() is called the wrong way", node, usage(node.name, function))
        if not len(function.parameters) - function.optional <= len(node.arguments) <= len(function.parameters):
            count = len(node.arguments) - node.method
            raise self._fault(
                f"{node.name}() is given {count} argument{'' if count == 1 else 's'}", node, usage(node.name, function)
            )
        for argument, accepted in zip(node.arguments, function.parameters, strict=False):
            kind = static_type(argument)
            allowed = accepted if isinstance(accepted, tuple) else (accepted,)
            if kind is not None and object not in allowed and kind not in allowed:
                expected = " or ".join(NAMES[each] for each in allowed)
                raise self._fault(f"{node.name}() is given a value of type {NAMES[kind]}", argument, expected)
        self._literal(node)

    def _literal(self, node: Call) -> None:
        if node.name not in _CHECKED_LITERALS:
            return
        index, check = _CHECKED_LITERALS[node.name]
        argument = node.arguments[index]
        if isinstance(argument, Literal):
            try:
                check(argument.value)
            except Mismatch as fault:
                raise self._fault(str(fault), argument) from None

    def _operator(self, node: Call) -> None:
        kinds = [static_type(argument) for argument in node.arguments]
        if node.name in ("_&&_", "_||_", "_?_:_", "!_"):
            tested = node.arguments[:1] if node.name == "_?_:_" else node.arguments
            for argument, kind in zip(tested, kinds, strict=False):
                if kind not in (None, bool):
                    text = self._expression.text(argument)
                    raise self._fault(f"{text} is of type {NAMES[kind or bool]}", argument, "a condition (true or false)")
        elif node.name == "-_" and kinds[0] not in (None, int, float):
            raise self._fault(f"'-' does not work on {NAMES[kinds[0] or int]}", node, "a number")
        elif len(kinds) == 2 and kinds[0] and kinds[1] and not operators.fits(node.name, kinds[0], kinds[1]):
            names = f"{NAMES[kinds[0]]} and {NAMES[kinds[1]]}"
            raise self._fault(f"'{node.name.strip('_')}' does not work on {names}", node, "two values that fit each other")

    def _fault(self, message: str, node: Node, expected: str = "") -> ExpressionError:
        return ExpressionError(message, *place(self._expression.source, node.start), expected)


def static_type(node: Node) -> type | None:
    """The type a node's value has whenever it has one; None where that depends on the data."""
    match node:
        case Literal(value=value):
            return type(value)
        case ListOf() | Comprehension(macro="map" | "filter"):
            return list
        case MapOf():
            return dict
        case Has() | Comprehension():
            return bool
        case Call(name=name) if name in _BOOLEAN:
            return bool
        case Call(name=name, arguments=arguments) if name in ARITHMETIC:
            kinds = {static_type(argument) for argument in arguments}
            return kinds.pop() if len(kinds) == 1 and kinds <= {int, float, str, list} else None
        case Call(name=name) if name in FUNCTIONS:
            result = FUNCTIONS[name].result
            return None if result is object else result
    return None


def usage(name: str, function: Function) -> str:
    """How a function is called, by the types of its arguments; what may be left out stands in brackets."""
    kinds = [
        " or ".join(NAMES.get(each, "any") for each in (kind if isinstance(kind, tuple) else (kind,)))
        for kind in function.parameters
    ]
    required = len(kinds) - function.optional
    shown = [kind if index < required else f"[{kind}]" for index, kind in enumerate(kinds)]
    if function.method and not function.function:
        return f"{shown[0]}.{name}({', '.join(shown[1:])})"
    return f"{name}({', '.join(shown)})"


def _suggest(name: str, known: Collection[str], otherwise: str) -> str:
    close = get_close_matches(name, known, n=1)
    if close:
        return f"'{close[0]}' (did you mean that?)"
    return f"{otherwise}{', '.join(sorted(known))}"
