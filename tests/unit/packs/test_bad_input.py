"""No text whatever makes `parse_pack` raise anything but InvalidText."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.cel import backend
from engine.errors import InvalidText
from engine.packs.parse import parse_pack
from tests.unit.packs.packs import CEL, pack, rule

MIB = 1024 * 1024


def nested(levels: int) -> list[object]:
    """A JSON Schema that ends, that many levels down, in what is none."""
    return [{"allOf": nested(levels - 1)}] if levels else [1]


HOSTILE = {
    "more than 1 MiB": "a: " + "x" * MIB,
    "1 MiB of list items": "- a\n" * (MIB // 4),
    "1 MiB of nested mappings": "{a: " * (MIB // 4),
    "1 MiB of aliases": "a: &a x\nb: [" + "*a, " * (MIB // 4 - 10) + "]",
    "10,000 nested brackets": "[" * 10_000 + "]" * 10_000,
    "10,000 nested brackets in a rule": pack(rules=[rule(when="[" * 10_000 + "]" * 10_000)]),
    "10,000 nested parentheses in a template": pack(
        rules=[rule(actions=[{"annotate": {"annotations": {"a": "${" + "(" * 10_000 + "}"}}}])]
    ),
    "1 MiB of one condition": pack(rules=[rule(when=" && ".join(["true"] * (MIB // 10)))]),
    "a label selector of 1 MiB": pack(watch={"apiVersion": "v1", "kind": "X", "labelSelector": "a" + " " * (MIB - 1000) + "b"}),
    "a field path of 1 MiB": pack(watch={"apiVersion": "v1", "kind": "X", "fields": ["a" * (MIB - 1000)]}),
    "a name of 1 MiB": pack(name="a" * (MIB - 1000)),
    "an unknown key of 1 MiB": pack(rules=[{"x" * (MIB - 1000): 1}]),
    "12,000 unknown keys": pack(rules=[{f"x{index}": 1 for index in range(12_000)}]),
    "an alias bomb": "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + level)}: &{chr(98 + level)} [{', '.join([f'*{chr(97 + level)}'] * 8)}]\n" for level in range(20)
    ),
    "an endless alias": "a: &a {b: *a}",
    "binary garbage": random.Random(3).randbytes(100_000).decode("latin-1"),
    "a lone surrogate": "a: \ud800",
    "nothing but a directive": "%YAML 9.9\n",
    "a kind that is a list": "apiVersion: rules.mlops.dev/v1alpha1\nkind: [RulePack]\n",
    "rules that extend one long rule": pack(
        rules=[rule("a", vars={"long": "'" + "x" * 500_000 + "'"}), *({"name": f"b{n}", "extends": "a"} for n in range(9))]
    ),
    "a number of 10,000 digits": "a: " + "9" * 10_000,
    "a schema that nests deep": pack(params={"a": {"default": 1, "allOf": nested(40)}}),
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_text_is_refused(text: str) -> None:
    """Size, depth, aliases and garbage end as faults of the text."""
    with pytest.raises(InvalidText):
        parse_pack(text, "pack.yaml", CEL)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n---\n", "null\n"])
def test_a_text_without_anything_holds_no_pack(text: str) -> None:
    """An empty text, or one of comments only, is no fault and no pack."""
    assert parse_pack(text, "pack.yaml", CEL) == []


YAML_LIKE = st.text(alphabet="abc:-[]{}&*!|>'\"#%@,? \n\t\\~<$0", max_size=200)


@settings(max_examples=300)
@given(st.text(alphabet=st.characters(), max_size=200) | YAML_LIKE)
def test_no_text_raises_anything_but_invalid_text(text: str) -> None:
    """Whatever the text, it is either parsed or refused."""
    try:
        parse_pack(text, "pack.yaml", CEL)
    except InvalidText as invalid:
        assert invalid.faults


POD = {"apiVersion": "v1", "kind": "Pod"}
GOOD = pack(
    params={"size": {"type": "integer", "default": 1}},
    targets=[{**POD, "verbs": ["get", "list", "delete"]}],
    rules=[
        rule(vars={"a": "object.kind"}, when=["vars.a == 'x'"], loop="object.items", loopVar="entry", loopKey="entry.name"),
        rule("second", actions=[{"delete": {"target": {**POD, "name": "${object.kind}"}}, "register": "r"}], retry={"limit": 3}),
    ],
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(GOOD)), st.integers(0, 30), st.text(alphabet="[]{}'\"$().,:& \n\\x1Aé-", max_size=5))
def test_a_damaged_pack_raises_nothing_but_invalid_text(at: int, length: int, text: str) -> None:
    """A good pack of which a piece is replaced by something else is either parsed or refused."""
    damaged = GOOD[:at] + text + GOOD[at + length :]
    try:
        parse_pack(damaged, "pack.yaml", backend())
    except InvalidText as invalid:
        assert invalid.faults


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["${object}", "Enforce", "5m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.just("name"), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["watch", "params", "targets", "inputs", "metrics", "rules", "description", "defaultMode", "featureFlag"]
RULE_KEYS = ["name", "vars", "when", "on", "for", "oncePer", "existing", "lookup", "loop", "loopVar", "loopKey", "throttle",
             "resync", "limits", "actions", "retry", "rescue", "mode"]  # fmt: skip


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=3), st.dictionaries(st.sampled_from(RULE_KEYS), JSON, max_size=4))
def test_no_value_of_any_key_raises_anything_but_invalid_text(fields: dict[str, Any], of_rule: dict[str, object]) -> None:
    """Any JSON value under any key of the pack or of a rule is either taken or refused."""
    try:
        parse_pack(pack("example", **{"rules": [{**rule(), **of_rule}], **fields}), "pack.yaml", CEL)
    except InvalidText as invalid:
        assert invalid.faults
