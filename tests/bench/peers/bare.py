"""The ceiling: one watch and one merge patch in an asyncio loop, with no engine, no retry and no guarantee."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from tests.bench import client

JOBS = "/apis/mlops.mlops.dev/v1alpha1/notebookvalidationjobs"
PAGE = 500
COMPLETE, COMPLETED = "mlops.dev/wave-complete", "mlops.dev/completion-time"
FAILED, FAILURE = "mlops.dev/wave-failed", "mlops.dev/failure-time"


def wanted(job: dict[str, Any]) -> dict[str, str | None] | None:
    """The annotations to set and remove (None), or None where there is nothing to do."""
    annotations = job["metadata"].get("annotations", {})
    wave = annotations.get("argocd.argoproj.io/sync-wave")
    status = job.get("status", {})
    when = status.get("completionTime")
    if not wave or status.get("phase") not in ("Succeeded", "Failed"):
        return None
    done = {COMPLETE: wave, COMPLETED: when, FAILED: None, FAILURE: None}
    if status["phase"] == "Failed":
        done = {COMPLETE: None, COMPLETED: None, FAILED: wave, FAILURE: when}
    return None if all(annotations.get(name) == value for name, value in done.items()) else done


async def run(kubeconfig: Path) -> None:
    """Annotate every job, those there are and those that change, until killed."""
    tasks = set()

    async def handle(job: dict[str, Any]) -> None:
        if annotations := wanted(job):
            metadata = job["metadata"]
            path = f"/apis/mlops.mlops.dev/v1alpha1/namespaces/{metadata['namespace']}/notebookvalidationjobs/{metadata['name']}"
            await client.send(session, "PATCH", path, {"metadata": {"annotations": annotations}})

    def start(job: dict[str, Any]) -> None:
        task = asyncio.create_task(handle(job))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async with client.connect(kubeconfig, "bench-bare") as session:
        page = await _page(session, "")
        while True:
            for job in page["items"]:
                start(job)
            if not (more := page["metadata"].get("continue")):
                break
            page = await _page(session, more)
        async for event in client.watch(session, JOBS, page["metadata"]["resourceVersion"]):
            start(event["object"])


async def _page(session: aiohttp.ClientSession, token: str) -> dict[str, Any]:
    page: dict[str, Any] = await client.get(session, f"{JOBS}?limit={PAGE}&continue={token}")
    return page


if __name__ == "__main__":
    uvloop.run(run(Path(sys.argv[1])))
