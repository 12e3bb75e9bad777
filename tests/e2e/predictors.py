"""The pods of an InferenceService, with the test as KServe's controller, as the ReplicaSet's and as kubelet."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Self

from engine.model.objects import Object, dig, metadata
from tests.e2e.cluster import Cluster
from tests.world import DEPLOYMENT, POD, SERVICE, named, pod

READY = {"conditions": [{"type": kind, "status": "True"} for kind in ("PredictorReady", "IngressReady", "Ready")]}
#: Seconds from a pod's start until it is Ready.
WARM_UP = 0.5


def inference_service(name: str, namespace: str) -> Object:
    """An InferenceService without a status."""
    return named(SERVICE, name, namespace, spec={"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}})


class Predictors:
    """Keeps a number of predictor pods: what is gone is replaced, what is new becomes Ready, what is to end ends."""

    def __init__(self, cluster: Cluster, service: str, replicas: int) -> None:
        self._cluster, self._service, self._replicas = cluster, service, replicas
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._play)
        self._warm: dict[str, float] = {}
        self._fault: Exception | None = None
        self.fewest_ready = replicas
        """The fewest pods that were Ready at any time since all of them were."""

    def __enter__(self) -> Self:
        labels = {"serving.kserve.io/inferenceservice": self._service, "component": "predictor"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example.com/model"}]}}
        spec = {"replicas": self._replicas, "selector": {"matchLabels": labels}, "template": template}
        body = named(DEPLOYMENT, f"{self._service}-predictor", self._cluster.namespace, spec=spec)
        self._cluster.create({**body, "metadata": {**metadata(body), "labels": labels}})
        for _ in range(self._replicas):
            self._make(ready=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._fault is not None:
            raise self._fault

    def add(self) -> str:
        """One more pod, Ready at once; returns its name."""
        with self._lock:
            self._replicas += 1
            self.fewest_ready += 1
            self._cluster.patch(DEPLOYMENT, f"{self._service}-predictor", {"spec": {"replicas": self._replicas}})
            return self._make(ready=True)

    def names(self) -> set[str]:
        """The names of the pods that are there and Ready."""
        return {str(metadata(one)["name"]) for one in self._cluster.all(POD) if _ready(one)}

    def _play(self) -> None:
        try:
            while not self._stop.wait(0.1):
                with self._lock:
                    self._look()
        except Exception as error:  # raised again where the test ends
            self._fault = error

    def _look(self) -> None:
        pods = self._cluster.all(POD)
        self.fewest_ready = min(self.fewest_ready, sum(map(_ready, pods)))
        for one in pods:
            name = str(metadata(one)["name"])
            if "deletionTimestamp" in metadata(one):
                self._cluster.delete(POD, name)
            elif not _ready(one) and time.monotonic() > self._warm[name]:
                self._cluster.status(POD, name, {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
        for _ in range(self._replicas - len([one for one in pods if "deletionTimestamp" not in metadata(one)])):
            self._make(ready=False)

    def _make(self, *, ready: bool) -> str:
        name = f"{self._service}-predictor-{next(self._numbers)}"
        self._warm[name] = time.monotonic() + WARM_UP
        made = pod(name, self._service, ready=ready, namespace=self._cluster.namespace)
        # A pod that has a node ends only when its kubelet says so.
        self._cluster.create({**made, "spec": {**made["spec"], "nodeName": "node-1"}})
        return name


def _ready(one: Object) -> bool:
    conditions = dig(one, ("status", "conditions"), [])
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and "deletionTimestamp" not in metadata(one)
