"""The fields that the API server can select objects by: a short list for each of its own kinds."""

from __future__ import annotations

from collections.abc import Mapping

from engine.model.objects import Kind

NAME = frozenset({"metadata.name"})
"""Those of a kind without namespaces that has no others; a CustomResourceDefinition adds its `selectableFields`."""
USUAL = NAME | {"metadata.namespace"}
"""The same of a kind with namespaces."""
_EVENT = frozenset(
    {"reason", "type", "source", "reportingComponent"}
    | {f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")}
)
_POD = frozenset(
    {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"}
    | {"status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"}
)

#: By kind, all of them, as kubernetes v1.34 has them (pkg/apis/*/v1/conversion.go).
FIELDS: Mapping[Kind, frozenset[str]] = {
    Kind("v1", "Event"): USUAL | _EVENT,
    Kind("v1", "Pod"): USUAL | _POD,
    Kind("v1", "Namespace"): NAME | {"status.phase"},
    Kind("v1", "Node"): NAME | {"spec.unschedulable"},
    Kind("v1", "Secret"): USUAL | {"type"},
    Kind("v1", "Service"): USUAL | {"spec.clusterIP", "spec.type"},
    Kind("v1", "ConfigMap"): USUAL,
    Kind("v1", "ServiceAccount"): USUAL,
    Kind("v1", "PersistentVolumeClaim"): USUAL,
    Kind("apps/v1", "Deployment"): USUAL,
    Kind("apps/v1", "StatefulSet"): USUAL,
    Kind("apps/v1", "DaemonSet"): USUAL,
    Kind("apps/v1", "ReplicaSet"): USUAL,
    Kind("batch/v1", "Job"): USUAL | {"status.successful"},
    Kind("batch/v1", "CronJob"): USUAL,
    Kind("policy/v1", "PodDisruptionBudget"): USUAL,
    Kind("coordination.k8s.io/v1", "Lease"): USUAL,
}
