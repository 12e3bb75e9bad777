"""What the recorder of served capacity answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.capacity import Capacity
from tests.e2e.cluster import Cluster, eventually
from tests.simulators.behavior import Behavior
from tests.simulators.kubelet import Kubelet
from tests.simulators.objects import LABELS, pod, ready
from tests.world import POD


@pytest.fixture
def serve(cluster: Cluster, kubelet: Kubelet) -> Callable[[str], None]:
    """Creates a pod with LABELS and waits until it is Ready."""

    def create(name: str) -> None:
        pod(cluster, name, LABELS)
        eventually(lambda: ready(cluster.get(POD, name)), f"Ready pod {name}")

    kubelet.use(Behavior(load=0.1), cluster.namespace)
    return create


def seen(capacity: Capacity, ready: int) -> None:
    """Wait until the recorder has seen this many: it gets a change as any other client is."""
    eventually(lambda: capacity.samples[-1].ready == ready, f"recording of {ready} Ready pods", patience=5)


def test_what_stays_is_never_below(cluster: Cluster, serve: Callable[[str], None]) -> None:
    """Where pods are only added the lowest number is the first; other pods do not count."""
    serve("a")
    pod(cluster, "other")

    with Capacity(cluster.plane, cluster.namespace, "app=web") as capacity:
        serve("b")
        seen(capacity, 2)

    assert (capacity.served, capacity.lowest, capacity.below()) == (1, 1, 0.0)
    assert [sample.ready for sample in capacity.samples] == [1, 2]


def test_a_pod_that_is_to_end_no_longer_serves(cluster: Cluster, kubelet: Kubelet, serve: Callable[[str], None]) -> None:
    """It counts as missing from its deletion on, though it is Ready until it has stopped."""
    kubelet.use(Behavior(load=0.1, stop=30.0), cluster.namespace)
    serve("a")
    serve("b")

    with Capacity(cluster.plane, cluster.namespace, "app=web") as capacity:
        cluster.plane.request("DELETE", f"/api/v1/namespaces/{cluster.namespace}/pods/a")
        eventually(lambda: capacity.lowest == 1, "missing pod", patience=5)

    assert ready(cluster.get(POD, "a"))
    assert 0 < capacity.below() < capacity.below(3)


def test_a_gap_is_recorded_to_its_end(cluster: Cluster, serve: Callable[[str], None]) -> None:
    """The time below is that from the loss of a pod until there are as many again, not until the recording ends."""
    serve("a")

    with Capacity(cluster.plane, cluster.namespace, "app=web") as capacity:
        cluster.delete(POD, "a")
        serve("b")
        seen(capacity, 1)
        gap = capacity.below()
        serve("c")
        seen(capacity, 2)

    assert [sample.ready for sample in capacity.samples] == [1, 0, 1, 2]
    assert capacity.lowest == 0
    assert capacity.below() == capacity.below(1) == gap > 0
    assert str(capacity).startswith("Ready pods: 1 at 0.0 s, 0 at ")
