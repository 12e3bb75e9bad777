"""The work of a measurement: jobs with many cell results, the changes of their phase, and the annotations that are due then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import yaml

from tests.bench import client
from tests.controlplane.plane import ControlPlane

NAMESPACE = "bench"
GROUP, PLURAL = "mlops.mlops.dev", "notebookvalidationjobs"
ALL_JOBS = f"/apis/{GROUP}/v1alpha1/{PLURAL}"
JOBS = f"/apis/{GROUP}/v1alpha1/namespaces/{NAMESPACE}/{PLURAL}"
SYNC_WAVE = "argocd.argoproj.io/sync-wave"
#: Annotations of the sync-waves pack, by the phase that calls for them: the wave, and the time it was reached.
DUE = {
    "Succeeded": ("mlops.dev/wave-complete", "mlops.dev/completion-time"),
    "Failed": ("mlops.dev/wave-failed", "mlops.dev/failure-time"),
}
TIME_ANNOTATIONS = tuple(time for _, time in DUE.values())
RESULTS = 30
CRDS = Path(__file__).parents[2] / "examples/demo/crds.yaml"
#: This job has succeeded before a contestant starts; once it is annotated, the contestant is at work.
CANARY = "canary"

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def job_name(index: int) -> str:
    """The name of a job, from 0 on."""
    return f"job-{index:05}"


def change(number: int, jobs: int) -> tuple[str, dict[str, str]]:
    """The job that changes and its new status, for the changes of a run, from 0 on.

    Each job's turn comes once in `jobs` changes. One change in four is a failure, and other jobs fail at the next turn. Every
    change has a completionTime of its own, a second apart, so that an annotation says which change it answers.
    """
    turn, index = divmod(number, jobs)
    when = _EPOCH + timedelta(seconds=number)
    phase = "Failed" if (index + turn) % 4 == 3 else "Succeeded"
    return job_name(index), {"phase": phase, "completionTime": f"{when:%Y-%m-%dT%H:%M:%SZ}"}


def due(job: Mapping[str, Any]) -> dict[str, str]:
    """The annotations of the sync-waves pack that a job should have: those of its phase, none of the other's."""
    status = job.get("status", {})
    names = DUE.get(status.get("phase", ""))
    wave = job["metadata"]["annotations"][SYNC_WAVE]
    return dict(zip(names, (wave, status["completionTime"]), strict=True)) if names else {}


def faults(jobs: list[dict[str, Any]]) -> list[str]:
    """A line for each job whose annotations are not those that are due."""
    ours = {name for names in DUE.values() for name in names}
    found = []
    for job in jobs:
        has = {name: value for name, value in job["metadata"]["annotations"].items() if name in ours}
        if has != due(job):
            found.append(f"{job['metadata']['name']} has {has}, expected {due(job)}")
    return found


def job_bytes() -> int:
    """The size of one job as JSON, without what the API server adds."""
    return len(orjson.dumps(job(0) | {"status": status()}))


def install(plane: ControlPlane, jobs: int) -> None:
    """Give a new control plane the CRD, `jobs` running jobs and the canary, and all rights to NAMESPACE's service accounts."""
    plane.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", _crd())
    plane.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    binding = {
        "metadata": {"name": "bench"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": f"system:serviceaccounts:{NAMESPACE}"}],
    }
    plane.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    asyncio.run(_create(plane.kubeconfig, jobs))


def renew(plane: ControlPlane, jobs: int) -> None:
    """Put other jobs in the place of all that there are, with the same names."""
    plane.request("DELETE", JOBS)
    asyncio.run(_create(plane.kubeconfig, jobs))


async def _create(kubeconfig: Path, jobs: int) -> None:
    slots = asyncio.Semaphore(16)

    async def one(body: dict[str, Any], status: dict[str, Any]) -> None:
        async with slots:
            await client.send(session, "POST", JOBS, body)
            await client.send(session, "PATCH", f"{JOBS}/{body['metadata']['name']}/status", {"status": status})

    async with client.connect(kubeconfig, "bench-install") as session:
        while not await _served(session):
            await asyncio.sleep(0.1)
        async with asyncio.TaskGroup() as group:
            for index in range(jobs):
                group.create_task(one(job(index), status()))
            canary = job(0) | {"metadata": {"name": CANARY, "annotations": {SYNC_WAVE: "0"}}}
            group.create_task(one(canary, {"phase": "Succeeded", "completionTime": "2025-12-31T00:00:00Z"}))


async def _served(session: Any) -> bool:
    """Whether the API server serves the CRD yet, also for writing: both come a moment after the CRD is there."""
    groups = await client.get(session, "/apis")
    if GROUP not in {group["name"] for group in groups["groups"]}:
        return False
    crd = await client.get(session, f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{GROUP}")
    return any(one["type"] == "Established" and one["status"] == "True" for one in crd["status"]["conditions"] or ())


def job(index: int, name: str = "") -> dict[str, Any]:
    """A job as somebody creates it, without its status."""
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "NotebookValidationJob",
        "metadata": {
            "name": name or job_name(index),
            "namespace": NAMESPACE,
            "annotations": {SYNC_WAVE: str(index % 5)},
            "labels": {"team": f"t{index % 7}"},
        },
        "spec": {
            "notebook": {
                "git": {"url": "https://git.example.com/models/churn.git", "ref": "main"},
                "path": f"notebooks/train-{index}.ipynb",
            },
            "podConfig": {"containerImage": "registry.example.com/notebooks/runner:2.4", "serviceAccountName": "validation"},
            "timeout": "30m",
        },
    }


def status() -> dict[str, Any]:
    """The status of a job that runs."""
    results = [
        {
            "cellIndex": cell,
            "status": "Success",
            "executionTime": f"{cell * 0.37:.2f}s",
            "output": f"epoch {cell}: loss 0.{9000 - cell * 117} accuracy 0.{7000 + cell * 83}\n" * 3,
        }
        for cell in range(RESULTS)
    ]
    return {"phase": "Running", "startTime": "2025-12-31T23:00:00Z", "message": "running", "results": results}


def _crd() -> dict[str, Any]:
    documents = yaml.safe_load_all(CRDS.read_text())
    return next(crd for crd in documents if crd["metadata"]["name"] == f"{PLURAL}.{GROUP}")
