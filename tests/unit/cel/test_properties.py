"""What holds for every text and every value."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cel import Compiler, Scope, backend
from engine.cel.cpp import CelCpp
from engine.errors import ExpressionError, Location, Unanswered

FAST, PORTABLE = CelCpp(all_forms=True), backend("celpy")
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


def canonical(value: Any) -> str:
    """A value with its types as text, whatever the order of its keys."""
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{key!r}: {canonical(item)}" for key, item in value.items())) + "}"
    return f"[{', '.join(map(canonical, value))}]" if isinstance(value, list) else repr(value)


def outcome(cel: Any, text: str, scope: Scope) -> Any:
    """What a backend makes of an expression: refused, no answer, or the value and its type."""
    try:
        program = cel.compile(text, (*NAMES, "x"))
    except ExpressionError as fault:
        return "refused", str(fault)
    try:
        value = program.evaluate(scope)
    except Unanswered as fault:
        return "unanswered", str(fault)
    return "value", canonical(value)


@settings(max_examples=400, deadline=None)
@given(expressions, values, values)
def test_both_backends_agree(text: str, watched: Any, item: Any) -> None:
    """Any expression over any value is refused, has no answer or has a value, in the same words on both backends."""
    scope = Scope({"object": watched, "item": item})

    assert outcome(FAST, text, scope) == outcome(PORTABLE, text, scope)


@settings(max_examples=400, deadline=None)
@given(fragments, values)
def test_no_text_raises_anything_else(text: str, watched: Any) -> None:
    """No text makes a backend, or a template, raise anything but ExpressionError and Unanswered."""
    scope = Scope({"object": watched})
    for cel in (FAST, PORTABLE):
        outcome(cel, text, scope)
        compiler = Compiler(cel, NAMES, lambda path, line, column: Location("t", line, column))
        template = compiler.template({text: [text]}, ())
        try:
            template.render(scope)
        except Unanswered as fault:
            assert str(fault)
