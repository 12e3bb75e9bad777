"""Scopes: values, children, and vars that are evaluated when they are needed, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from engine.cel import Cel, Program, Scope
from engine.errors import EvaluationError


class Counting(Mapping[str, Any]):
    """A mapping that counts what is read of it, and never says what keys it has."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values_ = values
        self.reads: list[str] = []

    def __getitem__(self, key: str) -> Any:
        self.reads.append(key)
        return self.values_[key]

    def __contains__(self, key: object) -> bool:
        return key in self.values_

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("the whole mapping was gone through")

    def __len__(self) -> int:
        return len(self.values_)


def counted(program: Program) -> tuple[Program, list[str]]:
    """The program, and a list that grows by one entry with each evaluation of it."""
    evaluations: list[str] = []

    def answer(scope: Scope) -> Any:
        evaluations.append(program.source)
        return program.answer(scope)

    return Program(program.source, program.variables, program.reads, answer), evaluations


VARIABLES = ("object", "vars", "item")


def test_only_what_is_read_is_touched(cel: Cel) -> None:
    """An object is never converted as a whole: an expression touches the fields it names, and no others."""
    status = Counting({"phase": "Succeeded", "results": []})
    watched = Counting({"status": status, "spec": {}})
    program = cel.compile("has(object.status) && object.status.phase == 'Succeeded'", VARIABLES)

    assert program.condition(Scope({"object": watched})) is True
    assert set(watched.reads) == {"status"}
    assert set(status.reads) == {"phase"}


@pytest.mark.parametrize(
    "text",
    [
        "get(object, 'status.phase', '') == 'Succeeded'",
        "annotation(object, 'a') == 'x' || label(object, 'a') == ''",
        "hash(object.status.phase).size() == 16",
        "get(object, 'status.none', object.status.phase + '!') == 'Succeeded!'",
    ],
)
def test_own_functions_do_not_convert_their_object(cel: Cel, text: str) -> None:
    """The engine's own functions read the object as it is."""
    watched = Counting({"status": Counting({"phase": "Succeeded"}), "metadata": Counting({})})

    assert cel.compile(text, VARIABLES).condition(Scope({"object": watched})) is True


def test_a_call_without_an_answer_matters_only_where_it_is_reached(cel: Cel) -> None:
    """parseYaml of text that is no YAML has no answer, but `||` and `?:` do without it."""
    scope = Scope({"object": {"text": "[", "kind": "Job"}})

    assert cel.compile("object.kind == 'Job' || parseYaml(object.text) == []", VARIABLES).condition(scope) is True
    assert cel.compile("object.kind == 'Job' ? 1 : parseYaml(object.text)", VARIABLES).evaluate(scope) == 1
    with pytest.raises(EvaluationError, match=r"parseYaml\(object.text\): the text is not YAML: line 2, column 1") as fault:
        cel.compile("parseYaml(object.text) == [] && object.kind == 'Job'", VARIABLES).condition(scope)
    assert "h0" not in str(fault.value)


def test_vars_are_evaluated_once_and_only_when_needed(cel: Cel) -> None:
    """A var that nobody reads is not evaluated; one that is read often is evaluated once in a scope."""
    used, evaluations = counted(cel.compile("object.a + 1", VARIABLES))
    unused, none = counted(cel.compile("object.nope", VARIABLES))
    scope = Scope({"object": {"a": 1}}, {"used": used, "unused": unused})

    for _ in range(3):
        assert cel.compile("vars.used == 2 && vars['used'] * 2 == 4", VARIABLES).condition(scope) is True
    assert (evaluations, none) == (["object.a + 1"], [])


def test_vars_may_read_vars(cel: Cel) -> None:
    """A var reads other vars, whatever their order; one that comes back to itself has no answer."""
    programs = {
        name: cel.compile(text, VARIABLES) for name, text in {"b": "vars.a + 1", "a": "1", "x": "vars.y", "y": "vars.x"}.items()
    }
    scope = Scope({}, programs)

    assert cel.compile("vars.b", VARIABLES).evaluate(scope) == 2
    with pytest.raises(EvaluationError, match=r"vars\.x depends on itself"):
        cel.compile("vars.x", VARIABLES).evaluate(scope)


def test_a_var_without_an_answer_surfaces_where_it_is_needed(cel: Cel) -> None:
    """`||` does without an EvaluationError var, has() says that it has none, and else its name and reason are reported."""
    scope = Scope({"object": {}}, {"x": cel.compile("object.nope == 1", VARIABLES)})

    assert cel.compile("vars.x || true", VARIABLES).condition(scope) is True
    assert cel.compile("has(vars.x)", VARIABLES).condition(scope) is False
    with pytest.raises(EvaluationError, match=r"vars\.x: object has no field 'nope'"):
        cel.compile("vars.x && true", VARIABLES).condition(scope)
    with pytest.raises(EvaluationError, match="vars has no field 'y'"):
        cel.compile("vars.y == 1", VARIABLES).condition(scope)


def test_a_child_adds_values_and_shares_vars(cel: Cel) -> None:
    """A child sees its parent's values and shares its vars; a var that depends on an added value is the child's own."""
    shared, evaluations = counted(cel.compile("object.a", VARIABLES))
    own = cel.compile("vars.shared + item", VARIABLES)
    parent = Scope({"object": {"a": 1}}, {"shared": shared, "own": own})
    program = cel.compile("vars.own * 10 + vars.shared", VARIABLES)

    assert [program.evaluate(parent.child(item=item)) for item in (1, 2)] == [21, 31]
    assert evaluations == ["object.a"]
    with pytest.raises(EvaluationError, match=r"vars\.own: item has no value here"):
        program.evaluate(parent)
    assert parent.child(object={"a": 5}).child(item=0).var("own") == 5


def test_a_long_chain_of_vars_ends_in_an_answer_or_none(cel: Cel) -> None:
    """A thousand vars that read one another are more than can be followed: that is no answer, and no crash."""
    programs = {f"v{n}": cel.compile(f"vars.v{n + 1} + 0", VARIABLES) for n in range(1000)}
    scope = Scope({}, {**programs, "v1000": cel.compile("1", VARIABLES)})

    with pytest.raises(EvaluationError, match="depend on one another too deeply"):
        cel.compile("vars.v0", VARIABLES).evaluate(scope)


def test_iterations_are_counted(cel: Cel) -> None:
    """Each step of a comprehension is work, however they stand inside one another; too much of it is no answer."""
    scope = Scope({"object": {"long": list(range(60_000)), "some": list(range(301))}})

    for text in ("object.long.all(x, x >= 0)", "object.some.all(x, object.some.all(y, true)) || true"):
        with pytest.raises(EvaluationError, match="more than 50000 steps"):
            cel.compile(text, ("object",)).evaluate(scope)


@pytest.mark.parametrize(
    "text", ["object.s.replace('', object.s)", "object.l.join(object.s)", "[1].map(x, object.s.replace('', object.s))"]
)
def test_text_is_limited(cel: Cel, text: str) -> None:
    """Text of more than a million characters is not made."""
    scope = Scope({"object": {"s": "x" * 10_000, "l": ["x"] * 1_000}})

    with pytest.raises(EvaluationError, match="more than 1000000 characters"):
        cel.compile(text, VARIABLES).evaluate(scope)


@pytest.mark.parametrize(
    "document",
    [
        "[" * 60,
        "- " * 60 + "x",
        "x" * 300_000,
        "{" * 100_000,
        "\x00",
        "a: b: c",
        "!!python/object:os.system x",
        "? [a]\n: b",
        "9" * 5000,
    ],
)
@pytest.mark.parametrize("function", ["parseYaml", "parseJson"])
def test_documents_are_limited(cel: Cel, function: str, document: str) -> None:
    """A document that is too large, too deep, or is none, has no answer, and harms nothing."""
    with pytest.raises(EvaluationError, match=function):
        cel.compile(f"{function}(object.text)", VARIABLES).evaluate(Scope({"object": {"text": document}}))


def test_text_that_is_no_unicode_is_no_crash(cel: Cel) -> None:
    """Half a surrogate pair in an object is a string like others; what cannot take it has no answer."""
    scope = Scope({"object": {"text": "\ud800"}})

    assert cel.compile("object.text + '!' == object.text + '!'", VARIABLES).condition(scope) is True
    with pytest.raises(EvaluationError):
        cel.compile("object.text.matches('x')", VARIABLES).condition(scope)
