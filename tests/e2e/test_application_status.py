"""Scenario f: an Application says how its notebook jobs are, and is not written on more than need be."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from engine.model.objects import Object, annotations_of
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.world import JOB, job

URGENT = 3.0
"""Seconds after which a change of the state is written, which the burst makes; a busy machine needs longer for all of it."""
SUMMARY, STATUS, STATE = "mlops.dev/notebook-summary", "mlops.dev/notebook-status", "mlops.dev/notebook-state"


def deploy(argocd: ArgoCD, cluster: Cluster, name: str, jobs: Iterable[Object]) -> None:
    """An Application that has put these jobs into the test's namespace."""
    repository = argocd.repository(name)
    repository.commit({"jobs.yaml": [*jobs]})
    argocd.application(name, repository, cluster.namespace)
    argocd.sync(name)


def published(argocd: ArgoCD, application: str) -> Mapping[str, Any]:
    """What an Application says of its jobs."""
    found = annotations_of(argocd.get(application))
    return {"summary": found.get(SUMMARY, ""), "state": found.get(STATE, ""), "status": json.loads(found.get(STATUS, "null"))}


def writes_on(engine: Engine, application: str) -> int:
    """How often the engine has written on an Application."""
    return len([write for write in engine.writes() if f"/applications/{application}" in write.partition("?")[0]])


def test_an_application_counts_its_own_jobs_and_follows_a_burst_in_two_writes(
    argocd: ArgoCD, cluster: Cluster, stopped_engine: Engine
) -> None:
    """The jobs of another Application do not count; 200 changes at once make at most two writes, and the last state lands."""
    engine, mine, other = stopped_engine, cluster.namespace, f"{cluster.namespace}-other"
    names = [f"job-{number:02}" for number in range(32)]
    deploy(argocd, cluster, mine, [job(name, namespace=cluster.namespace) for name in names])
    deploy(argocd, cluster, other, [job(f"other-{number}", namespace=cluster.namespace) for number in range(3)])
    completed = now()
    for name in names:
        cluster.status(
            JOB, name, {"phase": "Failed" if name in ("job-07", "job-21") else "Succeeded", "completionTime": completed}
        )

    engine.start()
    engine.ready()
    eventually(lambda: published(argocd, mine)["summary"], "summary")
    eventually(lambda: published(argocd, other)["summary"], "summary of the other Application")
    first, others, before = published(argocd, mine), published(argocd, other), writes_on(engine, mine)
    began = time.monotonic()
    for number in range(200):
        phase = "Succeeded" if number >= 168 else ("Running", "Pending", "ValidationRunning")[number % 3]
        cluster.status(JOB, names[number % 32], {"phase": phase, "completionTime": completed})
    eventually(lambda: published(argocd, mine)["summary"].startswith("32/32"), "last state", patience=90)
    periods = (time.monotonic() - began) // URGENT

    assert first == {
        "summary": "30/32 succeeded (93.75% success rate)",
        "state": "Failed",
        "status": {
            "total": 32, "succeeded": 30, "failed": 2, "running": 0, "lastUpdate": completed, "failedJobs": ["job-07", "job-21"],
        },
    }  # fmt: skip
    assert others["summary"] == "0/3 succeeded (0.00% success rate)"
    assert published(argocd, mine)["state"] == "Succeeded"
    assert writes_on(engine, mine) - before <= 2 + periods
    assert published(argocd, other) == others
