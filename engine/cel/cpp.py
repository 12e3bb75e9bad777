"""The second backend: cel-cpp, through cel-expr-python, for the expressions that it is quicker at.

cel-cpp converts the whole of every value it is given (25 µs for an object of 30 list items), so it is given as little
as possible: each path below a variable, and each call of one of the engine's own functions, is computed here on the
plain values and handed over as a variable of its own. What has no answer stays unbound, so that it matters only
where cel-cpp comes to need it; the interpreter then says why. Even so, with this binding, most expressions of rules cost
more to hand over than to evaluate: the form of an expression decides which of the two has it (`routing`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from engine.cel.analysis import Analysis, analyse, static_type
from engine.cel.closures import Closure, Frame
from engine.cel.documents import find
from engine.cel.extent import affordable, uncountable
from engine.cel.functions import FUNCTIONS, domain
from engine.cel.interpreter import Closures, answerer
from engine.cel.program import Program, Scope
from engine.cel.routing import native, own, quicker
from engine.cel.syntax import Call, Comprehension, Expression, Has, ListOf, Literal, Local, MapOf, Node, Select, field_path
from engine.errors import ExpressionError, Unanswered

_DYN = cel.Type.DYN
#: Types of values that cel-cpp can be given.
_BINDABLE = frozenset({type(None), bool, int, float, str, list, dict})
#: What cel-cpp says of values it cannot be given: a time in a list, an integer of more than 64 bits, half a surrogate pair.
_NOT_TAKEN = ("Non-CEL value type", "Integer value", "basic_string")


class CelCpp:
    """The second backend; the same language and answers as the portable one.

    It leaves to the interpreter what that is quicker at; with `all_forms` only what cel-cpp cannot be given, whatever it costs.
    """

    name = "cel-cpp"

    def __init__(self, *, all_forms: bool = False) -> None:
        self._all_forms = all_forms
        self._environment = cel.NewEnv(extensions=[cel.CelExtension("rulepack", _own_functions()), ext_strings.ExtStrings()])

    def compile(self, text: str, variables: Collection[str]) -> Program:
        """Compile an expression. Raises ExpressionError."""
        analysis = analyse(text, variables)
        root, answer = analysis.expression.root, answerer(analysis.expression)
        if (self._all_forms or quicker(root)) and not (native(root) or uncountable(root)):
            answer = self._answerer(analysis, answer)
        return Program(text, analysis.variables, analysis.reads, answer, analysis.asks, analysis.field)

    def _answerer(self, analysis: Analysis, explain: Any) -> Any:
        writer = _Writer(analysis.expression)
        text = writer.write(analysis.expression.root)
        try:
            # Types were checked by the analysis, alike for both backends; unchecked, a call is resolved when it is made.
            program = self._environment.compile(text, disable_check=True)
        except Exception as fault:  # RuntimeError as a rule; the binding documents none
            raise ExpressionError(f"the expression is refused: {str(fault).splitlines()[0]}") from None
        evaluate, error, bound = program.eval, cel.Type.ERROR, list(writer.bound.items())
        slots, cheap = analysis.expression.slots, affordable(analysis.expression.root)

        def answer(scope: Scope) -> Any:
            frame = Frame(scope, slots)
            values: dict[str, Any] = {}
            for name, closure in bound:
                try:
                    value = closure(frame)
                except Unanswered:
                    continue
                if type(value) not in _BINDABLE:
                    return explain(scope)
                values[name] = value
            if not cheap(values.values()):
                return explain(scope)
            try:
                result = evaluate(data=values)
                value = result.plain_value()
                if type(value) is not str or result.type() != error:  # an error has its words as its plain value
                    return value
                reason = value
            except Exception as fault:  # RuntimeError as a rule; the binding documents none
                reason = str(fault)
            answer = explain(scope)
            if any(words in reason for words in _NOT_TAKEN):
                return answer
            raise Unanswered(f"{analysis.expression.text(analysis.expression.root)}: {reason}")

        return answer


class _Writer:
    """Writes a tree as text for cel-cpp; `bound` holds the variables that the text needs, and what computes them."""

    def __init__(self, expression: Expression) -> None:
        self._closures = Closures(expression)
        self.bound: dict[str, Closure] = {}
        self._names: dict[Any, str] = {}

    def write(self, node: Node) -> str:
        if native(node):
            return self._bind(node, self._closures.of(node))
        match node:
            case Literal(value=value):
                return _literal(value)
            case Local(slot=slot):
                return f"x{slot}"
            case Select(operand=operand, field=field):
                return f"{self._operand(operand)}.{field}"
            case Has(operand=operand, field=field):
                return f"has({self._operand(operand)}.{field})"
            case ListOf(items=items):
                return f"[{', '.join(map(self.write, items))}]"
            case MapOf(entries=entries):
                return "{" + ", ".join(f"{self._key(key)}: {self.write(value)}" for key, value in entries) + "}"
            case Comprehension():
                parts = [part for part in (node.condition, node.body) if part is not None]
                return f"{self._domain(node.domain)}.{node.macro}(x{node.slot}, {', '.join(map(self.write, parts))})"
            case Call():
                return self._call(node)
        raise AssertionError(node)

    def _bind(self, node: Node, closure: Closure) -> str:
        path = (type(node), field_path(node)) if field_path(node) else node
        if path not in self._names:
            self._names[path] = f"h{len(self.bound)}"
            self.bound[self._names[path]] = closure
        return self._names[path]

    def _operand(self, node: Node) -> str:
        text = self.write(node)
        match node:
            case Literal(value=value):
                whole = not isinstance(value, (int, float))
            case Call(name=name):
                whole = name == "_[_]" or (name in FUNCTIONS and name != "get")
            case _:
                whole = True
        return text if whole or text.isidentifier() else f"({text})"

    def _key(self, node: Node) -> str:
        text = self.write(node)
        return text if static_type(node) is str else f"rp_key({text})"

    def _domain(self, node: Node) -> str:
        if native(node):
            closure = self._closures.of(node)
            name = f"h{len(self.bound)}"
            self.bound[name] = lambda frame: _domain_or_value(closure(frame))
            return name
        text = self._operand(node)
        return text if static_type(node) is list else f"rp_domain({text})"

    def _call(self, node: Call) -> str:
        match node.name:
            case "get":
                value, path, default = map(self.write, node.arguments)
                return f"rp_get({value}, {path}) != null ? rp_get({value}, {path}) : {default}"
            case name if own(node):
                return f"rp_{name}({', '.join(map(self.write, node.arguments))})"
            case name if name in FUNCTIONS and node.method:
                return f"{self._operand(node.arguments[0])}.{name}({', '.join(map(self.write, node.arguments[1:]))})"
            case name if name in FUNCTIONS:
                return f"{name}({', '.join(map(self.write, node.arguments))})"
            case "_[_]":
                return f"{self._operand(node.arguments[0])}[{self.write(node.arguments[1])}]"
            case "_?_:_":
                condition, then, otherwise = node.arguments
                return f"{self._operand(condition)} ? {self._operand(then)} : {self.write(otherwise)}"
            case "-_" | "!_":
                return f"{node.name[0]}{self._operand(node.arguments[0])}"
            case name:
                return f" {name.strip('_')} ".join(map(self._operand, node.arguments))


def _domain_or_value(value: Any) -> Any:
    return domain(value) if isinstance(value, Mapping) else value


def _literal(value: Any) -> str:
    if isinstance(value, str):
        # JSON's escapes are CEL's, except for those of surrogate pairs, which ensure_ascii=False avoids.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\x7f")
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return repr(value) if value >= 0 else f"({value!r})"


def _own_functions() -> list[Any]:
    """The engine's functions, for calls on the variables of comprehensions, which cannot be computed beforehand."""
    declared = [
        _declare("rp_get", find, 2),
        _declare("rp_domain", domain, 1),
        _declare("rp_key", _key_text, 1),
    ]
    for name, function in FUNCTIONS.items():
        if function.own and name != "get":
            most = len(function.parameters)
            declared.append(_declare(f"rp_{name}", function.compute, *range(most - function.optional, most + 1)))
    return declared


def _key_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a key is not a string")
    return value


def _declare(name: str, compute: Any, *counts: int) -> Any:
    def call(*arguments: Any) -> Any:
        return compute(*map(_plain, arguments))

    return cel.FunctionDecl(name, [cel.Overload(f"{name}_{count}", _DYN, [_DYN] * count, impl=call) for count in counts])


def _plain(value: Any) -> Any:
    """An argument as plain Python: lists and maps come with cel-cpp's values inside."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.plain_value() if isinstance(value, cel.Value) else value
