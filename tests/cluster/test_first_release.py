"""From release 0.1.0 to this one, back, and here again, on a real kube-apiserver: neither does again what the other has done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.model.objects import Object, annotations_of, dig
from tests.bundle import released
from tests.bundle.released import OnePort
from tests.chaos.layout import prepare
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.world import APPLICATION, DEPLOYMENT, JOB, job, named, trigger, triggers

AT = ("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
SETTLED = "rulepack_evaluations_total{", "rulepack_leader 1.0", "rulepack_queue_depth 0.0"


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    """A namespace with a Deployment and an Application that deploys there."""
    prepare(control_plane, namespace)
    cluster = Cluster(control_plane, namespace)
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example.com/web"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    destination = {"server": "https://kubernetes.default.svc", "namespace": namespace}
    cluster.create(
        named(DEPLOYMENT, "web", namespace, spec=spec),
        named(APPLICATION, "site", namespace, spec={"project": "x", "destination": destination, "source": {"repoURL": "x"}}),
    )
    return cluster


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    with Engine(cluster.plane, cluster.namespace) as engine:
        yield engine


class FirstRelease:
    """Release 0.1.0, its code and its packs, in place of an engine."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine, self._code = engine, released.unpack(folder)

    def run(self) -> None:
        """Start it, and wait until it leads and has nothing left to do."""
        self._served = OnePort.anywhere()
        rules = f"--rules={self._code / 'rules'}"
        command = [rules if word.startswith("--rules=") else word for word in self._engine.command(self._served)]
        self._engine.processes.start("released", command, {**os.environ, "PYTHONPATH": str(self._code)})
        eventually(self.settled, "0.1.0 with nothing left to do")

    def settled(self) -> bool:
        """Whether it leads, has evaluated objects, and has none left to evaluate."""
        assert not self._engine.processes.ended(), self._engine.processes.end_of_log("released")
        metrics = self._served.ask("/metrics")
        return all(text in metrics for text in SETTLED)

    def stop(self) -> None:
        """End it as kubelet does."""
        assert self._engine.processes.terminate("released", 30.0) == 0


def run(engine: Engine) -> None:
    """Start the engine, and wait until it leads and has nothing left to do."""
    engine.start()
    engine.ready()
    eventually(lambda: engine.lease().get("holderIdentity"), "leader")
    eventually(lambda: engine.idle() and engine.evaluated(), "engine with nothing left to do")


def ends(cluster: Cluster, name: str) -> None:
    """Have a job succeed that restarts the Deployment and syncs the Application, and have both done."""
    before = dig(cluster.get(DEPLOYMENT, "web"), AT, "")
    asks = triggers(trigger(DEPLOYMENT, "web", "restart"), trigger(APPLICATION, "site", "sync", cluster.namespace))
    wave = {"argocd.argoproj.io/sync-wave": "3"}
    cluster.create(job(name, "Succeeded", {**asks, **wave}, cluster.namespace, now()))
    eventually(lambda: dig(cluster.get(DEPLOYMENT, "web"), AT, "") > before, f"restart for {name}")
    operation: Any = eventually(lambda: cluster.get(APPLICATION, "site").get("operation"), f"sync for {name}")
    state = {"phase": "Succeeded", "operation": operation, "startedAt": now(), "finishedAt": now()}
    cluster.patch(APPLICATION, "site", {"operation": None, "status": {"operationState": state}})  # as Argo CD does


def recorded(cluster: Cluster, name: str) -> bool:
    """Whether it is on record that this release has restarted and synced for a job."""
    found = annotations_of(cluster.get(JOB, name))
    return {f"fired.rules.mlops.dev/on-success-triggers.{rule}" for rule in ("restart", "sync-application")} <= found.keys()


def left(cluster: Cluster) -> list[Object]:
    """The Deployment and what was asked of the Application, as they are."""
    site = cluster.get(APPLICATION, "site")
    return [cluster.get(DEPLOYMENT, "web"), {"operation": site.get("operation"), "state": site["status"]["operationState"]}]


def test_there_and_back_and_there_again_nothing_is_restarted_or_synced_twice(
    cluster: Cluster, engine: Engine, tmp_path: Path
) -> None:
    """Two jobs, one ends under each of the two releases; each release then evaluates both."""
    first = FirstRelease(engine, tmp_path)
    cluster.create(job("waits", namespace=cluster.namespace))
    first.run()
    ends(cluster, "old")
    eventually(first.settled, "0.1.0 with nothing left to do")
    first.stop()
    after_the_old = left(cluster)

    run(engine)
    assert left(cluster) == after_the_old
    ends(cluster, "new")
    eventually(lambda: recorded(cluster, "new"), "records of the new job")
    eventually(engine.idle, "engine with nothing left to do")
    assert engine.stop() == 0
    after_the_new = left(cluster)

    first.run()
    assert left(cluster) == after_the_new
    first.stop()

    run(engine)
    assert left(cluster) == after_the_new
