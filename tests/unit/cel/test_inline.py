"""Functions of libraries: each call is what its expression would be in its place."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cel import Defined, Functions, Program, Scope, backend
from engine.cel.types import DYN, Named, term
from engine.errors import EvaluationError, ExpressionError


def linked(**functions: tuple[str, str]) -> Functions:
    """Functions of the library `lib`, each by its parameters (`a, b: string`) and its expression."""
    defined: dict[str, Defined] = {}
    for name, (parameters, text) in functions.items():
        declared = [_parameter(each) for each in parameters.split(", ") if each]
        program = backend().linked(Functions(defined)).compile(text, [each for each, _ in declared])
        defined[f"lib.{name}"] = Defined(f"lib.{name}", tuple(declared), program.tree)
    return Functions(defined)


def _parameter(text: str) -> tuple[str, Named]:
    name, _, kind = text.partition(": ")
    return name, term(kind) if kind else DYN


FUNCTIONS = linked(
    phase=("o", "get(o, 'status.phase', '')"),
    done=("o", "lib.phase(o) == 'Succeeded'"),
    named=("o, names: list(string)", "names.exists(n, n == o.metadata.name)"),
    twice=("x", "x + x"),
    either=("a, b", "a || b"),
    nothing=("", "'nothing'"),
    pairs=("xs, ys", "xs.map(x, ys.map(y, x + y))"),
)
OBJECT = {"metadata": {"name": "a"}, "status": {"phase": "Succeeded"}}


def program(text: str) -> Program:
    return backend().linked(FUNCTIONS).compile(text, {"object", "vars", "params"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lib.phase(object)", "Succeeded"),
        ("lib.done(object) && lib.named(object, ['a', 'b'])", True),
        ("lib.twice(object.metadata.name + '-')", "a-a-"),
        ("[1, 2].map(x, lib.twice(x))", [2, 4]),
        ("[1, 2].map(x, lib.twice(x + 1))", [4, 6]),
        ("lib.twice(lib.twice(lib.twice(1)))", 8),
        ("lib.nothing() + lib.nothing()", "nothingnothing"),
        ("lib.pairs([1, 2], [10, 20])", [[11, 21], [12, 22]]),
        ("['x', 'y'].map(y, lib.pairs([y], ['z'])[0][0])", ["xz", "yz"]),
        ("lib.either(true, object.nowhere)", True),
    ],
)
def test_a_call_has_the_value_of_its_expression(text: str, value: Any) -> None:
    """Whatever the arguments are, and whatever variables macros around the call or in the function have."""
    assert program(text).evaluate(Scope({"object": OBJECT})) == value


def test_an_argument_that_is_computed_is_evaluated_once_and_first() -> None:
    """A field that is not there matters only where it is read, what is computed from it wherever it stands."""
    with pytest.raises(EvaluationError, match="nowhere"):
        program("lib.either(true, object.nowhere + 'x' == '')").evaluate(Scope({"object": OBJECT}))
    assert "_+_" in repr(program("lib.twice(object.a + 1)").tree)
    assert repr(program("lib.twice(object.a + 1)").tree).count("field='a'") == 1


@pytest.mark.parametrize(
    ("call", "written"),
    [
        ("lib.phase(object)", "get(object, 'status.phase', '')"),
        ("lib.done(object)", "get(object, 'status.phase', '') == 'Succeeded'"),
        ("lib.done(object) && object.a == 'b'", "get(object, 'status.phase', '') == 'Succeeded' && object.a == 'b'"),
        ("lib.either(vars.ready, params.always)", "vars.ready || params.always"),
        ("lib.twice(object.spec.x)", "object.spec.x + object.spec.x"),
    ],
)
def test_what_is_known_of_a_call_is_what_is_known_of_its_expression(call: str, written: str) -> None:
    """The variables, the fields that it reads, and what must hold for it to be true: the index of rules goes by those."""
    one, other = program(call), program(written)

    assert (one.variables, one.reads, one.asks, one.field) == (other.variables, other.reads, other.asks, other.field)


def test_the_functions_that_an_expression_uses_are_known() -> None:
    """Those that are called by functions are among them."""
    assert program("lib.done(object)").tree.functions == {"lib.done", "lib.phase"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("true || lib.phase(object, 1)", r"1:9: lib\.phase\(\) is given 2 arguments; expected lib\.phase\(o\)"),
        ("lib.named(object, 'a')", r"1:19: lib\.named\(\) is given a value of type string as names; expected list\(string\)"),
        ("lib.phases(object)", r"1:1: unknown function 'lib\.phases'; expected 'lib\.phase' \(did you mean that\?\)"),
        ("lib.wxyz(object)", r"unknown function 'lib\.wxyz'; expected one of lib\.done, lib\.either"),
        ("shop.open(object)", r"expected a library 'shop' \(kind: RuleLibrary\), which is not here"),
        ("lib.twice(3) + lib.twice('a').startsWith(3)", r"1:42: startsWith\(\) is given a value of type int"),
        ("math.phase(object)", "unknown function 'math.phase'; expected"),
        ("object.phase(1)", "unknown function 'phase'"),
    ],
)
def test_a_call_that_does_not_fit_is_a_fault_where_it_stands(text: str, message: str) -> None:
    """With what to write instead."""
    with pytest.raises(ExpressionError, match=message):
        program(text)


def test_a_variable_hides_a_library() -> None:
    """A loop variable may have the name of a library; then its methods are those of its value."""
    with pytest.raises(ExpressionError, match="unknown function 'phase'"):
        backend().linked(FUNCTIONS).compile("lib.phase(1)", {"lib"})


def test_functions_that_grow_without_bound_are_refused() -> None:
    """Each of 20 functions calls the one before twice: that would be a million nodes."""
    functions = {"f0": ("x", "x + x")}
    functions |= {f"f{n}": ("x", f"lib.f{n - 1}(x) + lib.f{n - 1}(x)") for n in range(1, 20)}

    with pytest.raises(ExpressionError, match="makes this expression too large; expected at most 5000 nodes"):
        linked(**functions)


def test_functions_that_nest_without_bound_are_refused() -> None:
    """Each of 60 functions puts the one before two levels deeper."""
    functions = {"f0": ("x", "[x]")}
    functions |= {f"f{n}": ("x", f"[[lib.f{n - 1}(x)]]") for n in range(1, 60)}

    with pytest.raises(ExpressionError, match="nest too deeply; expected at most 100 levels"):
        linked(**functions)


def test_the_budget_counts_what_functions_do() -> None:
    """Loops in functions cost what loops in the expression itself cost."""
    functions = linked(every=("xs", "xs.all(x, xs.all(y, xs.all(z, true)))"))
    compiled = backend().linked(functions).compile("lib.every(object.xs)", {"object"})

    with pytest.raises(EvaluationError, match=r"more than|limit|budget"):
        compiled.evaluate(Scope({"object": {"xs": list(range(1000))}}))
