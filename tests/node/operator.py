"""The operator's pods on a node."""

from __future__ import annotations

import os
import re
import urllib.request
from pathlib import Path

from engine.model.objects import Kind, Object, dig, metadata
from tests.e2e.cluster import Cluster, eventually
from tests.node.node import Node
from tests.served import Served
from tests.world import DEPLOYMENT, POD, RULES

CONFIG = RULES.parent / "config"
#: The image that config/default names.
DEPLOYED = re.findall(r"image: (\S+)", (CONFIG / "manager/deployment.yaml").read_text())[0]
NAMESPACE = "rulepack-system"
LEASE = Kind("coordination.k8s.io/v1", "Lease")


class Operator:
    """The pods of the operator's Deployment, however it was installed."""

    def __init__(self, node: Node, deployment: str = "rulepack", namespace: str = NAMESPACE) -> None:
        self.node, self.name = node, deployment
        self.home = Cluster(node.plane, namespace)

    def pods(self) -> list[Object]:
        """The pods that are there and not about to end."""
        return [pod for pod in self._pods() if "deletionTimestamp" not in metadata(pod)]

    def ready_pods(self) -> list[Object]:
        """Those that are Ready."""
        return [pod for pod in self.pods() if condition(pod, "Ready") == "True"]

    def settled(self, patience: float = 120.0) -> list[Object]:
        """Wait until its Deployment has all its pods Ready, of the newest template and no others, and one of them leads."""

        def found() -> list[Object]:
            deployment = self.home.get(DEPLOYMENT, self.name)
            wanted, status = deployment["spec"]["replicas"], deployment.get("status", {})
            if (
                status.get("observedGeneration") != deployment["metadata"]["generation"]
                or status.get("updatedReplicas") != wanted
            ):
                return []
            pods = self.ready_pods()
            return pods if len(pods) == wanted == len(self._pods()) and self.holder() in names(pods) else []

        return eventually(found, "Deployment with all pods Ready and a leader", patience)

    def leader(self) -> Object:
        """The pod that leads."""

        def found() -> list[Object]:
            return [pod for pod in self.ready_pods() if metadata(pod)["name"] == self.holder()]

        return eventually(found, "leader that is Ready")[0]

    def holder(self) -> str:
        """The name of the pod that holds the Lease; '' where none does."""
        lease = self.home.find(LEASE, "rulepack")
        return str(dig(lease or {}, ("spec", "holderIdentity"), "") or "").partition("_")[0]

    def pod(self, name: str) -> Object:
        """A pod by its name."""
        return self.home.get(POD, name)

    def logs(self) -> str:
        """What each of its containers, the ones before a restart included, has printed, as far as kubelet has it still."""
        selector = f"--selector=app.kubernetes.io/name={self.name}"
        return self.node.kubectl("logs", f"--namespace={self.home.namespace}", selector, "--tail=-1").stdout

    def _pods(self) -> list[Object]:
        deployment = self.home.find(DEPLOYMENT, self.name)
        wanted = dig(deployment or {}, ("spec", "selector", "matchLabels"), {})
        return [pod for pod in self.home.all(POD) if wanted.items() <= metadata(pod).get("labels", {}).items()]


def served(operator: Operator, address: str) -> Served:
    """The operator at an address of a pod or of its Service, asked as an administrator."""
    return Served(8081, 8443, operator.node.plane.admin_token, address)


def ask(address: str, path: str, port: int = 8080) -> str:
    """What answers over HTTP at an address; '' where nothing does, or not with success."""
    host = f"[{address}]" if ":" in address else address
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def condition(pod: Object, kind: str) -> str:
    """The status of a condition of a pod."""
    return str(next((one["status"] for one in dig(pod, ("status", "conditions"), []) if one["type"] == kind), ""))


def restarts(pod: Object) -> int:
    """How often kubelet has restarted a pod's container."""
    return sum(status["restartCount"] for status in dig(pod, ("status", "containerStatuses"), []))


def names(pods: list[Object]) -> list[str]:
    """The names of pods."""
    return [str(metadata(pod)["name"]) for pod in pods]


def status_of(pid: int) -> dict[str, str]:
    """What the kernel says of a process, by key (proc(5), /proc/PID/status)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: " ".join(text.split()) for key, _, text in (line.partition(":") for line in lines)}


def control_group(pid: int, controller: str) -> Path:
    """The folder of a process's control group, of version 2 or of a controller of version 1."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") or (not controllers and os.path.exists("/sys/fs/cgroup/cgroup.controllers")):
            return Path("/sys/fs/cgroup") / (controller if controllers else "") / path.lstrip("/")
    raise AssertionError(f"process {pid} is in no control group of {controller}")
