"""Where a scenario runs: two namespaces of a real control plane, and what the jobs' triggers are about."""

from __future__ import annotations

import urllib.error
from dataclasses import dataclass
from typing import Any

import yaml

from engine.model.objects import Object, Resource
from tests.chaos.ledger import Run
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually
from tests.world import APPLICATION, DEPLOYMENT, JOB, RULES, SERVICE, named

JOBS = Resource(JOB, "notebookvalidationjobs", True)
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True, slots=True)
class Layout:
    """The namespace of the jobs and all they restart, that of the Applications, and how many of each there are."""

    namespace: str
    argocd: str
    groups: int

    def objects(self, number: int) -> list[Object]:
        """One service, one Deployment, and two Applications: that of the jobs, and the one that they sync."""
        labels = {"app": f"web-{number}"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example.com/web"}]}}
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        destination = {"server": "https://kubernetes.default.svc", "namespace": self.namespace}
        source = {"repoURL": "https://example.com/models", "path": "."}
        return [
            named(SERVICE, f"model-{number}", self.namespace, spec={"predictor": {}}),
            named(DEPLOYMENT, f"web-{number}", self.namespace, spec=spec),
            self._predictor(f"model-{number}"),
            *(
                named(
                    APPLICATION,
                    f"{name}-{number}",
                    self.argocd,
                    spec={"project": "default", "destination": destination, "source": source},
                )
                for name in ("app", "consumer")
            ),
        ]

    def _predictor(self, service: str) -> Object:
        """The Deployment that KServe makes of a service; the pods are simulated."""
        labels = {"serving.kserve.io/inferenceservice": service, "component": "predictor"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example.com/model"}]}}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
        body = named(DEPLOYMENT, f"{service}-predictor", self.namespace, spec=spec)
        return {**body, "metadata": {**body["metadata"], "labels": labels}}

    def tracking_id(self, run: Run) -> str:
        """By what Argo CD knows a job of an Application that is not in its own namespace."""
        return f"{self.argocd}_{run.application}:mlops.mlops.dev/NotebookValidationJob:{self.namespace}/{run.name}"


def prepare(plane: ControlPlane, *namespaces: str) -> None:
    """See to it that namespaces and the kinds that the shipped packs are about are there."""
    for name in namespaces:
        plane.ensure("/api/v1/namespaces", {"metadata": {"name": name}})
    for definition in yaml.safe_load_all((RULES.parent / "examples" / "demo" / "crds.yaml").read_text()):
        plane.ensure(DEFINITIONS, definition)
    for kind in (JOB, APPLICATION, SERVICE):
        eventually(lambda path=f"/apis/{kind.api_version}": _served(plane, path), f"served {kind}")  # type: ignore[misc]


def _served(plane: ControlPlane, path: str) -> Any:
    try:
        return plane.request("GET", path)["resources"]
    except urllib.error.HTTPError:
        return False
