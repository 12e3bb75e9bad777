"""What the real KServe does in Knative mode, with Knative's own controllers simulated, and what a restart does there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.model.objects import Object, dig
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.e2e.kserve.job import PATIENCE, reported, succeed
from tests.e2e.kserve.service import Service
from tests.simulators.knative import Knative
from tests.simulators.objects import condition

RESTART = {"spec": {"predictor": {"annotations": {"mlops.dev/restarted-at": "2026-01-24T22:30:00Z"}}}}
FIRST, SECOND = "model-predictor-00001", "model-predictor-00002"


@pytest.fixture(autouse=True, scope="module")
def knative(control_plane: ControlPlane) -> Iterator[None]:
    """Knative, while the tests of this module run."""
    with Knative(control_plane):
        yield


def revisions(service: Service) -> dict[str, str]:
    """The names of the latest revisions of the predictor, as the InferenceService has them."""
    component: dict[str, Any] = dig(service.get(), ("status", "components", "predictor"), {})
    return {key.removeprefix("latest"): name for key, name in component.items() if key.startswith("latest")}


def created(service: Service) -> None:
    """Create it with one pod, and wait until KServe has followed Knative."""
    service.create(1, mode="Knative")
    all_first = dict.fromkeys(("CreatedRevision", "ReadyRevision", "RolledoutRevision"), FIRST)
    eventually(lambda: revisions(service) == all_first, "first revision")


def predictor_ready(service: Service) -> Object:
    """The condition PredictorReady."""
    return condition(service.get(), "PredictorReady")


def test_an_annotation_of_the_predictor_makes_a_revision(service: Service) -> None:
    """Its pod takes over from that of the old revision without a gap; then all three latest revisions are the new one."""
    created(service)
    before = service.pods()

    with service.capacity() as capacity:
        service.patch(RESTART)
        eventually(lambda: set(revisions(service).values()) == {SECOND}, "second revision that is rolled out")
        eventually(lambda: not before & service.settled(), "other pod")

    assert (capacity.served, capacity.lowest) == (1, 1)
    assert service.get()["status"]["deploymentMode"] == "Knative"
    assert predictor_ready(service)["status"] == "True"


def test_a_revision_that_fails_gets_no_traffic(service: Service) -> None:
    """The old revision stays ready and keeps its pod; KServe says that the predictor is not ready, and why."""
    created(service)
    before = service.pods()
    service.hinder("model")

    service.patch(RESTART)
    eventually(lambda: predictor_ready(service)["status"] == "False", "revision that has failed")

    assert revisions(service) == {"CreatedRevision": SECOND, "ReadyRevision": FIRST, "RolledoutRevision": FIRST}
    assert predictor_ready(service)["reason"] == "RevisionFailed"
    assert service.pods() == before


def test_a_canary_takes_a_part_of_the_traffic(service: Service) -> None:
    """With canaryTrafficPercent the new revision is ready and never rolled out: the old one keeps the rest, and its pods."""
    created(service)
    before = service.pods()

    service.patch({"spec": {"predictor": {"canaryTrafficPercent": 10, **RESTART["spec"]["predictor"]}}})
    eventually(lambda: revisions(service).get("ReadyRevision") == SECOND, "canary")

    traffic = service.get()["status"]["components"]["predictor"]["traffic"]
    assert {entry["revisionName"]: entry["percent"] for entry in traffic} == {SECOND: 10, FIRST: 90}
    assert revisions(service)["RolledoutRevision"] == FIRST
    assert before < service.settled()


def test_a_restart_that_becomes_a_canary_is_reported_as_one(cluster: Cluster, engine: Engine, service: Service) -> None:
    """With canaryTrafficPercent what was trained does not get all of the traffic: an Event says so."""
    created(service)
    service.patch({"spec": {"predictor": {"canaryTrafficPercent": 10}}})

    succeed(cluster)
    eventually(lambda: reported(cluster), "end of the restart", PATIENCE)

    assert "TriggerFailed" not in reported(cluster)
    messages = [message for _, message in cluster.events("train")]
    assert any("canary" in message.lower() for message in messages), messages


def test_a_restart_takes_nothing_from_what_is_served(cluster: Cluster, engine: Engine, service: Service) -> None:
    """All pods are replaced, and never fewer of them serve than before."""
    created(service)
    before = service.pods()

    with service.capacity() as capacity:
        succeed(cluster)
        eventually(lambda: reported(cluster), "end of the restart", PATIENCE)
        after = eventually(lambda: service.settled() - before, "other pod")

    assert reported(cluster) == ["TriggerSuccess"]
    assert len(after) == 1
    assert capacity.lowest == 1, capacity
