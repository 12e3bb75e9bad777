"""What holds for every text and every value."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cel import Compiler, Scope, backend
from engine.errors import EvaluationError, ExpressionError, Location

CEL = backend()
NAMES = ("object", "item", "vars")

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "status", ""]), below, max_size=3),
    max_leaves=8,
)
ATOMS = (
    "1 0 -2 2.5 true false null 'a' '' 'é' [] {} object item object.a object.b object.a.b object.status has(object.a) "
    "has(object.a.b) duration('1h') timestamp('2026-01-24T22:30:00.5Z') [1,'a',null] {'a':1,'b':[2]} x"
)
FRAGMENTS = "object . a ( ) [ ] { } , : ? ' \" \\ ${ } $$ == && || ! - + 1 1.5e3 0x 'x' r' // true null in map( has( x u b' '''"
atoms = st.sampled_from(sorted(ATOMS.split()))
shapes = st.sampled_from(
    [
        "{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / {1}", "{0} % {1}", "{0} == {1}", "{0} != {1}", "{0} < {1}", "{0} >= {1}",
        "{0} in {1}", "{0} && {1}", "{0} || {1}", "!{0}", "-{0}", "{0} ? {1} : {2}", "({0})[{1}]", "({0}).a", "has(({0}).b)",
        "[{0}, {1}]", "{{'a': {0}, 'b': {1}}}", "({0}).map(x, {1})", "({0}).filter(x, {1})", "({0}).all(x, {1})",
        "({0}).exists(x, {1})", "({0}).exists_one(x, {1})", "({0}).map(x, {1}, {2})", "size({0})", "int({0})", "string({0})",
        "double({0})", "bool({0})", "({0}).contains({1})", "({0}).split({1})", "({0}).replace({1}, {2})", "({0}).join({1})",
        "({0}).trim()", "({0}).indexOf({1})", "({0}).substring({1})", "({0}).upperAscii()", "get({0}, 'a.b', {1})",
        "toJson({0})", "hash({0})", "annotation({0}, 'a')", "({0}).matches({1})", "timestamp({0})", "jmespath({0}, 'a')",
        "parseYaml({0})", "humanDuration({0})",
    ]
)  # fmt: skip


def combined(below: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """An expression of up to three smaller ones."""
    return st.builds(lambda shape, *parts: str(shape.format(*(f"({part})" for part in parts))), shapes, below, below, below)


expressions = st.recursive(atoms, combined, max_leaves=6)
fragments = st.lists(st.sampled_from(sorted(FRAGMENTS.split())) | st.text(max_size=3), max_size=12).map(" ".join)


def outcome(text: str, scope: Scope) -> Any:
    """What an expression gives: None where it is refused or has no answer."""
    try:
        return CEL.compile(text, (*NAMES, "x")).evaluate(scope)
    except (ExpressionError, EvaluationError) as fault:
        assert str(fault)


@settings(max_examples=400)
@given(fragments | expressions, values)
def test_no_text_raises_anything_else(text: str, watched: Any) -> None:
    """No text makes an expression, or a template, raise anything but ExpressionError and EvaluationError."""
    scope = Scope({"object": watched})
    outcome(text, scope)
    compiler = Compiler(CEL, NAMES, lambda path, line, column: Location("t", line, column))
    template = compiler.template({text: [text]}, ())
    try:
        template.render(scope)
    except EvaluationError as fault:
        assert str(fault)
