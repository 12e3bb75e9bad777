"""A cluster's objects, as an administrator reads and writes them."""

from __future__ import annotations

import time
import urllib.error
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

from engine.model.objects import Kind, Object, kind_of, metadata
from engine.packs.rbac import RULE_LIBRARY
from tests.controlplane.plane import ControlPlane
from tests.world import APPLICATION, EVENT, JOB, POD, SERVICE

T = TypeVar("T")

CONFIG_MAP = Kind("v1", "ConfigMap")
BATCH_JOB = Kind("batch/v1", "Job")
PROJECT = Kind("argoproj.io/v1alpha1", "AppProject")
PLURALS = {
    JOB: "notebookvalidationjobs",
    SERVICE: "inferenceservices",
    APPLICATION: "applications",
    PROJECT: "appprojects",
    POD: "pods",
    EVENT: "events",
    CONFIG_MAP: "configmaps",
    BATCH_JOB: "jobs",
    Kind("v1", "Secret"): "secrets",
    Kind("v1", "ServiceAccount"): "serviceaccounts",
    Kind("v1", "ResourceQuota"): "resourcequotas",
    Kind("apps/v1", "Deployment"): "deployments",
    Kind("apps/v1", "ReplicaSet"): "replicasets",
    Kind("apps/v1", "StatefulSet"): "statefulsets",
    Kind("apps/v1", "DaemonSet"): "daemonsets",
    Kind("policy/v1", "PodDisruptionBudget"): "poddisruptionbudgets",
    Kind("coordination.k8s.io/v1", "Lease"): "leases",
    Kind("rbac.authorization.k8s.io/v1", "Role"): "roles",
    Kind("rbac.authorization.k8s.io/v1", "RoleBinding"): "rolebindings",
    Kind("argoproj.io/v1alpha1", "Rollout"): "rollouts",
    Kind("argoproj.io/v1beta1", "ArgoCD"): "argocds",
    Kind("argoproj.io/v1alpha1", "NotificationsConfiguration"): "notificationsconfigurations",
    Kind("serving.knative.dev/v1", "Service"): "services",
    Kind("helm.toolkit.fluxcd.io/v2", "HelmRelease"): "helmreleases",
    Kind("kustomize.toolkit.fluxcd.io/v1", "Kustomization"): "kustomizations",
    RULE_LIBRARY: "rulelibraries",
}


class Cluster:
    """The objects of one namespace, and of others where a call names one."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace

    def create(self, *objects: Object) -> None:
        """Create objects, their status included, each in the namespace that it names."""
        for obj in objects:
            kind, namespace = kind_of(obj), str(metadata(obj).get("namespace", self.namespace))
            self.plane.request("POST", path(kind, namespace), obj)
            if "status" in obj and kind != APPLICATION:
                self.status(kind, str(metadata(obj)["name"]), obj["status"], namespace)

    def get(self, kind: Kind, name: str, namespace: str = "") -> Object:
        """An object. Raises urllib.error.HTTPError."""
        return self.plane.request("GET", path(kind, namespace or self.namespace, name))

    def find(self, kind: Kind, name: str, namespace: str = "") -> Object | None:
        """An object, None where there is none."""
        try:
            return self.get(kind, name, namespace)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return None

    def all(self, kind: Kind, namespace: str = "") -> list[Object]:
        """All objects of a kind."""
        items: list[Object] = self.plane.request("GET", path(kind, namespace or self.namespace))["items"]
        return items

    def patch(self, kind: Kind, name: str, body: Mapping[str, Any], namespace: str = "") -> None:
        """Merge into an object."""
        self.plane.request("PATCH", path(kind, namespace or self.namespace, name), body)

    def status(self, kind: Kind, name: str, status: Any, namespace: str = "") -> None:
        """Merge into an object's status."""
        self.plane.request("PATCH", path(kind, namespace or self.namespace, name) + "/status", {"status": status})

    def delete(self, kind: Kind, name: str, namespace: str = "") -> None:
        """Delete an object at once."""
        self.plane.request("DELETE", path(kind, namespace or self.namespace, name) + "?gracePeriodSeconds=0")

    def collect(self, kind: Kind, name: str) -> None:
        """End a deletion in the foreground, once it has been asked for, as the garbage collector does."""

        def ending() -> bool:
            found = self.find(kind, name)
            return found is not None and "deletionTimestamp" in metadata(found)

        eventually(ending, f"deletion of {kind.kind} {name}")
        self.patch(kind, name, {"metadata": {"finalizers": None}})

    def events(self, about: str) -> list[tuple[str, str]]:
        """(reason, message) of all Events that regard the object of this name or uid."""
        found = [event for event in self.all(EVENT) if about in (event["involvedObject"]["name"], event["involvedObject"]["uid"])]
        return sorted((event["reason"], event["message"]) for event in found)


def path(kind: Kind, namespace: str, name: str = "") -> str:
    """The path of a collection, or of an object, on the API server."""
    root = "/apis/" if "/" in kind.api_version else "/api/"
    return f"{root}{kind.api_version}/namespaces/{namespace}/{PLURALS[kind]}" + (f"/{name}" if name else "")


def eventually(found: Callable[[], T | None], what: str, patience: float = 60.0) -> T:
    """What `found` answers, as soon as that is true or not empty. Fails, saying what was waited for, where it never is."""
    deadline = time.monotonic() + patience
    while not (answer := found()):
        assert time.monotonic() < deadline, f"after {patience:.0f} s there was still no {what}; the last answer was {answer!r}"
        time.sleep(0.1)
    return answer


def now() -> str:
    """This moment, as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
