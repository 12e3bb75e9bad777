"""What the operator of NotebookValidationJobs and a model server do, with real pods: train in one, predict in others."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any, Self

from engine.model.objects import Object, dig, metadata
from tests.e2e.cluster import Cluster
from tests.node.images import PYTHON_IMAGE
from tests.world import DEPLOYMENT, JOB, POD, named

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


class Notebooks:
    """In the role of the notebook operator for one namespace: each job gets a pod, and the status that the pod comes to."""

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
                for one in self._cluster.all(JOB):
                    if dig(one, ("status", "phase"), "") not in ("Succeeded", "Failed"):
                        self._follow(one)
        except Exception as error:  # raised again where the test ends
            self._fault = error

    def _follow(self, one: Object) -> None:
        name = str(metadata(one)["name"])
        pod = self._cluster.find(POD, f"{name}-validation")
        if pod is None:
            self._cluster.status(JOB, name, {"phase": "Initializing"})
            spec = pod_spec(NOTEBOOK, POINTS=metadata(one)["annotations"]["example.com/points"])
            self._cluster.create(
                named(POD, f"{name}-validation", self._cluster.namespace, spec={**spec, "restartPolicy": "Never"})
            )
            return
        match dig(pod, ("status", "phase"), ""):
            case "Running":
                self._cluster.status(JOB, name, {"phase": "Running", "validationPodName": metadata(pod)["name"]})
            case "Succeeded" | "Failed" as phase:
                now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                message = f"Validation pod {phase.lower()}"
                self._cluster.status(JOB, name, {"phase": phase, "completionTime": now, "message": message})
