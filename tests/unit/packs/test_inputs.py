"""What users write on their own objects, parsed and checked."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cel import backend
from engine.errors import InvalidText
from engine.packs.inputs import Input
from engine.packs.parse import parse_pack

TRIGGERS = {
    "type": "array",
    "maxItems": 2,
    "items": {
        "type": "object",
        "required": ["kind", "name"],
        "additionalProperties": False,
        "properties": {
            "kind": {"type": "string", "pattern": "^[A-Z]"},
            "name": {"type": "string", "minLength": 1},
            "action": {"enum": ["restart", "sync"]},
        },
    },
}


def read(text: str, schema: dict[str, Any], format: Literal["yaml", "json"] = "yaml") -> tuple[Any, str]:
    return Input("triggers", "example.com/triggers", format, schema).parse(text)


def test_a_good_text_gives_its_value() -> None:
    """YAML and JSON give plain values, and no error."""
    assert read("- {kind: Pod, name: x}\n", TRIGGERS) == ([{"kind": "Pod", "name": "x"}], "")
    assert read('[{"kind": "Pod", "name": "x"}]', TRIGGERS, "json") == ([{"kind": "Pod", "name": "x"}], "")


def test_all_faults_are_reported_at_once_with_their_locations() -> None:
    """One string lists line, column, what is wrong and what was expected of every fault."""
    text = "- kind: pod\n  nam: x\n- {kind: Pod, name: '', action: restrat}\n"

    assert read(text, TRIGGERS) == (
        None,
        "line 1, column 3: 'name' missing; expected 'kind', 'name'; "
        "line 1, column 9: the text 'pod' does not match; expected a text that matches ^[A-Z]; "
        "line 2, column 3: unknown key 'nam'; expected 'name' (did you mean that?); "
        "line 3, column 22: an empty text is too short; expected at least 1 characters; "
        "line 3, column 33: the text 'restrat' is not possible here; expected restart or sync (did you mean 'restart'?)",
    )


@pytest.mark.parametrize(
    ("text", "format", "reported"),
    [
        ("- [", "yaml", "line 2, column 1: not YAML: "),
        ("[1,]", "json", "line 1, column "),
        ("{a: 1}", "json", "line 1, column 2: not JSON: "),
        ("NaN", "json", "line 1, column 1: not JSON: NaN is no number of JSON"),
        ("[" * 5000, "json", "line 1, column 1: not JSON: nested too deep"),
        ("[" * 40 + "]" * 40, "json", "line 1, column 33: nested more than 32 levels deep"),
        ('{"a": 1, "a": 2}', "json", "line 1, column 10: the key 'a' stands twice"),
        ('"\\ud800"', "json", "line 1, column "),
        ("a: 1\n---\nb: 2\n", "yaml", "line 3, column 1: a second document; expected one document"),
        ("", "yaml", "line 1, column 1: null stands here; expected a list"),
        ("x" * 300_000, "yaml", "line 1, column 1: the text has 300000 bytes; expected at most 262144"),
    ],
)
def test_a_text_that_does_not_parse_is_located(text: str, format: Literal["yaml", "json"], reported: str) -> None:
    """What is not the format, or passes a bound, is an error text and no value."""
    value, error = read(text, TRIGGERS, format)

    assert value is None
    assert error.startswith(reported)


def test_the_number_of_faults_reported_is_bounded() -> None:
    """Of very many faults the first twenty are reported, and how many there are."""
    assert read(str([1] * 50), {"items": {"type": "string"}})[1].endswith("; and 30 more")


def test_escapes_of_json_are_those_of_json() -> None:
    """A pair of surrogate escapes is one character, also after an escaped backslash."""
    text = json.dumps(["😀", "\\😀", "\\ud83d\\ude00", "é\u0000/"])

    assert read(text, {}, "json") == (json.loads(text), "")


def test_an_unsafe_pattern_takes_linear_time() -> None:
    """Patterns are matched by RE2: one that would backtrack for ever elsewhere has an answer."""
    schema = {"pattern": "^(a+)+$", "patternProperties": {"^(a+)+$": False}, "additionalProperties": False}

    assert read("a" * 5000 + "b", schema)[1] != ""
    assert read("{" + "a" * 500 + "b: 1}", schema)[1] != ""
    assert read("{aaa: 1}", schema)[1] != ""


def test_unique_items_take_linear_time() -> None:
    """Hundreds of mappings are compared without comparing each with each."""
    items = [{"a": index} for index in range(800)]

    assert read(json.dumps(items), {"uniqueItems": True}, "json")[1] == ""
    assert "an item stands twice" in read(json.dumps([*items, {"a": 7}]), {"uniqueItems": True}, "json")[1]


@pytest.mark.parametrize(
    ("schema", "text", "reported"),
    [
        ({"type": ["string", "null"]}, "1", "the number 1 stands here; expected a text or null"),
        ({"minimum": 3}, "2", "the number 2 is too small; expected at least 3"),
        ({"exclusiveMaximum": 3}, "3", "the number 3 is too large; expected less than 3"),
        ({"multipleOf": 5}, "3", "the number 3 is not possible here; expected a multiple of 5"),
        ({"const": "a"}, "b", "the text 'b' is not possible here; expected a"),
        ({"maxProperties": 0}, "{a: 1}", "a mapping is too large; expected at most 0 keys"),
        ({"anyOf": [{"type": "string"}, {"items": {"type": "null"}}]}, "[x]", "the text 'x' stands here; expected null"),
        ({"not": {"type": "string"}}, "x", "the text 'x' does not fit the schema; expected not: {\"type\": \"string\"}"),
    ],
)  # fmt: skip
def test_each_keyword_is_reported_in_plain_words(schema: dict[str, Any], text: str, reported: str) -> None:
    """What a JSON Schema refuses is reported without the library's words."""
    assert read(text, schema)[1].split(": ", 1)[1] == reported


@given(st.text(), st.sampled_from(["yaml", "json"]))
def test_parsing_never_raises(text: str, format: Literal["yaml", "json"]) -> None:
    """Whatever the text, there is either a value or an error text."""
    value, error = read(text, TRIGGERS, format)

    assert (value is None) or error == ""


LETTERS = st.text(st.characters(exclude_categories=["C"]), max_size=20)


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | LETTERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LETTERS, inner, max_size=3), max_leaves=8,
))  # fmt: skip
def test_json_gives_the_value_that_json_has(value: Any) -> None:
    """Any JSON text of a value gives that value, with escapes or without."""
    for ascii in (True, False):
        found, error = read(json.dumps(value, ensure_ascii=ascii), {}, "json")
        assert (json.dumps(found), error) == (json.dumps(value), "")


def test_a_parameter_can_name_the_annotation() -> None:
    """A cluster's own key comes in the place of the pack's; without the parameter there is only that one."""
    own = Input("triggers", "example.com/triggers", param="key")
    assert own.key({"key": "example.org/mine"}) == "example.org/mine"
    assert Input("triggers", "example.com/triggers").key({"key": "example.org/mine"}) == "example.com/triggers"


def test_a_parameter_that_names_an_annotation_must_be_there() -> None:
    """A pack whose input has its key from a parameter that it does not declare is refused."""
    pack = {
        "apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "p"},
        "spec": {
            "watch": {"apiVersion": "v1", "kind": "ConfigMap"},
            "inputs": {"triggers": {"annotation": "example.com/triggers", "annotationParam": "key"}},
            "rules": [{"name": "r", "actions": [{"annotate": {"annotations": {"a/b": "c"}}}]}],
        },
    }  # fmt: skip
    with pytest.raises(InvalidText, match="declares no parameter 'key'"):
        parse_pack(json.dumps(pack), "pack.yaml", backend())


@pytest.mark.parametrize("format", ["yaml", "json"])
def test_a_number_has_the_type_of_the_schema(format: Literal["yaml", "json"]) -> None:
    """An expression that computes with a double computes with 1 too; the default is typed likewise."""
    declared = Input("limits", "example.com/limits", format, {"items": {"type": "number"}}, [2])

    values, error = declared.parse("[1, 1.5]")

    assert error == ""
    assert [type(value) for value in values] == [float, float]
    assert [type(value) for value in declared.default] == [float]
