"""What only the embedded cluster has: its clock, its own controllers, and compaction within one process."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.kube.api import Selection
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.model.objects import Kind, Resource
from tests.contract.support import (
    BUDGET,
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    configmap,
    events,
    named,
    names,
    refused,
    summary,
)

THING = Resource(Kind("example.dev/v1", "Thing"), "things", namespaced=True)
CLUSTER_THING = Resource(Kind("example.dev/v1", "ClusterThing"), "clusterthings", namespaced=False)
DEFAULT = Selection(CONFIG_MAP, "default")


@pytest.fixture
def clock() -> FakeClock:
    """A clock that starts at 2001-09-09T01:46:40Z."""
    return FakeClock(1_000_000_000.0)


@pytest.fixture
def cluster(clock: FakeClock) -> EmbeddedCluster:
    """A cluster by that clock."""
    return EmbeddedCluster(clock)


async def test_time_is_the_clocks(cluster: EmbeddedCluster, clock: FakeClock) -> None:
    """creationTimestamp and deletionTimestamp are the time of the cluster's clock."""
    created = await cluster.create(CONFIG_MAP, "default", configmap("a", finalizers=["example.dev/hold"]))
    await clock.advance(60.0)
    await cluster.delete(CONFIG_MAP, "default", "a")

    assert created["metadata"]["creationTimestamp"] == "2001-09-09T01:46:40Z"
    assert (await cluster.get(CONFIG_MAP, "default", "a"))["metadata"]["deletionTimestamp"] == "2001-09-09T01:47:40Z"


async def test_every_run_is_the_same() -> None:
    """Two clusters to which the same is done hold the same, uids and generated names included."""
    outcomes = []
    for cluster in (EmbeddedCluster(FakeClock()), EmbeddedCluster(FakeClock())):
        outcomes.append([await cluster.create(CONFIG_MAP, "default", {"metadata": {"generateName": "a-"}}) for _ in range(2)])

    assert outcomes[0] == outcomes[1]


async def test_kinds_can_be_registered(cluster: EmbeddedCluster) -> None:
    """A registered kind is served as a custom kind, with a status subresource where that was asked for."""
    cluster.register(THING, status_subresource=True)
    cluster.register(CLUSTER_THING)

    created = await cluster.create(THING, "default", named(THING, "a", status={"x": 1}))
    plain = await cluster.create(CLUSTER_THING, "", named(CLUSTER_THING, "a", status={"x": 1}))

    assert await cluster.discover(THING.kind) == THING
    assert ("status" in created, plain["status"]) == (False, {"x": 1})
    assert "namespace" not in plain["metadata"]
    changed = await cluster.patch(CLUSTER_THING, "", "a", {"status": {"x": 2}})
    assert changed["metadata"]["generation"] == 2
    with refused(404, "NotFound"):
        await cluster.patch(CLUSTER_THING, "", "a", {"status": {"x": 3}}, subresource="status")


async def test_dependents_go_with_their_last_owner(cluster: EmbeddedCluster) -> None:
    """Deleting an owner deletes what it alone owns, and what that owns; what has another owner stays."""
    one, two = [(await cluster.create(CONFIG_MAP, "default", configmap(name)))["metadata"] for name in ("one", "two")]
    child = await cluster.create(CONFIG_MAP, "default", configmap("child", ownerReferences=[owner(one)]))
    await cluster.create(CONFIG_MAP, "default", configmap("shared", ownerReferences=[owner(one), owner(two)]))
    await cluster.create(CONFIG_MAP, "default", configmap("grandchild", ownerReferences=[owner(child["metadata"])]))
    held = configmap("held", ownerReferences=[owner(one)], finalizers=["example.dev/hold"])
    await cluster.create(CONFIG_MAP, "default", held)

    await cluster.delete(CONFIG_MAP, "default", "one")
    assert await names(cluster, DEFAULT) == ["held", "shared", "two"]
    await cluster.delete(CONFIG_MAP, "default", "two")

    assert await names(cluster, DEFAULT) == ["held"]
    assert (await cluster.get(CONFIG_MAP, "default", "held"))["metadata"]["deletionTimestamp"]


def owner(meta: Any) -> dict[str, Any]:
    """An owner reference to a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": meta["name"], "uid": meta["uid"]}


async def test_a_namespace_goes_with_what_is_in_it(cluster: EmbeddedCluster) -> None:
    """Deleting a namespace deletes all that is in it, and nothing else."""
    await cluster.create(NAMESPACE, "", {"metadata": {"name": "other"}})
    await cluster.create(CONFIG_MAP, "other", configmap("a"))
    await cluster.create(POD, "other", named(POD, "p"))
    await cluster.create(CONFIG_MAP, "default", configmap("b"))

    await cluster.delete(NAMESPACE, "", "other")

    assert await names(cluster, Selection(CONFIG_MAP)) == ["b"]
    assert await names(cluster, Selection(POD)) == []


async def test_a_budget_counts_replicas_that_are_missing(cluster: EmbeddedCluster) -> None:
    """maxUnavailable is counted from what the pods' controller wants, so a pod that is not replaced yet counts as unavailable."""
    meta = (await cluster.create(DEPLOYMENT, "default", named(DEPLOYMENT, "d", spec={"replicas": 3})))["metadata"]
    controller = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": meta["uid"], "controller": True}
    for name in "abc":
        pod = named(POD, name, {"labels": {"app": "d"}, "ownerReferences": [controller]})
        await cluster.create(POD, "default", pod)
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await cluster.patch(POD, "default", name, {"status": status}, subresource="status")
    selector = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["d"]}]}
    await cluster.create(BUDGET, "default", named(BUDGET, "b", spec={"maxUnavailable": "33%", "selector": selector}))

    await cluster.evict("default", "a")

    with refused(429, "TooManyRequests"):
        await cluster.evict("default", "b")


async def test_a_running_watch_survives_a_compaction(cluster: EmbeddedCluster) -> None:
    """Compaction takes history away from watches that are to resume, not from those that run."""
    version = (await cluster.list(DEFAULT)).resource_version
    watch = asyncio.create_task(events(cluster, DEFAULT, version, 2))
    await cluster.create(CONFIG_MAP, "default", configmap("a"))

    cluster.compact()
    await cluster.create(CONFIG_MAP, "default", configmap("b"))

    assert summary(await watch) == [("ADDED", "a"), ("ADDED", "b")]


async def test_bookmarks_come_by_the_clock(cluster: EmbeddedCluster, clock: FakeClock) -> None:
    """A watch gets a bookmark each minute and one when its time is over, and then it ends."""
    version = (await cluster.list(DEFAULT)).resource_version

    async def watched() -> list[str]:
        return [event.type async for event in cluster.watch(DEFAULT, version, timeout=150.0)]

    watch = asyncio.create_task(watched())
    await clock.advance(149.0)
    assert not watch.done()
    await clock.advance(1.0)

    assert await watch == ["BOOKMARK"] * 3


async def test_closing_ends_watches(cluster: EmbeddedCluster) -> None:
    """Closing the cluster ends its watches without error, after what they have still to send."""
    version = (await cluster.list(DEFAULT)).resource_version
    await cluster.create(CONFIG_MAP, "default", configmap("a"))
    watch = asyncio.create_task(events(cluster, DEFAULT, version, 9))
    await asyncio.sleep(0.01)

    await cluster.close()

    assert summary(await watch) == [("ADDED", "a")]


async def test_a_watch_from_nothing_begins_with_what_there_is(cluster: EmbeddedCluster) -> None:
    """A watch without resourceVersion sends what there is as ADDED, in the order of a list, then goes on."""
    for name in "ba":
        await cluster.create(CONFIG_MAP, "default", configmap(name))
    cluster.compact()

    assert summary(await events(cluster, DEFAULT, "", 2)) == [("ADDED", "a"), ("ADDED", "b")]
