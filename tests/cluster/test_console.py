"""The console of `rulepack run` with the operator's own rights, tokens of real service accounts, and real roles."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie

import aiohttp
import pytest

from engine.kube.sessions import left_at_any_time
from tests.cluster.test_metrics_server import RBAC_API, grant
from tests.cluster.test_operator import kinds, pack_text, write_pack
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.served import Served
from tests.world import RULES, job

__all__ = ["kinds"]


class Visitor:
    """Somebody with a token, in front of one console."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session, self._url, self.token = session, url, token

    async def log_in(self) -> tuple[int, str]:
        """The status, and the header that sets the cookie."""
        async with self._session.post(
            f"{self._url}login", data={"token": self.token}, ssl=False, allow_redirects=False
        ) as answer:
            return answer.status, answer.headers.get("Set-Cookie", "")

    async def visit(self, page: str) -> tuple[int, str]:
        """Status and text of a page."""
        headers = {"Cookie": f"rulepack-token={self.token}"}
        async with self._session.get(self._url + page, headers=headers, ssl=False, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def news(self) -> str:
        """The first news of the stream."""
        headers, text = {"Cookie": f"rulepack-token={self.token}"}, ""
        answer = await self._session.get(f"{self._url}activity-stream?after=0", headers=headers, ssl=False)
        async with left_at_any_time(answer) as response, asyncio.timeout(20):
            while "event: new" not in text or not text.endswith("\n\n"):
                text += (await response.content.readany()).decode()
        return text


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A client."""
    async with aiohttp.ClientSession() as session:
        yield session


async def test_real_tokens_and_roles_decide_what_is_seen(
    control_plane: ControlPlane, kinds: None, namespace: str, session: aiohttp.ClientSession
) -> None:
    """A service account logs in for as long as its token is good, and sees what its roles let it get; packs by either right."""
    cluster = Cluster(control_plane, namespace)
    with Engine(control_plane, namespace) as engine:
        grant(control_plane, "role.yaml", "rulepack-reviews", engine.own, "rulepack")
        served = Served.anywhere(control_plane.admin_token)
        engine.processes.start("rulepack", engine.command(served), {**os.environ, "PYTHONPATH": str(RULES.parent)})
        eventually(lambda: served.ask("/readyz") == "ok\n", "engine that is ready", 60)
        cluster.create(job(namespace=namespace))
        write_pack(cluster, engine, pack_text("hello"))
        url = f"https://127.0.0.1:{served.metrics}/console/"
        owner, other, reader = (
            Visitor(session, url, control_plane.token_for(namespace, name)) for name in ("owner", "other", "reader")
        )
        role = {"metadata": {"name": "owner"}, "rules": [
            {"apiGroups": ["mlops.mlops.dev"], "resources": ["notebookvalidationjobs"], "verbs": ["get"]},
        ]}  # fmt: skip
        control_plane.ensure(f"{RBAC_API}/namespaces/{namespace}/roles", role)
        control_plane.ensure(f"{RBAC_API}/namespaces/{namespace}/rolebindings", {
            "metadata": {"name": "owner"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "owner"},
            "subjects": [{"kind": "ServiceAccount", "name": "owner", "namespace": namespace}],
        })  # fmt: skip
        grant(control_plane, "metrics_reader.yaml", "rulepack-metrics-reader", namespace, "reader")

        status, cookie = await owner.log_in()
        kept = SimpleCookie(cookie)["rulepack-token"]
        assert (status, kept.value) == (303, owner.token)
        assert 3_500 < int(kept["max-age"]) <= 3_600
        assert (kept["httponly"], kept["secure"], kept["samesite"]) == (True, True, "Strict")
        assert (await Visitor(session, url, "nonsense").log_in())[0] == 401
        assert "greeter/greet" in await owner.news()
        activity = (await owner.visit("activity"))[1]
        assert f"NotebookValidationJob {namespace}/train" in activity
        assert "hello train" in activity
        assert namespace not in (await other.visit("activity"))[1].replace(f"system:serviceaccount:{namespace}:other", "")
        assert [(await each.visit("pack?name=greeter"))[0] for each in (owner, other, reader)] == [403, 403, 200]
        assert "Ready" in (await reader.visit("packs"))[1]
        asked = [one.resource for one in control_plane.requested(user=engine.user) if one.verb == "create"]
        assert "subjectaccessreviews" in asked
        assert engine.stop() == 0
