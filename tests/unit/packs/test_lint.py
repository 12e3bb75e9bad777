"""Lint as a whole: what two backends say, what is left unsaid of broken packs, and that no text makes it raise."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.cel import Program, backend
from engine.errors import ExpressionError
from engine.packs.lint import CODES, Code, lint
from engine.packs.lint.base import Check
from engine.packs.sources import Text
from tests.unit.packs.packs import pack, rule


class Picky:
    """A backend that refuses one function which the other one has."""

    name = "picky"

    def __init__(self) -> None:
        self._cel = backend("celpy")

    def compile(self, text: str, variables: Collection[str]) -> Program:
        """See `Cel.compile`."""
        if "hash(" in text:
            raise ExpressionError("unknown function 'hash'", 1, text.index("hash(") + 1)
        return self._cel.compile(text, variables)


def text(content: str) -> Text:
    """A file."""
    return Text("pack.yaml", content, "pack.yaml")


def test_what_only_one_backend_takes_is_told() -> None:
    """An expression that one backend refuses is told with that backend's name, at the place where it is refused."""
    content = pack(rules=[rule(when="hash('a') == 'b'")])
    _, faults = lint([text(content)], [backend("celpy"), Picky()])
    (fault,) = [fault for fault in faults if fault.code == "unportable-expression"]
    assert fault.message == "on picky only: unknown function 'hash'"
    line = content.splitlines()[fault.location.line - 1]
    assert line[fault.location.column - 1 :].startswith("hash('a')")


def test_of_a_broken_pack_only_what_is_certain_is_told() -> None:
    """An action that could not be read may be the one that uses a target, so nothing is said of unused ones."""
    targets = [{"apiVersion": "v1", "kind": "Pod", "verbs": ["list", "delete"]}]
    broken = pack(targets=targets, rules=[rule(actions=[{"delet": {}}])])
    assert [fault.code for fault in lint([text(broken)], [backend()])[1]] == ["schema"]


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.name)
def test_each_code_is_documented(code: Code) -> None:
    """The first sentence says what is wrong, a further paragraph what to do, and no line is indented as the source is."""
    first, *further = code.documentation.split("\n\n")
    assert first.endswith(".")
    assert further
    assert not further[0].startswith(" ")


def test_each_check_is_in_the_table() -> None:
    """A class that is written and not put into the table would never look for anything."""
    assert {check.name for check in Check.__subclasses__()} == {code.name for code in CODES.values() if code.check is not None}


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["object.a == 'b'", "${now}", "false"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["annotations", "labels", "patch", "metadata", "target", "apiVersion", "kind", "name", "type", "manifest", "when"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
ACTION_NAMES = st.sampled_from(["annotate", "label", "patch", "delete", "metric", "apply", "emitEvent", "assert", "when"])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.dictionaries(ACTION_NAMES, VALUES, max_size=2), max_size=3),
    st.dictionaries(st.sampled_from(["when", "oncePer", "vars", "loop", "throttle", "targets", "aggregate"]), VALUES, max_size=3),
)
def test_no_pack_makes_it_raise(actions: list[dict[str, Any]], fields: dict[str, Any]) -> None:
    """Whatever stands in a rule, there are faults or none."""
    targets = fields.pop("targets", [])
    content = pack(targets=targets, rules=[rule(actions=actions, **fields), rule(name="other", actions=actions)])
    lint([text(content)], [backend("celpy")])
