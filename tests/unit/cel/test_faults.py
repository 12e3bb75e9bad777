"""What is refused when it is compiled: where, why, and what was expected."""

from __future__ import annotations

import pytest

from engine.cel import Cel, Scope
from engine.errors import ExpressionError

VARIABLES = ("object", "params", "vars", "now")

FAULTS: list[tuple[str, int, int, str, str]] = [
    ("", 1, 1, "the expression is empty", "a CEL expression"),
    ("  \n ", 1, 1, "the expression is empty", "a CEL expression"),
    ("object.status.", 1, 15, "ends too early", "a name"),
    ("object.a ==", 1, 12, "ends too early", "a value"),
    ("object.a == (1", 1, 15, "ends too early", "')'"),
    ("[1, 2", 1, 6, "ends too early", "']'"),
    ("object.a ==\n  && true", 2, 3, "unexpected '&&'", "a value"),
    ("object.a)", 1, 9, "unexpected ')'", "an operator"),
    ("object.a = 1", 1, 10, "unexpected '='", "'=='"),
    ("object.a and object.b", 1, 10, "unexpected 'and'", "'&&'"),
    ("object.a & true", 1, 10, "unexpected '&'", "'&&'"),
    ("object.a == 'x", 1, 13, "this string has no end", "a closing '"),
    ("${object.a}", 1, 1, "unexpected '$'", "without ${…}"),
    ("obect.status", 1, 1, "unknown variable 'obect'", "'object' (did you mean that?)"),
    ("true &&\n foo.bar", 2, 2, "unknown variable 'foo'", "one of now, object, params, vars"),
    ("object.a.startWith('x')", 1, 1, "unknown function 'startWith'", "'startsWith'"),
    ("anotation(object, 'x')", 1, 1, "unknown function 'anotation'", "'annotation'"),
    ("object.a.exist(x, x)", 1, 1, "unknown function 'exist'", "'exists'"),
    ("get(object, 'a')", 1, 1, "get() is given 2 arguments", "get(dyn, string, dyn)"),
    ("object.a.split()", 1, 1, "split() is given 0 arguments", "string.split(string) or string.split(string, int)"),
    ("startsWith(object.a, 'x')", 1, 1, "startsWith() is called the wrong way", "string.startsWith(string)"),
    ("object.a.hash()", 1, 1, "hash() is called the wrong way", "hash(string)"),
    ("object.a.matches('(')", 1, 18, "is not a regular expression of RE2: missing )", ""),
    ("object.a.matches('(?=x)')", 1, 18, "is not a regular expression of RE2", ""),
    ("jmespath(object, 'a[')", 1, 18, "is not JMESPath", ""),
    ("get(object, 'a[0]', 1)", 1, 13, "is not a path such as status.message", ""),
    ("timestamp('yesterday') < now", 1, 11, "is not a time such as 2026-01-24T22:30:00Z", ""),
    ("duration('5 minutes')", 1, 10, "is not a duration such as 1h30m", ""),
    ("1 + 'a'", 1, 1, "'+' does not work on int and string", "two values that fit"),
    ("object.a == 1 || 'x' < 1", 1, 18, "'<' does not work on string and int", "two values that fit"),
    ("object.a && 'x'", 1, 13, "is of type string", "a condition"),
    ("1 ? 2 : 3", 1, 1, "1 is of type int", "a condition"),
    ("-'a'", 1, 1, "'-' does not work on string", "a number"),
    ("size(1)", 1, 6, "size() is given a value of type int", "string or bytes or list(A) or map(A, B)"),
    ("object.a.contains(1)", 1, 19, "contains() is given a value of type int", "string"),
    ("{'a': 1, 'a': 2}", 1, 10, "the key 'a' stands twice", ""),
    ("{1: 2, 1: 3}", 1, 8, "the key 1 stands twice", ""),
    ("has(object)", 1, 1, "has() tests for a field", "a field of it, such as has(object.status): object itself is always there"),
    ("has(size(object.a))", 1, 1, "has() tests for a field", "has(a.b)"),
    ("object.a.map(1, 2)", 1, 14, "names its variable first", "list.map(x, value)"),
    ("object.a.all(x)", 1, 1, "all() has 1 arguments", "list.all(x, condition)"),
    ("vars", 1, 1, "vars is used as a whole", "vars.<name>"),
    ("-1u", 1, 1, "does not fit", "an unsigned integer of 64 bits"),
    (r"b'\u00e9'", 1, 1, "unknown escape", ""),
    ("9223372036854775808", 1, 1, "does not fit", "an integer of 64 bits"),
    ("1e999", 1, 1, "does not fit", "a double"),
    (r"'\d'", 1, 1, r"unknown escape \d in a string", "r'…'"),
    (r"'\ud800'", 1, 1, "unknown escape", ""),
    ("a{b: 1}", 1, 1, "is not part of rule expressions", "JSON"),
    ("object.?1", 1, 9, "unexpected", "a name"),
    ("[1].all(x, x, true)", 1, 1, "names both of its variables x", "two different names"),
]


@pytest.mark.parametrize(("text", "line", "column", "message", "expected"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_fault(cel: Cel, text: str, line: int, column: int, message: str, expected: str) -> None:
    """A fault names line and column, what is wrong, and what was expected."""
    with pytest.raises(ExpressionError) as refused:
        cel.compile(text, VARIABLES)

    fault = refused.value
    assert (fault.line, fault.column) == (line, column), str(fault)
    assert message in fault.message
    assert expected in fault.expected


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("object.status.phase == 'x'", {("object", "status", "phase")}),
        ("has(object.a) && object['a'].b == params.c", {("object", "a"), ("object", "a", "b"), ("params", "c")}),
        ("object.status.results[0].x", {("object", "status", "results")}),
        ("object.list.filter(x, x.a == object.b)", {("object", "list"), ("object", "b")}),
        ("toJson(object)", {("object",)}),
        ("get(object, 'status.message', params.d)", {("object", "status", "message"), ("params", "d")}),
        ("annotation(object, 'a/b')", {("object", "metadata", "annotations", "a/b")}),
        ("label(object, 'c')", {("object", "metadata", "labels", "c")}),
        ("annotation(object, params.key)", {("object", "metadata", "annotations"), ("params", "key")}),
        ("jmespath(object.status, 'a.b')", {("object", "status", "a", "b")}),
        ("jmespath(object, 'a[?b == `1`].c | [0]')", {("object", "a", "[]", "b"), ("object", "a", "[]", "c")}),
        ("jmespath(object.a, 'length(@)')", {("object", "a")}),
        ("vars.x + vars['y']", {("vars", "x"), ("vars", "y")}),
        ("object.a.startsWith('x')", {("object", "a")}),
        ("[1].map(object, object + 1)", set()),
        ("object != null && null == object.a.b", {("object", "?"), ("object", "a", "b", "?")}),
        ("object.a == null || object.a == params.b", {("object", "a", "?"), ("object", "a"), ("params", "b")}),
        ("size(object.a) + object.b.size()", {("object", "a", "[]", "?"), ("object", "b", "[]", "?")}),
        ("size(object)", {("object",)}),
        ("object.a.exists(x, x.b == object.c)", {("object", "a", "[]", "?"), ("object", "a", "[]", "b"), ("object", "c")}),
        ("object.a.all(x, has(x.b.c))", {("object", "a", "[]", "?"), ("object", "a", "[]", "b", "c")}),
        ("object.a.map(x, x.?b[?'c'])", {("object", "a", "[]", "?"), ("object", "a", "[]", "b", "c")}),
        ("object.a.exists(x, x == 'b')", {("object", "a", "[]", "?"), ("object", "a", "[]")}),
        ("object.a.exists(i, x, i == x.b)", {("object", "a", "[]", "?"), ("object", "a", "[]", "b")}),
        ("object.a.exists(x, label(x, 'l') == get(x, 'b.c', ''))",
         {("object", "a", "[]", "?"), ("object", "a", "[]", "metadata", "labels", "l"), ("object", "a", "[]", "b", "c")}),
        ("object.a.exists(x, x.b.exists(y, y.c == x.d))",
         {("object", "a", "[]", "?"), ("object", "a", "[]", "b", "[]", "?"), ("object", "a", "[]", "b", "[]", "c"),
          ("object", "a", "[]", "d")}),
        ("object.a.filter(x, x.b == 1).size()", {("object", "a", "[]", "?"), ("object", "a", "[]", "b")}),
        ("object.a.filter(x, x.b == 1).map(y, y.c)",
         {("object", "a", "[]", "?"), ("object", "a", "[]", "b"), ("object", "a", "[]", "c")}),
        ("object.a.map(x, x.b).exists(y, y.c)", {("object", "a", "[]", "?"), ("object", "a", "[]", "b")}),
        ("(object.a + object.b).exists(x, x.c)", {("object", "a"), ("object", "b")}),
        ("cel.bind(x, object.a, x.exists(y, y.b))", {("object", "a")}),
        ("object.exists(x, x == 'a')", {("object",)}),
    ],
)  # fmt: skip
def test_reads(cel: Cel, text: str, reads: set[tuple[str, ...]]) -> None:
    """A program knows the field paths that it can see, and the variables they start from."""
    program = cel.compile(text, VARIABLES)

    assert program.reads == reads
    assert program.variables == {path[0] for path in reads}


def test_length_is_limited(cel: Cel) -> None:
    """An expression of more than 10,000 characters is refused."""
    with pytest.raises(ExpressionError, match="10001 characters; expected at most 10000"):
        cel.compile("1" + " " * 10_000, ())


@pytest.mark.parametrize("text", ["!" * 200 + "true", "+".join(["object.a"] * 200), "[" * 102 + "]" * 102])
def test_depth_is_limited(cel: Cel, text: str) -> None:
    """An expression that nests too deeply is refused; brackets that only group do not count."""
    with pytest.raises(ExpressionError, match="nests too deeply"):
        cel.compile(text, ("object",))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 500 + "object.a == 1" + ")" * 500,
        "+".join(["object.a"] * 100),
        "[" * 98 + "object.a" + "]" * 98,
        "(object.a + " * 13 + "object.a" + ")" * 13,
        " && ".join(["object.a == 1"] * 300),
        "object.b ? 1 : " * 98 + "2",
        "-(" * 13 + "object.a" + ")" * 13,
        "string(int(" * 13 + "object.a" + "))" * 13,
    ],
)
def test_what_is_within_the_limits_compiles(cel: Cel, text: str) -> None:
    """An expression within the limits compiles."""
    assert cel.compile(text, ("object",)).variables == {"object"}


def test_comprehensions_may_nest(cel: Cel) -> None:
    """Four comprehensions inside one another, of which the innermost sees the variables of all."""
    nested = cel.compile("[1].all(a, [2].all(b, [3].all(c, [4].exists(d, [a, b, c, d] == [1, 2, 3, 4]))))", ())

    assert nested.condition(Scope({}))
