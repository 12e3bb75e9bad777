"""A scheduler and a kubelet for tests: one node that all pods of a control plane run on, with no containers behind them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus

from aiohttp import web

from engine.model.objects import Object, dig, metadata
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import free_ports
from tests.simulators.background import Background, Client, Refused
from tests.simulators.behavior import Behavior
from tests.simulators.pod import PodLife

NODE = "node-1"


class Kubelet(Background):
    """Binds every pod that has no node yet, runs those of its node and ends them, and serves their logs.

    A pod behaves as `use` said last when its containers start.
    """

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(plane)
        (self._port,) = free_ports(1)
        self._behaviors: list[tuple[str, Mapping[str, str], Behavior]] = [("", {}, Behavior())]
        self._lives: dict[str, PodLife] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()

    def use(self, behavior: Behavior, namespace: str = "", labels: Mapping[str, str] | None = None) -> None:
        """Have the pods of a namespace ('': all) with these labels behave so from now on; what runs already goes on."""
        self.check()
        self._behaviors.append((namespace, labels or {}, behavior))

    def fail(self, namespace: str, name: str, reason: str, message: str) -> None:
        """End a pod as Failed, as a kubelet does that runs out of memory."""

        def fail() -> None:
            (uid,) = (uid for uid, life in self._lives.items() if (life.namespace, life.name) == (namespace, name))
            self._begin(uid, self._lives[uid].fail(reason, message))

        self.soon(fail)

    async def play(self, client: Client) -> None:
        """Follow the pods, and answer requests for logs."""
        async with self._serving(), self._group:
            await self._register(client)
            async for pods in client.watch("/api/v1/pods"):
                for uid in self._lives.keys() - pods.keys():
                    del self._lives[uid]
                    self._tasks.pop(uid).cancel()
                for uid, pod in pods.items():
                    self._follow(client, uid, pod)
                self.ready()

    def _follow(self, client: Client, uid: str, pod: Object) -> None:
        if dig(pod, ("spec", "nodeName"), NODE) != NODE:
            return
        if uid not in self._lives:
            life = self._lives[uid] = PodLife(client, pod, NODE, self._behavior)
            self._begin(uid, life.run())
        life = self._lives[uid]
        if "deletionTimestamp" in metadata(pod) and not life.ending:
            self._begin(uid, life.end(float(metadata(pod).get("deletionGracePeriodSeconds", 0))))

    def _begin(self, uid: str, what: Coroutine[None, None, None]) -> None:
        """Have a pod do something instead of what it does."""
        if uid in self._tasks:
            self._tasks[uid].cancel()
        self._tasks[uid] = self._group.create_task(what)

    def _behavior(self, pod: Object) -> Behavior:
        about, labels = metadata(pod), metadata(pod).get("labels", {})
        return next(
            behavior
            for namespace, wanted, behavior in reversed(self._behaviors)
            if namespace in ("", about["namespace"]) and wanted.items() <= labels.items()
        )

    async def _register(self, client: Client) -> None:
        """Create the node, which says where its kubelet answers."""
        try:
            await client.request("POST", "/api/v1/nodes", {"metadata": {"name": NODE}})
        except Refused as refused:
            if refused.status != HTTPStatus.CONFLICT:
                raise
        # Admission taints a new node until a controller, which does not run here, has seen it ready.
        await client.request("PATCH", f"/api/v1/nodes/{NODE}", {"spec": {"taints": None}})
        room = {"cpu": "1000", "memory": "1000Gi", "pods": "10000"}
        await client.request("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "capacity": room, "allocatable": room, "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        }})  # fmt: skip

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        """Answer kube-apiserver, which asks a kubelet for logs (kubernetes: pkg/registry/core/pod/strategy.go, LogLocation)."""
        application = web.Application()
        application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._log)
        runner = web.AppRunner(application)
        await runner.setup()
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.plane.certificate, self.plane.private_key)
            await web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=context).start()
            yield
        finally:
            await runner.cleanup()

    async def _log(self, request: web.Request) -> web.Response:
        of = request.match_info
        logs = [life.log for life in self._lives.values() if (life.namespace, life.name) == (of["namespace"], of["pod"])]
        if not logs:
            raise web.HTTPNotFound(text=f"pod {of['pod']} is not on this node")
        lines = logs[0].splitlines(keepends=True)
        tail = int(request.query.get("tailLines", len(lines)))
        return web.Response(text="".join(lines[len(lines) - min(tail, len(lines)) :]))
