"""What tests rely on of the simulated scheduler and kubelet."""

from __future__ import annotations

import time
import urllib.error

import pytest

from engine.model.objects import Object, dig, metadata
from tests.e2e.cluster import Cluster, eventually, path
from tests.simulators.behavior import Behavior
from tests.simulators.kubelet import NODE, Kubelet
from tests.simulators.objects import condition, container, pod, ready
from tests.world import POD

NO_GPU = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."


def loaded(cluster: Cluster, name: str = "a") -> Object:
    """A pod once it is Ready."""
    return eventually(lambda: found if ready(found := cluster.get(POD, name)) else {}, f"Ready pod {name}")


def reached(cluster: Cluster, phase: str, name: str = "a") -> Object:
    """A pod once it is in a phase."""
    return eventually(lambda: found if dig(found := cluster.get(POD, name), ("status", "phase"), "") == phase else {}, phase)


def test_a_pod_is_ready_once_it_has_loaded(cluster: Cluster, kubelet: Kubelet) -> None:
    """It is bound to the node, runs without being Ready for the load time, and then is Ready."""
    kubelet.use(Behavior(load=1.5), cluster.namespace)
    kubelet.use(Behavior(load=3600), cluster.namespace, {"model": "large"})
    began = time.monotonic()

    pod(cluster)
    pod(cluster, "large", {"model": "large"})
    after, running = loaded(cluster), reached(cluster, "Running", "large")

    assert time.monotonic() - began >= 1.5
    assert not ready(running)
    assert after["spec"]["nodeName"] == NODE
    assert condition(after, "PodScheduled")["status"] == "True"
    assert "startedAt" in container(after)["state"]["running"]


@pytest.mark.parametrize(("stop", "grace"), [(1.5, 30), (30.0, 2)])
def test_a_deleted_pod_takes_its_time_to_stop(cluster: Cluster, kubelet: Kubelet, stop: float, grace: int) -> None:
    """It is there, with a deletion timestamp, until it has stopped or its grace period is over, whichever is sooner."""
    kubelet.use(Behavior(stop=stop), cluster.namespace)
    pod(cluster, terminationGracePeriodSeconds=grace)
    loaded(cluster)

    began = time.monotonic()
    ending = cluster.plane.request("DELETE", path(POD, cluster.namespace, "a"))
    eventually(lambda: cluster.find(POD, "a") is None, "end of the pod", patience=20)

    assert "deletionTimestamp" in metadata(ending)
    assert time.monotonic() - began >= min(stop, grace)


def test_a_pod_that_cannot_be_scheduled_says_so_until_it_can(cluster: Cluster, kubelet: Kubelet) -> None:
    """It is Pending with the scheduler's message; once there is room it runs."""
    kubelet.use(Behavior(unschedulable=NO_GPU), cluster.namespace)
    pod(cluster)

    pending = eventually(lambda: found if condition(found := cluster.get(POD, "a"), "PodScheduled") else {}, "condition")
    kubelet.use(Behavior(), cluster.namespace)
    after = loaded(cluster)

    scheduled = condition(pending, "PodScheduled")
    assert (scheduled["status"], scheduled["reason"], scheduled["message"]) == ("False", "Unschedulable", NO_GPU)
    assert (dig(pending, ("status", "phase")), dig(pending, ("spec", "nodeName"), "")) == ("Pending", "")
    assert condition(after, "PodScheduled")["status"] == "True"


def test_a_pod_that_crashes_starts_again_until_it_runs(cluster: Cluster, kubelet: Kubelet) -> None:
    """It waits, never Ready, with what its container has left behind; once it is repaired it runs after the back-off."""
    kubelet.use(Behavior(runs=0.1, exit_code=1, message="model.joblib: no such file", back_off=1.5), cluster.namespace)
    pod(cluster)

    crashed = eventually(
        lambda: found if "waiting" in container(found := cluster.get(POD, "a")).get("state", {}) else {}, "crash"
    )
    kubelet.use(Behavior(), cluster.namespace)
    after = container(loaded(cluster))

    last = container(crashed)["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["message"]) == (1, "Error", "model.joblib: no such file")
    assert container(crashed)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert dig(crashed, ("status", "phase")) == "Running"
    assert not ready(crashed)
    assert after["restartCount"] >= 1
    assert after["state"]["running"]["startedAt"] > after["lastState"]["terminated"]["finishedAt"]


@pytest.mark.parametrize(("exit_code", "phase", "reason"), [(0, "Succeeded", "Completed"), (3, "Failed", "Error")])
def test_a_pod_that_is_not_restarted_ends(cluster: Cluster, kubelet: Kubelet, exit_code: int, phase: str, reason: str) -> None:
    """By its exit code it is Succeeded or Failed, with the time at which its container ended, and no longer Ready."""
    kubelet.use(Behavior(load=0.1, runs=0.3, exit_code=exit_code), cluster.namespace)
    pod(cluster, restartPolicy="Never")

    ended = reached(cluster, phase)

    terminated = container(ended)["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (exit_code, reason)
    assert terminated["finishedAt"] >= terminated["startedAt"] >= metadata(ended)["creationTimestamp"]
    assert not ready(ended)


def test_a_pod_can_fail(cluster: Cluster, kubelet: Kubelet) -> None:
    """The node evicts it: it stays there as Failed, with the reason."""
    pod(cluster)
    loaded(cluster)

    kubelet.fail(cluster.namespace, "a", "Evicted", "The node was low on resource: memory.")
    failed = reached(cluster, "Failed")

    assert (failed["status"]["reason"], failed["status"]["message"]) == ("Evicted", "The node was low on resource: memory.")
    assert not ready(failed)


def test_the_latest_behavior_that_fits_counts_for_pods_that_start(cluster: Cluster, kubelet: Kubelet) -> None:
    """Labels choose pods; what runs already goes on as it was."""
    pod(cluster, "old", {"app": "web"})
    loaded(cluster, "old")
    kubelet.use(Behavior(runs=0.1, exit_code=1), cluster.namespace, {"app": "web"})

    pod(cluster, "new", {"app": "web"})
    pod(cluster, "other", {"app": "other"})
    eventually(lambda: container(cluster.get(POD, "new")).get("restartCount", 0), "crash of the new pod")

    assert ready(loaded(cluster, "other"))
    assert ready(cluster.get(POD, "old"))


def test_the_api_server_serves_a_pods_log(cluster: Cluster, kubelet: Kubelet) -> None:
    """All of it, or its last lines; a pod that is not there is 404."""
    kubelet.use(Behavior(log="loading\nready\n"), cluster.namespace)
    pod(cluster)
    loaded(cluster)
    log = path(POD, cluster.namespace, "a") + "/log"

    assert cluster.plane.request("GET", log) == {"text": "loading\nready\n"}
    assert cluster.plane.request("GET", f"{log}?tailLines=1") == {"text": "ready\n"}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        cluster.plane.request("GET", path(POD, cluster.namespace, "b") + "/log")
