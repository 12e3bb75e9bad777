"""Which rules read Secrets: every way by which a value of one comes into an expression, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.packs.packs import pack, parsed, rule

SECRET = {"apiVersion": "v1", "kind": "Secret"}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap"}
NAMED = {**SECRET, "name": "s"}
COMPUTED = {"apiVersion": "v1", "kind": "${object.data.kind}", "name": "s"}
ANY: dict[str, Any] = {"targets": [{"apiVersion": "*", "kind": "*", "verbs": ["get", "patch"]}]}
GET: dict[str, Any] = {"targets": [{**SECRET, "verbs": ["get", "patch"]}, {**CONFIG_MAP, "verbs": ["get", "patch"]}]}
PARAMS: dict[str, Any] = {
    "params": {name: {"type": "string", "default": ""} for name in ("secret", "other")},
    "discover": {
        "secret": {**NAMED, "value": "object.data.word"}, "other": {**CONFIG_MAP, "name": "c", "value": "object.data.word"},
    },
}  # fmt: skip


SEALED = {"url": "https://x.example", "secrets": {"t": {"name": "s", "key": "k"}}, "headers": {"a": "${secrets.t}"}}


def annotates(value: str) -> dict[str, Any]:
    return {"annotate": {"annotations": {"a": f"${{{value}}}"}}}


def asserts(target: dict[str, Any]) -> dict[str, Any]:
    return {"assert": {"target": target, "message": "no"}}


READS = {
    "watched": pack(watch=SECRET),
    "one of the watched kinds": pack(watch=[CONFIG_MAP, SECRET]),
    "looked up": pack(**GET, rules=[rule(lookup={"s": NAMED})]),
    "waited for": pack(**GET, rules=[rule(actions=[{"wait": {"lookup": {"s": NAMED}, "until": "true", "atMost": "1m"}}])]),
    "acted on": pack(**GET, rules=[rule(actions=[asserts(NAMED)])]),
    "acted on in rescue": pack(**GET, rules=[rule(rescue=[asserts(NAMED)])]),
    "a param": pack(**PARAMS, rules=[rule(actions=[annotates("params.secret")])]),
    "a param, by its computed name": pack(**PARAMS, rules=[rule(actions=[annotates("params[object.data.name]")])]),
    "a param, by a var": pack(**PARAMS, vars={"v": "params.secret"}, rules=[rule(when="vars.v == ''")]),
}
DOES_NOT = {
    "a watched ConfigMap": pack(),
    "another rule of the pack": pack(**GET, rules=[rule(), rule("second", lookup={"s": NAMED})]),
    "a lookup of a computed kind, before it has found one": pack(**ANY, rules=[rule(lookup={"s": COMPUTED})]),
    "an action on a computed kind, before it has read": pack(**ANY, rules=[rule(actions=[asserts(COMPUTED)])]),
    "another param": pack(**PARAMS, vars={"v": "params.secret"}, rules=[rule(actions=[annotates("params.other")])]),
    "a sealed header": pack(rules=[rule(oncePer="object.metadata.uid", actions=[{"http": SEALED}])]),
}


@pytest.mark.parametrize("text", READS.values(), ids=READS)
def test_a_rule_reads_secrets(text: str) -> None:
    assert "first" in parsed(text).reads_secrets


@pytest.mark.parametrize("text", DOES_NOT.values(), ids=DOES_NOT)
def test_a_rule_reads_no_secret(text: str) -> None:
    assert "first" not in parsed(text).reads_secrets
