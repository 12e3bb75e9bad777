"""How often one commit trains, where a job is created anew at each sync and its notebook fails."""

from __future__ import annotations

import time

import pytest
import yaml

from engine.model.objects import metadata
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import Cluster
from tests.simulators.jobs_operator import JobsOperator, Run
from tests.world import JOB, RULES

EXAMPLES = RULES.parent / "examples"
#: Seconds in which Argo CD would have tried a commit again: it waits 5 s at first, and then twice as long each time.
WATCHED = 60.0


@pytest.mark.nightly
@pytest.mark.usefixtures("garbage_collector")
def test_a_commit_that_fails_trains_once(argocd: ArgoCD, cluster: Cluster, operator: JobsOperator) -> None:
    """With the syncPolicy of examples/end-to-end and the job of examples/sync-waves, one commit is one training."""
    policy = yaml.safe_load((EXAMPLES / "end-to-end/application.yaml").read_text())["spec"]["syncPolicy"]
    operator.use(Run(failures=3))
    repository = argocd.repository(cluster.namespace)
    repository.commit({"rerun-per-sync.yaml": (EXAMPLES / "sync-waves/rerun-per-sync.yaml").read_text()})

    argocd.application(cluster.namespace, repository, cluster.namespace, syncPolicy=policy)
    runs: set[str] = set()
    end = time.monotonic() + WATCHED
    while time.monotonic() < end:
        runs |= {str(metadata(job)["uid"]) for job in cluster.all(JOB)}
        time.sleep(0.2)

    assert len(runs) == 1, f"one commit trained {len(runs)} times in {WATCHED:.0f} s"
