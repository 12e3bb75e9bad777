"""Packs whose kind cannot be listed or watched, on a real API server: each says why on its ConfigMap, and the pod is Ready."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pytest

from engine.model.objects import annotations_of
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import SERVICE_ACCOUNT, Engine

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ALL = ("get", "list", "watch")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: {name}}}
spec:
  watch: {{apiVersion: {api_version}, kind: {kind}}}
  rules:
    - name: mark
      when: 'true'
      actions:
        - annotate: {{annotations: {{example.com/mark: seen}}}}
"""
KINDS = {
    "no-rights": ("example.com/v1", "Widget"),
    "misspelt": ("example.com/v1", "Wigdet"),
    "no-watch": ("example.com/v1", "Part"),
    "api-down": ("down.example.com/v1", "Thing"),
}


@pytest.fixture
def engine(own_plane: ControlPlane) -> Iterator[Engine]:
    own_plane.ensure("/api/v1/namespaces", {"metadata": {"name": "things"}})
    own_plane.define(definition("Widget", "widgets"), definition("Part", "parts"))
    service = {"name": "nobody", "namespace": "things"}
    own_plane.ensure("/apis/apiregistration.k8s.io/v1/apiservices", {
        "metadata": {"name": "v1.down.example.com"},
        "spec": {"group": "down.example.com", "version": "v1", "service": service, "insecureSkipTLSVerify": True,
                 "groupPriorityMinimum": 100, "versionPriority": 10},
    })  # fmt: skip
    with Engine(own_plane, "things") as engine:
        grant(own_plane, engine, "parts", ("get", "list"))
        yield engine


def definition(kind: str, plural: str) -> Mapping[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }  # fmt: skip


def grant(plane: ControlPlane, engine: Engine, resource: str, verbs: Sequence[str]) -> None:
    """Give the engine's account verbs of a resource in all namespaces, beside those that it has."""
    name = f"{resource}-{'-'.join(verbs)}"
    rule = {"apiGroups": ["example.com"], "resources": [resource], "verbs": list(verbs)}
    subject = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": engine.own}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    plane.ensure(f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": [rule]})
    plane.ensure(f"{RBAC}/clusterrolebindings", {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]})


def test_each_says_why_it_waits_and_goes_on_by_itself(own_plane: ControlPlane, engine: Engine) -> None:
    """Without any right, misspelt, without `watch`, and served by an aggregated API that is down."""
    cluster = Cluster(own_plane, engine.own)
    for name, (api_version, kind) in KINDS.items():
        cluster.create({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"rules.mlops.dev/rule-pack": "true"}},
            "data": {"pack.yaml": PACK.format(name=name, api_version=api_version, kind=kind)},
        })  # fmt: skip
    engine.start()
    engine.ready()

    def status(name: str) -> str:
        return annotations_of(cluster.get(CONFIG_MAP, name)).get("rules.mlops.dev/status", "")

    def says(name: str, text: str) -> bool:
        return status(name).startswith(text)

    def events(name: str) -> set[str]:
        found = own_plane.request("GET", f"/api/v1/namespaces/{engine.own}/events")["items"]
        return {event["reason"] for event in found if event["involvedObject"]["name"] == name}

    expected = {
        "no-rights": "pack no-rights waits: Widget.example.com/v1 in namespace things cannot be listed: 403 Forbidden: ",
        "misspelt": "pack misspelt waits: Wigdet.example.com/v1 in namespace things cannot be listed: 404 NotFound: ",
        "no-watch": "pack no-watch waits: Part.example.com/v1 in namespace things cannot be watched: 403 Forbidden: ",
        "api-down": "pack api-down waits: Thing.down.example.com/v1 in namespace things cannot be listed: 503 ",
    }
    for name, text in expected.items():
        eventually(partial(says, name, text), f"status of {name}", 180)
        assert events(name) == {"RulePackWaiting"}
        kind = f"{KINDS[name][1]}.{KINDS[name][0]}"
        eventually(lambda: engine.packs()[name]["waitingFor"] == kind, f"what {name} waits for")  # noqa: B023 - called at once
    assert "it has Widget, did you mean that?" in status("misspelt")
    assert "rulepack rbac" in status("no-rights")
    engine.ready()

    grant(own_plane, engine, "widgets", ALL)
    grant(own_plane, engine, "parts", ALL)
    own_plane.request("DELETE", "/apis/apiregistration.k8s.io/v1/apiservices/v1.down.example.com")
    for name in ("no-rights", "no-watch"):
        eventually(partial(says, name, "ok"), f"{name} that goes on", 90)
    eventually(lambda: "404" in status("api-down"), "another reason", 90)
