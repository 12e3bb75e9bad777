"""What few large objects cost the engine, as a process of its own on a real kube-apiserver."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from engine.model.objects import Kind
from tests.bench import client
from tests.bench.processes import peak_memory_mb
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.world import named

SECRET = Kind("v1", "Secret")
OBJECTS, SIZE = 40, 1_000_000
"""53 MB as JSON; a list of them all and what is decoded of it take 160 MB more than the engine alone."""
MOST_MB = 200
"""The engine without any objects takes about 90 MB."""
RULES = {
    "metadata": ("object.metadata.name.startsWith('large')", "${object.metadata.uid}"),
    "data": ("object.data.blob.size() > 0", "${hash(object.data.blob)}"),
}


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    """A namespace with Secrets."""
    cluster = Cluster(control_plane, namespace)
    for number in range(OBJECTS):
        blob = base64.b64encode(secrets.token_bytes(SIZE)).decode()
        cluster.create(named(SECRET, f"large-{number}", namespace, data={"blob": blob}))
    return cluster


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    """An engine that may watch and annotate Secrets."""
    with Engine(cluster.plane, cluster.namespace) as engine:
        engine.grant("", "secrets")
        yield engine


@pytest.mark.parametrize("reads", RULES)
def test_large_objects_are_not_held(cluster: Cluster, engine: Engine, reads: str) -> None:
    """Each is annotated, and then once more after a change, whether a rule reads its metadata or all its data."""
    when, value = RULES[reads]
    rule = {"name": "mark", "when": when, "actions": [{"annotate": {"annotations": {"example.com/mark": value}}}]}
    spec = {"watch": {"apiVersion": "v1", "kind": "Secret"}, "rules": [rule]}
    pack = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "marks"}, "spec": spec}
    config = named(CONFIG_MAP, "marks", engine.own, data={"pack.yaml": yaml.safe_dump(pack)})
    config["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
    cluster.create(config)

    engine.start()
    engine.ready()

    eventually(lambda: all(marks(cluster).values()), "Secrets that are all marked", 120)
    before = marks(cluster)["large-7"]
    cluster.patch(SECRET, "large-7", {"data": {"blob": base64.b64encode(b"another").decode()}})
    if reads == "data":
        eventually(lambda: marks(cluster)["large-7"] != before, "Secret that is marked again", 60)
    assert peak_memory_mb(engine.processes.pid("rulepack")) < MOST_MB


def marks(cluster: Cluster) -> dict[str, str]:
    """The marks of the Secrets, '' where there is none."""

    async def items() -> Any:
        headers = {"Accept": client.METADATA_ONLY.format("PartialObjectMetadataList")}
        async with client.connect(cluster.plane.kubeconfig, "test") as session:
            return (await client.get(session, f"/api/v1/namespaces/{cluster.namespace}/secrets", headers))["items"]

    metadata = [item["metadata"] for item in asyncio.run(items())]
    return {meta["name"]: meta.get("annotations", {}).get("example.com/mark", "") for meta in metadata}
