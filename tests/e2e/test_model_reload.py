"""Scenario e: a success makes the pods of an InferenceService load the new model, without an outage and without drift."""

from __future__ import annotations

import time

from engine.model.objects import Object, annotations_of, dig
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.e2e.predictors import READY, Predictors, inference_service
from tests.world import JOB, SERVICE, job, trigger, triggers

RECORD = "fired.rules.mlops.dev/on-success-triggers.restart-inference-service"


def verdict(application: Object) -> tuple[str, str]:
    """What Argo CD says of an Application: sync status and health."""
    return dig(application, ("status", "sync", "status"), ""), dig(application, ("status", "health", "status"), "")


def test_pods_older_than_the_model_are_evicted_one_at_a_time(argocd: ArgoCD, cluster: Cluster, engine: Engine) -> None:
    """Each pod older than the completion is evicted, one at a time, a newer one never; the Application shows no drift."""
    name = cluster.namespace
    repository = argocd.repository(name)
    repository.commit({"app.yaml": [inference_service("model", cluster.namespace)]})
    argocd.application(name, repository, cluster.namespace)
    argocd.sync(name)
    cluster.status(SERVICE, "model", READY)
    argocd.settled(name, "Synced", "Healthy")
    seen = set()

    def restarted() -> bool:
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
        eventually(restarted, "firing record on the job")
        eventually(lambda: len(predictors.names()) == 4, "fourth Ready pod")
        new = predictors.names()

    assert seen == {("Synced", "Healthy")}
    assert not old & new
    assert newer in new
    assert predictors.fewest_ready == 3
    assert [write for write in engine.writes() if "/eviction" not in write and "/pods" in write] == []
    assert [reason for reason, _ in cluster.events("train")] == ["TriggerSuccess"]
    argocd.settled(name, "Synced", "Healthy")
