"""`${…}` in YAML values, and the compiler that finds every fault of a document at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.cel import Cel, Compiler, Path, Scope
from engine.errors import EvaluationError, Location

SCOPE = Scope({
    "object": {
        "name": "a",
        "count": 3,
        "ratio": 1.5,
        "on": True,
        "none": None,
        "list": [1, "x"],
        "map": {"b": 1, "a": "é"},
        "evil": "x\n- injected: ${object.name}",
    },
    "now": datetime(2026, 1, 24, 22, 30, tzinfo=UTC),
})  # fmt: skip


def locate(path: Path, line: int, column: int) -> Location:
    """A location whose file is the path, so that tests see both."""
    return Location("/".join(map(str, path)), line, column)


def compiler(cel: Cel) -> Compiler:
    """A compiler for expressions over `object` and `now`."""
    return Compiler(cel, ("object", "now"), locate)


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        ("plain", "plain"),
        ("", ""),
        (3, 3),
        (None, None),
        ("${object.count}", 3),
        ("${object.on}", True),
        ("${object.none}", None),
        ("${object.list}", [1, "x"]),
        ("${object.map}", {"a": "é", "b": 1}),
        ("${now}", "2026-01-24T22:30:00Z"),
        ("${[now, duration('5m')]}", ["2026-01-24T22:30:00Z", "300s"]),
        ("${ object.count + 1 }", 4),
        (" ${object.count}", " 3"),
        ("${object.name}-${object.count}-${object.ratio}-${object.on}", "a-3-1.5-true"),
        ("at ${now} for ${duration('90s')}", "at 2026-01-24T22:30:00Z for 90s"),
        ("${object.list} ${object.map}", '[1,"x"] {"a":"é","b":1}'),
        ("$${object.name}", "${object.name}"),
        ("$$${object.name}", "$${object.name}"),
        ("a$${b}${object.name}$", "a${b}a$"),
        ("$ {} $x }", "$ {} $x }"),
        ("${'}'}${\"${\"}", "}${"),
        ("${{'a': {'b': '}'}}.a.b}", "}"),
        ("${r'\\'}!", "\\!"),
        ("${'it\\'s'}!", "it's!"),
        ("${'''a'}b'''}!", "a'}b!"),
        ("${object.name // a } comment\n}!", "a!"),
        ("x ${object.evil}", "x x\n- injected: ${object.name}"),
        (
            {"${object.name}-key": ["${object.count}", {"deep": "n${object.count}"}], "k": 1},
            {"a-key": [3, {"deep": "n3"}], "k": 1},
        ),
    ],
)
def test_render(cel: Cel, value: Any, rendered: Any) -> None:
    """A lone `${…}` keeps its type, text takes values as text, `$${` is a literal, and no value is ever parsed again."""
    compile_ = compiler(cel)

    assert compile_.template(value, ("spec",)).render(SCOPE) == rendered
    assert compile_.faults == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("is ${object.none}", r"\$\{object.none\}: it is null, which has no place in a text"),
        ("is ${object.nope}", "object has no field 'nope'"),
        ({"${object.count}": 1}, "a key is 3, not a string"),
        ({"${object.name}": 1, "a": 2}, "the key 'a' stands twice"),
        (["x", {"k": "${object.nope}"}], "object has no field 'nope'"),
    ],
)
def test_render_unanswered(cel: Cel, value: Any, reason: str) -> None:
    """A template has no answer where one of its expressions has none, or where its value has no place."""
    with pytest.raises(EvaluationError, match=reason):
        compiler(cel).template(value, ()).render(SCOPE)


def test_programs_of_a_template(cel: Cel) -> None:
    """A template knows its programs, and so what it reads."""
    template = compiler(cel).template({"${object.name}": ["${now}", "x"]}, ())

    assert [program.source for program in template.programs] == ["object.name", "now"]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("a ${object.name", "spec:1:3: this ${ has no end; expected a closing }"),
        ("a ${'x}", "spec:1:5: this string has no end; expected a closing '"),
        (
            "a\nb ${ object.count + }",
            "spec:2:20: the expression ends too early; expected a value: a variable, a literal, a call or '('",
        ),
        ("x ${obj.name}", "spec:1:5: unknown variable 'obj'; expected object"),
        ("${}", "spec:1:3: the expression is empty; expected a CEL expression"),
        (
            {"a": [1, "${nope + 1}"]},
            "spec/a/1:1:3: unknown variable 'nope'; expected one of now, object",
        ),
    ],
)
def test_faults_have_their_place_in_the_template(cel: Cel, value: Any, fault: str) -> None:
    """A fault inside `${…}` is located in the whole text at its path."""
    compile_ = compiler(cel)

    compile_.template(value, ("spec",))

    assert [str(found) for found in compile_.faults] == [fault]


def test_all_faults_at_once(cel: Cel) -> None:
    """Every fault is noted, and what does not compile leaves a placeholder without an answer."""
    compile_ = compiler(cel)

    program = compile_.program("object.a ==", ("when", 0))
    compile_.program("item.x == object.y", ("when", 1), extra=("item",))
    compile_.program("item.x", ("when", 2))
    compile_.template({"a": "${b}", "c": "${d} ${object.e}"}, ("annotate",))
    compile_.fault(("limits",), "maxTargets is negative", "a number from 1 on")

    assert [str(fault.location) for fault in compile_.faults] == [
        "when/0:1:12", "when/2:1:1", "annotate/a:1:3", "annotate/c:1:3", "limits:1:1",
    ]  # fmt: skip
    with pytest.raises(EvaluationError, match="does not compile"):
        program.condition(SCOPE)
