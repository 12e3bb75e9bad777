"""What lint says of the types of conditions: the kinds of mistake that it finds, and real conditions that it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cel import backend
from engine.packs.crds import read_definitions
from engine.packs.lint import lint
from engine.packs.sources import Text
from tests.unit.packs.packs import pack

DEFINITIONS = read_definitions([Path(__file__).parents[2] / "lint/wrong-type-custom/crds.yaml"])

#: Condition -> what lint expects instead, in its own words.
FAULTS = {
    "object.spec.replicas == '3'": "object.spec.replicas == 3",
    "object.spec.replicas != '3'": "object.spec.replicas != 3",
    "object.spec.replicas < '3'": "object.spec.replicas < 3",
    "object.spec.replicas in ['1', '2']": "string(object.spec.replicas) in ['1', '2']",
    "object.spec.suspend == 'true'": "object.spec.suspend == true",
    "object.spec.suspend == 1": "two values of the same type",
    "object.spec.name == 3": "object.spec.name == '3'",
    "object.spec.name > 41": "int(object.spec.name) > 41",
    "object.spec.name == null": "!has(object.spec.name)",
    "object.spec.name == object.spec.replicas": "int(object.spec.name) == object.spec.replicas",
    "object.spec.name + 1 == 'a1'": "object.spec.name + '1'",
    "object.spec.replicas + object.spec.name == 'a'": "string(object.spec.replicas) + object.spec.name",
    "object.spec.replicas * 1.5 > 2.0": "double(object.spec.replicas) * 1.5",
    "now - object.spec.name > duration('1h')": "now - timestamp(object.spec.name)",
    "object.spec.name < now": "timestamp(object.spec.name) < now",
    "object.spec.name.getHours() == 3": "timestamp(object.spec.name).getHours()",
    "object.status.startTime == 'yesterday'": "a time such as 2026-01-24T22:30:00Z",
    "object.status.startTime == 3": "a time such as 2026-01-24T22:30:00Z",
    "now - object.status.startTime > 3600": "now - object.status.startTime > duration('3600s')",
    "now - object.status.startTime > '2d'": "now - object.status.startTime > duration('48h')",
    "object.spec.replicas > duration('1m')": "duration(string(object.spec.replicas) + 's') > duration('1m')",
    "object.spec.items.sum() > 3": "list(int).sum()",
    "object.spec.name.isGlobalUnicast()": "ip(object.spec.name).isGlobalUnicast()",
    "object.spec.suspend == 'True'": "object.spec.suspend == true",
    "object.spec.limits": "a condition, such as has(object.spec.limits)",
    "now - timestamp(object.status.startTime) > 3600": "two values that fit each other",
    "now - timestamp(object.status.startTime) > '1h'": "two values that fit each other",
    "size(object.spec.replicas) > 1": "size(",
    "object.spec.replicas.size() > 1": "string(object.spec.replicas).size()",
    "object.spec.items['a'] == 'b'": "two values that fit each other",
    "object.spec.name.foo == 'a'": "an object or a map",
    "object.spec.replicas.foo == 1": "an object or a map",
    "'a' in object.spec.name": "object.spec.name.contains('a')",
    "3 in object.spec.items": "'3' in object.spec.items",
    "object.spec.replicas.startsWith('a')": "string(object.spec.replicas).startsWith('a')",
    "object.spec.items.startsWith('a')": "string.startsWith(string)",
    "object.spec.name.startsWith(1)": "string",
    "object.spec.name.exists(c, c == 'a')": "a list or a map",
    "object.spec.items.exists(i, i == 1)": "i == '1'",
    "object.spec.items.exists(i, i.name == 'a')": "an object or a map",
    "object.spec.parts.exists(p, p.nmae == 'a')": "'name' (did you mean that?)",
    "object.spec.parts.all(p, p.size == '1')": "p.size == 1",
    "object.spec.parts.filter(p, p.size)": "a condition",
    "object.status.phase == 'Succeded'": "Pending, Running, Succeeded or Failed (did you mean 'Succeeded'?)",
    "get(object, 'status.phase', '') == 'Done'": "Pending, Running, Succeeded or Failed",
    "object.status.phase in ['Done', 'Failed']": "Pending, Running, Succeeded or Failed",
    "object.status.phse == 'Failed'": "'phase' (did you mean that?)",
    "has(object.spec.replica)": "'replicas' (did you mean that?)",
    "object.spec.?limts.?memory.orValue('') == ''": "'limits' (did you mean that?)",
    "object.spec.limits.memory > quantity('1Gi')": "quantity(object.spec.limits.memory).isGreaterThan(quantity('1Gi'))",
    "quantity('1Gi') >= object.spec.limits.memory": "quantity('1Gi').compareTo(quantity(object.spec.limits.memory)) >= 0",
    "object.spec.limits.memory.isGreaterThan(quantity('1Gi'))":
        "quantity(object.spec.limits.memory).isGreaterThan(quantity('1Gi'))",
    "object.spec.labels.app == 1": "object.spec.labels.app == '1'",
    "object.spec.?replicas.orValue('1') == 1": "object.spec.?replicas.orValue(1)",
    "object.spec.?replicas == 1": "two values of the same type",
    "object.spec.port == true": "object.spec.port == 'true'",
    "object.spec.replicas == null": "!has(object.spec.replicas)",
    "size(object.spec.items)": "a condition, such as size(object.spec.items) > 0",
    "'x'": "a condition (true or false)",
    "{'a': 1}": "a condition (true or false)",
    "object.spec.items.map(i, i)": "a condition, such as size(object.spec.items.map(i, i)) > 0",
    "object.spec.replicas && true": "a condition, such as object.spec.replicas > 0",
    "object.spec.replicas ? true : false": "a condition, such as object.spec.replicas > 0",
    "!object.spec.name": "a condition, such as object.spec.name != ''",
    "vars.count == '3'": "vars.count == 3",
    "params.limit == '3'": "params.limit == 3",
    "params.limit.name == '3'": "an object or a map",
    "params.ratio * 2 > 1.0": "params.ratio * 2.0",
    "inputs.wait.tme == 3": "'time' (did you mean that?)",
    "inputs.wait.time > 'a'": "string(inputs.wait.time) > 'a'",
    "lookup.pods.exists(p, p.status.phse == 'Failed')": "'phase' (did you mean that?)",
    "lookup.pods.exists(p, p.spec.containers[0].ports[0].containerPort == '80')":
        "p.spec.containers[0].ports[0].containerPort == 80",
    "lookup.pod.spec.nodename == 'a'": "'nodeName' (did you mean that?)",
    "cel.bind(r, object.spec.replicas, r == '3')": "r == 3",
    "oldObject.spec.replicas == '3'": "oldObject.spec.replicas == 3",
    "flags.x == true": "flags.x == 'Enforce'",
}  # fmt: skip
SOUND = (
    "object.spec.replicas == 3 && object.spec.replicas > 1.5",
    "object.spec.ratio * 2.0 > 1.0 || object.spec.ratio > 1",
    "object.spec.port == 80 || object.spec.port == 'http' || object.spec.port > 80",
    "type(object.spec.port) == int ? object.spec.port > 80 : object.spec.port.startsWith('h')",
    "object.spec.note == null || object.spec.note.startsWith('a')",
    "now - timestamp(object.status.startTime) > duration('24h')",
    "now - object.status.startTime > duration('24h') || object.status.startTime == object.status.endTime",
    "now - duration('1h') > object.metadata.creationTimestamp && object.metadata.creationTimestamp.getHours() < 6",
    "object.status.endTime - object.status.startTime > duration('1h')",
    "object.status.endTime == object.status.startTime",
    "object.status.endTime < timestamp('2026-01-24T22:30:00Z') || object.status.endTime + '/x' == 'a'",
    "object.status.endTime == '' || object.status.endTime == '2026-01-24T22:30:00Z'",
    "isTime(object.status.endTime) && string(object.status.endTime).startsWith('2026')",
    "get(object, 'status.phase', 'None') in ['None', 'Failed']",
    "get(object, 'spec.replicas', null) == null || get(object, 'spec.replicas', '') == ''",
    "object.status.phase != '' && object.status.phase.lowerAscii() == 'x'",
    "object.spec.free.anything.goes == 1 && object.spec.free.other == 'a'",
    "object.spec.labels.exists(k, k.startsWith('a') && object.spec.labels[k] == 'b')",
    "object.spec.labels.all(k, v, k == v) && object.spec.items.all(i, v, i >= 0 && v != '')",
    "object.spec.?limits.?memory.orValue('1Gi').startsWith('1')",
    "object.spec.limits.?memory.optMap(m, quantity(m).isGreaterThan(quantity('1Gi'))).orValue(false)",
    "object.spec.parts.map(p, p.size).sum() > 3 && object.spec.parts.map(p, p.name).join(',') != ''",
    "object.spec.parts.sortBy(p, p.size)[0].name == 'a'",
    "'memory' in object.spec.limits && object.spec.limits['memory'] == '1Gi'",
    "oldObject == null || oldObject.spec != object.spec",
    "vars.count > 3 && params.limit > 3 && inputs.wait != null && inputs.wait.time > 1",
    "params.ratio * 2.0 > 1.0 && params.ratio > 1",
    "lookup.pod == null || lookup.pod.status.phase == 'Running'",
    "lookup.pods.filter(p, p.status.conditions.exists(c, c.type == 'Ready')).size() > 1",
    "jmespath(object, 'spec.items[0]') == 'a' && annotation(object, 'a/b') == '1'",
    "object.metadata.ownerReferences.exists(o, o.controller && o.kind == 'Job')",
    "object.spec.items + ['a'] != [] && [1, 'a', null].exists(x, x == 1) && {} != {'a': 1}",
    "object.spec.items.transformMap(i, v, v + 'x')[0] == 'ax' && dyn(object.spec.replicas) == 'a'",
)


def said(condition: str, kind: str = "Widget", api_version: str = "example.com/v1") -> list[tuple[str, str]]:
    """The code and the expectation of each fault of types in a condition."""
    watch = {"apiVersion": api_version, "kind": kind}
    target = {"apiVersion": "v1", "kind": "Pod"}
    schema = {"type": "object", "properties": {"time": {"type": "integer"}}, "additionalProperties": False}
    text = pack(
        watch=watch,
        params={"limit": {"type": "integer", "default": 3}, "ratio": {"type": "number", "default": 1}},
        inputs={"wait": {"annotation": "example.com/wait", "format": "yaml", "schema": schema}},
        vars={"count": "size(object.spec.items)"} if kind == "Widget" else {},
        targets=[{**target, "verbs": ["list", "watch"], "consent": "true"}],
        rules=[
            {
                "name": "rule",
                "lookup": {"pods": {**target, "labelSelector": {"a": "b"}}, "pod": {**target, "name": "a"}},
                "when": [condition],
                "actions": [{"annotate": {"annotations": {"example.com/a": "b"}}}],
            }
        ],
    )
    _, faults = lint([Text("pack.yaml", text, "pack.yaml")], backend(), DEFINITIONS)
    return [(fault.code, fault.expected) for fault in faults if fault.code not in ("now-written", "dead-rule", "missed-change")]


@pytest.mark.parametrize("condition", FAULTS)
def test_a_faulty_condition_is_refused(condition: str) -> None:
    """A condition that can never hold by its types is one fault, which says what to write instead."""
    ((code, expected),) = said(condition)[:1]

    assert code in ("wrong-type", "unknown-field", "expression")
    assert FAULTS[condition] in expected


@pytest.mark.parametrize("condition", SOUND)
def test_a_sound_condition_is_left_alone(condition: str) -> None:
    """What can hold has no fault."""
    assert said(condition) == []


def test_without_a_schema_nothing_is_said_of_fields() -> None:
    """Of a kind that is not known, any field may be there, of any type."""
    assert said("object.spec.replicas == '3' && object.spec.foo.bar > 1", kind="Gadget") == []


@pytest.mark.parametrize(
    ("kind", "condition", "expected"),
    [
        ("v1 Pod", "object.status.podIp == '1.2.3.4'", "'podIP' (did you mean that?)"),
        ("v1 Pod", "object.spec.containers.exists(c, c.image == 1)", "c.image == '1'"),
        ("apps/v1 Deployment", "object.spec.replicas == '3'", "object.spec.replicas == 3"),
        ("v1 Pod", "object.status.phase == 'Runing'", "Failed, Pending, Running, Succeeded or Unknown (did you mean 'Running'?)"),
        ("v1 Pod", "object.spec.containers.exists(c, c.imagePullPolicy == 'Alway')", "Always, IfNotPresent or Never"),
        ("v1 Service", "object.spec.type == 'Loadbalancer'", "LoadBalancer or NodePort (did you mean 'LoadBalancer'?)"),
        ("v1 Service", "object.spec.type in ['NodePort', 'Loadbalancer']", "(did you mean 'LoadBalancer'?)"),
        ("v1 Service", "object.spec.ports.exists(p, p.protocol == 'tcp')", "SCTP, TCP or UDP"),
        ("batch/v1 CronJob", "object.spec.concurrencyPolicy == 'forbid'", "Allow, Forbid or Replace (did you mean 'Forbid'?)"),
        ("batch/v1 Job", "now - object.status.startTime > 3600", "duration('3600s')"),
        ("v1 Secret", "object.data.password == 3", "object.data.password == '3'"),
        ("rbac.authorization.k8s.io/v1 ClusterRole", "object.rules[0].verb == ['*']", "'verbs' (did you mean that?)"),
    ],
)
def test_the_kinds_of_kubernetes_are_known(kind: str, condition: str, expected: str) -> None:
    """Their types are those of the models that Kubernetes' Python client ships, their enums those of kube-apiserver."""
    api_version, name = kind.split()

    ((_, found),) = said(condition, name, api_version)
    assert expected in found


def test_a_kind_of_another_group_is_not_taken_for_one_of_kubernetes() -> None:
    """A Service of serving.knative.dev is no v1 Service."""
    assert said("object.spec.template.spec == 1", "Service", "serving.knative.dev/v1") == []
