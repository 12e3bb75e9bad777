"""Typical mistakes of people who know Kubernetes, CEL's neighbours or Python: each is found, with advice that can be followed.

What is advised is written in the place of the mistake, and then nothing is left to be found.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.cel import backend
from engine.packs.lint import lint
from engine.packs.sources import Text, load_folder

ROOT = Path(__file__).parents[3]
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment"}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap"}
WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget"}
READS: dict[str, Any] = {"targets": [{**CONFIG_MAP, "verbs": ["get"]}]}
PATCHES: dict[str, Any] = {"targets": [{**CONFIG_MAP, "verbs": ["get", "patch"]}]}
ONCE = {"oncePer": "object.metadata.uid", "existing": "CatchUp"}


class Mistake(NamedTuple):
    """A mistake: its text and where it stands, the code that finds it, what is said, and what is put in its place.

    `spec` and `rule` are further fields of the pack and of its rule.
    """

    code: str
    said: str
    wrong: Any
    right: Any
    at: str = "when"
    spec: dict[str, Any] = {}  # noqa: RUF012  # is not changed
    rule: dict[str, Any] = {}  # noqa: RUF012  # is not changed
    watch: dict[str, Any] = DEPLOYMENT


def text(mistake: Mistake, value: Any) -> Text:
    """The pack with a value in the place of the mistake."""
    rule: dict[str, Any] = {"name": "r", "actions": [{"annotate": {"annotations": {"a": "b"}}}], **mistake.rule}
    spec: dict[str, Any] = {"watch": mistake.watch, **mistake.spec, "rules": [rule]}
    match mistake.at:
        case "watch":
            spec["watch"] = value
        case "message":
            rule["actions"] = [{"emitEvent": {"type": "Normal", "reason": "R", "message": value}}]
        case "type":
            rule["actions"] = [{"emitEvent": {"type": value, "reason": "R", "message": "m"}}]
        case "actions" | "targets" | "params":
            (rule if mistake.at == "actions" else spec)[mistake.at] = value
        case "rule":
            rule |= value
        case key:
            rule[key] = value
    body = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "p"}, "spec": spec}
    return Text("pack.yaml", json.dumps(body), "pack.yaml")


def found(content: Text) -> list[tuple[str, str]]:
    """Each fault's code, and what it says and expects."""
    return [(fault.code, f"{fault.message}; expected {fault.expected}") for fault in lint([content], backend())[1]]


LOOKUP: dict[str, Any] = {"targets": [{**CONFIG_MAP, "verbs": ["list", "watch"]}]}
ONE: dict[str, Any] = {"lookup": {"x": {**CONFIG_MAP, "name": "x"}}}
ALL: dict[str, Any] = {"lookup": {"x": {**CONFIG_MAP, "labelSelector": {"app": "web"}}}}
KEEP: dict[str, Any] = {"params": {"keep": {"type": "string", "default": "keep"}}}
VARS: dict[str, Any] = {
    "vars": {"seen": "annotation(object, 'example.com/seen')", "hash": "hash(toJson(object.spec))"},
}
OLD = "now - object.metadata.creationTimestamp > "
MISTAKES = {
    "Jinja's braces in a text": Mistake(
        "foreign-braces", "${object.metadata.name}", "Hi {{ object.metadata.name }}", "Hi ${object.metadata.name}", "message"),
    "Kyverno's braces in a text": Mistake(
        "foreign-braces", "${object.metadata.name}", "Hi {{request.object.metadata.name}}", "Hi ${object.metadata.name}",
        "message"),
    "a shell's brackets in a text": Mistake(
        "foreign-braces", "${params.x}", "Hi $(params.x)", "Hi ${params.x}", "message",
        {"params": {"x": {"type": "string", "default": "y"}}}),
    "a text without the dollar": Mistake(
        "foreign-braces", "${object.metadata.name}", "Hi {object.metadata.name}", "Hi ${object.metadata.name}", "message"),
    "Jinja's braces in a condition": Mistake(
        "expression", "CEL without {{ and }}", "{{ object.spec.replicas }} == 1", "object.spec.replicas == 1"),
    "Kyverno's request": Mistake(
        "expression", "expected object", "request.object.spec.replicas == 1", "object.spec.replicas == 1"),
    "a plural for a kind": Mistake(
        "unknown-kind", "no kind pods in v1; expected Pod", {"apiVersion": "v1", "kind": "pods"},
        {"apiVersion": "v1", "kind": "Pod"}, "watch"),
    "a kind in small letters": Mistake(
        "unknown-kind", "expected Deployment", {"apiVersion": "apps/v1", "kind": "deployment"}, DEPLOYMENT, "watch"),
    "a kind of another group": Mistake(
        "unknown-kind", "no kind Pod in apps/v1; expected v1 Pod", {"apiVersion": "apps/v1", "kind": "Pod"},
        {"apiVersion": "v1", "kind": "Pod"}, "watch"),
    "an API version that is gone": Mistake(
        "unknown-kind", "expected networking.k8s.io/v1 Ingress", {"apiVersion": "extensions/v1beta1", "kind": "Ingress"},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}, "watch"),
    "a field that a built-in kind does not have": Mistake(
        "unknown-field", "no field spec.replica; expected 'replicas'", "object.spec.replica > 3", "object.spec.replicas > 3"),
    "a condition that is a number": Mistake(
        "wrong-type", "a condition, such as object.spec.replicas > 0", "object.spec.replicas", "object.spec.replicas > 0"),
    "the status of a condition as a condition": Mistake(
        "wrong-type", "c.status == 'True'", "object.status.conditions.exists(c, c.status)",
        "object.status.conditions.exists(c, c.status == 'True')"),
    "a status in small letters": Mistake(
        "wrong-type", "(did you mean 'True'?)", "object.status.conditions.exists(c, c.status == 'true')",
        "object.status.conditions.exists(c, c.status == 'True')"),
    "a duration of days": Mistake("expression", "expected '168h'", f"{OLD}duration('7d')", f"{OLD}duration('168h')"),
    "a parameter of days": Mistake(
        "no-answer", "expected '168h'", {"age": {"type": "string", "default": "7d"}},
        {"age": {"type": "string", "default": "168h"}}, "params", rule={"when": f"{OLD}duration(params.age)"}),
    "a duration without quotes": Mistake("expression", "expected duration('10m')", f"{OLD}10m", f"{OLD}duration('10m')"),
    "days without quotes": Mistake("expression", "expected duration('168h')", f"{OLD}7d", f"{OLD}duration('168h')"),
    "a date for a time": Mistake(
        "expression", "'2026-01-01T00:00:00Z'", "timestamp('2026-01-01') < now", "timestamp('2026-01-01T00:00:00Z') < now"),
    "a target elsewhere without consent": Mistake(
        "missing-consent", "is in the namespace other", [{**CONFIG_MAP, "verbs": ["list", "watch"]}],
        [{**CONFIG_MAP, "verbs": ["list", "watch"], "consent": "true"}], "targets",
        rule={"lookup": {"x": {**CONFIG_MAP, "name": "x", "namespace": "other"}}, "when": "lookup.x != null"}),
    "a target of an object that has no namespace": Mistake(
        "missing-consent", "which a Namespace does not", PATCHES["targets"],
        [{**CONFIG_MAP, "verbs": ["get", "patch"], "consent": "true"}], "targets",
        watch={"apiVersion": "v1", "kind": "Namespace"},
        rule={**ONCE, "actions": [{"patch": {"target": {**CONFIG_MAP, "name": "x", "namespace": "${object.metadata.name}"},
                                             "patch": {"data": {"a": "b"}}}}]}),
    "polling for what is looked up": Mistake(
        "needless-resync", "expected no resync", {"resync": "1m"}, {}, "rule",
        {"targets": [{**CONFIG_MAP, "verbs": ["list", "watch"]}]},
        {"lookup": {"x": {**CONFIG_MAP, "name": "x"}}, "when": "lookup.x != null"}),
    "Python's not": Mistake("expression", "expected !", "not object.spec.paused", "!object.spec.paused"),
    "Python's and": Mistake(
        "expression", "expected '&&'", "object.spec.paused and object.spec.replicas > 1",
        "object.spec.paused && object.spec.replicas > 1"),
    "Python's if": Mistake(
        "expression", "expected object.spec.paused ? 'a' : 'b'", "${'a' if object.spec.paused else 'b'}",
        "${object.spec.paused ? 'a' : 'b'}", "message"),
    "Python's None": Mistake("expression", "has(object.field)", "object.spec.paused == None", "!has(object.spec.paused)"),
    "Python's is not None": Mistake(
        "expression", "expected has(object.spec.paused), or", "object.spec.paused is not None", "has(object.spec.paused)"),
    "Python's is None": Mistake(
        "expression", "expected lookup.x == null", "lookup.x is None", "lookup.x == null", "when",
        {"targets": [{**CONFIG_MAP, "verbs": ["list", "watch"]}]}, {"lookup": {"x": {**CONFIG_MAP, "name": "x"}}}),
    "Python's not in": Mistake(
        "expression", "expected !(object.metadata.name in …)", "object.metadata.name not in ['a', 'b']",
        "!(object.metadata.name in ['a', 'b'])"),
    "Python's tuple": Mistake(
        "expression", "expected a list: ['a', 'b']", "object.metadata.name in ('a', 'b')", "object.metadata.name in ['a', 'b']"),
    "Jinja's default": Mistake(
        "expression", "expected get(object, \"metadata.labels['x']\", 'y')", "object.metadata.labels['x'] | default('y') == 'y'",
        "get(object, \"metadata.labels['x']\", 'y') == 'y'"),
    "Jinja's filter": Mistake(
        "expression", "expected object.metadata.name.upperAscii()", "object.metadata.name | upper == 'X'",
        "object.metadata.name.upperAscii() == 'X'"),
    "another word for a verb": Mistake(
        "schema", "(did you mean 'delete'?)", [{**CONFIG_MAP, "verbs": ["get", "remove"]}],
        [{**CONFIG_MAP, "verbs": ["get", "delete"]}], "targets"),
    "actions that are no list": Mistake(
        "schema", "a list: put '- ' before 'delete'", {"delete": {}}, [{"delete": {}}], "actions",
        {"targets": [{**DEPLOYMENT, "verbs": ["get", "delete"]}]}),
    "has() of a key": Mistake(
        "expression", "'k' in get(object, 'metadata.labels', {})", "has(object.metadata.labels['k'])",
        "'k' in get(object, 'metadata.labels', {})"),
    "a label with a slash": Mistake(
        "expression", "object.metadata.labels['app.kubernetes.io/name']", "object.metadata.labels.app.kubernetes.io/name == 'x'",
        "object.metadata.labels['app.kubernetes.io/name'] == 'x'"),
    "an annotation with dots, in watch": Mistake(
        "unknown-field", "expected metadata.annotations['example.com/owner']",
        {**DEPLOYMENT, "fields": ["metadata.annotations.example.com/owner"]},
        {**DEPLOYMENT, "fields": ["metadata.annotations['example.com/owner']"]}, "watch"),
    "a key of data with a dot, in watch": Mistake(
        "unknown-field", "expected data['app.yaml']", {**CONFIG_MAP, "fields": ["data.app.yaml"]},
        {**CONFIG_MAP, "fields": ["data['app.yaml']"]}, "watch"),
    "an annotation with dots of a kind that is not known": Mistake(
        "unknown-field", "expected metadata.labels['app.kubernetes.io/name']",
        {**WIDGET, "fields": ["metadata.labels.app.kubernetes.io/name"]},
        {**WIDGET, "fields": ["metadata.labels['app.kubernetes.io/name']"]}, "watch"),
    "an annotation with dots, in get()": Mistake(
        "unknown-field", 'expected metadata.annotations["example.com/owner"]',
        "get(object, 'metadata.annotations.example.com/owner', '') == 'x'",
        "get(object, 'metadata.annotations[\"example.com/owner\"]', '') == 'x'"),
    "a label with dots, in get() of the labels": Mistake(
        "unknown-field", 'expected ["app.io/name"]', "get(object.metadata.labels, 'app.io/name', '') == 'x'",
        "get(object.metadata.labels, '[\"app.io/name\"]', '') == 'x'"),
    "an annotation with dots, in jmespath()": Mistake(
        "unknown-field", 'expected metadata.labels."app.io"', "jmespath(object, 'metadata.labels.app.io') == 'x'",
        "jmespath(object, 'metadata.labels.\"app.io\"') == 'x'"),
    "an annotation with dots, in nest()": Mistake(
        "unknown-field", 'expected metadata.annotations["a.io/b"]',
        [{"patch": {"patch": "${nest('metadata.annotations.a.io/b', 'x')}"}}],
        [{"patch": {"patch": "${nest('metadata.annotations[\"a.io/b\"]', 'x')}"}}], "actions",
        {"targets": [{**DEPLOYMENT, "verbs": ["get", "patch"]}]}, ONCE),
    "a label with dots, as fields": Mistake(
        "wrong-type", "expected object.metadata.labels['app.example.io']", "object.metadata.labels.app.example.io == 'x'",
        "object.metadata.labels['app.example.io'] == 'x'"),
    "a label with dots, as fields of a kind that is not known": Mistake(
        "wrong-type", "expected object.metadata.labels['app.io']", "object.metadata.labels.app.io == 'x'",
        "object.metadata.labels['app.io'] == 'x'", watch=WIDGET),
    "a field below a list": Mistake(
        "unknown-field", "expected status.conditions, which is a list", "get(object, 'status.conditions.type', '') == 'x'",
        "get(object, 'status.conditions', []).exists(c, c.type == 'x')"),
    "a key of a label": Mistake(
        "absent-label", "expected label(object, 'tier') != 'db'", "object.metadata.labels['tier'] != 'db'",
        "label(object, 'tier') != 'db'"),
    "a field of annotations": Mistake(
        "absent-label", "expected annotation(object, 'skip') == ''", "object.metadata.annotations.skip == ''",
        "annotation(object, 'skip') == ''"),
    "no such label": Mistake(
        "absent-label", "expected 'keep' in get(object, 'metadata.labels', {})", "!('keep' in object.metadata.labels)",
        "!('keep' in get(object, 'metadata.labels', {}))"),
    "no such label, by has()": Mistake(
        "absent-label", "expected ('keep' in get(object, 'metadata.labels', {}))", "!has(object.metadata.labels.keep)",
        "!('keep' in get(object, 'metadata.labels', {}))"),
    "a label that is null": Mistake(
        "wrong-type", "expected !('keep' in get(object, 'metadata.labels', {}))", "object.metadata.labels.keep == null",
        "!('keep' in get(object, 'metadata.labels', {}))"),
    "a label that is null, in brackets": Mistake(
        "wrong-type", "expected !('keep' in get(object, 'metadata.labels', {}))", "object.metadata.labels['keep'] == null",
        "!('keep' in get(object, 'metadata.labels', {}))"),
    "a label that is null, by a parameter": Mistake(
        "wrong-type", "expected !(params.keep in get(object, 'metadata.labels', {}))",
        "object.metadata.labels[params.keep] == null", "!(params.keep in get(object, 'metadata.labels', {}))", "when", KEEP),
    "a label that is not null": Mistake(
        "wrong-type", "expected 'keep' in get(object, 'metadata.labels', {})", "object.metadata.labels.keep != null",
        "'keep' in get(object, 'metadata.labels', {})"),
    "a label of an item that is null": Mistake(
        "wrong-type", "expected !('keep' in get(x, 'metadata.labels', {}))",
        "lookup.x.exists(x, x.metadata.labels.keep == null)", "lookup.x.exists(x, !('keep' in get(x, 'metadata.labels', {})))",
        "when", {"targets": [{**CONFIG_MAP, "verbs": ["list", "watch"]}]},
        {"lookup": {"x": {**CONFIG_MAP, "labelSelector": {}}}}),
    "a label that is null, of a kind that is not known": Mistake(
        "wrong-type", "expected !('keep' in get(object, 'metadata.labels', {}))", "object.metadata.labels.keep == null",
        "!('keep' in get(object, 'metadata.labels', {}))", watch=WIDGET),
    "a parameter that is null": Mistake("wrong-type", "expected params.keep == ''", "params.keep == null", "params.keep == ''",
        "when", KEEP),
    "a function that is null": Mistake(
        "wrong-type", "expected label(object, 'x') == ''", "label(object, 'x') == null", "label(object, 'x') == ''"),
    "an item of a list that is null": Mistake(
        "wrong-type", "expected size(get(object, 'metadata.finalizers', [])) > 0", "object.metadata.finalizers[0] != null",
        "size(get(object, 'metadata.finalizers', [])) > 0"),
    "no such label, by has() of a parameter": Mistake(
        "expression", "expected (params.keep in get(object, 'metadata.labels', {}))", "!has(object.metadata.labels[params.keep])",
        "!(params.keep in get(object, 'metadata.labels', {}))", "when", KEEP),
    "a var without vars": Mistake(
        "expression", "expected vars.seen", "vars.seen != '' && seen != vars.hash", "vars.seen != '' && vars.seen != vars.hash",
        "when", VARS),
    "a var without vars, in a text": Mistake(
        "expression", "expected vars.hash", "is ${hash}", "is ${vars.hash}", "message", VARS),
    "a parameter without params": Mistake(
        "expression", "expected params.keep", f"{OLD}duration(keep)", f"{OLD}duration(params.keep)", "when",
        {"params": {"keep": {"type": "string", "default": "1h"}}}),
    "a lookup without lookup": Mistake(
        "expression", "expected lookup.x", "x != null", "lookup.x != null", "when",
        {"targets": [{**CONFIG_MAP, "verbs": ["list", "watch"]}]}, {"lookup": {"x": {**CONFIG_MAP, "name": "x"}}}),
    "item in place of the loopVar": Mistake(
        "expression", "expected port, which is the loopVar of the rule", "port ${item}", "port ${port}", "message", {},
        {"loop": "['80']", "loopVar": "port"}),
    "none of some values of a label": Mistake(
        "absent-label", "expected label(object, 'tier') in ['a', 'b']", "!(object.metadata.labels.tier in ['a', 'b'])",
        "!(label(object, 'tier') in ['a', 'b'])"),
    "no labels": Mistake(
        "absent-label", "expected size(get(object, 'metadata.labels', {})) == 0", "size(object.metadata.labels) == 0",
        "size(get(object, 'metadata.labels', {})) == 0"),
    "the labels of what is looked up": Mistake(
        "absent-label", "expected label(p, 'app') == 'x'", "lookup.x.filter(p, p.metadata.labels.app == 'x').size() > 0",
        "lookup.x.filter(p, label(p, 'app') == 'x').size() > 0", "when",
        {"targets": [{**CONFIG_MAP, "verbs": ["list", "watch"]}]}, {"lookup": {"x": {**CONFIG_MAP, "labelSelector": {}}}}),
    "a label with a hyphen": Mistake(
        "expression", "expected object.metadata.labels['my-label']", "object.metadata.labels.my-label == 'x'",
        "object.metadata.labels['my-label'] == 'x'"),
    "a text without quotes": Mistake(
        "expression", "expected 'web', in quotes", "object.metadata.name == web", "object.metadata.name == 'web'"),
    "a field without the object": Mistake(
        "expression", "expected object.spec", "spec.replicas == 3", "object.spec.replicas == 3"),
    "JavaScript's toLowerCase": Mistake(
        "expression", "text.lowerAscii()", "object.metadata.name.toLowerCase() == 'x'",
        "object.metadata.name.lowerAscii() == 'x'"),
    "a fraction of integers": Mistake(
        "integer-division", "double(object.status.readyReplicas) / double(object.spec.replicas)",
        "object.status.readyReplicas / object.spec.replicas < 0.5",
        "double(object.status.readyReplicas) / double(object.spec.replicas) < 0.5"),
    "a percentage of integers": Mistake(
        "integer-division", "object.status.readyReplicas * 100 / object.spec.replicas",
        "object.status.readyReplicas / object.spec.replicas * 100 < 50",
        "object.status.readyReplicas * 100 / object.spec.replicas < 50"),
    "half of an integer": Mistake(
        "integer-division", "double(object.spec.replicas) / 2.0", "object.spec.replicas / 2 > 0.5",
        "double(object.spec.replicas) / 2.0 > 0.5"),
    "JavaScript's includes": Mistake(
        "includes-in-text", "expected object.metadata.name.contains('web')", "object.metadata.name.includes('web')",
        "object.metadata.name.contains('web')"),
    "a path without braces": Mistake(
        "foreign-braces", "expected ${object.metadata.name}", "object.metadata.name", "${object.metadata.name}", "message"),
    "a sum without braces": Mistake(
        "foreign-braces", "expected ${'At ' + object.metadata.name}", "'At ' + object.metadata.name",
        "${'At ' + object.metadata.name}", "message"),
    "Ansible's is defined": Mistake(
        "expression", "expected has(object.spec.replicas)", "object.spec.replicas is defined", "has(object.spec.replicas)"),
    "Ansible's length": Mistake(
        "expression", "expected size(object.metadata.finalizers)", "object.metadata.finalizers | length > 1",
        "size(object.metadata.finalizers) > 1"),
    "Helm's eq": Mistake(
        "expression", "expected object.metadata.name == 'web'", "eq object.metadata.name 'web'", "object.metadata.name == 'web'"),
    "CPUs as a number": Mistake(
        "wrong-type", "expected quantity(object.spec.template.spec.containers[0].resources.limits.cpu)",
        "object.spec.template.spec.containers[0].resources.limits.cpu > 2",
        "quantity(object.spec.template.spec.containers[0].resources.limits.cpu).isGreaterThan(quantity('2'))"),
    "a list in a text": Mistake(
        "wrong-type", "expected object.metadata.name in ['web', 'api']", "object.metadata.name in 'web,api'",
        "object.metadata.name in ['web', 'api']"),
    "a list of conditions as one text": Mistake(
        "schema", "expected the list without '|'", "- object.spec.replicas > 1\n- object.spec.paused",
        "object.spec.replicas > 1 && object.spec.paused"),
    "a kind without quotes": Mistake(
        "expression", "expected 'Deployment', in quotes", "object.kind == Deployment", "object.kind == 'Deployment'"),
    "Kyverno's operation": Mistake(
        "expression", "expected event: Change or Delete", "request.operation == 'DELETE'", "object.spec.replicas > 1"),
    "a filter of JSONPath": Mistake(
        "expression", "expected object.status.conditions.hasItem({'type': 'Available', 'status': 'True'})",
        "object.status.conditions[?type=='Available'].status == 'True'",
        "object.status.conditions.hasItem({'type': 'Available', 'status': 'True'})"),
    "another filter of JSONPath": Mistake(
        "expression", "expected object.status.conditions.exists(x, x.type == 'Available' && x.status != 'True')",
        "object.status.conditions[?(@.type == 'Available')].status != 'True'",
        "object.status.conditions.exists(x, x.type == 'Available' && x.status != 'True')"),
    "a condition by its name": Mistake(
        "wrong-type", "expected object.status.conditions.filter(x, x.type == 'Available')[0]",
        "object.status.conditions['Available'].status == 'True'",
        "object.status.conditions.filter(x, x.type == 'Available')[0].status == 'True'"),
    "a condition in a list": Mistake(
        "wrong-type", "expected object.status.conditions.exists(x, x.type == 'Available')",
        "'Available' in object.status.conditions", "object.status.conditions.exists(x, x.type == 'Available')"),
    "Python's any": Mistake(
        "expression", "expected object.status.conditions.exists(c, c.type == 'Available')",
        "any(c.type == 'Available' for c in object.status.conditions)",
        "object.status.conditions.exists(c, c.type == 'Available')"),
    "a regular expression between slashes": Mistake(
        "expression", "expected object.metadata.name.matches('^web')", "/^web/.test(object.metadata.name)",
        "object.metadata.name.matches('^web')"),
    "a quantity as a text": Mistake(
        "order-of-texts", "quantity(object.spec.nodeName).isGreaterThan(quantity('1Gi'))", "object.spec.nodeName > '1Gi'",
        "quantity(object.spec.nodeName).isGreaterThan(quantity('1Gi'))", watch={"apiVersion": "v1", "kind": "Pod"}),
    "a number as a text": Mistake(
        "order-of-texts", "int(object.metadata.annotations['a']) > 10", "object.metadata.annotations['a'] > '10'",
        "int(object.metadata.annotations['a']) > 10"),
    "a version with a v": Mistake(
        "no-answer", "expected semver('v1.28', true)", "semver(object.metadata.labels['v']).isLessThan(semver('v1.28'))",
        "semver(object.metadata.labels['v']).isLessThan(semver('v1.28', true))"),
    "a division by zero": Mistake(
        "no-answer", "expected a divisor that is not 0", "object.spec.replicas > 1/0", "object.spec.replicas > 1/2"),
    "has() of what is looked up": Mistake(
        "always-true", "is always true: lookup.x is there, or null; expected lookup.x != null",
        "object.spec.paused && has(lookup.x)", "object.spec.paused && lookup.x != null", "when", LOOKUP, ONE),
    "no has() of what is looked up": Mistake(
        "always-true", "is always false: lookup.x is there, or null; expected lookup.x == null", "!has(lookup.x)",
        "lookup.x == null", "when", LOOKUP, ONE),
    "has() of a list that is looked up": Mistake(
        "always-true", "expected size(lookup.x) > 0", "has(lookup.x)", "size(lookup.x) > 0", "when", LOOKUP, ALL),
    "has() of a parameter": Mistake(
        "always-true", "expected params.keep != ''", "has(params.keep)", "params.keep != ''", "when", KEEP),
    "has() of an input": Mistake(
        "always-true", "expected inputs.ttl != null", "has(inputs.ttl)", "inputs.ttl != null", "when",
        {"inputs": {"ttl": {"annotation": "ttl", "schema": {"type": "array"}}}}),
    "has() of the object before": Mistake(
        "expression", "expected oldObject != null", "has(oldObject) || true", "oldObject != null || object.spec.paused",
        rule={**ONCE}),
    "has() of the object": Mistake(
        "expression", "has(object.status): object itself is always there", "has(object)", "has(object.status)"),
    "a lookup that is compared with a text": Mistake(
        "wrong-type", "expected lookup.x != null", "lookup.x != ''", "lookup.x != null", "when", LOOKUP, ONE),
    "a flag as a condition": Mistake(
        "wrong-type", "expected flags['p'] == 'Enforce'", "flags['p'] == true", "flags['p'] == 'Enforce'"),
    "a flag that is not set": Mistake(
        "wrong-type", "expected flags['p'] != 'Enforce'", "flags['p'] == false", "flags['p'] != 'Enforce'"),
    "a duration without duration()": Mistake(
        "wrong-type", "expected now - duration('24h')", "object.metadata.creationTimestamp < now - '24h'",
        "object.metadata.creationTimestamp < now - duration('24h')"),
    "a year for a time": Mistake(
        "order-of-texts", "> timestamp('2026-01-01T00:00:00Z')", "object.metadata.creationTimestamp > '2026'",
        "object.metadata.creationTimestamp > timestamp('2026-01-01T00:00:00Z')"),
    "a path without quotes": Mistake(
        "expression", "expected 'spec.replicas', in quotes", "get(object, spec.replicas, 1) > 1",
        "get(object, 'spec.replicas', 1) > 1"),
    "all namespaces of a lookup as a star": Mistake(
        "refused-name", "namespaceSelector: {} with labelSelector: {}",
        {"lookup": {"x": {**CONFIG_MAP, "namespace": "*", "labelSelector": {}}}},
        {"lookup": {"x": {**CONFIG_MAP, "namespaceSelector": {}, "labelSelector": {}}}}, "rule",
        {"targets": [{**CONFIG_MAP, "verbs": ["list", "watch"], "consent": "true"},
                     {"apiVersion": "v1", "kind": "Namespace", "verbs": ["list", "watch"]}]}, {"when": "size(lookup.x) > 1"}),
    "a namespace of a lookup without braces": Mistake(
        "refused-name", "expected ${object.metadata.namespace}",
        {"lookup": {"x": {**CONFIG_MAP, "name": "x", "namespace": "object.metadata.namespace"}}},
        {"lookup": {"x": {**CONFIG_MAP, "name": "x", "namespace": "${object.metadata.namespace}"}}}, "rule", LOOKUP,
        {"when": "lookup.x != null"}),
    "Ansible's delay": Mistake(
        "schema", "expected retry: {backoff: 2s}, or 'for'", {"delay": 2}, {"retry": {"backoff": "2s"}}, "rule"),
    "Kyverno's operations": Mistake("schema", "expected event: Change", {"operations": ["UPDATE"]}, {"event": "Change"}, "rule"),
    "null for an object that is not being deleted": Mistake(
        "wrong-type", "expected !has(object.metadata.deletionTimestamp)", "object.metadata.deletionTimestamp == null",
        "!has(object.metadata.deletionTimestamp)"),
    "null for an object of a kind that is not known, that is being deleted": Mistake(
        "wrong-type", "expected has(object.metadata.deletionTimestamp)", "object.metadata.deletionTimestamp != null",
        "has(object.metadata.deletionTimestamp)", watch=WIDGET),
    "null for a time that is left out": Mistake(
        "wrong-type", "expected !has(object.status.completionTime)", "object.status.completionTime == null",
        "!has(object.status.completionTime)", watch={"apiVersion": "batch/v1", "kind": "Job"}),
    "a condition's type that a Job does not have": Mistake(
        "wrong-type", "(did you mean 'Complete'?)",
        "object.status.conditions.exists(c, c.type == 'Completed' && c.status == 'True')",
        "object.status.conditions.exists(c, c.type == 'Complete' && c.status == 'True')",
        watch={"apiVersion": "batch/v1", "kind": "Job"}),
    "a flag in small letters": Mistake(
        "wrong-type", "(did you mean 'Enforce'?)", "flags['p'] == 'enforce'", "flags['p'] == 'Enforce'"),
    "a status without the subresource": Mistake(
        "unknown-field", "expected subresource: status", [{"patch": {"patch": {"status": {"replicas": 0}}}}],
        [{"patch": {"subresource": "status", "patch": {"status": {"replicas": 0}}}}], "actions",
        {"targets": [{**DEPLOYMENT, "verbs": ["get", "patch", "patch/status"]}]}, ONCE),
    "a spec with the subresource of the status": Mistake(
        "unknown-field", "expected a patch of its own",
        [{"patch": {"subresource": "status", "patch": {"spec": {"replicas": 0}}}}],
        [{"patch": {"patch": {"spec": {"replicas": 0}}}}], "actions",
        {"targets": [{**DEPLOYMENT, "verbs": ["get", "patch", "patch/status"]}]}, ONCE),
    "a label without a blank after the colon": Mistake(
        "schema", "expected a blank after the colon: app: web", {**DEPLOYMENT, "labelSelector": {"app:web": None}},
        {**DEPLOYMENT, "labelSelector": {"app": "web"}}, "watch"),
    "one sign for two": Mistake("expression", "expected '=='", "object.spec.replicas = 3", "object.spec.replicas == 3"),
    "a pattern of file names": Mistake(
        "expression", "'.*' in place of '*'", "object.metadata.name.matches('*-web')", "object.metadata.name.matches('.*-web')"),
    "a word for a duration": Mistake("schema", "5m", "5 minutes", "5m", "for"),
    "an Event's type in small letters": Mistake("schema", "(did you mean 'Warning'?)", "warning", "Warning", "type"),
    "another language's loop": Mistake("schema", "expected 'loop'", {"foreach": "[1]"}, {"loop": "[1]"}, "rule"),
    "another language's action": Mistake(
        "schema", "expected 'patch'", [{"update": {}}], [{"annotate": {"annotations": {"a": "b"}}}], "actions"),
    "a number glued to a text": Mistake(
        "wrong-type", "string(object.spec.replicas)", "${'n' + object.spec.replicas}", "${'n' + string(object.spec.replicas)}",
        "message"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_typical_mistake_is_found_and_nothing_else(mistake: Mistake) -> None:
    """By its code, and with what to write instead; a second fault that is only a consequence would mislead."""
    faults = found(text(mistake, mistake.wrong))
    assert [code for code, _ in faults if code != "unused-target"] == [mistake.code], faults
    assert mistake.said in next(said for code, said in faults if code == mistake.code), faults


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_advice_can_be_followed(mistake: Mistake) -> None:
    """With what is advised in the place of the mistake there is nothing to be found."""
    assert [fault for fault in found(text(mistake, mistake.right)) if fault[0] != "unused-target"] == []


def test_there_are_29_of_them() -> None:
    """So many were found by people who wrote their first rules."""
    assert len(MISTAKES) >= 29


PAUSED, TIER = "object.spec.paused", "label(object, 'tier')"
CONDITIONS = "object.status.conditions"
READY, WANTED = "object.status.readyReplicas", "object.spec.replicas"
APART = {
    "a condition and its opposite": (f"{PAUSED} && {WANTED} > 3", f"!({PAUSED} && {WANTED} > 3)"),
    "a comparison and its opposite": (f"{READY} == {WANTED}", f"{READY} != {WANTED}"),
    "an order and its opposite": (f"{READY} < {WANTED}", f"{WANTED} <= {READY}"),
    "a list and another value": (f"{TIER} in ['a', 'b']", f"{TIER} == 'c'"),
    "a list and none of it": (f"{TIER} in ['a', 'b']", f"!({TIER} in ['a', 'b'])"),
    "two ranges": (f"{WANTED} > 3", f"{WANTED} < 3"),
    "a number and a range": ("size(object.status.conditions) == 0", "size(object.status.conditions) > 0"),
    "neither of two": (PAUSED, f"!({PAUSED} || {WANTED} > 3)"),
    "a field that is there or not": (f"has({PAUSED})", f"!has({PAUSED})"),
    "one item and none": (f"{CONDITIONS}.exists(c, c.type == 'a')", f"{CONDITIONS}.all(c, !(c.type == 'a'))"),
    "one item and none, by another name": (f"{CONDITIONS}.exists(c, c.type == 'a')", f"{CONDITIONS}.all(d, d.type != 'a')"),
    "all items and not all": (f"{CONDITIONS}.all(c, c.type in ['a'])", f"{CONDITIONS}.exists(c, !(c.type in ['a']))"),
    "both, and one of both not": (f"has({PAUSED}) && {WANTED} > 3", f"!has({PAUSED}) || {WANTED} <= 3"),
    "one of both, and neither": (f"has({PAUSED}) || {WANTED} > 3", f"{WANTED} <= 3 && !has({PAUSED})"),
    "a list, and each of it not": (f"{TIER} in ['a', 'b']", f"{TIER} != 'a' && {TIER} != 'b'"),
    "both, and one of both otherwise": (f"{WANTED} > 0 && {TIER} == 'b'", f"{WANTED} == 0 || {TIER} != 'b'"),
    "one of both, and one of two others": (f"{WANTED} == 1 || {WANTED} == 2", f"{WANTED} > 3 || {WANTED} < 1 && {PAUSED}"),
    "a condition of a status, and of another": (
        f"{CONDITIONS}.exists(c, c.type == 'a' && c.status == 'True')",
        "get(object, 'status.conditions', []).exists(d, d.status in ['False', 'Unknown'] && d.type == 'a')",
    ),
    "an item of a condition, and another": (
        f"{CONDITIONS}.hasItem({{'type': 'a', 'status': 'True'}})",
        f"{CONDITIONS}.exists(c, c.type == 'a' && c.status != 'True')",
    ),
    "a condition of a status, and none": (
        f"{CONDITIONS}.exists(d, d.status == 'True' && d.type == 'a')",
        f"!{CONDITIONS}.exists(c, c.type == 'a')",
    ),
    "lists of values between ||": (f"{TIER} == 'a' || {TIER} == 'b'", f"{TIER} == 'c' || {TIER} in ['d', 'e']"),
}


def two_rules(one: dict[str, Any], other: dict[str, Any]) -> Text:
    """A pack with two rules that write the same label."""
    rules = [
        {"name": name, "actions": [{"label": {"labels": {"a": name}}}], **fields} for name, fields in (("x", one), ("y", other))
    ]
    spec = {"watch": DEPLOYMENT, "rules": rules}
    body = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "p"}, "spec": spec}
    return Text("pack.yaml", json.dumps(body), "pack.yaml")


@pytest.mark.parametrize(("one", "other"), APART.values(), ids=APART.keys())
def test_rules_that_exclude_one_another_may_write_the_same(one: str, other: str) -> None:
    """No false alarm, whichever comes first, and also where the conditions are those of the actions."""
    assert found(two_rules({"when": one}, {"when": other})) == []
    assert found(two_rules({"when": other}, {"when": one})) == []
    of_actions = [
        {"actions": [{"when": each, "annotate": {"annotations": {"a": value}}}]} for each, value in ((one, "x"), (other, "y"))
    ]
    assert found(two_rules(*of_actions)) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("object.spec.replicas > 3", "object.spec.replicas < 5"), ("object.spec.paused", "object.spec.replicas > 3"),
     (f"{TIER} in ['a', 'b']", f"{TIER} == 'b'"), (f"{TIER} != 'a'", f"{TIER} != 'b'"),
     ("!(object.spec.paused && object.spec.replicas > 3)", "object.spec.paused"),
     (f"{CONDITIONS}.exists(c, c.type == 'a')", f"{CONDITIONS}.exists(c, c.type != 'a')"),
     (f"{CONDITIONS}.all(c, c.type == 'a')", f"{CONDITIONS}.all(c, c.type != 'a')"),
     (f"{CONDITIONS}.exists(c, c.type == 'a' && c.status == 'True')",
      f"{CONDITIONS}.exists(c, c.type == 'b' && c.status == 'False')"),
     (f"{CONDITIONS}.exists(c, c.type in ['a', 'b'] && c.status == 'True')",
      f"{CONDITIONS}.exists(c, c.type in ['a', 'b'] && c.status == 'False')"),
     ("object.spec.template.spec.containers.exists(c, c.name == 'a' && c.image == 'x')",
      "object.spec.template.spec.containers.exists(c, c.name != 'a' && c.image == 'y')"),
     (f"{CONDITIONS}.exists(c, c.type == 'a' && c.status == 'True')", f"!{CONDITIONS}.exists(c, c.type == 'b')"),
     (f"{TIER} in ['a', 'b', 'c']", f"{TIER} != 'a' && {TIER} != 'b'"),
     (f"{WANTED} > 0 && {TIER} == 'b'", f"{WANTED} == 0 || {TIER} != 'c'"),
     (f"{PAUSED} && ({WANTED} == 1 || {WANTED} == 2) || {TIER} == 'a' && ({WANTED} == 3 || {WANTED} == 4)",
      f"!{PAUSED} && ({WANTED} == 1 || {WANTED} == 2) || {TIER} != 'b' && ({WANTED} == 3 || {WANTED} == 4)"),
     (f"{WANTED} == 1 || {PAUSED}", f"{WANTED} == 2 || {TIER} == 'a'"),
     (f"{TIER} == 'a' || {TIER} == 'b'", f"{TIER} == 'c' || {PAUSED}")],
)  # fmt: skip
def test_rules_that_can_both_fire_may_not(one: str, other: str) -> None:
    """What can be true of one object is reported, also of a field of another object."""
    assert [code for code, _ in found(two_rules({"when": one}, {"when": other}))] == ["same-annotation"]
    target = {"target": {**CONFIG_MAP, "name": "x"}}
    fights = [{"when": each, "throttle": {"every": "1m"}, "actions": [{"patch": {**target, "patch": {"data": {"k": value}}}}]}
              for each, value in ((one, "1"), (other, "2"))]  # fmt: skip
    body = json.loads(two_rules(*fights).text)
    body["spec"] |= PATCHES
    faults = found(Text("pack.yaml", json.dumps(body), "pack.yaml"))
    assert [code for code, _ in faults] == ["same-annotation"]
    assert "also writes field data.k of the same object" in faults[0][1]


def test_packs_of_other_labels_may_write_the_same() -> None:
    """An object has one value of a label, so that two packs that want different ones never meet."""
    texts = []
    for name in ("one", "two"):
        spec = {"watch": {**DEPLOYMENT, "labelSelector": {"tier": name}},
                "rules": [{"name": "r", "actions": [{"label": {"labels": {"a": name}}}]}]}  # fmt: skip
        body = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": name}, "spec": spec}
        texts.append(Text(name, json.dumps(body), name))
    assert lint(texts, backend())[1] == []


NO_MISTAKES = {
    "braces of another's template": "Hi {{ .name }} and {{.app.metadata.name}}",
    "a price in dollars": "costs $5 and ${object.metadata.name}",
    "JSON in a text": '{"object": 1, "params": {"a": 2}}',
}


@pytest.mark.parametrize("message", NO_MISTAKES.values(), ids=NO_MISTAKES.keys())
def test_what_is_meant_is_left_alone(message: str) -> None:
    """Braces are reported only where they name what rules know."""
    assert found(text(Mistake("", "", "", "", "message"), message)) == []


@pytest.mark.parametrize(
    "condition",
    ["object.spec.replicas / 2 > 1", "params.x == '' || now > timestamp(params.x)", "object.metadata.labels.since > '2026-01-01'",
     "now - object.metadata.creationTimestamp > duration('1h')"],
)  # fmt: skip
def test_sound_conditions_are_left_alone(condition: str) -> None:
    """Whole numbers may be divided, a param may be empty where that is asked first, and dates have an order as texts."""
    spec = {"params": {"x": {"type": "string", "default": ""}}} if "params" in condition else {}
    assert found(text(Mistake("", "", "", "", spec=spec), condition)) == []


@pytest.mark.parametrize(
    "condition",
    ["object.metadata.labels.tier == 'web'", "'keep' in object.metadata.labels", "object.metadata.labels['tier'] in ['a', 'b']",
     "object.metadata.labels.tier == 'web' || object.spec.paused", "!(object.metadata.labels.tier != 'web')",
     "has(object.metadata.labels) && !('keep' in object.metadata.labels)",
     "!has(object.metadata.labels) || object.metadata.labels['tier'] != 'db'",
     "object.metadata.?labels.tier.orValue('') != 'db'", "object.?metadata.labels[?'tier'].orValue('') != 'db'",
     "'tier' in object.metadata.labels && object.metadata.labels.tier != 'db'",
     "label(object, 'tier') != '' && object.metadata.labels.tier != 'db'",
     "object.spec.template.metadata.labels['tier'] != 'db'", "object.spec.paused ? object.metadata.labels.tier == 'a' : true"],
)  # fmt: skip
def test_labels_that_need_not_be_there_are_left_alone(condition: str) -> None:
    """No answer and false come to the same, and what asks first has an answer."""
    assert found(text(Mistake("", "", "", ""), condition)) == []


@pytest.mark.parametrize(
    ("watch", "condition"),
    [({**DEPLOYMENT, "labelSelector": "tier,env!=test"}, "object.metadata.labels.tier != 'db'"),
     ({**DEPLOYMENT, "labelSelector": {"a": "b"}}, "!('keep' in object.metadata.labels)"),
     ({**DEPLOYMENT, "labelSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]}},
      "object.metadata.labels.tier != 'a'"),
     ({"apiVersion": "v1", "kind": "Node"}, "!('node-role.kubernetes.io/control-plane' in object.metadata.labels)")],
)  # fmt: skip
def test_labels_that_are_selected_are_there(watch: dict[str, Any], condition: str) -> None:
    """Those of a selector, and those that each object of a kind has."""
    assert found(text(Mistake("", "", "", "", watch=watch), condition)) == []


@pytest.mark.parametrize("selector", ["!tier", "env!=test", "env notin (a,b)"])
def test_labels_that_are_selected_away_are_not_there(selector: str) -> None:
    """An object without any label is selected too."""
    watch = {**DEPLOYMENT, "labelSelector": selector}
    faults = found(text(Mistake("", "", "", "", watch=watch), "object.metadata.labels.env != 'x'"))
    assert [code for code, _ in faults] == ["absent-label"]


def test_what_is_shipped_has_no_fault() -> None:
    """No warning either: of the shipped packs, of the examples, and of what `rulepack new` writes."""
    packs = [ROOT / "rules", ROOT / "engine/cli/skeleton/pack.yaml", *sorted(ROOT.glob("examples/**/pack.yaml"))]
    faults = lint(load_folder(packs), backend())[1]
    assert [f"{fault.location}: {fault.text}" for fault in faults] == []
