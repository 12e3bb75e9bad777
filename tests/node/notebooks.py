"""What the operator of NotebookValidationJobs and a model server do, with real pods: train in one, predict in others."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from engine.model.objects import Kind, Object, dig, metadata
from tests.e2e.cluster import Cluster
from tests.node.images import PYTHON_IMAGE
from tests.node.node import Node
from tests.node.operator import ask, condition
from tests.world import DEPLOYMENT, JOB, POD, SERVICE, named

#: Fits a line through what it reads of the environment, and puts the model in place at once, as no reader must see half of it.
NOTEBOOK = """
import json, os
points = json.loads(os.environ["POINTS"])
size, xs, ys = len(points), [x for x, _ in points], [y for _, y in points]
slope = (size * sum(x * y for x, y in points) - sum(xs) * sum(ys)) / (size * sum(x * x for x in xs) - sum(xs) ** 2)
with open("/models/new", "w") as file:
    json.dump({"slope": slope, "intercept": (sum(ys) - slope * sum(xs)) / size}, file)
os.rename("/models/new", "/models/model.json")
"""
#: Loads the model once, when it starts, and then predicts.
SERVER = """
import json, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
model = json.load(open("/models/model.json"))
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = json.dumps(model["slope"] * float(self.path[1:] or 0) + model["intercept"]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
CLAIM = "models"
#: Pods that serve one model.
REPLICAS = 2


def pod_spec(script: str, **env: str) -> dict[str, Any]:
    """A pod that runs a Python script, with the folder of models, as the pod security standard restricted has it."""
    container = {
        "name": "main", "image": PYTHON_IMAGE, "command": ["python3", "-c", script],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "volumeMounts": [{"name": CLAIM, "mountPath": "/models"}],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }  # fmt: skip
    return {
        "containers": [container], "volumes": [{"name": CLAIM, "persistentVolumeClaim": {"claimName": CLAIM}}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 5,
    }  # fmt: skip


def predictor(service: str, namespace: str, replicas: int) -> Object:
    """The Deployment that KServe makes for an InferenceService: its pods are found by the service's name."""
    labels = {"serving.kserve.io/inferenceservice": service, "component": "predictor"}
    spec = pod_spec(SERVER)
    spec["containers"][0]["readinessProbe"] = {"httpGet": {"path": "/0", "port": 8080}, "periodSeconds": 1}
    body = named(DEPLOYMENT, f"{service}-predictor", namespace, spec={
        "replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec},
    })  # fmt: skip
    body["metadata"]["labels"] = labels
    return body


class Controller(ABC):
    """In the role of a controller for one namespace: reconciles all of it five times a second."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._fault: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._fault:
            raise self._fault

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.2):
                self._reconcile()
        except Exception as error:  # raised again where the test ends
            self._fault = error

    @abstractmethod
    def _reconcile(self) -> None:
        """Create what is missing, and write what is known."""


class Notebooks(Controller):
    """The notebook operator: each job gets a pod, and the status that the pod comes to."""

    def _reconcile(self) -> None:
        for one in self._cluster.all(JOB):
            if dig(one, ("status", "phase"), "") not in ("Succeeded", "Failed"):
                self._follow(one)

    def _follow(self, one: Object) -> None:
        name, uid = str(metadata(one)["name"]), str(metadata(one)["uid"])
        pod_name = f"{name}-{uid[:8]}"
        pod = self._cluster.find(POD, pod_name)
        if pod is None:
            self._cluster.status(JOB, name, {"phase": "Initializing"})
            spec = pod_spec(NOTEBOOK, POINTS=metadata(one)["annotations"]["example.com/points"])
            pod = named(POD, pod_name, self._cluster.namespace, spec={**spec, "restartPolicy": "Never"})
            pod["metadata"]["ownerReferences"] = [{"apiVersion": JOB.api_version, "kind": JOB.kind, "name": name, "uid": uid}]
            self._cluster.create(pod)
            return
        match dig(pod, ("status", "phase"), ""):
            case "Running":
                self._cluster.status(JOB, name, {"phase": "Running", "validationPodName": pod_name})
            case "Succeeded" | "Failed" as phase:
                now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                message = f"Validation pod {phase.lower()}"
                self._cluster.status(JOB, name, {"phase": phase, "completionTime": now, "message": message})


class Services(Controller):
    """KServe: each InferenceService gets a Deployment of two predictors, and is Ready while these are."""

    def _reconcile(self) -> None:
        for one in self._cluster.all(SERVICE):
            name = str(metadata(one)["name"])
            deployment = self._cluster.find(DEPLOYMENT, f"{name}-predictor")
            if deployment is None:
                self._cluster.create(predictor(name, self._cluster.namespace, REPLICAS))
                continue
            available = dig(deployment, ("status", "availableReplicas"), 0) == REPLICAS
            wanted = {"type": "Ready", "status": "True" if available else "False"}
            if dig(one, ("status", "conditions"), []) != [wanted]:
                self._cluster.status(SERVICE, name, {"conditions": [wanted]})


def store(node: Node, namespace: str) -> Path:
    """A folder of the node that pods of a namespace, which is made, have by a claim."""
    folder = node.folder(CLAIM)
    folder.chmod(0o777)
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    node.plane.ensure("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": enforced}})
    size, modes = {"storage": "1Mi"}, ["ReadWriteMany"]
    volume = {"capacity": size, "accessModes": modes, "hostPath": {"path": str(folder)}, "storageClassName": "manual"}
    node.plane.ensure("/api/v1/persistentvolumes", {"metadata": {"name": CLAIM}, "spec": volume})
    claim = {"accessModes": modes, "resources": {"requests": size}, "storageClassName": "manual", "volumeName": CLAIM}
    body = named(Kind("v1", "PersistentVolumeClaim"), CLAIM, namespace, spec=claim)
    node.plane.ensure(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", body)
    return folder


def servers(cluster: Cluster) -> list[Object]:
    """The pods that serve, Ready and not about to end."""
    pods = [pod for pod in cluster.all(POD) if metadata(pod).get("labels", {}).get("component") == "predictor"]
    return [pod for pod in pods if condition(pod, "Ready") == "True" and "deletionTimestamp" not in metadata(pod)]


def predictions(cluster: Cluster, x: int) -> list[float]:
    """What each of them predicts."""
    return [float(ask(pod["status"]["podIP"], f"/{x}") or "nan") for pod in servers(cluster)]


@contextmanager
def fewest_ready(cluster: Cluster) -> Iterator[list[int]]:
    """How many pods were Ready at each moment that the context lasts, five times a second."""
    seen: list[int] = []
    stop = threading.Event()

    def count() -> None:
        while not stop.wait(0.2):
            seen.append(len(servers(cluster)))

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
