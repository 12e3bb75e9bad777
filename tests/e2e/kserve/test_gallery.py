"""The packs of examples/packs that are about InferenceServices, beside the real KServe."""

from __future__ import annotations

import time
from typing import Any

import pytest

from engine.model.objects import Object, dig
from engine.packs.crd import custom_resource_definition
from tests.cluster.conftest import RULE_PACKS
from tests.cluster.reactions import completed, made
from tests.cluster.test_gallery import grant, quick
from tests.e2e.cluster import Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.e2e.kserve.service import CONTAINER, Service
from tests.world import job

RUNTIME = {"apiVersion": "serving.kserve.io/v1alpha1", "kind": "ServingRuntime"}
RUNTIMES = "/apis/serving.kserve.io/v1alpha1/namespaces/{}/servingruntimes"
JOBS = "/apis/batch/v1/namespaces/{}/jobs"
MODEL = {"modelFormat": {"name": "sklearn"}, "runtime": "plain"}


def apply(cluster: Cluster, engine: Engine, pack: Object) -> None:
    """Apply a pack with the rights that `rulepack rbac` writes for it, start the operator, and wait until it is in force."""
    name = pack["metadata"]["name"]
    cluster.plane.define(custom_resource_definition())
    grant(cluster.plane, name, engine.own)
    cluster.plane.request("POST", RULE_PACKS.format(engine.own), pack)
    engine.start()
    engine.ready()
    eventually(lambda: name in engine.packs() and not engine.packs()[name]["waitingFor"], f"{name} in force")
    time.sleep(1.1)  # times are in whole seconds


def versioned(cluster: Cluster, service: Service, replicas: int, **predictor: Any) -> set[str]:
    """Create the service with a model of its first version, and return the uids of its pods."""
    runtime = {"supportedModelFormats": [{"name": "sklearn", "autoSelect": True}], "containers": [CONTAINER]}
    cluster.plane.request("POST", RUNTIMES.format(cluster.namespace), {**RUNTIME, **made("plain", spec=runtime)})
    first = service.create(replicas, **predictor)
    service.patch({"spec": {"predictor": {"containers": None, "model": {**MODEL, "storageUri": "pvc://models/model/1"}}}})
    eventually(lambda: not first & service.settled(), "pods of the runtime")
    return service.pods()


def train(cluster: Cluster) -> None:
    """A notebook has trained the second version."""
    asked = {"example.com/service": "model", "example.com/storage-uri": "pvc://models/model/2"}
    cluster.create(job(phase="Succeeded", completed=now(), annotations=asked, namespace=cluster.namespace))


def uri(service: Service) -> Any:
    """The storageUri of the service."""
    return service.get()["spec"]["predictor"]["model"]["storageUri"]


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_new_version_takes_nothing_from_what_is_served(
    cluster: Cluster, stopped_engine: Engine, service: Service, replicas: int
) -> None:
    """KServe replaces all pods, and never fewer of them serve than before."""
    before = versioned(cluster, service, replicas)
    apply(cluster, stopped_engine, quick("model-version"))

    with service.capacity() as capacity:
        train(cluster)
        eventually(lambda: not before & service.settled(), "pods with the new version")

    assert uri(service) == "pvc://models/model/2"
    assert capacity.lowest == replicas, capacity


def test_a_version_that_does_not_load_leaves_the_old_pods(cluster: Cluster, stopped_engine: Engine, service: Service) -> None:
    """They go on with the old model."""
    before = versioned(cluster, service, 1)
    apply(cluster, stopped_engine, quick("model-version"))
    service.hinder("model")

    with service.capacity() as capacity:
        train(cluster)
        eventually(lambda: dig(service.deployment(), ("status", "unavailableReplicas"), 0), "pod that does not load")
        time.sleep(5)

    assert uri(service) == "pvc://models/model/2"
    assert (service.pods(), capacity.lowest) == (before, 1)


def test_what_would_be_without_a_pod_keeps_its_version(cluster: Cluster, stopped_engine: Engine, service: Service) -> None:
    """By the strategy that KServe has given to the Deployment."""
    before = versioned(cluster, service, 1, deploymentStrategy={"type": "Recreate"})
    apply(cluster, stopped_engine, quick("model-version"))

    train(cluster)

    eventually(lambda: "ModelRefused" in dict(cluster.events("train")), "refusal")
    assert (uri(service), service.pods()) == ("pvc://models/model/1", before)


def test_a_job_that_completes_restarts_the_predictor(cluster: Cluster, stopped_engine: Engine, service: Service) -> None:
    """All its pods are replaced, none is missing meanwhile, and the transformer's stay; Jobs alone are watched."""
    before = service.create(1, transformer=True)
    transformer = service.pods("transformer")
    pack = quick("restart-after-run")
    pack["spec"]["watch"] = [each for each in pack["spec"]["watch"] if each["kind"] == "Job"]
    apply(cluster, stopped_engine, pack)
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example.com/train"}]}
    asked = {"example.com/restart": "InferenceService/model"}

    with service.capacity() as capacity:
        jobs = JOBS.format(cluster.namespace)
        spec = {"template": {"spec": pod}, "managedBy": "example.com/tests"}  # no pods: the test says that it has completed
        cluster.plane.request("POST", jobs, made("train", annotations=asked, spec=spec))
        cluster.plane.request("PATCH", f"{jobs}/train/status", completed())
        eventually(lambda: not before & service.settled(), "other pod")

    assert capacity.lowest == 1, capacity
    assert service.pods("transformer") == transformer
