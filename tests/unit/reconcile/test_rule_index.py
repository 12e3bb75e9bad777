"""Which rules an object rules out before anything is evaluated."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cel import Field, Scope, backend
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.reconcile.evaluate import condition, variables_of
from engine.reconcile.prefilter import Prefilter, RuleIndex

HEAD = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  params: {a: {type: string, default: x}, key: {type: string, default: a/list}, size: {type: integer, default: 1}}
  vars:
    a: get(object, 'data.a', '')
    plain: object.data.a
    keyed: annotation(object, params.key)
    asked: vars.a == 'x' && object.data.b != 'x'
  inputs:
    list: {annotation: a/list, schema: {type: array}, default: []}
    given: {annotation: a/other, annotationParam: key, schema: {type: array}, default: []}
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
    "object.data.a in ['x', 'y']",
    "get(object, 'data.b', 'x') in ['x', 'z']",
    "get(object, 'data.a', '') == 'x' || get(object, 'data.a', '') == 'z'",
    "get(object, 'data.a', '') == 'x' || get(object, 'data.a', 'x') == 'x'",
    "get(object, 'data.a', '') != ''",
    "object.data.a != '' && object.data.b == 'x'",
    "annotation(object, 'a/list') != ''",
    "annotation(object, 'a/list') == 'x'",
    "vars.a != ''",
    "vars.plain != ''",
    "vars.plain == 'y'",
    "vars.asked",
    "vars.asked && vars.plain == 'x'",
    "vars.a == 'y' || vars.a == 'z'",
    "inputErrors.list != ''",
    "inputErrors.given != ''",
    "annotation(object, params.key) != ''",
    "annotation(object, params.key) == 'x'",
    "annotation(object, params.key) == 'x' || annotation(object, 'a/list') == 'y'",
    "annotation(object, params.size) != ''",
    "annotation(object, object.data.a) != ''",
    "vars.keyed == 'x'",
    "vars.keyed != '' && object.data.b == 'x'",
]
PARAMS = {"a": "x", "key": "a/list", "size": 1}
TEXTS = st.sampled_from(["x", "y", "z", ""])
VALUES = st.one_of(TEXTS, st.none(), st.integers(0, 1), st.lists(TEXTS, max_size=1), st.dictionaries(TEXTS, TEXTS, max_size=1))


def pack(*rules: str) -> RulePack:
    """A pack of rules, each given by what follows its name."""
    mark = "actions: [{annotate: {annotations: {a/b: c}}}]"
    lines = [f"    - {{name: rule-{number}, {rule}, {mark}}}\n" for number, rule in enumerate(rules)]
    (found,) = parse_pack(HEAD + "".join(lines), "pack.yaml", backend())
    return found


A, LIST = Field(("data", "a"), ""), ("metadata", "annotations", "a/list")
KEYED = Field(LIST, "")


@pytest.mark.parametrize(
    ("rule", "prefilter"),
    [
        ("when: object.data.a == 'x'", Prefilter(Field(("data", "a")), frozenset("x"))),
        ("when: [object.data.b > 1, object.data.a == 'x']", Prefilter(Field(("data", "a")), frozenset("x"))),
        ("when: \"object.data.b > 1 && get(object, 'data.a', '') == 'x'\"", Prefilter(A, frozenset("x"))),
        ("when: \"get(object, 'data.a', '') == 'x' || get(object, 'data.a', '') == 'y'\"", Prefilter(A, frozenset("xy"))),
        ("when: \"get(object, 'data.a', '') in ['x', 'y']\"", Prefilter(A, frozenset("xy"))),
        ("when: object.data.a == 'x' || object.data.b == 'y'", Prefilter()),
        ("when: oldObject.data.a == 'x'", Prefilter()),
        ("when: object.data.a == 'x', resync: 1m", Prefilter()),
        ("when: \"annotation(object, 'a/list') != ''\"", Prefilter(there=frozenset([LIST]))),
        ("when: inputErrors.list != ''", Prefilter(there=frozenset([LIST]))),
        ("when: inputErrors.given != ''", Prefilter(there=frozenset([LIST]))),
        ('when: "annotation(object, params.key) != \'\'"', Prefilter(there=frozenset([LIST]))),
        ('when: "annotation(object, params.key) == \'x\'"', Prefilter(KEYED, frozenset("x"))),
        ('when: "vars.keyed in [\'x\', \'y\']"', Prefilter(KEYED, frozenset("xy"))),
        ('when: "annotation(object, params.size) == \'x\'"', Prefilter()),
        ("when: [inputErrors.list != '', vars.asked]", Prefilter(A, frozenset("x"), frozenset([LIST]))),
        ("when: vars.a != ''", Prefilter(there=frozenset([A.path]))),
        ("when: vars.plain != ''", Prefilter()),
    ],
)  # fmt: skip
def test_prefilter(rule: str, prefilter: Prefilter) -> None:
    """A prefilter is what conditions need, also through vars; it is empty where there is always something to do."""
    compiled = pack(rule)
    assert Prefilter.of(compiled.rules[0], compiled.inputs, PARAMS) == prefilter


def test_what_is_left_out_is_false() -> None:
    """Whatever the fields hold, a rule that is no candidate has a false condition, and none that is true or has no answer."""
    rules = pack(*(f'when: "{clause}"' for clause in CLAUSES))
    index = RuleIndex.of(Prefilter.of(rule, rules.inputs, PARAMS) for rule in rules.rules)

    @given(st.dictionaries(st.sampled_from(["a", "b"]), VALUES), st.one_of(TEXTS, st.none(), st.just("[]")))
    def check(data: dict[str, Any], annotation: str | None) -> None:
        obj = {"data": data, "metadata": {"annotations": {"a/list": annotation}}}
        scope = Scope(variables_of(Catalog(params={"p": PARAMS}), rules, obj, None, 0.0), rules.vars)
        left_out = set(range(len(CLAUSES))) - set(index.candidates(obj))
        for number in left_out:
            held = condition(rules.rules[number], scope)
            assert held is not None and not held.unknown, (CLAUSES[number], obj)

    check()
