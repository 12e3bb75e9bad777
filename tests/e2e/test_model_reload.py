"""Scenario e: a success makes the pods of an InferenceService load the new model, without an outage and without drift."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from engine.model.objects import Object, annotations_of, dig
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.e2e.predictors import READY, Predictors, inference_service
from tests.e2e.settings import REPLACE, SELF_HEAL, SERVER_SIDE_DIFF, Setting
from tests.world import JOB, SERVICE, job, named, trigger, triggers

RECORD = "fired.rules.mlops.dev/on-success-triggers.restart"
ANNOTATIONS = ("spec", "predictor", "annotations")


def verdict(application: Object) -> tuple[str, str]:
    """What Argo CD says of an Application: sync status and health."""
    return dig(application, ("status", "sync", "status"), ""), dig(application, ("status", "health", "status"), "")


def succeed(cluster: Cluster) -> None:
    """A job that restarts the service succeeds, later than anything was created: times are in whole seconds."""
    time.sleep(1.1)
    asked = triggers(trigger(SERVICE, "model", "restart"))
    cluster.create(job(phase="Succeeded", completed=now(), annotations=asked, namespace=cluster.namespace))


def restarted(cluster: Cluster) -> str:
    """What the service is marked with."""
    return str(dig(cluster.get(SERVICE, "model"), ANNOTATIONS, {}).get("mlops.dev/restarted-at", ""))


@pytest.mark.parametrize("settings", [(SELF_HEAL,), (SELF_HEAL, SERVER_SIDE_DIFF)], ids=["selfHeal", "ServerSideDiff"])
def test_a_restart_is_no_drift(argocd: ArgoCD, cluster: Cluster, engine: Engine, settings: Sequence[Setting]) -> None:
    """Argo CD that puts back whatever differs leaves the time in the service's predictor, and the Application Synced."""
    name = cluster.namespace
    repository = argocd.repository(name)
    repository.commit({"app.yaml": [inference_service("model", cluster.namespace)]})
    argocd.application(name, repository, cluster.namespace, *settings)
    eventually(lambda: cluster.find(SERVICE, "model"), "service")
    cluster.status(SERVICE, "model", READY)
    argocd.settled(name, "Synced", "Healthy")

    succeed(cluster)
    at = eventually(lambda: restarted(cluster), "restart")
    repository.commit({"app.yaml": [inference_service("model", cluster.namespace), named(CONFIG_MAP, "more", cluster.namespace)]})
    argocd.refresh(name)
    eventually(lambda: cluster.find(CONFIG_MAP, "more"), "sync of the next commit")

    argocd.settled(name, "Synced", "Healthy")
    assert restarted(cluster) == at
    assert len([write for write in engine.writes() if "/inferenceservices/" in write]) == 1


def test_a_sync_that_replaces_takes_the_restart_away_and_that_is_reported(
    argocd: ArgoCD, cluster: Cluster, engine: Engine
) -> None:
    """With Replace=true the next sync writes the service as it is in Git: an Event says which setting does that."""
    name = cluster.namespace
    repository = argocd.repository(name)
    repository.commit({"app.yaml": [inference_service("model", cluster.namespace)]})
    argocd.application(name, repository, cluster.namespace, REPLACE)
    argocd.sync(name)

    succeed(cluster)
    eventually(lambda: restarted(cluster), "restart")
    argocd.sync(name)

    assert restarted(cluster) == ""
    eventually(lambda: "TriggerFailed" in dict(cluster.events("train")), "Event")
    assert "Replace=true" in dict(cluster.events("train"))["TriggerFailed"]
    assert restarted(cluster) == "", "it is not restarted once more for the same training"


def test_pods_older_than_the_model_are_evicted_one_at_a_time(argocd: ArgoCD, cluster: Cluster, stopped_engine: Engine) -> None:
    """With the strategy Evict each older pod is evicted, one at a time, a newer one never; the Application shows no drift."""
    engine = stopped_engine
    engine.params({"on-success-triggers": "restartStrategy: Evict\n"})
    engine.start()
    engine.ready()
    name = cluster.namespace
    repository = argocd.repository(name)
    repository.commit({"app.yaml": [inference_service("model", cluster.namespace)]})
    argocd.application(name, repository, cluster.namespace)
    argocd.sync(name)
    cluster.status(SERVICE, "model", READY)
    argocd.settled(name, "Synced", "Healthy")
    seen = set()

    def recorded() -> bool:
        seen.add(verdict(argocd.get(name)))
        return RECORD in annotations_of(cluster.get(JOB, "train"))

    with Predictors(cluster, "model", 3) as predictors:
        old = predictors.names()
        time.sleep(1.1)  # creation times are in whole seconds
        completed = now()
        time.sleep(1.1)
        newer = predictors.add()
        asks = triggers(trigger(SERVICE, "model", "restart"))

        cluster.create(job(phase="Succeeded", completed=completed, annotations=asks, namespace=cluster.namespace))
        eventually(recorded, "firing record on the job")
        eventually(lambda: len(predictors.names()) == 4, "fourth Ready pod")
        new = predictors.names()

    assert seen == {("Synced", "Healthy")}
    assert not old & new
    assert newer in new
    assert predictors.fewest_ready == 3
    assert [write for write in engine.writes() if "/eviction" not in write and "/pods" in write] == []
    eventually(lambda: [reason for reason, _ in cluster.events("train")] == ["TriggerStarted", "TriggerSuccess"], "Events")
    argocd.settled(name, "Synced", "Healthy")
