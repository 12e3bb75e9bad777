"""Far more watches than connections for requests: the engine leads, acts, and hears of every namespace."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.bench import client
from tests.bench.watches import KINDS, pack
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.world import named

NAMESPACES = 70
"""Times 8 kinds: 560 watches, where 64 connections were all that there were."""
_runs = itertools.count()


@pytest.fixture(scope="module")
def namespaces(control_plane: ControlPlane) -> list[str]:
    """Namespaces with a ConfigMap each."""
    run = next(_runs)  # the namespaces of an earlier try stay
    names = [f"many-{run}-{number:02}" for number in range(NAMESPACES)]

    async def create() -> None:
        async with client.connect(control_plane.kubeconfig, "test") as session:
            for name in names:
                await client.send(session, "POST", "/api/v1/namespaces", {"metadata": {"name": name}})
                await client.send(session, "POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "c"}})

    asyncio.run(create())
    return names


@pytest.fixture
def engine(control_plane: ControlPlane, namespaces: list[str]) -> Iterator[Engine]:
    """An engine that watches 8 kinds in all of them."""
    with Engine(control_plane, namespaces[0]) as engine:
        for plural in KINDS.values():
            engine.grant("", plural)
        text = yaml.safe_dump_all([pack(kind) for kind in KINDS])
        config = named(CONFIG_MAP, "marks", engine.own, data={"pack.yaml": text})
        config["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
        Cluster(control_plane, engine.own).create(config)
        engine.start(None, *(f"--namespace={name}" for name in namespaces[1:]))
        yield engine


def test_each_namespace_is_watched_and_acted_in(control_plane: ControlPlane, engine: Engine, namespaces: list[str]) -> None:
    """What is there is marked in each, what comes later, and what comes after the API server was away; the Lease is held."""

    def marked(name: str) -> int:
        return sum("example.com/mark" in item["metadata"].get("annotations", {}) for item in items(name))

    def items(name: str) -> Any:
        found = control_plane.request("GET", "/api/v1/configmaps")["items"]
        return [item for item in found if item["metadata"]["name"] == name and item["metadata"]["namespace"] in namespaces]

    eventually(lambda: marked("c") == NAMESPACES, "ConfigMaps that are all marked", 120)
    for name in namespaces:
        control_plane.request("POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "later"}})
    eventually(lambda: marked("later") == NAMESPACES, "later ConfigMaps that are all marked", 60)
    assert "no longer leading" not in engine.log()

    control_plane.restart_apiserver()  # so that all of them have to be opened again
    for name in namespaces:
        control_plane.request("POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "last"}})
    eventually(lambda: marked("last") == NAMESPACES, "ConfigMaps marked after the API server has come back", 60)

    engine.ready()
    assert engine.lease()["holderIdentity"]
