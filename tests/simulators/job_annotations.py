"""What the jobs' operator does by itself with a job's annotations since its release 1.0.4, for `jobs_operator`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import yaml

from engine.model.objects import Object, annotations_of, dig, metadata
from tests.e2e.cluster import now
from tests.simulators.background import Client, Refused

WAVE = "argocd.argoproj.io/sync-wave"
TRIGGERS, COMPLETION = "mlops.dev/on-success-trigger", "mlops.dev/completion-time"
COMPONENT = "jupyter-notebook-validator-operator"
COLLECTIONS = {
    "InferenceService": "inferenceservices",
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "Application": "applications",
}


class Annotations:
    """Carries out the triggers of jobs that succeed, and reports all that end."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def before_end(self, job: Object, phase: str, message: str) -> None:
        """What it does before it writes that a job has ended: its triggers, its Event, and the counts on the Application."""
        if phase == "Failed":
            await self._event(job, "ValidationFailed", message)
        elif asked := yaml.safe_load(annotations_of(job).get(TRIGGERS, "[]")):
            for trigger in asked:
                with _left_where_refused():
                    await self._trigger(job, trigger)
            await self._event(job, "TriggerSuccess", message)
        await self._count(job)

    async def _trigger(self, job: Object, trigger: Any) -> None:
        namespace = trigger.get("namespace", metadata(job)["namespace"])
        path = f"/apis/{trigger['apiVersion']}/namespaces/{namespace}/{COLLECTIONS[trigger['kind']]}/{trigger['name']}"
        target = await self._client.request("GET", path)
        if trigger["action"] == "restart":
            await self._restart(target)
        elif trigger["action"] == "sync":
            await self._annotate(path, target, {"argocd.argoproj.io/refresh": "normal", WAVE: "0"})
        else:
            await self._annotate(path, target, {"mlops.dev/restart-timestamp": now()})

    async def _restart(self, target: Object) -> None:
        """Delete all pods at once."""
        labels = dig(target, ("spec", "selector", "matchLabels"), {}) or {
            "serving.kserve.io/inferenceservice": metadata(target)["name"]
        }
        pods = f"/api/v1/namespaces/{metadata(target)['namespace']}/pods"
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        for pod in (await self._client.request("GET", f"{pods}?labelSelector={selector}"))["items"]:
            with _left_where_refused():
                await self._client.request("DELETE", f"{pods}/{metadata(pod)['name']}")

    async def _annotate(self, path: str, target: Object, annotations: dict[str, str]) -> None:
        changed = {**metadata(target), "annotations": {**annotations_of(target), **annotations}}
        await self._client.request("PUT", path, {**target, "metadata": changed})

    async def _event(self, job: Object, reason: str, message: str) -> None:
        about = metadata(job)
        when = now()
        await self._client.request("POST", f"/api/v1/namespaces/{about['namespace']}/events", {
            "metadata": {"generateName": f"{about['name']}-"},
            "involvedObject": {"apiVersion": job["apiVersion"], "kind": job["kind"], **_names(about)},
            "type": "Normal" if reason == "TriggerSuccess" else "Warning", "reason": reason, "message": message,
            "source": {"component": COMPONENT}, "reportingComponent": COMPONENT, "reportingInstance": "controller",
            "firstTimestamp": when, "lastTimestamp": when, "count": 1,
        })  # fmt: skip

    async def _count(self, job: Object) -> None:
        """Write how all jobs of the namespace are, this one as it was, onto the Application that the first of them is part of."""
        namespace = metadata(job)["namespace"]
        collection = f"/apis/{job['apiVersion']}/namespaces/{namespace}/notebookvalidationjobs"
        jobs = (await self._client.request("GET", collection))["items"]
        part_of = [label for one in jobs if (label := metadata(one).get("labels", {}).get("app.kubernetes.io/part-of"))]
        if not part_of:
            return
        path = f"/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{part_of[0]}"
        phases = [dig(one, ("status", "phase"), "") for one in jobs]
        succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
        counts = {"total": len(jobs), "succeeded": succeeded, "failed": failed, "running": len(jobs) - succeeded - failed}
        status = {**counts, "lastUpdate": now()}
        summary = f"{succeeded}/{len(jobs)} succeeded ({succeeded / len(jobs):.1%} success rate)"
        marks = {"mlops.dev/notebook-status": json.dumps(status), "mlops.dev/notebook-summary": summary}
        with _left_where_refused():
            await self._annotate(path, await self._client.request("GET", path), marks)


def with_wave_ended(job: Object, phase: str, when: str) -> Object:
    """A job whose annotations say that its wave is complete, or has failed."""
    annotations = annotations_of(job)
    mark = "mlops.dev/wave-complete" if phase == "Succeeded" else "mlops.dev/wave-failed"
    marks = {mark: annotations[WAVE], COMPLETION: when}
    return {**job, "metadata": {**metadata(job), "annotations": {**annotations, **marks}}}


@contextmanager
def _left_where_refused() -> Iterator[None]:
    """Go on where what it is about is gone, or somebody else has written it: the operator logs that, and tries nothing again."""
    try:
        yield
    except Refused as refused:
        if refused.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise


def _names(about: Object) -> Object:
    return {key: about[key] for key in ("name", "namespace", "uid", "resourceVersion")}
