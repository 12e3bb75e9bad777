"""Finds what an expression names: variables, functions and their overloads. What is not there is a fault, with a suggestion."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from engine.cel import documents, hints, times
from engine.cel.declarations import Chosen, Overload
from engine.cel.inline import Functions
from engine.cel.jsonpath import of_filter
from engine.cel.libraries import FUNCTIONS
from engine.cel.macros import GLOBAL, MACROS
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
    field_path,
    place,
)
from engine.cel.types import BOOL, LIST, MAP, Named, short
from engine.cel.values import Mismatch, type_of
from engine.errors import Awaited, ExpressionError
from engine.model.text import nearest

#: Function -> which argument, where it is a literal, is checked before anything is evaluated, and by what.
_CHECKED_LITERALS: dict[str, tuple[int, Any]] = {
    "matches": (1, documents.regular_expression),
    "find": (1, documents.regular_expression),
    "findAll": (1, documents.regular_expression),
    "jmespath": (1, documents.query),
    "get": (1, documents.path_steps),
    "timestamp": (0, times.to_timestamp),
    "duration": (0, times.to_duration),
}


class Resolution:
    """The faults of the nodes of one expression, which may name these variables and functions."""

    def __init__(self, expression: Expression, variables: Collection[str], functions: Functions) -> None:
        self._expression = expression
        self._variables = variables
        self._functions = functions

    def check(self, node: Node) -> None:
        """Raises ExpressionError where a node names what is not there, or what does not fit."""
        match node:
            case Call(name="_[?_]", arguments=(items, Call(name="_==_" | "_!=_" | "_&&_" | "_||_"))):
                self._filter(node, items)
            case Variable(name="vars"):
                self._whole_vars(node)
            case Variable(name=name) if name not in self._variables:
                raise self._unknown(node)
            case MapOf(entries=entries):
                self._keys(entries)
            case Call():
                self._call(node)
            case Literal(value=int(value)) if value == 2**63 and type(value) is int:
                raise self._fault(f"{value} does not fit", node, "an integer of 64 bits")

    def _filter(self, node: Call, items: Node) -> None:
        """Refuse a filter of JSONPath, which CEL reads as an index that may be absent."""
        message, _, expected = of_filter(self._expression.source[node.start :])
        text = self._expression.text(items)
        expected = expected or f"{text}.exists(x, condition), or {text}.filter(x, condition)[0]"
        raise self._fault(message or "a list has no filter in brackets", node, expected)

    def _unknown(self, node: Variable) -> ExpressionError:
        line, column = place(self._expression.source, node.start)
        message, key = f"unknown variable '{node.name}'", self._of_key(node)
        if key:
            return ExpressionError(message, line, column, key)
        expected = self._in_quotes(node) or self._of_field(node) or hints.of_variable(node.name) or self._of_text(node)
        expected = expected or hints.of_object(node.name) or suggest(node.name, self._variables, "one of ")
        if self._expression.root is node and expected.startswith("one of "):
            expected = f"{expected}; or a text: '{node.name}', with these quotes within those of YAML"
        return ExpressionError(message, line, column, expected, unknown=node.name)

    def _of_key(self, node: Variable) -> str:
        """Return how to write a key with a slash or a hyphen, of which a variable is the part behind; '' where it is none."""
        for parent in self._expression.root.walk():
            if isinstance(parent, Call) and parent.name in ("_/_", "_-_") and parent.arguments[1].start == node.start:
                text = self._expression.source
                root, dot, key = text[parent.arguments[0].start : parent.arguments[0].end].partition("s.")
                rest = re.match(r"[\w.-]*", text[node.start :])
                if dot and root.endswith(("label", "annotation", "flag")) and rest:
                    return f"{root}s['{key}{parent.name.strip('_')}{rest[0]}']"
        return ""

    def _of_field(self, node: Variable) -> str:
        """Return what to write instead of a field of an unknown variable, such as `request.operation`, or ''."""
        parents = (each for each in self._expression.root.walk() if isinstance(each, Select) and each.operand is node)
        return next((hints.of_variable(f"{node.name}.{parent.field}") for parent in parents), "")

    def _in_quotes(self, node: Variable) -> str:
        """Return the path or key that a function takes as a text, where the variable stands for it without quotes; else ''."""
        for parent in self._expression.root.walk():
            match parent:
                case Call(name="get" | "label" | "annotation" | "jmespath", arguments=(_, key, *_)):
                    if any(each is node for each in key.walk()) and field_path(key)[:1] == (node.name,):
                        return f"'{self._expression.text(key)}', in quotes"
        return ""

    def _of_text(self, node: Variable) -> str:
        """Return that a word is a text, where one that no variable is like is compared with a value; '' where it is not."""
        for parent in self._expression.root.walk():
            if isinstance(parent, Call) and parent.name in ("_==_", "_!=_") and node in parent.arguments:
                return "" if nearest(node.name, self._variables) else f"'{node.name}', in quotes, where a text is meant"
        return ""

    def _whole_vars(self, node: Variable) -> None:
        if "vars" not in self._variables:
            raise self._fault("unknown variable 'vars'", node, suggest("vars", self._variables, "one of "))
        for parent in self._expression.root.walk():
            if isinstance(parent, (Select, Has)) and parent.operand is node:
                return
            if isinstance(parent, Call) and len(field_path(parent)) == 2 and parent.arguments[0] is node:
                return
        raise self._fault("vars is used as a whole", node, "vars.<name>")

    def _keys(self, entries: tuple[tuple[Node, Node], ...]) -> None:
        seen: set[Any] = set()
        for key, _ in entries:
            if isinstance(key, Literal):
                value = type(key.value) is bool, key.value
                if value in seen:
                    raise self._fault(f"the key {key.value!r} stands twice", key)
                seen.add(value)

    def _call(self, node: Call) -> None:
        if not node.name[0].isalpha():
            self._operator(node)
            return
        namespace = field_path(node.arguments[0]) if node.method else ()
        foreign = namespace[:1] not in {(name,) for name in self._variables} and hints.is_foreign(
            ".".join((*namespace, node.name))
        )
        if node.name not in FUNCTIONS or foreign:
            method = node.method and (not namespace or namespace[0] in self._variables)
            for inner in node.arguments[0].walk() if method else ():
                self.check(inner)  # what is called on has the cause: `image(x).registry()`
            name = node.name if method else ".".join((*namespace, node.name))
            candidates = [each for each in FUNCTIONS if each[0].isalpha() and FUNCTIONS.overloads(each, member=method)]
            macros = [each for each in MACROS if (each in GLOBAL) is not method]
            expected, awaits = ("", None) if method else (self._functions.hint(name), self._functions.awaited(name))
            expected = expected or hints.of_function(name, [*candidates, *macros])
            raise self._fault(f"unknown function '{name}'", node, expected, awaits)
        overloads = FUNCTIONS.overloads(node.name, member=node.method)
        if not overloads:
            expected = (node.method and hints.of_method(node.name)) or usage(node.name, member=node.method)
            raise self._fault(f"{node.name}() is called the wrong way", node, expected)
        fitting = [each for each in overloads if _counts(each, len(node.arguments))]
        if not fitting:
            count = len(node.arguments) - node.method
            expected = (node.method and hints.of_method(node.name)) or usage(node.name, member=node.method)
            raise self._fault(f"{node.name}() is given {count} argument{'' if count == 1 else 's'}", node, expected)
        self._types(node, fitting)
        self._literal(node)

    def _types(self, node: Call, overloads: list[Overload]) -> None:
        """Each argument must have a type that one of the overloads takes that have taken those before."""
        for index, argument in enumerate(node.arguments):
            wanted = {each: each.signature.parameters[min(index, len(each.signature.parameters) - 1)] for each in overloads}
            kind = static_type(argument)
            overloads = [each for each, term in wanted.items() if kind is None or not _differs(term, kind)]
            if kind is not None and not overloads:
                expected = " or ".join(dict.fromkeys(_shown(term) for term in wanted.values()))
                raise self._fault(f"{node.name}() is given a value of type {short(kind)}", argument, expected)

    def _literal(self, node: Call) -> None:
        if node.name not in _CHECKED_LITERALS:
            return
        index, check = _CHECKED_LITERALS[node.name]
        argument = node.arguments[index]
        if isinstance(argument, Literal) and type(argument.value) in (str, int):
            try:
                check(argument.value)
            except Mismatch as fault:
                expected = hints.of_literal(node.name, str(argument.value), self._expression.text(node.arguments[0]))
                raise self._fault(str(fault), argument, expected) from None

    def _operator(self, node: Call) -> None:
        kinds = [static_type(argument) for argument in node.arguments]
        if node.name in ("_&&_", "_||_", "_?_:_", "!_"):
            tested = node.arguments[:1] if node.name == "_?_:_" else node.arguments
            for argument, kind in zip(tested, kinds, strict=False):
                if kind not in (None, BOOL):
                    text = self._expression.text(argument)
                    raise self._fault(f"{text} is of type {short(kind or BOOL)}", argument, "a condition (true or false)")
        elif all(kinds) and not any(_fits(each, kinds) for each in FUNCTIONS.overloads(node.name, member=False)):
            names = " and ".join(short(kind) for kind in kinds if kind)
            expected = "a number" if node.name == "-_" else "two values that fit each other"
            raise self._fault(f"'{node.name.strip('_')}' does not work on {names}", node, expected)

    def _fault(self, message: str, node: Node, expected: str = "", awaits: Awaited | None = None) -> ExpressionError:
        return ExpressionError(message, *place(self._expression.source, node.start), expected, awaits)


def _counts(overload: Overload, count: int) -> bool:
    wanted = len(overload.signature.parameters)
    return count >= wanted if overload.signature.variadic else count == wanted


def _fits(overload: Overload, kinds: list[Named | None]) -> bool:
    terms = overload.signature.parameters
    return len(terms) == len(kinds) and not any(_differs(term, kind) for term, kind in zip(terms, kinds, strict=True) if kind)


def _differs(term: object, kind: Named) -> bool:
    return isinstance(term, Named) and not _any(term) and term.name != kind.name


def static_type(node: Node) -> Named | None:
    """The type a node's value has whenever it has one, without what it holds; None where that depends on the data."""
    match node:
        case Literal():
            return type_of(node.value)
        case ListOf():
            return LIST
        case MapOf():
            return MAP
        case Has():
            return BOOL
        case Comprehension():
            return LIST if node.macro in ("map", "filter", "transformList") else None if "transform" in node.macro else BOOL
        case Bind():
            return static_type(node.body)
        case Call():
            kinds = [static_type(argument) for argument in node.arguments]
            found = {each.signature.result for each in _overloads(node) if _fits(each, kinds)}
            result = found.pop() if len(found) == 1 else None
            return Named(result.name) if isinstance(result, Named) and result.name != "dyn" else None
        case Select() | Variable() | Local():
            return None


def _overloads(node: Call) -> list[Overload]:
    return FUNCTIONS.overloads(node.name, member=node.method)


def certain(node: Call) -> Chosen | None:
    """What computes a call whatever its arguments are: where one overload takes them all, by their number or known types."""
    found = [
        (each, one.cost)
        for one in FUNCTIONS[node.name]
        for each in one.overloads
        if each.signature.member is node.method and _counts(each, len(node.arguments)) and not each.signature.variadic
    ]
    kinds = [static_type(argument) for argument in node.arguments]
    found = [(each, cost) for each, cost in found if _fits(each, kinds)]
    if len(found) != 1:
        return None
    ((overload, cost),) = found
    known = all(kind is not None or _any(term) for term, kind in zip(overload.signature.parameters, kinds, strict=True))
    return (overload.compute, cost) if known else None


def _any(term: object) -> bool:
    return not isinstance(term, Named) or term.name == "dyn"


def usage(name: str, *, member: bool) -> str:
    """How a function is called, by the types of its arguments: as a method or not, where it may be called like that."""
    forms = [each.signature for each in FUNCTIONS.overloads(name, member=member) or FUNCTIONS.overloads(name, member=not member)]
    return " or ".join(dict.fromkeys(form.text(name).rpartition(" -> ")[0] for form in forms))


def _shown(term: object) -> str:
    return short(term) if isinstance(term, Named) else "any"


def suggest(name: str, known: Collection[str], otherwise: str) -> str:
    """The name that was probably meant, otherwise all that there are."""
    if close := nearest(name, known):
        return f"'{close}' (did you mean that?)"
    return f"{otherwise}{', '.join(sorted(known))}"
