"""A finished job that restarts an InferenceService, with the shipped pack beside the real KServe."""

from __future__ import annotations

import time

import pytest

from engine.model.objects import Kind, dig
from tests.controlplane.kserve import KServe
from tests.e2e.cluster import Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.e2e.kserve.job import PATIENCE, reported, succeed
from tests.e2e.kserve.service import FAULTS, Service
from tests.world import DEPLOYMENT, JOB, SERVICE, job, trigger, triggers

REPLICA_SET = Kind("apps/v1", "ReplicaSet")


#: What Events say of each of FAULTS.
WHY = {
    "quota": "exceeded quota: full",
    "room": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu",
    "model": "model.joblib: no such file",
}


def under_way(cluster: Cluster, service: Service) -> None:
    """Wait until new pods should have come, and for longer than it takes to take some of the old ones away."""
    eventually(lambda: "TriggerStarted" in dict(cluster.events("train")), "restart", PATIENCE)
    at = ("spec", "template", "metadata", "annotations", "mlops.dev/restarted-at")
    eventually(lambda: dig(service.deployment(), at, None), "rollout")
    time.sleep(10)


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_restart_takes_nothing_from_what_is_served(cluster: Cluster, engine: Engine, service: Service, replicas: int) -> None:
    """All pods are replaced, and never fewer of them serve than before."""
    before = service.create(replicas)

    with service.capacity() as capacity:
        succeed(cluster)
        eventually(lambda: reported(cluster), "end of the restart", PATIENCE)
        after = service.settled()

    assert reported(cluster) == ["TriggerSuccess"]
    assert not before & after
    assert capacity.lowest == replicas, capacity


def test_a_full_quota_costs_no_pod(cluster: Cluster, engine: Engine, service: Service) -> None:
    """Where no replacement can be created the three pods that serve stay."""
    service.create(3)
    service.hinder("quota")

    with service.capacity() as capacity:
        succeed(cluster)
        under_way(cluster, service)

    assert capacity.lowest == 3, capacity


@pytest.mark.parametrize("fault", FAULTS)
def test_the_last_pod_stays(cluster: Cluster, engine: Engine, service: Service, fault: str) -> None:
    """Whatever keeps a replacement from serving, the one pod that serves stays."""
    service.create(1)
    service.hinder(fault)

    with service.capacity() as capacity:
        succeed(cluster)
        under_way(cluster, service)

    assert capacity.lowest == 1, capacity


@pytest.mark.parametrize("fault", ["room", "model"])
def test_a_fault_of_the_new_pods_costs_none_of_the_old(cluster: Cluster, engine: Engine, service: Service, fault: str) -> None:
    """Where new pods do not come to serve the three that serve stay."""
    service.create(3)
    service.hinder(fault)

    with service.capacity() as capacity:
        succeed(cluster)
        under_way(cluster, service)

    assert capacity.lowest == 3, capacity


@pytest.mark.parametrize(
    "fault", [pytest.param("quota", marks=pytest.mark.nightly), "room", pytest.param("model", marks=pytest.mark.nightly)]
)
def test_success_is_not_reported_before_the_new_model_serves(
    cluster: Cluster, engine: Engine, service: Service, fault: str
) -> None:
    """Where no pod comes to serve what was trained, TriggerSuccess is not reported."""
    before = service.create(1)
    service.hinder(fault)

    succeed(cluster)
    eventually(lambda: reported(cluster), "Event about the restart", PATIENCE)

    serving = service.pods()
    assert serving <= before
    assert WHY[fault] in dict(cluster.events("train"))["TriggerWaiting"]
    assert WHY[fault] in dict(cluster.events("model"))["TriggerWaiting"]
    assert "TriggerSuccess" not in reported(cluster), (
        f"reported {reported(cluster)} with {len(serving)} Ready pods, all from before"
    )


def test_the_strategy_rollout_replaces_the_pods(cluster: Cluster, stopped_engine: Engine, service: Service) -> None:
    """It is a success where all pods are new."""
    stopped_engine.params({"on-success-triggers": "restartStrategy: Rollout\n"})
    stopped_engine.start()
    stopped_engine.ready()
    before = service.create(1)

    succeed(cluster)
    eventually(lambda: reported(cluster), "end of the restart", PATIENCE)

    assert reported(cluster) == ["TriggerSuccess"]
    after = service.settled()
    assert not before & after, f"TriggerSuccess, and {len(before & after)} of {len(after)} pods are from before"


def test_a_restart_that_its_owner_takes_back_is_no_success(cluster: Cluster, engine: Engine, service: Service) -> None:
    """A trigger that names the predictor's Deployment replaces its pods, or says that it does not."""
    before = service.create(1)

    succeed(cluster, kind=DEPLOYMENT, name="model-predictor")
    eventually(lambda: reported(cluster), "end of the restart", PATIENCE)

    kept = before & service.settled()
    assert not kept or "TriggerSuccess" not in reported(cluster), f"reported {reported(cluster)}, and the pod is from before"


def test_a_refresh_leaves_the_transformer(cluster: Cluster, engine: Engine, service: Service) -> None:
    """What a training has changed is the predictor's model: the transformer's pods stay."""
    before = service.create(1, transformer=True)
    transformer = service.pods("transformer")

    succeed(cluster, "refresh")
    eventually(lambda: not before & service.settled(), "other predictor pod")
    time.sleep(3)  # longer than a transformer takes to load

    assert service.settled("transformer") == transformer, "the transformer has been replaced too"


def test_a_refresh_that_kserve_does_not_carry_out_is_no_success(
    cluster: Cluster, engine: Engine, service: Service, kserve: KServe
) -> None:
    """Where the mark is in serviceAnnotationDisallowedList the pods stay, and TriggerSuccess is not reported."""
    before = service.create(1)

    with kserve.configured("inferenceService", {"serviceAnnotationDisallowedList": ["mlops.dev/refreshed-at"]}):
        succeed(cluster, "refresh")
        eventually(lambda: reported(cluster), "end of the refresh", PATIENCE)
        time.sleep(3)  # longer than a pod takes to load

    kept = before & service.settled()
    assert not kept or "TriggerSuccess" not in reported(cluster), f"reported {reported(cluster)}, and the pod is from before"


def test_a_job_that_is_deleted_leaves_no_restart_half_done(cluster: Cluster, engine: Engine, service: Service) -> None:
    """It goes once it has succeeded, and the engine is killed meanwhile: the restart is reported all the same."""
    before = service.create(2)

    succeed(cluster)
    cluster.delete(JOB, "train")
    eventually(lambda: "TriggerStarted" in dict(cluster.events("model")), "restart")
    engine.kill()
    engine.start()

    eventually(lambda: "TriggerSuccess" in dict(cluster.events("model")), "end of the restart", PATIENCE)
    assert not before & service.settled()
    assert reported(cluster) == []


def test_trainings_within_seconds_are_one_restart(cluster: Cluster, engine: Engine, service: Service) -> None:
    """Two jobs succeed one after the other: one new ReplicaSet, and each job has its success."""
    service.create(1)
    asked = triggers(trigger(SERVICE, "model", "restart"))
    time.sleep(1.1)  # creation times are in whole seconds

    for name in ("first", "second"):
        cluster.create(job(name, phase="Succeeded", completed=now(), annotations=asked, namespace=cluster.namespace))
        time.sleep(2)

    for name in ("first", "second"):
        eventually(lambda name=name: "TriggerSuccess" in dict(cluster.events(name)), "end of the restart", PATIENCE)  # type: ignore[misc]
    assert len(cluster.all(REPLICA_SET)) == 2
    assert engine.metric("argocd_triggers_total", action="restart", status="success") == 2


def test_a_service_of_model_mesh_is_refused_at_once(cluster: Cluster, engine: Engine, service: Service) -> None:
    """KServe makes no pods for it and writes no mode into its status: nothing is written on it, what does load is reported."""
    service.make(1, mode="ModelMesh")
    time.sleep(3)  # longer than KServe takes for any other mode
    before = service.get()

    succeed(cluster)
    eventually(lambda: reported(cluster), "Event about the restart", 30)

    assert reported(cluster) == ["TriggerFailed"]
    assert "only another storageUri loads a model anew" in dict(cluster.events("train"))["TriggerFailed"]
    assert not dig(before, ("status", "deploymentMode"), "")
    assert service.get()["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert not service.pods()


def test_a_circle_of_jobs_ends_at_so_many_restarts(cluster: Cluster, stopped_engine: Engine, service: Service) -> None:
    """The third restart within an hour is not started where two are allowed, and its job says what to do."""
    stopped_engine.params({"on-success-triggers": "restartsPerHour: 2\n"})
    stopped_engine.start()
    stopped_engine.ready()
    service.create(1)
    asked = triggers(trigger(SERVICE, "model", "restart"))

    for name, reason in (("first", "TriggerSuccess"), ("second", "TriggerSuccess"), ("third", "TriggerFailed")):
        time.sleep(6)  # longer than one restart takes in what has ended
        cluster.create(job(name, phase="Succeeded", completed=now(), annotations=asked, namespace=cluster.namespace))
        eventually(lambda name=name, reason=reason: reason in dict(cluster.events(name)), reason, PATIENCE)  # type: ignore[misc]

    assert "raise the param restartsPerHour" in dict(cluster.events("third"))["TriggerFailed"]
    assert len(cluster.all(REPLICA_SET)) == 3
