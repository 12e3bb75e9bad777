"""A server on a real socket that misbehaves as a test says, and kubeconfigs that lead to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.kube.api import Selection
from engine.kube.kubernetes import KubernetesApi
from engine.model.objects import Kind, Resource

CONFIG_MAPS = Resource(Kind("v1", "ConfigMap"), "configmaps", namespaced=True)
IN_DEFAULT = Selection(CONFIG_MAPS, "default")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Let a handler answer every request; yields the server's URL."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")


@asynccontextmanager
async def connected(kubeconfig: Path) -> AsyncIterator[KubernetesApi]:
    """A KubernetesApi that is closed at the end."""
    api = await KubernetesApi.connect(str(kubeconfig))
    try:
        yield api
    finally:
        await api.close()


def write_kubeconfig(
    folder: Path, url: str, user: Mapping[str, Any] | None = None, cluster: Mapping[str, Any] | None = None
) -> Path:
    """A kubeconfig with one context, for a static token unless another user is given; `cluster` adds to its cluster."""
    path = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url, **(cluster or {})}}],
        "users": [{"name": "test", "user": {"token": "static"} if user is None else dict(user)}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def config_map(name: str, **more: Any) -> dict[str, Any]:
    """A ConfigMap as JSON."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def failure(code: int, reason: str, message: str, **details: Any) -> dict[str, Any]:
    """A metav1.Status, as the API server sends it with an error."""
    return {
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "reason": reason, "message": message, "details": details,
    }  # fmt: skip


def watch_line(type_: str, obj: Mapping[str, Any]) -> bytes:
    """One event as the API server sends it in a watch: JSON and a newline."""
    return orjson.dumps({"type": type_, "object": obj}) + b"\n"
