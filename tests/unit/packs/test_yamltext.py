"""YAML as plain data, with the location of everything in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidText, Location
from engine.packs.document import Document
from engine.packs.yamltext import Bounds, read_yaml


def locate(line: int, column: int) -> Location:
    return Location("f", line, column)


def document(text: str) -> Document:
    (found,) = read_yaml(text, locate)
    return found


def refused(text: str, bounds: Bounds | None = None) -> list[str]:
    with pytest.raises(InvalidText) as invalid:
        read_yaml(text, locate, bounds or Bounds())
    return [str(fault) for fault in invalid.value.faults]


def marked(text: str) -> tuple[str, int, int]:
    """A text without its mark '^', and the mark's line and column."""
    before = text.split("^", maxsplit=1)[0]
    return text.replace("^", ""), before.count("\n") + 1, len(before) - before.rfind("\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("yes", "yes"), ("Off", "Off"), ("true", True), ("False", False), ("~", None), ("Null", None),
        ("12", 12), ("-3", -3), ("0x1f", 31), ("0o17", 15), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("0", 0),
        ("1_000", "1_000"), ("18446744073709551615", 2**64 - 1),
        ("2026-01-24", "2026-01-24"), ("2026-01-24T22:30:00Z", "2026-01-24T22:30:00Z"), ("1:30", "1:30"),
        ("'12'", "12"), ('"true"', "true"), ("!!str 12", "12"), ("!!int '12'", 12), ("!!null ''", None),
    ],
)  # fmt: skip
def test_scalars_are_those_of_json(text: str, value: Any) -> None:
    """Plain scalars are read by YAML 1.2's core schema: dates, on and yes are text."""
    read = document(f"a: {text}").value["a"]

    assert (read, type(read)) == (value, type(value))


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4), max_leaves=8,
))  # fmt: skip
def test_what_yaml_writes_is_read_back(value: Any) -> None:
    """Any JSON value that PyYAML writes, with quotes around its texts, is read as the same value."""
    text = yaml.safe_dump([value], sort_keys=False, default_style='"')

    assert json.dumps(document(text).value) == json.dumps([value])


@pytest.mark.parametrize(
    "text",
    [
        "a: one ^two",
        "a: one\n  ^two",
        "a: 'it''s ^two'",
        'a: "one\\n\\u00e9\\x41 ^two"',
        'a: "one \\\n   ^two"',
        "a: |\n  one\n  ^two\n",
        "a: |\n\n    one\n      ^two\n",
        "a: >-\n  one\n  ^two\n",
        "a: >\n  one\n\n    more\n  ^two\n",
        "a: &x >-  # why\n  one\n  ^two\n",
        "a: !!str ^two",
        "a: |2\n    one\n   ^two\n",
        "a: é😀 ^two",
        "{a: [^two]}",
        "\ufeffa: ^two",
        "a: one\r\n  ^two\r\n",
    ],
)
def test_a_place_inside_a_scalar_is_found_in_the_text(text: str) -> None:
    """A line and column of a scalar's value lead to the line and column where that character is written."""
    text, line, column = marked(text)
    read = document(text)
    path: tuple[str | int, ...] = ("a",) if isinstance(read.value["a"], str) else ("a", 0)
    value = read.value["a"] if len(path) == 1 else read.value["a"][0]
    before = value.split("two")[0]

    found = read.locate(path, before.count("\n") + 1, len(before) - before.rfind("\n"))

    assert found == locate(line, column - text.startswith("\ufeff"))


@given(st.text("ab \n'\"\\é:#-😀\t", max_size=120), st.sampled_from([None, "'", '"', "|", ">"]), st.integers(5, 40))
def test_each_character_of_a_scalar_is_located_where_it_is_written(value: str, style: str | None, width: int) -> None:
    """In every style, folded or escaped, each letter of a value leads to that letter in the text."""
    text = yaml.safe_dump({"a": {"b": value}}, default_style=style, width=width, allow_unicode=True)
    lines = text.split("\n")
    inside = document(text).within(("a", "b"))

    for number, line in enumerate(value.split("\n"), start=1):
        for column, letter in enumerate(line, start=1):
            found = inside(number, column)
            if letter.isalpha():
                assert lines[found.line - 1][found.column - 1] == letter


def test_a_text_inside_a_text_is_located_in_the_outer_one() -> None:
    """The location of a value of a YAML text in a block of another YAML text is its location in the outer file."""
    outer, line, column = marked("data:\n  pack.yaml: |\n    spec:\n      when: >-\n        one\n        ^two\n")
    document_ = document(outer)
    (inner,) = read_yaml(document_.value["data"]["pack.yaml"], document_.within(("data", "pack.yaml")))

    assert inner.locate(("spec", "when"), 1, 5) == locate(line, column)
    assert inner.locate_key(("spec", "when")) == locate(4, 7)


def test_what_is_missing_is_located_at_its_nearest_parent() -> None:
    """A path that does not exist leads to the nearest existing value above it."""
    read = document("a:\n  b: {c: 1}\n")

    assert read.locate(("a", "b", "x", "y")) == locate(2, 6)
    assert read.locate(("z",)) == locate(1, 1)


def test_a_place_past_the_end_is_the_end() -> None:
    """A line or column that a scalar does not have leads to its end, not to an error."""
    read = document("a: one\nb: ''\n")

    assert read.locate(("a",), 9, 9) == locate(1, 7)
    assert read.locate(("b",), 1, 5) == locate(2, 5)


def test_a_file_may_hold_several_documents() -> None:
    """Documents are read in turn, empty ones left out, each located in the whole text; an anchor ends with its document."""
    first, second = read_yaml("---\n# nothing\n---\na: &x 1\n---\nb: 2\n", locate)

    assert (first.value, second.value, second.locate(("b",))) == ({"a": 1}, {"b": 2}, locate(6, 4))
    assert refused("a: &x 1\n---\nb: *x\n") == ["f:3:4: *x names nothing; expected &x at a value above"]


def test_an_alias_stands_for_its_value() -> None:
    """An alias gives the value that it names, located where that is written."""
    read = document("a: &x {b: one}\nc: *x\n")

    assert (read.value["c"], read.locate(("c", "b"))) == ({"b": "one"}, locate(1, 11))


def test_mappings_may_be_merged() -> None:
    """`<<` gives the keys of other mappings, located there; own keys, and then the first mapping, go before."""
    read = document("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2, d: 2}\nz: {<<: [*x, *y], d: 3}\n'<<': 1\n")

    assert (read.value["z"], read.value["<<"]) == ({"a": 1, "b": 1, "c": 2, "d": 3}, 1)
    assert (read.locate(("z", "c")), read.locate_key(("z", "c"))) == (locate(2, 17), locate(2, 14))
    assert read.locate(("z", "d")) == locate(3, 22)
    assert refused("a: {<<: 1}\nb: {<<: []}\n") == [
        "f:1:9: the number 1 is merged by '<<'; expected a mapping, or a list of mappings",
        "f:2:9: an empty list is merged by '<<'; expected a mapping, or a list of mappings",
    ]


def test_faults_are_found_all_at_once() -> None:
    """A duplicate key, a key that is no text, a forbidden tag and a number that JSON cannot hold are one refusal."""
    reported = refused("a: 1\na: 2\n3: x\nb: !!binary x\nc: .nan\n")

    assert [fault.split(": ")[0] for fault in reported] == ["f:2:1", "f:3:1", "f:4:4", "f:5:4"]


def test_a_text_with_very_many_faults_is_refused_with_the_first_hundred() -> None:
    """The number of faults is bounded."""
    assert len(refused("a: 1\n" * 5000)) == 100


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("a" * 101, "f:1:1: the text has 101 bytes; expected at most 100"),
        ("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "f:1:29: the text has more than 10 values; expected a smaller one"),
        ("[[[[1]]]]", "f:1:4: nested more than 3 levels deep; expected fewer levels"),
        ("[&a [[1]], [*a]]", "f:1:13: with its aliases written out, nested more than 3 levels deep; expected fewer levels"),
        ("[&a x, *a, *a, *a]", "f:1:16: too much is repeated by aliases; "
                               "expected at most 2 aliases, and 100 characters with them written out"),
        ("a\x00b", "f:1:2: the character U+0000 cannot stand in YAML; expected text in UTF-8"),
        ("a\ud800b", "f:1:2: the character U+D800 cannot stand in YAML; expected text in UTF-8"),
    ],
)  # fmt: skip
def test_what_a_text_may_hold_is_bounded(text: str, reported: str) -> None:
    """Bytes, values, levels, aliases and characters have bounds; passing one is a fault at its location."""
    assert refused(text, Bounds(size=100, nodes=10, depth=3, aliases=2)) == [reported]
