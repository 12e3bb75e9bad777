"""Jobs that name their own Application: one training, whatever Argo CD and the engine do about each other."""

from __future__ import annotations

import time

import pytest
import yaml

from engine.model.objects import annotations_of, dig, metadata
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.simulators.jobs_operator import JobsOperator, Run
from tests.world import APPLICATION, JOB, RULES, trigger, triggers

EXAMPLE = RULES.parent / "examples/sync-waves/rerun-per-sync.yaml"
#: The ways in which a job is created anew at each sync.
HOOK = {"argocd.argoproj.io/hook": "Sync", "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation"}
REPLACED = {"argocd.argoproj.io/sync-options": "Force=true,Replace=true"}


@pytest.mark.usefixtures("garbage_collector")
@pytest.mark.parametrize(("renewed", "watched"), [(HOOK, 45), (REPLACED, 45), pytest.param(HOOK, 300, marks=pytest.mark.nightly)])
def test_a_job_that_syncs_its_own_application_trains_once(
    argocd: ArgoCD, cluster: Cluster, operator: JobsOperator, engine: Engine, renewed: dict[str, str], watched: int
) -> None:
    """A training of a second, a job that each sync creates anew, and a trigger that syncs it: one training, one Event."""
    name = cluster.namespace
    operator.use(Run(training=1.0))
    job = next(obj for obj in yaml.safe_load_all(EXAMPLE.read_text()) if obj["kind"] == JOB.kind)
    job["metadata"]["annotations"] = {**renewed, **triggers(trigger(APPLICATION, name, "sync", "argocd"))}
    repository = argocd.repository(name)
    repository.commit({"job.yaml": [job]})

    argocd.application(name, repository, name)
    # One sync alone creates the job: a second one at the same time would replace it while it trains.
    assert argocd.sync(name)["phase"] == "Succeeded"
    # selfHeal would sync once more on a comparison that was made before this sync.
    eventually(lambda: dig(argocd.get(name), ("status", "sync", "status"), "") == "Synced", "comparison after the sync")
    argocd.cluster.patch(APPLICATION, name, {"spec": {"syncPolicy": {"automated": {"selfHeal": True}}}})
    trained = metadata(job)["name"]
    eventually(lambda: [reason for reason, _ in cluster.events(trained)] != [], "Event", 180)
    runs: set[str] = set()
    end = time.monotonic() + watched
    while time.monotonic() < end:
        runs |= {str(metadata(found)["uid"]) for found in cluster.all(JOB)}
        time.sleep(0.2)

    assert len(runs) == 1
    ((reason, message),) = cluster.events(trained)
    assert reason == "TriggerFailed"
    assert "without end" in message
    assert "mlops.dev/synced-for" not in annotations_of(argocd.get(name))
    assert dig(argocd.get(name), ("status", "operationState", "operation", "initiatedBy", "username"), "") != "rulepack"
