"""What is kept of an object is enough: an expression has the same answer on it as on the whole object."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cel import Program, Scope, backend, fields_of
from engine.errors import EvaluationError
from engine.reconcile.prune import pruner

EXPRESSIONS = [
    "object.a == null",
    "null != object.a",
    "object.a.b == null",
    "size(object.a)",
    "object.a.size() > 1 && object.a.exists(x, x.b == 1)",
    "object.a.exists(x, x == 'b')",
    "object.a.exists(x, x.b == 1)",
    "object.a.exists_one(x, x.b == 1)",
    "object.a.all(x, has(x.b))",
    "object.a.all(x, x.b != null)",
    "object.a.exists(x, true)",
    "object.a.all(i, x, i != 0 || x.b == 1)",
    "object.a.map(x, x.b)",
    "object.a.map(x, x.c.exists(y, y.d == 1), x.c.size())",
    "object.a.filter(x, x.b == 1)",
    "object.a.filter(x, x.b == 1).size()",
    "object.a.filter(x, x.b == 1).map(y, y.c.map(z, z.d))",
    "object.a.transformList(i, x, x.b)",
    "object.a.transformMap(i, x, x.b)",
    "object.a.exists(x, x.?b.orValue(0) == 1)",
    "object.a.exists(x, get(x, 'c.d', 1) == 1)",
    "object.a.exists(x, label(x, 'l') == 'v')",
    "object.a.map(x, x)",
    "object.a.exists(x, [x.b, x.b].exists(y, y == 1))",
    "object.a.map(x, cel.bind(y, x.c, y.size()))",
    "object.a.sortBy(x, x.b)",
]
VALUES: list[Any] = [
    None,
    "text",
    7,
    [],
    {},
    ["b", "c"],
    [1, None],
    [{"b": 1, "unread": 2}],
    [{"b": 1, "unread": 2}, {"b": 1, "unread": 3}, {"c": [{"d": 1, "e": 2}]}, {}],
    [{"b": 2, "c": [{"d": 1, "e": 1}, {"e": 2}]}, {"b": 1, "c": []}],
    [{"b": 1}, "mixed", {"b": None}],
    [{"metadata": {"labels": {"l": "v", "m": "w"}}, "c": {"d": 1, "e": 1}}],
    [[{"b": 1}], []],
    {"b": 1, "unread": 2},
    {"b": {"b": 1}, "k": {"b": 1, "c": [1]}},
]


def answer(program: Program, obj: Any) -> Any:
    """What an expression comes to, or why it has no answer."""
    try:
        return program.evaluate(Scope({"object": obj}))
    except EvaluationError as fault:
        return f"no answer: {fault}"


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_the_answer_is_that_of_the_whole_object(text: str) -> None:
    """It is, whatever lies where the expression expects a list: elements of any kind, a map, or something else."""
    program = backend().compile(text, ("object",))
    keep = pruner([path[1:] for path in program.reads])
    objects = [{"kind": "K", "a": value, "unread": 1} for value in VALUES] + [{"kind": "K"}]

    assert [answer(program, keep(obj)) for obj in objects] == [answer(program, obj) for obj in objects]


def test_what_is_not_read_of_elements_is_not_kept() -> None:
    """Of pods that an expression counts or goes through, it is no more than the fields that it names."""
    obj = {"kind": "K", "a": [{"b": 1, "c": "x"}, {"b": 2, "c": "y"}], "d": {"e": 1}}

    def kept(text: str) -> Any:
        program = backend().compile(text, ("object",))
        assert {fields_of(path) for path in program.reads} == {("object", "a")}
        return pruner([path[1:] for path in program.reads])(obj)["a"]

    assert kept("size(object.a) > 1") == [{}, {}]
    assert kept("object.a.exists(x, x.b == 1)") == [{"b": 1}, {"b": 2}]
    assert kept("object.a.filter(x, x.b == 1)") == obj["a"]
