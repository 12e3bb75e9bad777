"""What cel-cpp and celpy give for the same expressions on the same data."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from cel_expr_python import cel as cpp
from cel_expr_python.ext import ext_strings

from engine.cel import Scope
from engine.cel.interpreter import Interpreter
from engine.errors import EvaluationError, ExpressionError

DATA: dict[str, Any] = {
    "name": "web", "count": 3, "ratio": 0.5, "on": True, "none": None, "texts": ["b", "a", "é"], "numbers": [3, 1, 2],
    "labels": {"app": "web", "tier": "gold"}, "pods": [{"name": "a", "ready": True}, {"name": "b", "ready": False, "node": "n"}],
}  # fmt: skip
NO_ANSWER = "no answer"
_OPERANDS = ("1", "-2", "1.5", "'a'", "true", "null", "o.count", "o.ratio", "o.name", "o.none", "o.texts", "o.labels", "o.absent")
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "in", "&&", "||")
FORMS = [
    "o.pods.all(p, p.ready)", "o.pods.exists(p, p.node == 'n')", "o.pods.exists_one(p, has(p.node))",
    "o.pods.filter(p, p.ready).size()",
    "o.pods.map(p, p.name)", "o.pods.map(p, p.ready, p.name)", "o.pods.all(p, p.node == 'n')", "o.numbers.map(n, n * 2)",
    "o.texts.exists(t, t.startsWith('é'))", "[1, 2.0, '3', null]", "{'a': 1, 'b': [o.name]}", "o['name']", "o.labels['none']",
    "o.numbers[3]", "o.numbers[-1]", "has(o.absent)", "has(o.labels.app)", "o.on ? o.name : o.absent",
    "-o.count",
    "!o.on", "!o.name", "size(o.texts)", "o.name.size()", "int('12')", "int('x')", "double('1.5')", "string(1.5)",
    "string(o.count)",
    "bool('true')", "int(1.9)", "o.name.contains('e')", "o.name.endsWith('b')", "o.name.matches('^w.b$')", "o.name.matches('(')",
    "'a,b'.split(',')", "o.texts.join('-')", "'aXb'.replace('X', 'y')", "' a '.trim()", "'hello'.substring(1, 3)",
    "'hello'.indexOf('l')", "'hello'.charAt(9)", "'Ab'.lowerAscii()", "9223372036854775807 + o.count", "o.count / 0", "7 % -3",
    "timestamp('2026-01-24T22:30:00Z').getFullYear()", "duration('90s') > duration('1m')", "1 / 0 == 1 || true",
    "o.absent == 1 && false", "[[1, 2], [3]].map(x, x.map(y, y + 1))", "o.count == 3.0",
    "o.labels == {'tier': 'gold', 'app': 'web'}",
    *(f"{left} {operator} {right}" for left in _OPERANDS for operator in _OPERATORS for right in _OPERANDS),
]  # fmt: skip
#: celpy 0.5 differs from the language definition here: fractions, types, and what has no answer (docs/decisions, 7).
CELPY_AGREES = [
    "o.pods.all(p, p.ready)", "o.pods.exists_one(p, has(p.node))", "o.pods.map(p, p.name)", "o.numbers.map(n, n * 2)",
    "o['name']",
    "o.labels['none']", "o.numbers[3]", "has(o.absent)", "o.on ? o.name : o.absent", "-o.count", "!o.on", "size(o.texts)",
    "int('12')",
    "o.name.contains('e')", "o.name.matches('^w.b$')", "o.count / 0", "duration('90s') > duration('1m')", "1 / 0 == 1 || true",
    "o.count + 1 == 4", "o.name + 'x'", "o.name in o.texts", "o.count > 2 && o.on", "o.texts[0] < o.texts[1]",
]  # fmt: skip


def ours(expression: str) -> Any:
    """What the engine gives."""
    try:
        return Interpreter(checked=False).compile(expression, ("o",)).evaluate(Scope({"o": DATA}))
    except (ExpressionError, EvaluationError):
        return NO_ANSWER


@pytest.fixture(scope="module")
def environment() -> Any:
    """An environment of cel-cpp that has the strings library."""
    return cpp.NewEnv(variables={"o": cpp.Type.DYN}, extensions=[ext_strings.ExtStrings()])


def test_cel_cpp_gives_the_same(environment: Any) -> None:
    """Every form, and every operator on every two of thirteen values."""

    def theirs(expression: str) -> Any:
        try:
            value = environment.compile(expression, disable_check=True).eval(data={"o": DATA})
        except RuntimeError:
            return NO_ANSWER
        return NO_ANSWER if value.type() == cpp.Type.ERROR else value.plain_value()

    differing = {each: (ours(each), theirs(each)) for each in FORMS if typed(ours(each)) != typed(theirs(each))}

    assert differing == {}


def test_kubernetes_decides_where_cel_cpp_differs_from_it(environment: Any) -> None:
    """cel-cpp has no answer to `has()` of what has no fields; cel-go, as Kubernetes runs it, says false (docs/decisions, 33)."""
    assert environment.compile("has(o.none.x)", disable_check=True).eval(data={"o": DATA}).type() == cpp.Type.ERROR
    assert [ours(each) for each in ("has(o.none.x)", "has(o.name.x)", "has(o.texts.x)")] == [False, False, NO_ANSWER]


def test_celpy_gives_the_same() -> None:
    """Where celpy keeps to the language definition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import celpy
        from celpy.adapter import json_to_cel
        from celpy.evaluation import CELEvalError

    def theirs(expression: str) -> Any:
        environment = celpy.Environment()
        try:
            value = environment.program(environment.compile(expression)).evaluate({"o": json_to_cel(DATA)})
        except CELEvalError:
            return NO_ANSWER
        return value

    differing = {each: (ours(each), theirs(each)) for each in CELPY_AGREES if ours(each) != theirs(each)}

    assert differing == {}


def typed(value: Any) -> str:
    """A value with its types, whatever the order of its keys."""
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{key!r}: {typed(item)}" for key, item in value.items())) + "}"
    return f"[{', '.join(map(typed, value))}]" if isinstance(value, list) else repr(value)
