"""Builders and helpers of the contract suite."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import pytest

from engine.errors import ApiError
from engine.kube.api import Api, Page, Selection, WatchEvent
from engine.model.objects import Kind, Object, Resource

NAMESPACE = Resource(Kind("v1", "Namespace"), "namespaces", namespaced=False)
CONFIG_MAP = Resource(Kind("v1", "ConfigMap"), "configmaps", namespaced=True)
POD = Resource(Kind("v1", "Pod"), "pods", namespaced=True)
EVENT = Resource(Kind("v1", "Event"), "events", namespaced=True)
SERVICE = Resource(Kind("v1", "Service"), "services", namespaced=True)
DEPLOYMENT = Resource(Kind("apps/v1", "Deployment"), "deployments", namespaced=True)
LEASE = Resource(Kind("coordination.k8s.io/v1", "Lease"), "leases", namespaced=True)
BUDGET = Resource(Kind("policy/v1", "PodDisruptionBudget"), "poddisruptionbudgets", namespaced=True)
CRD = Resource(Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "customresourcedefinitions", namespaced=False)
PROBE = Resource(Kind("example.rulepack.dev/v1", "Probe"), "probes", namespaced=True)


def named(resource: Resource, name: str, metadata: Object | None = None, **fields: Any) -> dict[str, Any]:
    """An object of a kind, with more metadata and more fields where given."""
    kind = resource.kind
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name, **(metadata or {})}, **fields}


def configmap(name: str, data: Object | None = None, **metadata: Any) -> dict[str, Any]:
    """A ConfigMap."""
    return named(CONFIG_MAP, name, metadata, **({"data": data} if data else {}))


def crd(resource: Resource) -> dict[str, Any]:
    """The definition of a custom kind that keeps any fields in spec and status, and has a status subresource."""
    kind = resource.kind
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": kind.api_version.rpartition("/")[2], "served": True, "storage": True, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}},
    }  # fmt: skip
    names = {"kind": kind.kind, "plural": resource.plural, "singular": kind.kind.lower(), "listKind": f"{kind.kind}List"}
    spec = {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]}
    return named(CRD, f"{resource.plural}.{kind.group}", spec=spec)


@contextmanager
def refused(status: int, reason: str, *parts: str) -> Iterator[None]:
    """Expect an ApiError with this status and reason, and each part in its message."""
    with pytest.raises(ApiError) as caught:
        yield
    assert (caught.value.status, caught.value.reason) == (status, reason)
    for part in parts:
        assert part in caught.value.message


async def names(api: Api, selection: Selection) -> list[str]:
    """The names of what is selected, in the order of the list."""
    return of(await api.list(selection))


def of(page: Page) -> list[str]:
    """The names on a page."""
    return [item["metadata"]["name"] for item in page.items]


async def events(api: Api, selection: Selection, version: str, count: int) -> list[WatchEvent]:
    """The first events of a watch, bookmarks left out."""
    found: list[WatchEvent] = []
    async with asyncio.timeout(15), aclosing(api.watch(selection, version, timeout=20)) as stream:
        async for event in stream:
            if event.type != "BOOKMARK":
                found.append(event)
            if len(found) == count:
                break
    await asyncio.sleep(0.1)  # breaking a stream off closes its TLS connection in the background; the loop must live to see it
    return found


def summary(found: list[WatchEvent]) -> list[tuple[str, str]]:
    """Type and name of events."""
    return [(event.type, event.object["metadata"]["name"]) for event in found]
