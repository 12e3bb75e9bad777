"""Scenarios a and b: a wave waits for the notebook jobs of the waves before it, as the examples write it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.model.objects import annotations_of, dig, metadata
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.e2e.jobpod import JobPod
from tests.world import DONE, JOB, SERVICE

EXAMPLES = Path(__file__).parent.parent.parent / "examples/sync-waves"
HEALTH = "resource.customizations.health.mlops.mlops.dev_NotebookValidationJob"
NOTEBOOK, MODEL, WAITER = "predictive-analytics-kserve-validation", "predictive-analytics", "wait-for-models"
SUCCEEDED = {"phase": "Succeeded", "completionTime": DONE}
FAILED = {"phase": "Failed", "completionTime": DONE, "message": "cell 3: no module named model", "retryCount": 3}


def deploy(argocd: ArgoCD, cluster: Cluster, example: str) -> str:
    """Commit an example and make an Application of it; returns the mark of its first sync, which has been started."""
    repository = argocd.repository(cluster.namespace)
    repository.commit({example: (EXAMPLES / example).read_text()})
    argocd.application(cluster.namespace, repository, cluster.namespace)
    return argocd.start_sync(cluster.namespace)


def waits_for(argocd: ArgoCD, cluster: Cluster, mark: str, what: str) -> None:
    """Return once the sync says that it waits for this."""
    eventually(lambda: what in argocd.operation(cluster.namespace, mark).get("message", ""), f"sync that waits for {what}")


@pytest.fixture
def without_health_check(argocd: ArgoCD) -> Iterator[None]:
    """Argo CD knows nothing of the health of notebook jobs meanwhile."""
    with argocd.changed("argocd-cm", {HEALTH: None}):
        yield


def test_a_wave_proceeds_when_the_notebook_of_an_earlier_one_has_succeeded(
    argocd: ArgoCD, cluster: Cluster, engine: Engine
) -> None:
    """Wave 4 is applied only after the job of wave 3 has succeeded; the engine's annotations on the job are no drift."""
    mark = deploy(argocd, cluster, "health-gate.yaml")
    waits_for(argocd, cluster, mark, f"healthy state of mlops.mlops.dev/NotebookValidationJob/{NOTEBOOK}")
    cluster.status(JOB, NOTEBOOK, {"phase": "ValidationRunning", "validationPodName": "train-pod"})
    before = cluster.find(SERVICE, MODEL)

    cluster.status(JOB, NOTEBOOK, SUCCEEDED)

    assert before is None
    assert argocd.finished(cluster.namespace, mark)["phase"] == "Succeeded"
    eventually(lambda: annotations_of(cluster.get(JOB, NOTEBOOK)).get("mlops.dev/wave-complete"), "completed wave on the job")
    cluster.status(SERVICE, MODEL, {"conditions": [{"type": "Ready", "status": "True"}]})
    argocd.settled(cluster.namespace, "Synced", "Healthy")


def test_a_sync_fails_when_the_notebook_of_an_earlier_wave_fails(argocd: ArgoCD, cluster: Cluster) -> None:
    """A failed job of wave 3 fails the sync with its message; wave 4 is never applied and the Application is Degraded."""
    mark = deploy(argocd, cluster, "health-gate.yaml")
    waits_for(argocd, cluster, mark, "healthy state")

    cluster.status(JOB, NOTEBOOK, FAILED)

    state = argocd.finished(cluster.namespace, mark)
    assert state["phase"] == "Failed"
    messages = [result["message"] for result in dig(state, ("syncResult", "resources"), []) if result["name"] == NOTEBOOK]
    assert messages == ["cell 3: no module named model (retry 3/3)"]
    assert cluster.find(SERVICE, MODEL) is None
    argocd.settled(cluster.namespace, "OutOfSync", "Degraded")


@pytest.mark.usefixtures("without_health_check")
def test_the_wait_job_holds_a_wave_until_the_notebook_has_succeeded(
    argocd: ArgoCD, cluster: Cluster, engine: Engine, kubectl: Path, tmp_path: Path
) -> None:
    """Without the health check the Sync hook of wave 4 waits for the engine's wave-complete, with no right but get."""
    mark = deploy(argocd, cluster, "wait-job.yaml")
    with JobPod(cluster, WAITER, kubectl, tmp_path) as pod:
        eventually(pod.waits, "waiting pod")
        waits_for(argocd, cluster, mark, f"completion of hook batch/Job/{WAITER}")
        before = cluster.find(SERVICE, MODEL)

        cluster.status(JOB, NOTEBOOK, SUCCEEDED)

        assert (pod.finish(), pod.log().splitlines()[-1]) == (0, "Wave 3 is complete.")
    assert before is None
    assert argocd.finished(cluster.namespace, mark)["phase"] == "Succeeded"
    assert cluster.find(SERVICE, MODEL) is not None


@pytest.mark.usefixtures("without_health_check")
def test_the_wait_job_fails_the_sync_when_the_notebook_has_failed(
    argocd: ArgoCD, cluster: Cluster, engine: Engine, kubectl: Path, tmp_path: Path
) -> None:
    """The engine's wave-failed ends the wait Job with an error, and with it the sync; wave 5 is never applied."""
    mark = deploy(argocd, cluster, "wait-job.yaml")
    with JobPod(cluster, WAITER, kubectl, tmp_path) as pod:
        eventually(pod.waits, "waiting pod")

        cluster.status(JOB, NOTEBOOK, FAILED)

        assert (pod.finish(), pod.log().splitlines()[-1]) == (1, "Wave 3 has failed.")
    assert argocd.finished(cluster.namespace, mark)["phase"] == "Failed"
    assert cluster.find(SERVICE, MODEL) is None


def test_the_notebook_runs_anew_at_each_sync(argocd: ArgoCD, cluster: Cluster) -> None:
    """As a Sync hook with BeforeHookCreation the job is a new object at each sync, and each time it gates the next wave."""
    first = deploy(argocd, cluster, "rerun-per-sync.yaml")
    old = eventually(lambda: cluster.find(JOB, NOTEBOOK), "notebook job")
    cluster.status(JOB, NOTEBOOK, SUCCEEDED)
    assert argocd.finished(cluster.namespace, first)["phase"] == "Succeeded"

    second = argocd.start_sync(cluster.namespace)
    cluster.collect(JOB, NOTEBOOK)
    new = eventually(lambda: cluster.find(JOB, NOTEBOOK), "new notebook job")
    waits_for(argocd, cluster, second, f"completion of hook mlops.mlops.dev/NotebookValidationJob/{NOTEBOOK}")
    cluster.status(JOB, NOTEBOOK, SUCCEEDED)

    assert metadata(new)["uid"] != metadata(old)["uid"]
    assert argocd.finished(cluster.namespace, second)["phase"] == "Succeeded"
