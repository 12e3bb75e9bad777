"""What a real kube-apiserver answers where something stands in the way, and what the engine takes that for."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ApiError
from engine.kube.api import PatchType
from engine.kube.kubernetes import KubernetesApi
from engine.model.objects import Kind, Object, Resource
from engine.model.outcome import Obstacle
from engine.reconcile.answers import explained, obstacle_of, stale
from tests.chaos.outages import ADMISSION, CRD, CRDS, WIDGET, grant
from tests.cluster.fakes import CONFIG_MAPS, config_map, connected
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually

TEAM = "refusals"
DEPLOYMENTS = Resource(Kind("apps/v1", "Deployment"), "deployments", namespaced=True)
WIDGETS = Resource(WIDGET, "widgets", namespaced=True)


class Denying:
    """A validating webhook on TLS that denies everything, with a status that a test chooses."""

    def __init__(self, plane: ControlPlane) -> None:
        self.status: Mapping[str, Any] = {}
        denying = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Deny."""
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = {"uid": review["request"]["uid"], "allowed": False, "status": denying.status}
                body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(plane.certificate, plane.private_key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        authority = base64.b64encode(plane.certificate.read_bytes()).decode()
        self.client = {"url": f"https://127.0.0.1:{self._server.server_port}/", "caBundle": authority}

    def stop(self) -> None:
        """Go away, if it is not away already."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@pytest.fixture(scope="module")
def plane(own_plane: ControlPlane) -> ControlPlane:
    """A control plane with a namespace."""
    own_plane.ensure("/api/v1/namespaces", {"metadata": {"name": TEAM}})
    return own_plane


@pytest.fixture
def denying(plane: ControlPlane) -> Iterator[Denying]:
    """A webhook that is asked about ConfigMaps with a label."""
    denying = Denying(plane)
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    hook = {
        "name": "w.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail",
        "timeoutSeconds": 1, "clientConfig": denying.client, "rules": [rule],
        "objectSelector": {"matchLabels": {"asks": "webhook"}},
    }  # fmt: skip
    path = ADMISSION + "validatingwebhookconfigurations"
    plane.request("POST", path, {"metadata": {"name": "refusals"}, "webhooks": [hook]})
    eventually(partial(refused, plane, labelled("probe", asks="webhook")), "webhook")
    yield denying
    plane.request("DELETE", f"{path}/refusals")
    denying.stop()


def labelled(name: str, **labels: str) -> Object:
    """A ConfigMap with labels."""
    return config_map(name) | {"metadata": {"name": name, "labels": labels}}


def refused(plane: ControlPlane, body: Object) -> bool:
    """Whether the server refuses to create a ConfigMap."""
    try:
        plane.request("POST", f"/api/v1/namespaces/{TEAM}/configmaps?dryRun=All", body)
    except urllib.error.HTTPError:
        return True
    return False


async def refusal(kubeconfig: Path, ask: Callable[[KubernetesApi], Any]) -> ApiError:
    """The error that a request ends in."""
    async with connected(kubeconfig) as api:
        with pytest.raises(ApiError) as failed:
            await ask(api)
    return failed.value


async def test_a_missing_right_is_distinguished_from_all_else_and_granted_by_the_command(plane: ControlPlane) -> None:
    """In a namespace and in the cluster: what the command grants lets the same request pass."""
    robot = plane.kubeconfig_for(TEAM, "robot")
    requests: list[Callable[[KubernetesApi], Any]] = [
        lambda api: api.create(CONFIG_MAPS, TEAM, config_map("robots")),
        lambda api: api.patch(DEPLOYMENTS, TEAM, "missing", {}),
        lambda api: api.evict(TEAM, "missing"),
        lambda api: api.patch(Resource(Kind("v1", "Node"), "nodes", False), "", "missing", {}),
    ]
    for number, ask in enumerate(requests):
        error = await refusal(robot, ask)
        assert (error.status, obstacle_of(error)) == (403, Obstacle.MISSING_RIGHT)
        grant(plane, explained(error).rpartition("to grant it: ")[2].replace("NAME", f"robot-{number}"))

        async with connected(robot) as api:
            for _ in range(100):
                try:
                    await ask(api)
                    break
                except ApiError as after:
                    if after.status != 403:
                        assert after.not_found
                        break
            else:
                pytest.fail(f"still refused: {error}")


async def test_a_full_quota(plane: ControlPlane) -> None:
    """The message of the admission plugin names the quota."""
    quota = {"metadata": {"name": "full"}, "spec": {"hard": {"count/secrets": "0"}}}
    plane.request("POST", f"/api/v1/namespaces/{TEAM}/resourcequotas", quota)
    full = {"status": {"hard": {"count/secrets": "0"}, "used": {"count/secrets": "0"}}}
    plane.request("PATCH", f"/api/v1/namespaces/{TEAM}/resourcequotas/full/status", full)
    secrets = Resource(Kind("v1", "Secret"), "secrets", True)
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    async with connected(plane.kubeconfig) as api:
        for _ in range(100):
            try:
                await api.create(secrets, TEAM, body, dry_run=True)
            except ApiError as error:
                assert (error.status, obstacle_of(error)) == (403, Obstacle.QUOTA_EXCEEDED)
                break
        else:
            pytest.fail("the quota is not in force")


@pytest.mark.parametrize(("reason", "status"), [("Invalid", 422), ("Forbidden", 403), ("RequestEntityTooLarge", 413)])
async def test_a_policy_that_denies(plane: ControlPlane, reason: str, status: int) -> None:
    """A ValidatingAdmissionPolicy may answer 403, 413 and 422, all of which may also be final."""
    name = f"policy-{reason.lower()}"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "name", "expression": f"object.metadata.name == '{name}'"}],
        "validations": [{"expression": "false", "message": "not today", "reason": reason}],
    }
    plane.request("POST", ADMISSION + "validatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec})
    binding = {"policyName": name, "validationActions": ["Deny"]}
    plane.request("POST", ADMISSION + "validatingadmissionpolicybindings", {"metadata": {"name": name}, "spec": binding})
    eventually(lambda: refused(plane, config_map(name)), "policy")

    error = await refusal(plane.kubeconfig, lambda api: api.create(CONFIG_MAPS, TEAM, config_map(name)))

    assert (error.status, error.reason, obstacle_of(error)) == (status, reason, Obstacle.ADMISSION_DENIED)


@pytest.mark.parametrize("status", [
    {}, {"code": 400, "message": "no"}, {"code": 403, "message": "no"}, {"code": 404, "reason": "NotFound"},
    {"code": 409, "message": "no"}, {"code": 422, "reason": "Invalid", "message": "no"}, {"code": 500, "message": "no"},
], ids=str)  # fmt: skip
async def test_a_webhook_that_denies(plane: ControlPlane, denying: Denying, status: Mapping[str, Any]) -> None:
    """Whatever status it chooses."""
    denying.status = status
    error = await refusal(plane.kubeconfig, lambda api: api.create(CONFIG_MAPS, TEAM, labelled("denied", asks="webhook")))
    assert (error.status, obstacle_of(error), stale(error)) == (status.get("code", 400), Obstacle.ADMISSION_DENIED, False)


async def test_a_webhook_that_is_away(plane: ControlPlane, denying: Denying) -> None:
    """The API server says 500, and that it failed calling it."""
    denying.stop()
    error = await refusal(plane.kubeconfig, lambda api: api.create(CONFIG_MAPS, TEAM, labelled("denied", asks="webhook")))
    assert (error.status, obstacle_of(error)) == (500, Obstacle.WEBHOOK_UNAVAILABLE)


async def test_a_namespace_that_ends_is_final(plane: ControlPlane) -> None:
    """Nothing can be created there any more."""
    plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": "ending"}, "spec": {"finalizers": ["kubernetes"]}})
    plane.request("DELETE", "/api/v1/namespaces/ending")
    error = await refusal(plane.kubeconfig, lambda api: api.create(CONFIG_MAPS, "ending", config_map("late")))
    assert (error.status, obstacle_of(error)) == (403, None)


async def test_what_is_malformed_is_final(plane: ControlPlane) -> None:
    """400, 405 and 422 that are no denial."""
    errors = [
        await refusal(plane.kubeconfig, lambda api: api.create(CONFIG_MAPS, TEAM, config_map("c", data=["no", "map"]))),
        await refusal(plane.kubeconfig, lambda api: api.create(CONFIG_MAPS, TEAM, config_map("B_C"))),
        await refusal(plane.kubeconfig, lambda api: api.patch(CONFIG_MAPS, TEAM, "", {})),
    ]
    assert [(error.status, obstacle_of(error)) for error in errors] == [(400, None), (422, None), (400, None)]


async def test_an_object_that_is_gone_is_distinguished_from_a_kind_that_is_gone(plane: ControlPlane) -> None:
    """404 names the object, or nothing; a client that knew the kind asks for it anew, and goes on once it is served again."""
    missing = await refusal(plane.kubeconfig, lambda api: api.get(CONFIG_MAPS, TEAM, "missing"))
    nowhere = await refusal(plane.kubeconfig, lambda api: api.create(CONFIG_MAPS, "no-namespace", config_map("c")))
    assert [obstacle_of(error) for error in (missing, nowhere)] == [Obstacle.TARGET_MISSING] * 2

    plane.define(CRD)
    widget = {"apiVersion": WIDGET.api_version, "kind": "Widget", "metadata": {"name": "w"}}
    async with connected(plane.kubeconfig) as api:
        assert await api.discover(WIDGET) == WIDGETS
        plane.request("DELETE", f"{CRDS}/widgets.outages.example.com")
        eventually(lambda: _gone(plane), "end of the CRD")
        for ask in (
            lambda: api.get(WIDGETS, TEAM, "w"),
            lambda: api.patch(WIDGETS, TEAM, "w", widget, type=PatchType.APPLY),
            lambda: api.discover(WIDGET),
        ):
            with pytest.raises(ApiError) as failed:
                await ask()
            assert obstacle_of(failed.value) is Obstacle.KIND_NOT_SERVED
        plane.define(CRD)
        await api.patch(await api.discover(WIDGET), TEAM, "w", widget, type=PatchType.APPLY)


async def test_a_patch_of_what_has_changed_is_stale(plane: ControlPlane) -> None:
    """By resourceVersion and by uid, in both formats."""
    plane.ensure(f"/api/v1/namespaces/{TEAM}/configmaps", config_map("seen"))
    test: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1"},
        {"op": "add", "path": "/data", "value": {}},
    ]
    errors = [
        await refusal(plane.kubeconfig, lambda api: api.patch(CONFIG_MAPS, TEAM, "seen", {"metadata": {"resourceVersion": "1"}})),
        await refusal(plane.kubeconfig, lambda api: api.patch(CONFIG_MAPS, TEAM, "seen", {"metadata": {"uid": "other"}})),
        await refusal(plane.kubeconfig, lambda api: api.patch(CONFIG_MAPS, TEAM, "seen", test, type=PatchType.JSON)),
    ]
    assert [stale(error) for error in errors] == [True, True, True], errors


def _gone(plane: ControlPlane) -> bool:
    try:
        plane.request("GET", f"/apis/{WIDGET.api_version}/namespaces/{TEAM}/widgets")
    except urllib.error.HTTPError:
        return True
    return False
