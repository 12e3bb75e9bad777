"""Installed by kustomize, on a real node: what the pods are, and what they survive."""

from __future__ import annotations

import os
import re
import signal
import urllib.error
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from engine.model.objects import dig, metadata
from tests.e2e.cluster import CONFIG_MAP, eventually
from tests.node.load import Load
from tests.node.node import EVICTION, Node
from tests.node.operator import (
    CONFIG,
    NAMESPACE,
    Operator,
    control_group,
    names,
    restarts,
    served,
    status_of,
)
from tests.world import POD

DEFAULT = str(CONFIG / "default")
NAMESPACES = "/api/v1/namespaces"
#: No machine has as much to spare, so the node is under pressure. 100% would stand for no threshold at all.
ALL_MEMORY = "99%"


@pytest.fixture(scope="module")
def operator(node: Node) -> Operator:
    """Installed as docs/install.md says."""
    done = node.kubectl("apply", "-k", DEFAULT)
    assert done.stderr == "", "the API server warns of something, such as pod security"
    operator = Operator(node)
    operator.settled()
    return operator


@pytest.fixture
def load(node: Node, request: pytest.FixtureRequest) -> Iterator[Load]:
    """One job a second, under way."""
    with Load(node, request.function.__name__.removeprefix("test_").replace("_", "-")) as load:
        load.wait_for(2)
        yield load


def test_its_pods_are_restricted(operator: Operator) -> None:
    """Each process has an arbitrary user, no capability, a seccomp filter, no way to more rights and a root that is only read."""
    namespace = operator.node.plane.request("GET", f"{NAMESPACES}/{NAMESPACE}")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in operator.settled():
        for pid in operator.node.pids(pod):
            status = status_of(pid)
            assert status["Uid"].split() == ["65532"] * 4
            assert status["Gid"].split() == ["0"] * 4
            assert (status["CapPrm"], status["NoNewPrivs"], status["Seccomp"]) == ("0" * 16, "1", "2")
            root = next(
                line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines() if line.split()[4] == "/"
            )
            assert "ro" in root[5].split(",")


def test_each_answers_and_one_leads(operator: Operator) -> None:
    """Probes and metrics on each pod's own address, metrics at the Service's too; every pack of the image is in force or Off."""
    pods = operator.settled()
    addresses = [pod["status"]["podIP"] for pod in pods]
    assert [served(operator, address).ask(path) for address in addresses for path in ("/healthz", "/readyz")] == ["ok\n"] * 4
    assert sorted("rulepack_leader 1.0" in served(operator, address).ask("/metrics") for address in addresses) == [False, True]
    service = operator.home.plane.request("GET", f"{NAMESPACES}/{NAMESPACE}/services/rulepack-metrics")
    there = served(operator, service["spec"]["clusterIP"])
    eventually(lambda: "rulepack_leader" in there.ask("/metrics"), "answer of the Service")
    assert "Traceback" not in operator.logs()


def test_a_rolling_update_loses_no_job(operator: Operator, load: Load) -> None:
    """Both pods are replaced while jobs go on, and the leader gives its Lease back, so nobody waits for that to expire."""
    before = {*names(operator.settled())}
    operator.node.kubectl("rollout", "restart", "deployment/rulepack", f"--namespace={NAMESPACE}")
    after = {*names(operator.settled())}
    assert not before & after
    load.wait_for(2)
    load.all_done("rolling update")


def test_a_leader_that_is_killed_is_followed(operator: Operator, load: Load) -> None:
    """SIGKILL: the other one takes the Lease when it has expired, kubelet restarts the container, and no job is lost."""
    leader = operator.leader()
    os.kill(operator.node.pids(leader)[0], signal.SIGKILL)
    load.wait_for(3)
    load.all_done("SIGKILL of the leader")
    eventually(lambda: restarts(operator.pod(metadata(leader)["name"])) == restarts(leader) + 1, "restart")
    operator.settled()


def test_a_leader_that_stands_still_is_restarted(operator: Operator, load: Load) -> None:
    """SIGSTOP: the other one takes over, and the liveness probe has kubelet end the one that answers no more."""
    leader = operator.leader()
    os.kill(operator.node.pids(leader)[0], signal.SIGSTOP)
    load.wait_for(3)
    assert operator.leader() != leader
    load.all_done("SIGSTOP of the leader")
    eventually(lambda: restarts(operator.pod(metadata(leader)["name"])) == restarts(leader) + 1, "restart", 180)
    operator.settled()


def test_a_leader_that_runs_out_of_memory_is_followed(operator: Operator, load: Load) -> None:
    """Its limit lowered to what it has, it is killed by the kernel as it reads more; then kubelet gives it its limit back."""
    leader = operator.leader()
    lower_limit(operator.node.pids(leader)[0])
    fill = {f"key-{number}": "x" * 500_000 for number in range(2)}
    for number in range(8):
        pack = {"name": f"large-{number}", "labels": {"rules.mlops.dev/rule-pack": "true"}}
        operator.home.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": pack, "data": fill})

    def reason() -> str:
        (status,) = operator.pod(metadata(leader)["name"])["status"]["containerStatuses"]
        return str(dig(status, ("lastState", "terminated", "reason"), ""))

    eventually(lambda: reason() == "OOMKilled", "pod that ran out of memory")
    for number in range(8):
        operator.home.delete(CONFIG_MAP, f"large-{number}")
    load.wait_for(3)
    load.all_done("leader out of memory")
    operator.settled()


def test_a_limit_that_is_too_low_replaces_nothing(operator: Operator, load: Load) -> None:
    """The new pods do not get up, so the old ones stay and work on; the way back is `rollout undo`."""
    before = names(operator.settled())
    deployment = ("deployment/rulepack", f"--namespace={NAMESPACE}")
    operator.node.kubectl("set", "resources", *deployment, "--limits=memory=24Mi", "--requests=memory=24Mi")

    def killed() -> bool:
        pods = [pod for pod in operator.pods() if metadata(pod)["name"] not in before]
        return any(restarts(pod) for pod in pods)

    eventually(killed, "new pod that is restarted")
    load.wait_for(2)
    load.all_done("limit too low")
    assert {*before} <= {*names(operator.ready_pods())}
    operator.node.kubectl("rollout", "undo", *deployment)
    assert sorted(names(operator.settled())) == sorted(before)


def test_one_pod_at_a_time_may_be_evicted(operator: Operator, load: Load) -> None:
    """The PodDisruptionBudget refuses the second eviction until the first pod's successor is Ready."""
    first, second = names(operator.settled())
    evict(operator, first)
    with pytest.raises(urllib.error.HTTPError) as refused:
        evict(operator, second)
    assert refused.value.code == HTTPStatus.TOO_MANY_REQUESTS
    load.wait_for(2)
    load.all_done("eviction")
    operator.settled()


def test_a_node_under_pressure_evicts_it_and_takes_it_back(operator: Operator, load: Load) -> None:
    """While the node has too little memory no pod runs; what has succeeded meanwhile is done as soon as one does again."""
    before = names(operator.settled())
    operator.node.evict_below({"memory.available": ALL_MEMORY})
    eventually(lambda: all(evicted(operator, name) for name in before), "pods that are evicted", 90)
    eventually(lambda: operator.node.conditions()["MemoryPressure"] == "True", "node that says so")
    assert operator.ready_pods() == []
    operator.node.evict_below(EVICTION)
    load.wait_for(2)
    load.all_done("node under pressure", 120)
    for name in names(operator.pods()):
        if evicted(operator, name):
            operator.home.delete(POD, name)
    operator.settled(180)


def test_it_goes_without_a_trace(operator: Operator) -> None:
    """`kubectl delete -k` takes back all that was made, and nothing blocks that."""
    plane, kubectl = operator.node.plane, operator.node.kubectl
    kubectl("delete", "-k", DEFAULT, "--timeout=120s")
    left = re.findall(
        r"^\S*rulepack\S*", kubectl("get", "namespaces,clusterroles,clusterrolebindings", "-o", "name").stdout, re.MULTILINE
    )
    assert left == []
    jobs = plane.request("GET", "/apis/mlops.mlops.dev/v1alpha1/notebookvalidationjobs")["items"]
    assert jobs
    assert not [one for one in jobs if "finalizers" in metadata(one)]


def evicted(operator: Operator, name: str) -> bool:
    """Whether kubelet has evicted a pod: only so does one of a Deployment come to an end and stay, with exit code 0 or not."""
    return bool(dig(operator.pod(name), ("status", "phase"), "") in ("Failed", "Succeeded"))


def evict(operator: Operator, name: str) -> None:
    """Evict a pod, as `kubectl drain` does. Raises urllib.error.HTTPError."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": NAMESPACE}}
    operator.node.plane.request("POST", f"{NAMESPACES}/{NAMESPACE}/pods/{name}/eviction", eviction)


def lower_limit(pid: int) -> None:
    """Set the memory limit of a process's container to a little above what it has."""
    group = control_group(pid, "memory")
    if (group / "memory.max").exists():
        usage, limits = group / "memory.current", [group / "memory.max"]
    else:
        usage, limits = group / "memory.usage_in_bytes", [group / "memory.limit_in_bytes"]
    for limit in limits:
        limit.write_text(str(int(usage.read_text()) + 2_000_000))
