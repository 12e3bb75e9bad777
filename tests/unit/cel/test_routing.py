"""Which expressions cel-cpp is given: those that it is quicker at, by nothing but their form."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cel import Scope
from engine.cel.cpp import CelCpp
from engine.cel.parser import parse
from engine.cel.routing import quicker

SUM = " + ".join(["object.a", "object.b"] * 8)
LONG = " + ".join(["object.text"] * 12)
GIVEN = [
    SUM,
    f"{LONG} == object.text",
    f"{SUM} == 20 ? 'x' : object.text",
    "object.names.all(n, n.trim() == 'x')",
    "object.names.exists(n, n.trim() == object.text)",
    "object.names.exists_one(n, n * 2 == 2)",
    f"[{', '.join(map(str, range(40)))}].all(n, n < object.a)",
]
LEFT = {
    "nothing to do": "object.a",
    "a comparison": "object.text == 'x'",
    "as many values as operations": " + ".join(f"object.a{number}" for number in range(25)),
    "parts that may be left out": " && ".join(f"object.a != {number}" for number in range(25)),
    "one test of each item": "object.names.all(n, n != 'x')",
    "items that are maps": "object.items.all(i, i.a.trim().trim() == 'x')",
    "items that have fields": "object.items.all(i, has(i.a) && (object.text + object.text).trim() == 'x')",
    "a list that is copied": "object.names.map(n, n.trim() + 'x' + n)",
    "a list that is chosen from": "object.names.filter(n, n.trim() + 'x' == 'yx')",
    "a list in a list": "object.names.all(n, object.names.exists(m, m.trim() + n == 'x'))",
    "a function of the engine's": "object.names.all(n, hash(n.trim() + 'x') != '')",
    "a map given back": f"{{'a': {SUM}}}",
    "a value that may be large": f"{LONG} in object.names",
    "the size of what may be large": f"{SUM} == size(object.names)",
    "an own function for nothing": f"{SUM} == 1 && hash(object.text) == 'x'",
    "a var for nothing": f"{SUM} == 1 && vars.x == 'x'",
}


@pytest.mark.parametrize("text", GIVEN)
def test_much_to_do_with_few_values_is_for_cel_cpp(text: str) -> None:
    """Long chains, and quantifiers with some operations on each item of a list of texts or numbers."""
    assert quicker(parse(text).root)


@pytest.mark.parametrize("name", LEFT)
def test_all_else_is_for_the_interpreter(name: str) -> None:
    """Values that may be large, or may not be needed, are not handed over, and what is little to do is not worth it."""
    assert not quicker(parse(LEFT[name]).root)


class Noting(dict[str, Any]):
    """An object that notes which of its fields are read."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.read: list[str] = []

    def __getitem__(self, key: str) -> Any:
        self.read.append(key)
        return super().__getitem__(key)


@pytest.mark.parametrize(
    ("text", "all_forms", "read"),
    [
        (SUM, False, ["a", "b"]),
        ("object.a == 1 || object.b == 1", False, ["a"]),
        ("object.a == 1 || object.b == 1", True, ["a", "b"]),
    ],
)
def test_each_has_what_is_for_it(text: str, all_forms: bool, read: list[str]) -> None:
    """cel-cpp is handed every value once, before it begins, and the interpreter reads what it comes to need."""
    watched = Noting({"a": 1, "b": 2})

    CelCpp(all_forms=all_forms).compile(text, ["object"]).evaluate(Scope({"object": watched}))

    assert watched.read == read
