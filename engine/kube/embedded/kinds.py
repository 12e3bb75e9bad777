"""What the embedded cluster knows of each kind it serves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.kube.embedded import answers
from engine.model.objects import Kind, Object, Resource, dig
from engine.model.selectable import FIELDS, NAME, USUAL

CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
NAMESPACE = Kind("v1", "Namespace")
POD = Kind("v1", "Pod")
REVIEW = Kind("authorization.k8s.io/v1", "SubjectAccessReview")
TOKEN_REVIEW = Kind("authentication.k8s.io/v1", "TokenReview")
EVENT = Kind("v1", "Event")
BUDGET = Kind("policy/v1", "PodDisruptionBudget")
SERVICE = Kind("v1", "Service")
DEPLOYMENT = Kind("apps/v1", "Deployment")


@dataclass(frozen=True, slots=True)
class Served:
    """A kind that is served.

    `status`: it has the status subresource. `generation`: its objects carry metadata.generation. `fields`: what a field
    selector may name. `custom`: it is defined by a CustomResourceDefinition, so a put needs a resourceVersion and a body must
    say its kind. `initial_status` is what a new object's status is.
    """

    resource: Resource
    status: bool = False
    generation: bool = False
    fields: frozenset[str] = USUAL
    custom: bool = False
    initial_status: Object = field(default_factory=dict)


def _served(api_version: str, kind: str, plural: str, **settings: Any) -> Served:
    namespaced = settings.pop("namespaced", True)
    of = Kind(api_version, kind)
    return Served(Resource(of, plural, namespaced), fields=FIELDS.get(of, USUAL if namespaced else NAME), **settings)


#: The built-in kinds; generation as kubernetes v1.34 has it (pkg/registry/*/strategy.go).
BUILT_IN = (
    _served("v1", "Namespace", "namespaces", namespaced=False, status=True,
            initial_status={"phase": "Active"}),
    _served("v1", "ConfigMap", "configmaps"),
    _served("v1", "Secret", "secrets"),
    _served("v1", "Service", "services", status=True),
    _served("v1", "ServiceAccount", "serviceaccounts"),
    _served("v1", "Event", "events"),
    _served("v1", "Pod", "pods", status=True, generation=True, initial_status={"phase": "Pending"}),
    _served("apps/v1", "Deployment", "deployments", status=True, generation=True),
    _served("apps/v1", "StatefulSet", "statefulsets", status=True, generation=True),
    _served("apps/v1", "DaemonSet", "daemonsets", status=True, generation=True),
    _served("apps/v1", "ReplicaSet", "replicasets", status=True, generation=True),
    _served("batch/v1", "Job", "jobs", status=True, generation=True),
    _served("coordination.k8s.io/v1", "Lease", "leases"),
    _served("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False),
    _served("authentication.k8s.io/v1", "TokenReview", "tokenreviews", namespaced=False),
    _served("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", status=True, generation=True),
    _served("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False,
            status=True, generation=True,
            initial_status={"conditions": [{"type": name, "status": "True"} for name in ("NamesAccepted", "Established")]}),
)  # fmt: skip


def defined_by(crd: Object) -> Served:
    """Return the kind that a CustomResourceDefinition defines, in its storage version (the only one that is served here).

    Raises ApiError 422 where the definition lacks what that takes.
    """
    name = dig(crd, ("metadata", "name"), "")
    versions = [version for version in dig(crd, ("spec", "versions"), []) if version.get("storage")]
    required = [("spec", "group"), ("spec", "scope"), ("spec", "names", "kind"), ("spec", "names", "plural")]
    missing = [f"{'.'.join(path)}: Required value" for path in required if not dig(crd, path)]
    if len(versions) != 1:
        missing.append("spec.versions: Invalid value: must have exactly one version marked as storage version")
    if missing:
        raise answers.invalid(CRD, name, *missing)
    group, plural = dig(crd, ("spec", "group")), dig(crd, ("spec", "names", "plural"))
    if name != f"{plural}.{group}":
        raise answers.invalid(CRD, name, f'metadata.name: Invalid value: "{name}": must be spec.names.plural+"."+spec.group')
    version = versions[0]
    return Served(
        Resource(Kind(f"{group}/{version['name']}", dig(crd, ("spec", "names", "kind"))), plural,
                 dig(crd, ("spec", "scope")) == "Namespaced"),
        status="status" in (version.get("subresources") or {}),
        generation=True,
        fields=(USUAL if dig(crd, ("spec", "scope")) == "Namespaced" else NAME)
        | {entry["jsonPath"].removeprefix(".") for entry in version.get("selectableFields") or ()},
        custom=True,
    )  # fmt: skip
