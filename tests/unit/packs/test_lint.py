"""Lint as a whole: its table, what is left unsaid of broken packs, and that no text makes it raise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.cel import backend
from engine.packs.lint import CODES, Code, lint
from engine.packs.lint.base import Check
from engine.packs.sources import Text
from tests.unit.packs.packs import pack, rule


def text(content: str) -> Text:
    """A file."""
    return Text("pack.yaml", content, "pack.yaml")


def test_of_a_broken_pack_only_what_is_certain_is_reported() -> None:
    """An action that could not be read may be the one that uses a target, so nothing is said of unused ones."""
    targets = [{"apiVersion": "v1", "kind": "Pod", "verbs": ["list", "delete"]}]
    broken = pack(targets=targets, rules=[rule(actions=[{"delet": {}}])])
    assert [fault.code for fault in lint([text(broken)], backend())[1]] == ["schema"]


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.name)
def test_each_code_is_documented(code: Code) -> None:
    """The first sentence says what is wrong, a further paragraph what to do, and no line is indented as the source is."""
    first, *further = code.documentation.split("\n\n")
    assert first.endswith(".")
    assert further
    assert not further[0].startswith(" ")


def test_each_check_is_in_the_table() -> None:
    """A class that is written and not put into the table would never find anything."""
    assert {check.name for check in Check.__subclasses__()} == {code.name for code in CODES.values() if code.check is not None}


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["object.a == 'b'", "${now}", "false"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["annotations", "labels", "patch", "metadata", "target", "apiVersion", "kind", "name", "type", "manifest", "when"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
ACTION_NAMES = st.sampled_from(["annotate", "label", "patch", "delete", "metric", "apply", "emitEvent", "assert", "when"])


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.dictionaries(ACTION_NAMES, VALUES, max_size=2), max_size=3),
    st.dictionaries(st.sampled_from(["when", "oncePer", "vars", "loop", "throttle", "targets", "aggregate"]), VALUES, max_size=3),
)
def test_no_pack_makes_it_raise(actions: list[dict[str, Any]], fields: dict[str, Any]) -> None:
    """Whatever stands in a rule, there are faults or none."""
    targets = fields.pop("targets", [])
    content = pack(targets=targets, rules=[rule(actions=actions, **fields), rule(name="other", actions=actions)])
    lint([text(content)], backend())
