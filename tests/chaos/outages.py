"""Outages that last: of the API server, a quota, a webhook, a policy, a right, a CRD. Effects are counted by the audit log."""

from __future__ import annotations

import shlex
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from aiohttp import web

from engine.model.objects import Kind, Object
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.e2e.gateway import Gateway
from tests.world import named

WIDGET = Kind("outages.example.com/v1", "Widget")
ANSWERS: Mapping[str, tuple[int, str, str]] = {
    "e500": (500, "InternalError", "Internal error occurred: the disk is full"),
    "e503": (503, "ServiceUnavailable", "the server is currently unable to handle the request"),
    "e429": (429, "TooManyRequests", "the server has received too many requests"),
    "e403": (403, "Forbidden", 'configmaps "x" is forbidden: User "x" cannot get resource "configmaps" in API group ""'),
    "cut": (0, "", ""),
}
"""What the gateway answers to a request about the targets of these lanes."""
REAL = ("quota", "webhook", "policy", "right", "kind")
"""The lanes on which the API server itself refuses."""
LANES = (*ANSWERS, *REAL)
EACH = 3
"""How many objects wait on each lane."""
ADMISSION = "/apis/admissionregistration.k8s.io/v1/"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.outages.example.com"},
    "spec": {
        "group": "outages.example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{
            "name": "v1", "served": True, "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        }],
    },
}  # fmt: skip
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: outages}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {outage: source}}
  targets:
    - {apiVersion: v1, kind: ConfigMap, verbs: [get, patch]}
    - {apiVersion: v1, kind: ServiceAccount, verbs: [get, patch]}
    - {apiVersion: v1, kind: Secret, verbs: [get, create, patch]}
    - {apiVersion: outages.example.com/v1, kind: Widget, verbs: [get, create, patch]}
  vars: {lane: "label(object, 'lane')", target: "object.metadata.name + '-target'"}
  rules:
    - name: patch
      when: "!(vars.lane in ['quota', 'right', 'kind'])"
      oncePer: object.metadata.uid
      actions:
        - label: {target: {apiVersion: v1, kind: ConfigMap, name: '${vars.target}'}, labels: {done: 'yes'}}
        - emitEvent: {type: Normal, reason: Done, message: '${vars.target}'}
    - name: right
      when: vars.lane == 'right'
      oncePer: object.metadata.uid
      actions:
        - label: {target: {apiVersion: v1, kind: ServiceAccount, name: '${vars.target}'}, labels: {done: 'yes'}}
        - emitEvent: {type: Normal, reason: Done, message: '${vars.target}'}
    - name: quota
      when: vars.lane == 'quota'
      oncePer: object.metadata.uid
      actions:
        - apply: {manifest: {apiVersion: v1, kind: Secret, metadata: {name: '${vars.target}'}}}
        - emitEvent: {type: Normal, reason: Done, message: '${vars.target}'}
    - name: kind
      when: vars.lane == 'kind'
      oncePer: object.metadata.uid
      actions:
        - apply: {manifest: {apiVersion: outages.example.com/v1, kind: Widget, metadata: {name: '${vars.target}'}}}
        - emitEvent: {type: Normal, reason: Done, message: '${vars.target}'}
"""


class OutageGateway(Gateway):
    """A Gateway that refuses requests about targets on the lanes of ANSWERS while `refuses` is true; `asked` counts them all."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(plane)
        self.refuses = False
        self.asked: Counter[str] = Counter()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        target = request.path.rpartition("/")[2]
        if target.endswith("-target"):
            self.asked[target] += 1
            lane = target.partition("-")[0]
            if self.refuses and lane in ANSWERS:
                return self._refuse(request, *ANSWERS[lane])
        return await super()._pass_on(request)

    @staticmethod
    def _refuse(request: web.Request, code: int, reason: str, message: str) -> web.Response:
        if not code:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}
        return web.json_response(status, status=code)


class Outage:
    """Everything that stands in the way, each on a lane of its own."""

    def __init__(self, plane: ControlPlane, namespace: str, gateway: OutageGateway) -> None:
        self.plane, self.namespace, self.gateway = plane, namespace, gateway
        self.cluster = Cluster(plane, namespace)

    def begin(self) -> None:
        """Stand in the way of all lanes, and wait until the API server obeys."""
        self.gateway.refuses = True
        quota = named(Kind("v1", "ResourceQuota"), "full", self.namespace, spec={"hard": {"count/secrets": "0"}})
        self.cluster.create({**quota, "status": {"hard": {"count/secrets": "0"}, "used": {"count/secrets": "0"}}})
        self.plane.ensure(ADMISSION + "validatingwebhookconfigurations", self._webhook())
        policy, binding = self._policy()
        self.plane.ensure(ADMISSION + "validatingadmissionpolicies", policy)
        self.plane.ensure(ADMISSION + "validatingadmissionpolicybindings", binding)
        self.plane.request("DELETE", f"{CRDS}/widgets.outages.example.com")
        for lane in ("webhook", "policy"):
            eventually(partial(self._refused, "PATCH", self.path(f"{lane}-0-target")), f"refusal by {lane}")
        secret = f"/api/v1/namespaces/{self.namespace}/secrets?dryRun=All"
        eventually(lambda: self._refused("POST", secret, {"metadata": {"name": "probe"}}), "full quota")
        widgets = f"/apis/{WIDGET.api_version}/namespaces/{self.namespace}/widgets"
        eventually(lambda: self._refused("GET", widgets), "end of the CRD")

    def end(self, commands: Sequence[str]) -> None:
        """Let everything pass; the missing right is granted as the Event says."""
        self.gateway.refuses = False
        self.plane.request("DELETE", f"/api/v1/namespaces/{self.namespace}/resourcequotas/full")
        self.plane.request("DELETE", ADMISSION + "validatingwebhookconfigurations/outages")
        self.plane.request("DELETE", ADMISSION + "validatingadmissionpolicybindings/outages")
        self.plane.request("DELETE", ADMISSION + "validatingadmissionpolicies/outages")
        self.plane.define(CRD)
        for number, command in enumerate(commands):
            grant(self.plane, command.replace("NAME", f"outages-{number}"))

    def path(self, target: str) -> str:
        """The path of a ConfigMap."""
        return f"/api/v1/namespaces/{self.namespace}/configmaps/{target}"

    def _refused(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bool:
        separator = "&" if "?" in path else "?"
        try:
            self.plane.request(
                method, path if method == "GET" else f"{path}{separator}dryRun=All", body or {"data": {"probe": "1"}}
            )
        except urllib.error.HTTPError:
            return True
        return False

    def _webhook(self) -> Object:
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}
        selector = {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}
        hook = {
            "name": "outages.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
            "timeoutSeconds": 1, "clientConfig": {"url": "https://127.0.0.1:1/"}, "rules": [rule],
            "namespaceSelector": selector, "objectSelector": {"matchLabels": {"lane": "webhook"}},
        }  # fmt: skip
        return {"metadata": {"name": "outages"}, "webhooks": [hook]}

    def _policy(self) -> tuple[Object, Object]:
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}
        mine = "object.metadata.?labels.lane.orValue('') == 'policy'"
        spec = {
            "failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [{"name": "lane", "expression": mine}],
            "validations": [{"expression": "false", "message": "frozen until Monday"}],
        }  # fmt: skip
        binding = {"policyName": "outages", "validationActions": ["Deny"]}
        return {"metadata": {"name": "outages"}, "spec": spec}, {"metadata": {"name": "outages"}, "spec": binding}


def grant(plane: ControlPlane, command: str) -> None:
    """Do what `kubectl create (cluster)role … && kubectl create (cluster)rolebinding …` does."""
    for part in command.split(" && "):
        words = shlex.split(part)
        assert words[:2] == ["kubectl", "create"], part
        kind, name = words[2:4]
        options = dict(word.removeprefix("--").split("=", 1) for word in words[4:] if word.startswith("--"))
        where = f"/namespaces/{words[words.index('-n') + 1]}" if "-n" in words else ""
        if kind in ("role", "clusterrole"):
            resource, _, group = options["resource"].partition(".")
            rules = [{"apiGroups": [group], "resources": [resource], "verbs": options["verb"].split(",")}]
            plane.ensure(f"{RBAC}{where}/{kind}s", {"metadata": {"name": name}, "rules": rules})
        else:
            space, _, account = options["serviceaccount"].partition(":")
            role = {"role": "Role", "clusterrole": "ClusterRole"}[kind.removesuffix("binding")]
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": options[kind.removesuffix("binding")]}
            subject = {"kind": "ServiceAccount", "name": account, "namespace": space}
            plane.ensure(f"{RBAC}{where}/{kind}s", {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]})


@contextmanager
def prepared(plane: ControlPlane, namespace: str) -> Iterator[Engine]:
    """An engine with the pack and all rights but one, to patch ServiceAccounts; the targets that are patched are there."""
    cluster = Cluster(plane, namespace)
    plane.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
    plane.define(CRD)
    with Engine(plane, namespace) as engine:
        for group, resource in (("", "configmaps"), ("", "secrets"), ("outages.example.com", "widgets"), ("", "serviceaccounts")):
            verbs = ["get"] if resource == "serviceaccounts" else ["get", "list", "watch", "create", "patch"]
            engine.bind(
                "ClusterRole", f"{engine.own}-{resource}", [{"apiGroups": [group], "resources": [resource], "verbs": verbs}]
            )
        for lane in LANES:
            for number in range(EACH):
                name = f"{lane}-{number}-target"
                if lane == "right":
                    cluster.create(named(Kind("v1", "ServiceAccount"), name, namespace))
                elif lane not in ("quota", "kind"):
                    cluster.create(labelled(name, namespace, lane=lane))
        pack = labelled("outages", engine.own, **{"rules.mlops.dev/rule-pack": "true"})
        cluster.create({**pack, "data": {"pack.yaml": PACK}})
        yield engine


def labelled(name: str, namespace: str, **labels: str) -> Object:
    """A ConfigMap with labels."""
    found = named(CONFIG_MAP, name, namespace)
    return {**found, "metadata": {**found["metadata"], "labels": labels}}


def run(plane: ControlPlane, *, seconds: float, namespace: str = "outages") -> str:
    """Let everything be in the way for some seconds, with a restart in it; say what came of it.

    Fails where an effect is lost or doubled, where one is there later than one pause and five seconds after the end, and
    where something was reported twice or not at all.
    """
    with prepared(plane, namespace) as engine, OutageGateway(plane) as gateway:
        outage = Outage(plane, namespace, gateway)
        through = engine.kubeconfig_through(gateway.url)
        engine.start(through)
        engine.ready()
        eventually(lambda: "outages" in engine.packs(), "pack")
        outage.begin()
        begun = time.monotonic()
        sources = [f"{lane}-{number}" for lane in LANES for number in range(EACH)]
        for name in sources:
            outage.cluster.create(labelled(name, namespace, outage="source", lane=name.partition("-")[0]))
        time.sleep(seconds * 2 / 3)
        engine.kill()
        engine.start(through)
        engine.ready()
        time.sleep(max(0.0, begun + seconds - time.monotonic()))
        _nothing_was_done(plane, engine, gateway, sources, time.monotonic() - begun)
        causes = {name: _causes(outage.cluster, name) for name in sources}
        assert all(len(each) == 1 for each in causes.values()), {name: each for name, each in causes.items() if len(each) != 1}
        commands = {
            message.rpartition("to grant it: ")[2] for name in sources if name.startswith("right") for message in causes[name]
        }
        outage.end(sorted(commands))
        late = _caught_up(plane, engine, outage.cluster, sources)
        allowed = min(300.0, seconds / 3 + 4) + 5.0  # pauses double, so none is longer than the process has waited
        assert max(late.values()) <= allowed, f"{late} s after the end; one pause and 5 s are {allowed:.0f} s"
        return (
            f"{len(sources)} objects on {len(LANES)} lanes ({', '.join(LANES)}), {seconds:.0f} s with a restart in it: effects "
            f"lost: 0, doubled: 0; each reported once; requests about one target: {max(gateway.asked.values())} at most; done "
            f"{min(late.values()):.1f} to {max(late.values()):.1f} s after the end"
        )


def _nothing_was_done(
    plane: ControlPlane, engine: Engine, gateway: OutageGateway, sources: Sequence[str], seconds: float
) -> None:
    done = [effect for effect in plane.effects(user=engine.user) if effect.endswith("-target")]
    assert done == [], f"done in the outage: {done}"
    most = 0.2 * seconds + 20  # two processes have each begun with short pauses
    assert max(gateway.asked.values()) <= most, f"more than {most:.0f} requests: {gateway.asked.most_common(3)}"


def _causes(cluster: Cluster, name: str) -> list[str]:
    """The causes that an object was informed of by Events, each as often as it was."""
    return [message for reason, message in cluster.events(name) if reason == "RuleWaiting"]


def _caught_up(plane: ControlPlane, engine: Engine, cluster: Cluster, sources: Sequence[str]) -> dict[str, float]:
    """Wait until every effect is there, once; gives the seconds that each lane took."""
    ended, late = time.monotonic(), dict[str, float]()

    def missing() -> list[str]:
        done = Counter(effect.rpartition("/")[2] for effect in plane.effects(user=engine.user) if effect.endswith("-target"))
        doubled = [name for name, number in done.items() if number > 1]
        assert doubled == [], f"done twice: {doubled}"
        left = [name for name in sources if not done[f"{name}-target"]]
        for lane in LANES:
            if lane not in late and not any(name.startswith(f"{lane}-") for name in left):
                late[lane] = time.monotonic() - ended
        return left

    while left := missing():
        assert time.monotonic() - ended < 400, f"lost: {left}\n{engine.processes.end_of_log('rulepack')}"
        time.sleep(0.5)
    eventually(lambda: all(("Done", f"{name}-target") in cluster.events(name) for name in sources), "Event of each")
    return late
