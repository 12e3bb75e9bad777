"""What tests rely on of kube-controller-manager, together with the simulated kubelet."""

from __future__ import annotations

import urllib.error

import pytest

from engine.model.objects import Kind, Object, dig, metadata
from tests.capacity import Capacity, serves
from tests.e2e.cluster import Cluster, eventually, path
from tests.simulators.behavior import Behavior
from tests.simulators.kubelet import Kubelet
from tests.simulators.objects import BUDGET, DAEMON_SET, LABELS, QUOTA, STATEFUL_SET, condition, pod, workload
from tests.world import DEPLOYMENT, POD, named

RESTART = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-24T22:30:00Z"}}}}}


def served(cluster: Cluster, count: int) -> set[str]:
    """The uids of the pods of the namespace, once this many serve and no others are there."""

    def uids() -> set[str]:
        pods = cluster.all(POD)
        return {str(metadata(one)["uid"]) for one in pods} if len(pods) == count and all(map(serves, pods)) else set()

    return eventually(uids, f"{count} Ready pods")


def rolled_out(cluster: Cluster, kind: Kind, count: int) -> Object:
    """A workload `web` whose pods all are up to date and Ready, by its own status."""

    def status() -> Object:
        found = cluster.get(kind, "web")
        counts = dig(found, ("status",), {})
        updated = counts.get("updatedReplicas", counts.get("updatedNumberScheduled", 0))
        total = counts.get("replicas", counts.get("currentNumberScheduled", 0))
        seen = counts.get("observedGeneration") == metadata(found)["generation"]
        return found if seen and updated == total == count and len(served(cluster, count)) == count else {}

    return eventually(status, f"{kind.kind} that is rolled out")


def evict(cluster: Cluster, name: str) -> None:
    """Ask for the eviction of a pod."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    cluster.plane.request("POST", path(POD, cluster.namespace, name) + "/eviction", body)


@pytest.mark.parametrize(("kind", "replicas"), [(DEPLOYMENT, 2), (STATEFUL_SET, 2), (DAEMON_SET, 1)])
def test_a_restart_replaces_all_pods(cluster: Cluster, kubelet: Kubelet, kind: Kind, replicas: int) -> None:
    """A Deployment, StatefulSet and DaemonSet gets its pods, and other ones once its template has changed."""
    kubelet.use(Behavior(load=0.2, stop=0.1), cluster.namespace)
    workload(cluster, kind, **({} if kind == DAEMON_SET else {"replicas": replicas}))
    before = served(cluster, replicas)

    cluster.patch(kind, "web", RESTART)
    eventually(lambda: not before & served(cluster, replicas), "other pods")

    rolled_out(cluster, kind, replicas)


def test_a_deployment_adds_a_pod_before_it_takes_one_away(cluster: Cluster, kubelet: Kubelet) -> None:
    """A rollout with the strategy that a Deployment has by default never serves with fewer than its one pod."""
    kubelet.use(Behavior(load=0.5), cluster.namespace)
    workload(cluster, DEPLOYMENT)
    before = served(cluster, 1)

    with Capacity(cluster.plane, cluster.namespace, "app=web") as capacity:
        cluster.patch(DEPLOYMENT, "web", RESTART)
        eventually(lambda: not before & served(cluster, 1), "other pod")

    assert (capacity.served, capacity.lowest, capacity.below()) == (1, 1, 0.0)


def test_an_evicted_pod_is_replaced_after_the_load_time(cluster: Cluster, kubelet: Kubelet) -> None:
    """Until the replacement is Ready there is one fewer."""
    kubelet.use(Behavior(load=1.0), cluster.namespace)
    workload(cluster, DEPLOYMENT, replicas=2)
    before = served(cluster, 2)

    with Capacity(cluster.plane, cluster.namespace, "app=web") as capacity:
        evict(cluster, str(metadata(cluster.all(POD)[0])["name"]))
        eventually(lambda: len(before & served(cluster, 2)) == 1, "replacement")

    assert (capacity.served, capacity.lowest) == (2, 1)
    assert capacity.below() > 0.5


def test_a_failed_pod_is_replaced_and_stays(cluster: Cluster, kubelet: Kubelet) -> None:
    """What a node has evicted is still listed, beside the pod that serves instead of it."""
    workload(cluster, DEPLOYMENT)
    served(cluster, 1)
    name = str(metadata(cluster.all(POD)[0])["name"])

    kubelet.fail(cluster.namespace, name, "Evicted", "The node was low on resource: memory.")
    eventually(lambda: [serves(one) for one in cluster.all(POD)].count(True) == 1 and len(cluster.all(POD)) == 2, "replacement")

    assert dig(cluster.get(POD, name), ("status", "phase")) == "Failed"


def test_a_rollout_that_makes_no_progress_says_so(cluster: Cluster, kubelet: Kubelet) -> None:
    """After its deadline the Deployment's condition Progressing is False; the old pod serves on."""
    workload(cluster, DEPLOYMENT)
    before = served(cluster, 1)
    cluster.patch(DEPLOYMENT, "web", {"spec": {"progressDeadlineSeconds": 2}})
    kubelet.use(Behavior(runs=0.1, exit_code=1), cluster.namespace)

    cluster.patch(DEPLOYMENT, "web", RESTART)
    eventually(
        lambda: condition(cluster.get(DEPLOYMENT, "web"), "Progressing").get("reason") == "ProgressDeadlineExceeded", "condition"
    )

    assert condition(cluster.get(DEPLOYMENT, "web"), "Progressing")["status"] == "False"
    assert before == {str(metadata(one)["uid"]) for one in cluster.all(POD) if serves(one)}


def test_a_full_quota_keeps_replacements_away(cluster: Cluster, kubelet: Kubelet) -> None:
    """The pods that are there stay; the Deployment says at once why a new one is not made, and that one comes when it may."""
    workload(cluster, DEPLOYMENT, replicas=2)
    before = served(cluster, 2)
    cluster.create(named(QUOTA, "full", cluster.namespace, spec={"hard": {"pods": "0"}}))
    eventually(lambda: dig(cluster.get(QUOTA, "full"), ("status", "used", "pods"), "") == "2", "usage of the quota")

    cluster.patch(DEPLOYMENT, "web", RESTART)
    failure = eventually(lambda: condition(cluster.get(DEPLOYMENT, "web"), "ReplicaFailure"), "ReplicaFailure")
    during = served(cluster, 2)
    cluster.delete(QUOTA, "full")
    eventually(lambda: not before & served(cluster, 2), "other pods")

    assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
    assert "exceeded quota: full, requested: pods=1, used: pods=2, limited: pods=0" in failure["message"]
    assert during == before


def test_a_budget_counts_the_pods_that_are_ready(cluster: Cluster, kubelet: Kubelet) -> None:
    """The disruption controller keeps its status, by which the API server refuses an eviction."""
    workload(cluster, DEPLOYMENT, replicas=2)
    pods = served(cluster, 2)
    cluster.create(named(BUDGET, "web", cluster.namespace, spec={"minAvailable": 2, "selector": {"matchLabels": LABELS}}))
    eventually(lambda: dig(cluster.get(BUDGET, "web"), ("status",), {}).get("currentHealthy") == 2, "status")

    with pytest.raises(urllib.error.HTTPError, match="429"):
        evict(cluster, str(metadata(cluster.all(POD)[0])["name"]))

    assert served(cluster, 2) == pods


def test_what_an_object_owns_goes_with_it(cluster: Cluster, kubelet: Kubelet) -> None:
    """The garbage collector deletes the ReplicaSet and the pods of a deleted Deployment."""
    workload(cluster, DEPLOYMENT)
    served(cluster, 1)

    cluster.delete(DEPLOYMENT, "web")

    eventually(lambda: not cluster.all(POD), "end of the pods")
    eventually(lambda: not cluster.all(Kind("apps/v1", "ReplicaSet")), "end of the ReplicaSet")


def test_a_namespace_goes_with_all_that_is_in_it(cluster: Cluster, kubelet: Kubelet) -> None:
    """A deleted namespace is gone once its pod is."""
    pod(cluster, terminationGracePeriodSeconds=1)
    served(cluster, 1)
    address = f"/api/v1/namespaces/{cluster.namespace}"

    def gone() -> bool:
        try:
            cluster.plane.request("GET", address)
        except urllib.error.HTTPError as error:
            return error.code == 404
        return False

    cluster.plane.request("DELETE", address)

    eventually(gone, "end of the namespace")
