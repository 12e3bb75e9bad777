"""The operator where the kinds that the shipped packs watch and act on are not installed, come, and go again."""

from __future__ import annotations

import time
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import yaml

from engine.model.objects import annotations_of
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.world import JOB, RULES, SERVICE, job

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
JOBS, SERVICES = "notebookvalidationjobs.mlops.mlops.dev", "inferenceservices.serving.kserve.io"
ON = (
    "application-status", "failure-notifications", "model-training", "on-success-triggers", "sync-waves", "validation-metrics",
)  # fmt: skip


@pytest.fixture
def engine(own_plane: ControlPlane) -> Iterator[Engine]:
    own_plane.ensure("/api/v1/namespaces", {"metadata": {"name": "models"}})
    with Engine(own_plane, "models") as engine:  # the flag is that of model-training too
        engine.flags({"model-freshness": "Enforce"})
        engine.grant("serving.kserve.io", "inferenceservices")
        yield engine


def definition(name: str) -> Mapping[str, Any]:
    """A CustomResourceDefinition of the shipped packs' kinds."""
    every = yaml.safe_load_all((RULES.parent / "examples/demo/crds.yaml").read_text())
    return next(one for one in every if one["metadata"]["name"] == name)


def waiting(engine: Engine) -> dict[str, str]:
    """What each pack waits for, by /packs, which the metric agrees with, unless it changes between the two."""

    def agreed() -> list[dict[str, str]]:
        found = {name: pack["waitingFor"] for name, pack in engine.packs().items() if pack["waitingFor"]}
        same = all(engine.metric("rulepack_pack_waiting", pack=name, kind=kind) == 1 for name, kind in found.items())
        return [found] if same else []

    return eventually(agreed, "agreement of /packs and the metric")[0]


def after(check: Callable[[], object], what: str) -> float:
    """Seconds until something was so."""
    started = time.monotonic()
    eventually(check, what, 60)
    return time.monotonic() - started


def works(cluster: Cluster, name: str) -> bool:
    """Whether a job that succeeds has its wave completed; it is made where it is not there and its kind is served."""
    try:
        if cluster.find(JOB, name) is None:
            cluster.create(job(name, "Succeeded", {"argocd.argoproj.io/sync-wave": "1"}, cluster.namespace))
        return "mlops.dev/wave-complete" in annotations_of(cluster.get(JOB, name))
    except urllib.error.HTTPError:
        return False


def test_packs_wait_for_their_kinds(own_plane: ControlPlane, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """With none of them installed it is ready, and says what waits for what; packs start, wait again and start again."""
    cluster = Cluster(own_plane, "models")
    all_jobs = dict.fromkeys(ON, str(JOB))
    took = {}
    engine.start()
    engine.ready()
    assert waiting(engine) == {**all_jobs, "model-freshness": str(SERVICE)}
    for name in ON:
        assert f"pack {name} waits" in engine.log()

    own_plane.ensure(DEFINITIONS, definition(JOBS))
    took["came"] = after(lambda: works(cluster, "first"), "job that is acted on")
    assert waiting(engine) == {"model-freshness": str(SERVICE)}

    own_plane.ensure(DEFINITIONS, definition(SERVICES))
    took["the other came"] = after(lambda: not waiting(engine), "pack that watches the other kind")

    own_plane.request("DELETE", f"{DEFINITIONS}/{JOBS}")
    took["went"] = after(lambda: waiting(engine) == all_jobs, "packs that wait again")
    engine.ready()

    eventually(lambda: gone(own_plane), "definition that is gone")
    own_plane.ensure(DEFINITIONS, definition(JOBS))
    took["came again"] = after(lambda: works(cluster, "second"), "job that is acted on")
    with capsys.disabled():
        print("\nseconds until noticed: " + ", ".join(f"{what} {seconds:.1f}" for what, seconds in took.items()))


def gone(plane: ControlPlane) -> bool:
    return JOBS not in [one["metadata"]["name"] for one in plane.request("GET", DEFINITIONS)["items"]]
