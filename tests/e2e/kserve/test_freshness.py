"""The packs model-training and model-freshness beside the real KServe, which copies annotations to pods by default."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from engine.model.objects import annotations_of
from tests.controlplane.kserve import KServe
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.e2e.kserve.job import PATIENCE, reported, succeed
from tests.e2e.kserve.service import Service
from tests.world import RULES

PACKS = ("model-training", "model-freshness")


def listed() -> dict[str, Any]:
    """What the pack's README says to add to KServe's configuration."""
    readme = (RULES / "model-freshness" / "README.md").read_text()
    (entry,) = re.findall(r'```json\n("serviceAnnotationDisallowedList": .*)\n```', readme)
    found: dict[str, Any] = json.loads(f"{{{entry}}}")
    return found


@pytest.fixture
def freshness(cluster: Cluster, stopped_engine: Engine) -> Engine:
    """The engine with both packs on, and the rights that `rulepack rbac` writes for them."""
    stopped_engine.grant_packs(*PACKS)
    stopped_engine.flags({"model-freshness": "Enforce"})
    stopped_engine.start()
    stopped_engine.ready()
    eventually(lambda: all(not stopped_engine.packs()[name]["waitingFor"] for name in PACKS), "packs in force")
    return stopped_engine


def notes(service: Service) -> dict[str, str]:
    """What the packs have written on the service, by what follows `mlops.dev/model-`."""
    written = annotations_of(service.get()).items()
    return {key.removeprefix("mlops.dev/model-"): value for key, value in written if key.startswith("mlops.dev/model-")}


def generation(service: Service) -> int:
    """How often the predictor's Deployment was changed: KServe renders all annotations that it copies into it."""
    return int(service.deployment()["metadata"]["generation"])


def test_a_training_is_noted_without_a_rollout(cluster: Cluster, kserve: KServe, freshness: Engine, service: Service) -> None:
    """With KServe's list as the README has it neither the predictor's pods are replaced nor the transformer's."""
    freshness.flags({"on-success-triggers": "Disabled"})
    with kserve.configured("inferenceService", listed()):
        pods = service.create(1, transformer=True)
        transformer, before = service.pods("transformer"), generation(service)

        succeed(cluster)
        eventually(lambda: notes(service).get("freshness") == "Stale", "freshness of a model in use", PATIENCE)
        service.patch({"metadata": {"annotations": {"mlops.dev/seen": "x"}}})
        eventually(lambda: generation(service) > before, "rollout for an annotation that is not listed")
        template = service.deployment()["spec"]["template"]
        service.patch({"metadata": {"annotations": {"mlops.dev/seen": None}}})

    assert notes(service)["trained-by"] == "train"
    assert not [key for key in annotations_of(template) if key.startswith("mlops.dev/model-")]
    assert pods <= service.pods() and transformer <= service.pods("transformer")


@pytest.mark.nightly
def test_a_restart_makes_a_model_fresh(cluster: Cluster, kserve: KServe, freshness: Engine, service: Service) -> None:
    """A training rolls out the predictor, once; what is written about freshness meanwhile and then rolls out nothing."""
    with kserve.configured("inferenceService", listed()):
        before = service.create(1, transformer=True)
        transformer = service.pods("transformer")

        succeed(cluster)
        eventually(lambda: notes(service).get("freshness") in ("Stale", "Reloading"), "freshness of a model in use", PATIENCE)
        eventually(lambda: reported(cluster), "end of the restart", PATIENCE)
        eventually(lambda: notes(service).get("freshness") == "Fresh", "freshness after the restart", PATIENCE)
        after, rendered = service.settled(), generation(service)
        time.sleep(5)

        assert reported(cluster) == ["TriggerSuccess"]
        assert notes(service)["trained-by"] == "train"
        assert not before & after
        assert (service.pods(), service.pods("transformer")) == (after, transformer)
        assert generation(service) == rendered


@pytest.mark.nightly
def test_nothing_is_written_while_kserve_would_copy_it(
    cluster: Cluster, kserve: KServe, freshness: Engine, service: Service
) -> None:
    """As KServe comes, no training is noted, and one that somebody else has noted is said to be copied."""
    service.create(1, transformer=True)
    service.patch({"metadata": {"annotations": {"mlops.dev/model-trained-at": "2026-01-24T22:30:00Z"}}})
    eventually(lambda: [r for r, _ in cluster.events("model") if r == "AnnotationsCopied"], "Event about what is copied", 90)
    rendered = generation(service)
    ((_, message),) = [each for each in cluster.events("model") if each[0] == "AnnotationsCopied"]
    assert "serviceAnnotationDisallowedList" in message

    time.sleep(5)

    assert set(notes(service)) == {"trained-at"}
    assert generation(service) == rendered
