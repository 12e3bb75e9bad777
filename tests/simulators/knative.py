"""Knative Serving for tests: revisions of a Knative Service as Deployments, and its status (Knative: specs/serving/overview.md).

There is no autoscaler and no network: a revision has `min-scale` pods for as long as it gets traffic or is the newest.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from engine.model.objects import Object, annotations_of, dig, metadata
from tests.controlplane.plane import ControlPlane
from tests.simulators.background import Background, Client, Refused

SERVING = "serving.knative.dev"
#: Seconds between two checks of everything.
INTERVAL = 0.1


@dataclass(slots=True)
class Revision:
    """A version of a Knative Service's template."""

    name: str
    template: Object
    ready: bool = False
    """Whether it has ever been ready."""
    failure: str = ""
    """Why it is not."""

    @property
    def deployment(self) -> str:
        """The name of its Deployment."""
        return f"{self.name}-deployment"


class Knative(Background):
    """Carries out every Knative Service of a control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        super().__init__(plane)
        self._revisions: dict[str, list[Revision]] = {}

    async def play(self, client: Client) -> None:
        """Check all services again and again."""
        while True:
            for service in (await client.request("GET", f"/apis/{SERVING}/v1/services"))["items"]:
                try:
                    await self._reconcile(client, service)
                except Refused as refused:  # it is being deleted, or has been changed meanwhile
                    if refused.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.FORBIDDEN):
                        raise
            self.ready()
            await asyncio.sleep(INTERVAL)

    async def _reconcile(self, client: Client, service: Object) -> None:
        revisions = self._revisions.setdefault(str(metadata(service)["uid"]), [])
        if not revisions or revisions[-1].template != service["spec"]["template"]:
            made = Revision(f"{metadata(service)['name']}-{len(revisions) + 1:05}", service["spec"]["template"])
            await client.request("POST", _deployments(service), _deployment(service, made))
            revisions.append(made)
        newest = revisions[-1]
        if not newest.ready:
            await self._observe(client, service, newest)
        status = _status(service, revisions)
        if any(service.get("status", {}).get(key) != value for key, value in status.items()):
            await client.request("PATCH", f"{_path(service)}/status", {"status": status})
        wanted = {newest.name, *(entry.get("revisionName") for entry in status["traffic"])}
        for old in revisions:
            if old.name not in wanted and old.template:
                await client.request("DELETE", f"{_deployments(service)}/{old.deployment}", {"propagationPolicy": "Background"})
                old.template = {}

    async def _observe(self, client: Client, service: Object, revision: Revision) -> None:
        """See whether a revision is ready, or has failed since its containers end."""
        found = await client.request("GET", f"{_deployments(service)}/{revision.deployment}")
        revision.ready = dig(found, ("status", "availableReplicas"), 0) >= found["spec"]["replicas"]
        pods = f"/api/v1/namespaces/{metadata(service)['namespace']}/pods?labelSelector={SERVING}%2Frevision%3D{revision.name}"
        ends = [
            container["lastState"]["terminated"]
            for pod in (await client.request("GET", pods))["items"]
            for container in dig(pod, ("status", "containerStatuses"), [])
            if dig(container, ("lastState", "terminated"), None) and not container["ready"]
        ]
        revision.failure = f"Container failed with: {ends[0].get('message', '')}" if ends and not revision.ready else ""


def _path(service: Object) -> str:
    return f"/apis/{SERVING}/v1/namespaces/{metadata(service)['namespace']}/services/{metadata(service)['name']}"


def _deployments(service: Object) -> str:
    return f"/apis/apps/v1/namespaces/{metadata(service)['namespace']}/deployments"


def _deployment(service: Object, revision: Revision) -> Object:
    about = metadata(service)
    picked = {f"{SERVING}/revision": revision.name}
    labels = {**metadata(revision.template).get("labels", {}), **picked, f"{SERVING}/service": about["name"]}
    annotations = annotations_of(revision.template)
    spec = {"containers": revision.template["spec"]["containers"]}
    owner = {"apiVersion": f"{SERVING}/v1", "kind": "Service", "name": about["name"], "uid": about["uid"], "controller": True}
    return {
        "metadata": {"name": revision.deployment, "labels": labels, "ownerReferences": [owner]},
        "spec": {
            "replicas": int(annotations.get("autoscaling.knative.dev/min-scale", "1")),
            "selector": {"matchLabels": picked},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec},
        },
    }


def _status(service: Object, revisions: list[Revision]) -> dict[str, Any]:
    newest = revisions[-1]
    latest = next((one.name for one in reversed(revisions) if one.ready), "")
    traffic = [
        {**entry, "revisionName": latest if entry.get("latestRevision") else entry["revisionName"]}
        for entry in dig(service, ("spec", "traffic"), [])
        if latest
    ]
    routed = {"status": "True"} if latest else {"status": "Unknown", "reason": "RevisionMissing"}
    configured = {"status": "True"} if newest.ready else {"status": "Unknown"}
    if newest.failure:
        message = f'Revision "{newest.name}" failed with message: {newest.failure}.'
        configured = {"status": "False", "reason": "RevisionFailed", "message": message}
    return {
        "observedGeneration": metadata(service)["generation"],
        "latestCreatedRevisionName": newest.name,
        **({"latestReadyRevisionName": latest} if latest else {}),
        "traffic": traffic,
        "conditions": [
            {"type": "ConfigurationsReady", **configured},
            {"type": "RoutesReady", **routed},
            {"type": "Ready", **(configured if routed["status"] == "True" else routed)},
        ],
    }
