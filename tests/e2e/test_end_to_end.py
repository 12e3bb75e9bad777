"""Scenario i: the example of docs and ADR-048, from a commit to a model that is served, with nobody doing anything by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from engine.model.objects import Object, annotations_of, dig, metadata
from tests.controlplane.plane import ControlPlane
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.e2e.predictors import READY, Predictors
from tests.world import JOB, SERVICE

EXAMPLE = Path(__file__).parent.parent.parent / "examples/end-to-end"
PLATFORM = "self-healing-platform"
NOTEBOOK, MODEL = "predictive-analytics-kserve-validation", "predictive-analytics"
WAITING = f"waiting for healthy state of mlops.mlops.dev/NotebookValidationJob/{NOTEBOOK}"


def test_a_commit_ends_in_a_reloaded_model(argocd: ArgoCD, control_plane: ControlPlane) -> None:
    """The notebook runs before the service exists; the next commit trains again, and the pods load that model, one at a time."""
    control_plane.ensure("/api/v1/namespaces", {"metadata": {"name": PLATFORM}})
    cluster = Cluster(control_plane, PLATFORM)
    repository = argocd.repository(PLATFORM)
    after = (EXAMPLE / "after.yaml").read_text()
    repository.commit({"platform/after.yaml": after})
    with Engine(control_plane, PLATFORM) as engine, Predictors(cluster, MODEL, 0) as predictors:
        engine.params({"on-success-triggers": "restartStrategy: Evict\n"})  # there is no KServe to roll anything out
        engine.start()
        engine.ready()
        argocd.cluster.create(_application(repository.url))

        first = eventually(lambda: cluster.find(JOB, NOTEBOOK), "notebook job")
        before = cluster.find(SERVICE, MODEL)
        cluster.status(JOB, NOTEBOOK, {"phase": "Succeeded", "completionTime": now()})
        eventually(lambda: cluster.find(SERVICE, MODEL), "InferenceService")
        cluster.status(SERVICE, MODEL, READY)
        old = {predictors.add() for _ in range(2)}
        argocd.settled(PLATFORM, "Synced", "Healthy")

        repository.commit({"platform/after.yaml": after.replace("ref: main", "ref: v2")})
        argocd.refresh(PLATFORM)
        second = eventually(lambda: _other(cluster.find(JOB, NOTEBOOK), first), "second notebook job")
        eventually(lambda: WAITING in dig(argocd.get(PLATFORM), ("status", "operationState", "message"), ""), "sync that waits")
        time.sleep(1.1)  # creation times are in whole seconds
        cluster.status(JOB, NOTEBOOK, {"phase": "Succeeded", "completionTime": now()})
        eventually(_reloaded(predictors, old), "reloaded pods")
        eventually(lambda: "TriggerSuccess" in dict(cluster.events(metadata(second)["uid"])), "Event")

    assert before is None
    assert metadata(first)["uid"] != metadata(second)["uid"]
    assert predictors.fewest_ready == 1
    assert "mlops.dev/notebook-summary" in annotations_of(argocd.settled(PLATFORM, "Synced", "Healthy"))
    assert [reason for reason, _ in cluster.events(metadata(second)["uid"])] == ["TriggerStarted", "TriggerSuccess"]


def _application(url: str) -> Object:
    """The example's Application, with a repository that is there."""
    application: dict[str, Any] = yaml.safe_load((EXAMPLE / "application.yaml").read_text())
    application["spec"]["source"]["repoURL"] = url
    return application


def _other(found: Object | None, first: Object) -> Object | None:
    return None if found is None or metadata(found)["uid"] == metadata(first)["uid"] else found


def _reloaded(predictors: Predictors, old: set[str]) -> Callable[[], bool]:
    return lambda: len(predictors.names()) == len(old) and not old & predictors.names()
