"""What lint says of values that a pack writes is what a real kube-apiserver says of them."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError

import pytest

from engine.cel import backend
from engine.packs.lint import lint
from engine.packs.lint.bodies import METRIC_VALUE, QUANTITIES
from engine.packs.sources import Text
from tests.controlplane.plane import ControlPlane

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
CONTAINER = {"name": "a", "image": "b"}
#: Part of a Deployment -> whether the API server takes it.
BODIES: list[tuple[dict[str, Any], bool]] = [
    ({"replicas": 3}, True),
    ({"replicas": "3"}, False),
    ({"replicas": 1.5}, False),
    ({"replica": 3}, False),
    ({"paused": "true"}, False),
    ({"strategy": {"type": "Rolling"}}, False),
    ({"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "50%"}}}, True),
    ({"template": {"metadata": {"annotations": {"hash": 5}}}}, False),
    ({"template": {"metadata": {"labels": {"app": "x", "on": True}}}}, False),
    ({"template": {"spec": {"containers": [{**CONTAINER, "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}]}}}, True),
    ({"template": {"spec": {"containers": [{**CONTAINER, "env": [{"name": "A", "value": 5}]}]}}}, False),
    ({"template": {"spec": {"containers": [{**CONTAINER, "command": "sh"}]}}}, False),
    ({"template": {"spec": {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": 1024}}]}}}, True),
]


def deployment(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """A Deployment whose spec is another one's with a part put over it."""
    template: dict[str, Any] = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [CONTAINER]}}
    whole: dict[str, Any] = {"selector": {"matchLabels": {"app": "x"}}, "template": template} | spec
    for key in ("metadata", "spec"):
        whole["template"] = whole["template"] | {key: template[key] | whole["template"].get(key, {})}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": whole}


@pytest.mark.parametrize(("spec", "taken"), BODIES, ids=lambda value: json.dumps(value)[:60])
def test_lint_refuses_what_the_api_server_refuses(
    control_plane: ControlPlane, namespace: str, spec: dict[str, Any], taken: bool
) -> None:
    """With strict validation of fields; without it, fields that a kind does not have are dropped."""
    manifest = deployment("x", spec)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments?dryRun=All&fieldValidation=Strict"
    try:
        control_plane.request("POST", path, manifest)
        accepted = True
    except HTTPError as error:
        assert error.code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
        accepted = False
    pack = {
        "watch": {"apiVersion": "v1", "kind": "Pod"}, "targets": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "verbs": ["get", "create", "patch"]}],
        "rules": [{"name": "r", "throttle": {"every": "1m"}, "actions": [{"apply": {"manifest": manifest}}]}],
    }  # fmt: skip
    text = json.dumps({"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "p"}, "spec": pack})
    faults = lint([Text("pack.yaml", text, "pack.yaml")], backend())[1]

    known = {"unknown-field", "wrong-type", "declaration"}
    assert (accepted, {fault.code for fault in faults} & known == set()) == (taken, taken)


def test_every_quantity_of_the_api_server_is_known(control_plane: ControlPlane) -> None:
    """A number may stand for each of them; the name of the field, or of the map of quantities, says which they are."""
    found = {
        (name.rpartition(".")[2], field)
        for entry in control_plane.request("GET", "/openapi/v3")["paths"].values()
        if entry["serverRelativeURL"].startswith(("/openapi/v3/api/", "/openapi/v3/apis/"))
        for name, schema in (control_plane.request("GET", entry["serverRelativeURL"]).get("components") or {})["schemas"].items()
        for field, value in schema.get("properties", {}).items()
        if QUANTITY in json.dumps(value)
    }
    assert found
    metric = {("MetricTarget", METRIC_VALUE[1]), ("MetricValueStatus", METRIC_VALUE[1])}
    below = {("Counter", "value"), ("DeviceCapacity", "value")}  # in the maps `counters` and `capacity`
    assert {(model, field) for model, field in found - metric - below if field not in QUANTITIES} == set()
