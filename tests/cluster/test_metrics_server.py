"""Who reads metrics, as a real kube-apiserver knows and allows them, over real TLS, with the operator's own rights."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import yaml

from engine.kube.clock import SystemClock
from engine.kube.kubernetes import KubernetesApi
from engine.operator.certificate import Certificate
from engine.operator.guard import Readers
from engine.operator.reviews import Reviews
from engine.operator.server import Reply, Server
from tests.controlplane.plane import ControlPlane
from tests.e2e.engine import RBAC

RBAC_API = "/apis/rbac.authorization.k8s.io/v1"


def grant(plane: ControlPlane, file: str, role: str, namespace: str, account: str) -> None:
    """Bind a ClusterRole of config/rbac to a service account."""
    documents = [one for one in yaml.safe_load_all((RBAC / file).read_text()) if one["metadata"]["name"] == role]
    plane.ensure(f"{RBAC_API}/clusterroles", documents[0])
    plane.ensure(f"{RBAC_API}/clusterrolebindings", {
        "metadata": {"name": f"{namespace}-{account}"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    })  # fmt: skip


@asynccontextmanager
async def serving(plane: ControlPlane, namespace: str) -> AsyncIterator[Server]:
    """A server with one page, which asks the API server as the service account `operator`."""
    api = await KubernetesApi.connect(str(plane.kubeconfig_for(namespace, "operator")))
    server = Server(
        "127.0.0.1", 0, "--port", {"/metrics": lambda: Reply.text("up 1")},
        guard=Readers(Reviews(api, SystemClock())).refusal, certificate=Certificate(None),
    )  # fmt: skip
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        await api.close()


async def get(server: Server, authorization: str = "", path: str = "/metrics") -> tuple[int, str]:
    """Status and text, whoever signed the certificate."""
    headers = {"Authorization": authorization} if authorization else {}
    url = f"https://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers, ssl=False) as response:
        return response.status, await response.text()


async def test_only_who_may_get_the_path_reads_it(control_plane: ControlPlane, namespace: str) -> None:
    """No token and an unknown one are 401, a service account without the right 403 with what grants it, one with it reads."""
    grant(control_plane, "role.yaml", "rulepack-reviews", namespace, "operator")
    grant(control_plane, "metrics_reader.yaml", "rulepack-metrics-reader", namespace, "prometheus")
    control_plane.kubeconfig_for(namespace, "somebody")
    control_plane.kubeconfig_for(namespace, "prometheus")
    tokens = {name: f"Bearer {control_plane.token_for(namespace, name)}" for name in ("somebody", "prometheus")}
    async with serving(control_plane, namespace) as server:
        assert (await get(server))[0] == 401
        assert (await get(server, "Basic YTpi"))[0] == 401
        assert (await get(server, "Bearer nonsense"))[0] == 401
        status, text = await get(server, tokens["somebody"])
        assert status == 403
        assert f"system:serviceaccount:{namespace}:somebody may not get /metrics" in text
        assert "nonResourceURLs: ['/metrics']" in text
        assert await get(server, tokens["prometheus"]) == (200, "up 1\n")
        assert (await get(server, tokens["prometheus"], "/other"))[0] == 403
        assert (await get(server, f"Bearer {control_plane.admin_token}", "/other"))[0] == 404


async def test_an_answer_is_kept_for_some_seconds(control_plane: ControlPlane, namespace: str) -> None:
    """Ten requests with one token are one TokenReview and one SubjectAccessReview."""
    grant(control_plane, "role.yaml", "rulepack-reviews", namespace, "operator")
    user = f"system:serviceaccount:{namespace}:operator"
    async with serving(control_plane, namespace) as server:
        for _ in range(10):
            assert (await get(server, f"Bearer {control_plane.admin_token}"))[0] == 200
    asked = [one.resource for one in control_plane.requested(user=user) if one.verb == "create"]
    assert asked == ["tokenreviews", "subjectaccessreviews"]


async def test_an_operator_that_may_not_ask_says_so(
    control_plane: ControlPlane, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """503, with the right that is missing, in the answer and once in the log."""
    async with serving(control_plane, namespace) as server:
        for _ in range(2):
            status, text = await get(server, f"Bearer {control_plane.admin_token}")
            assert status == 503
            assert 'cannot create resource "tokenreviews"' in text
    assert len([record for record in caplog.records if "nobody can read /metrics" in record.message]) == 1


async def test_plain_http_is_not_answered(control_plane: ControlPlane, namespace: str) -> None:
    """Whoever does not speak TLS gets no answer at all."""
    async with serving(control_plane, namespace) as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"http://127.0.0.1:{server.port}/metrics")
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"https://127.0.0.1:{server.port}/metrics", ssl=ssl.create_default_context())
