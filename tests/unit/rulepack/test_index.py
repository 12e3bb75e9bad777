"""Which rules an object rules out before anything is evaluated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cel import Cel, Scope, backend
from engine.decide.evaluate import condition
from engine.rulepack.pack import RulePack
from engine.rulepack.parse import parse_pack

HEAD = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  params: {a: {type: string, default: x}}
  rules:
"""
CLAUSES = [
    "object.data.a == 'x'",
    "object.data['a'] == 'y'",
    "get(object, 'data.a', '') == 'x'",
    "get(object, 'data.a', 'y') == 'y' && object.data.b == 'x'",
    "object.data.b == 'x' || object.data.a == 'x'",
    "object.data.a != 'x'",
    "!(object.data.a == 'x')",
    "object.data.b.size() > 1 && object.data.a == 'y'",
    "object.data.a == 1",
    "object.data.a == object.data.b",
    "params.a == 'x'",
]
TEXTS = st.sampled_from(["x", "y", "z", ""])
VALUES = st.one_of(TEXTS, st.none(), st.integers(0, 1), st.lists(TEXTS, max_size=1), st.dictionaries(TEXTS, TEXTS, max_size=1))


def pack(*rules: str, cel: Cel | None = None) -> RulePack:
    """A pack of rules, each given by what follows its name."""
    mark = "actions: [{annotate: {annotations: {a/b: c}}}]"
    lines = [f"    - {{name: rule-{number}, {rule}, {mark}}}\n" for number, rule in enumerate(rules)]
    (found,) = parse_pack(HEAD + "".join(lines), "pack.yaml", cel or backend())
    return found


@pytest.mark.parametrize(
    ("rule", "gate"),
    [
        ("when: object.data.a == 'x'", (("data", "a"), "x")),
        ("when: [object.data.b > 1, object.data.a == 'x']", (("data", "a"), "x")),
        ("when: \"object.data.b > 1 && get(object, 'data.a', '') == 'x'\"", (("data", "a"), "x")),
        ("when: object.data.a == 'x' || object.data.b == 'y'", None),
        ("when: oldObject.data.a == 'x'", None),
        ("when: object.data.a == 'x', resync: 1m", None),
    ],
)  # fmt: skip
def test_gate(rule: str, gate: Any) -> None:
    """A text that a condition cannot do without is a gate; a rule that has something to do at any time has none."""
    (found,) = pack(rule).rules
    assert found.gate == gate


def test_what_is_remembered_is_evaluated() -> None:
    """A rule of which something is remembered is a candidate whatever the object holds: its timers have to end."""
    index = pack("when: object.data.a == 'x'", "when: object.data.a == 'y'").index
    assert index.candidates({"data": {"a": "y"}}, ()) == [1]
    assert index.candidates({"data": {"a": "y"}}, {"rule-0", "a rule that has gone"}) == [0, 1]


@pytest.mark.parametrize("name", ["celpy", "cel-cpp"])
def test_what_is_left_out_is_false(name: str) -> None:
    """Whatever the fields hold, a rule that is no candidate has a false condition, and none that is true or has no answer."""
    rules = pack(*(f'when: "{clause}"' for clause in CLAUSES), cel=backend(name))

    @given(st.dictionaries(st.sampled_from(["a", "b"]), VALUES))
    def check(data: dict[str, Any]) -> None:
        obj = {"data": data}
        scope = Scope({"object": obj, "params": {"a": "x"}})
        left_out = set(range(len(CLAUSES))) - set(rules.index.candidates(obj, ()))
        for number in left_out:
            held = condition(rules.rules[number], scope)
            assert held is not None and not held.unknown, (CLAUSES[number], data)

    check()
