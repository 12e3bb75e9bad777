"""What the real KServe does: what restarts rely on, in Standard mode."""

from __future__ import annotations

from typing import Any

import pytest

from engine.model.objects import annotations_of, dig
from tests.controlplane.kserve import KServe
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.kserve.service import FAULTS, Service
from tests.simulators.objects import condition
from tests.world import DEPLOYMENT

RESTARTED_AT = "mlops.dev/restarted-at"
AT = "2026-01-24T22:30:00Z"
RESTART = {"spec": {"predictor": {"annotations": {RESTARTED_AT: AT}}}}


def taken_over(service: Service) -> bool:
    """Whether KServe has put the time of the restart on the predictor's Deployment."""
    annotations = dig(service.deployment(), ("spec", "template", "metadata", "annotations"), {})
    return bool(annotations.get(RESTARTED_AT) == AT)


def rolled_out(service: Service) -> bool:
    """Whether the predictor's Deployment says that all its pods are of its present template, as kubectl rollout status does."""
    found = service.deployment()
    status, wanted = found.get("status", {}), found["spec"]["replicas"]
    seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
    updated = status.get("updatedReplicas", 0)
    return bool(seen and updated >= wanted and status.get("replicas", 0) <= updated <= status.get("availableReplicas", 0))


def test_a_service_has_as_many_pods_as_it_asks_for(service: Service) -> None:
    """Its predictor is a Deployment that it owns; it is Ready, in the mode that its annotation asks for."""
    service.create(2)

    eventually(lambda: condition(service.get(), "Ready").get("status") == "True", "InferenceService that is Ready")

    owner = service.deployment()["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("InferenceService", "model", True)
    assert service.deployment()["spec"]["replicas"] == 2
    assert service.get()["status"]["deploymentMode"] == "Standard"


@pytest.mark.parametrize("replicas", [1, 3])
def test_an_annotation_of_the_predictor_rolls_it_out(service: Service, replicas: int) -> None:
    """All predictor pods are replaced and none is missed meanwhile; the transformer's stay."""
    before = service.create(replicas, transformer=True)
    transformer = service.pods("transformer")

    with service.capacity() as capacity:
        service.patch(RESTART)
        eventually(lambda: taken_over(service) and rolled_out(service), "rollout of the predictor")

    assert not before & service.settled()
    assert (capacity.served, capacity.lowest) == (replicas, replicas)
    assert service.pods("transformer") == transformer


def test_an_annotation_of_the_service_rolls_all_of_it_out(service: Service) -> None:
    """The transformer's pods are replaced too."""
    before = service.create(1, transformer=True)
    transformer = service.pods("transformer")

    service.patch({"metadata": {"annotations": {"mlops.dev/refreshed-at": AT}}})

    eventually(lambda: not before & service.settled(), "other predictor pod")
    eventually(lambda: not transformer & service.settled("transformer"), "other transformer pod")


def test_a_restart_of_the_deployment_is_taken_back(service: Service, cluster: Cluster) -> None:
    """KServe renders the template, so a rollout restart of the Deployment ends with the pod that there was."""
    before = service.create(1)
    annotations = ("spec", "template", "metadata", "annotations")
    key = "kubectl.kubernetes.io/restartedAt"

    cluster.patch(DEPLOYMENT, "model-predictor", {"spec": {"template": {"metadata": {"annotations": {key: AT}}}}})
    eventually(lambda: key not in dig(service.deployment(), annotations, {}), "template as KServe renders it")

    assert service.settled() == before


@pytest.mark.parametrize("fault", FAULTS)
def test_a_rollout_that_cannot_go_on_leaves_the_old_pods(service: Service, fault: str) -> None:
    """Whatever keeps a new pod from serving, the old ones serve on; taking the annotation away ends the rollout at once."""
    before = service.create(1)

    with service.capacity() as capacity:
        service.hinder(fault)
        service.patch(RESTART)
        eventually(lambda: taken_over(service), "rollout that has begun")
        eventually(lambda: _stuck(service), "rollout that does not go on")
        during = rolled_out(service)
        service.patch({"spec": {"predictor": {"annotations": {RESTARTED_AT: None}}}})
        eventually(lambda: rolled_out(service), "Deployment that is as it was")

    assert not during
    assert capacity.lowest == 1
    assert service.settled() == before


def _stuck(service: Service) -> bool:
    """Whether the Deployment says that a pod cannot be created, or has one more than it should."""
    found = service.deployment()
    return bool(condition(found, "ReplicaFailure") or dig(found, ("status", "replicas"), 0) > found["spec"]["replicas"])


def test_a_strategy_of_the_owner_can_mean_an_outage(service: Service) -> None:
    """With Recreate the one pod is gone before its replacement comes."""
    service.create(1, deploymentStrategy={"type": "Recreate"})

    with service.capacity() as capacity:
        service.patch(RESTART)
        eventually(lambda: taken_over(service) and rolled_out(service), "rollout of the predictor")

    assert (capacity.served, capacity.lowest) == (1, 0)


def test_a_listed_annotation_rolls_nothing_out(service: Service, kserve: KServe) -> None:
    """What serviceAnnotationDisallowedList names does not reach the pods, on the service or on its predictor."""
    before = service.create(1)
    disallowed: dict[str, Any] = {"serviceAnnotationDisallowedList": [RESTARTED_AT]}

    with kserve.configured("inferenceService", disallowed):
        service.patch({"metadata": {"annotations": {RESTARTED_AT: AT}}, **RESTART})
        service.patch({"spec": {"predictor": {"annotations": {"example.com/other": AT}}}})
        eventually(lambda: not before & service.settled(), "rollout for another annotation")
        copied = taken_over(service)

    assert annotations_of(service.get())[RESTARTED_AT] == AT
    assert not copied


def test_what_is_patched_while_kserve_is_down_is_rolled_out_later(service: Service, kserve: KServe) -> None:
    """Until it is back nothing happens, and the InferenceService says that it is Ready."""
    before = service.create(1)
    eventually(lambda: condition(service.get(), "Ready").get("status") == "True", "InferenceService that is Ready")

    kserve.stop()
    try:
        service.patch(RESTART)
        down = condition(service.get(), "Ready")["status"], taken_over(service)
    finally:
        kserve.start()

    eventually(lambda: not before & service.settled(), "other pod")
    assert down == ("True", False)
