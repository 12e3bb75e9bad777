"""The console of `rulepack run` with the operator's own rights, tokens of real service accounts, and real roles."""

from __future__ import annotations

import asyncio
import html
import os
import re
import shlex
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import aiohttp
import pytest

from engine.kube.sessions import left_at_any_time
from tests.cluster.test_metrics_server import RBAC_API, grant
from tests.cluster.test_operator import greeting, kinds, pack_text, write_pack
from tests.controlplane.kubectl import Kubectl
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
        let_get_jobs(control_plane, namespace, "owner")
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


def let_get_jobs(plane: ControlPlane, namespace: str, *accounts: str) -> None:
    """Let service accounts of a namespace get its jobs."""
    role = {"metadata": {"name": "owner"}, "rules": [
        {"apiGroups": ["mlops.mlops.dev"], "resources": ["notebookvalidationjobs"], "verbs": ["get"]},
    ]}  # fmt: skip
    plane.ensure(f"{RBAC_API}/namespaces/{namespace}/roles", role)
    plane.ensure(f"{RBAC_API}/namespaces/{namespace}/rolebindings", {
        "metadata": {"name": "owner"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "owner"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace} for account in accounts],
    })  # fmt: skip


OBJECT = "object?apiVersion=mlops.mlops.dev/v1alpha1&kind=NotebookValidationJob&name=train&pack=greeter&namespace="


async def test_an_object_is_explained_and_a_pack_enforced_with_the_command_of_the_page(
    control_plane: ControlPlane, kinds: None, namespace: str, session: aiohttp.ClientSession, kubectl_path: Path, tmp_path: Path
) -> None:
    """The operator needs no right for it beyond its own, which list what packs watch; kubectl takes the commands as they are."""
    cluster = Cluster(control_plane, namespace)
    with Engine(control_plane, namespace) as engine:
        grant(control_plane, "role.yaml", "rulepack-reviews", engine.own, "rulepack")
        served = Served.anywhere(control_plane.admin_token)
        engine.processes.start("rulepack", engine.command(served), {**os.environ, "PYTHONPATH": str(RULES.parent)})
        eventually(lambda: served.ask("/readyz") == "ok\n", "engine that is ready", 60)
        kubectl = Kubectl(kubectl_path, control_plane, engine.own, tmp_path)
        kubectl("create", "configmap", "rulepack-feature-flags", "--from-literal=greeter=Audit")
        cluster.create(job(namespace=namespace))
        write_pack(cluster, engine, pack_text("hello"))
        let_get_jobs(control_plane, namespace, "owner", "reader")
        grant(control_plane, "metrics_reader.yaml", "rulepack-metrics-reader", namespace, "reader")
        url = f"https://127.0.0.1:{served.metrics}/console/"
        owner, other, reader = (
            Visitor(session, url, control_plane.token_for(namespace, name)) for name in ("owner", "other", "reader")
        )

        audit = ""
        async with asyncio.timeout(60):
            while "Would have fired once" not in audit:
                await asyncio.sleep(0.5)
                audit = (await reader.visit("audit"))[1]
        status, page = await reader.visit(OBJECT + namespace)
        assert "example.com/greeting" in page
        assert (status, "has(object.metadata.name)" in page, "is about no object" in page) == (200, True, False)
        assert "object.metadata.name</bdi></code> = <code><bdi>&#34;train&#34;" in page
        status, page = await owner.visit(OBJECT + namespace)
        assert (status, "has(object.metadata.name)" in page, "greet" in page) == (200, False, True)
        assert (await other.visit(OBJECT + namespace))[0] == 404
        assert "train" in (await owner.visit("objects"))[1]
        assert "train" not in (await other.visit("objects"))[1]
        assert greeting(cluster) is None

        (command,) = re.findall(r'aria-label="Command[^>]*>(.*?)</pre>', audit, re.DOTALL)
        program, *arguments = shlex.split(html.unescape(command))
        assert program == "kubectl"
        kubectl(*arguments)
        eventually(lambda: greeting(cluster) == "hello train", "greeting once the pack is enforced", 30)

        kubectl("patch", "rulepack", "greeter", "--type=merge", "-p", '{"spec": {"mode": "Audit"}}')
        async with asyncio.timeout(60):
            while f"kubectl patch rulepacks.rules.mlops.dev greeter -n {engine.own}" not in audit:
                await asyncio.sleep(0.5)
                audit = (await reader.visit("audit?pack=greeter"))[1]
        write_pack(cluster, engine, pack_text("good day"))
        (command,) = re.findall(r'aria-label="Command[^>]*>(.*?)</pre>', audit, re.DOTALL)
        kubectl(*shlex.split(html.unescape(command))[1:])
        eventually(lambda: greeting(cluster) == "good day train", "greeting once the RulePack is enforced", 30)
        assert engine.stop() == 0
