"""Objects that the tests of this folder create, and what they read of them."""

from __future__ import annotations

from typing import Any

from engine.model.objects import Kind, Object, dig
from tests.e2e.cluster import Cluster
from tests.world import POD, named

STATEFUL_SET, DAEMON_SET = Kind("apps/v1", "StatefulSet"), Kind("apps/v1", "DaemonSet")
BUDGET, QUOTA = Kind("policy/v1", "PodDisruptionBudget"), Kind("v1", "ResourceQuota")
LABELS = {"app": "web"}
CONTAINERS = {"containers": [{"name": "main", "image": "example.com/web"}]}


def pod(cluster: Cluster, name: str = "a", labels: dict[str, str] | None = None, **spec: Any) -> None:
    """Create a pod."""
    made = named(POD, name, cluster.namespace, spec={**CONTAINERS, **spec})
    made["metadata"]["labels"] = labels or {}
    cluster.create(made)


def workload(cluster: Cluster, kind: Kind, **spec: Any) -> None:
    """Create a Deployment, StatefulSet or DaemonSet `web`, whose pods have LABELS."""
    template = {"metadata": {"labels": LABELS}, "spec": CONTAINERS}
    spec = {"selector": {"matchLabels": LABELS}, "template": template, **spec}
    cluster.create(named(kind, "web", cluster.namespace, spec=spec))


def condition(obj: Object, kind: str) -> dict[str, Any]:
    """A condition of an object's status; {} where it has none of this type."""
    return next((one for one in dig(obj, ("status", "conditions"), []) if one["type"] == kind), {})


def ready(obj: Object) -> bool:
    """Whether its condition Ready is True."""
    return bool(condition(obj, "Ready").get("status") == "True")


def container(found: Object) -> dict[str, Any]:
    """The status of a pod's only container; {} where it has none yet."""
    (status,) = dig(found, ("status", "containerStatuses"), [{}])
    return dict(status)
