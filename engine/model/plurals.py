"""The plural and the scope of a kind, for where no cluster can be asked."""

from __future__ import annotations

from engine.model.objects import Kind, Resource

#: Kinds whose plural no rule gives (kubernetes: `kubectl api-resources`).
_IRREGULAR = {"Endpoints": "endpoints"}
#: Kinds without a namespace, of the groups that a cluster comes with and of those that are found nearly everywhere.
_CLUSTER_WIDE = frozenset({
    "APIService", "CertificateSigningRequest", "ClusterIssuer", "ClusterRole", "ClusterRoleBinding", "ComponentStatus",
    "CSIDriver", "CSINode", "CustomResourceDefinition", "FlowSchema", "IngressClass", "MutatingWebhookConfiguration",
    "Namespace", "Node", "PersistentVolume", "PriorityClass", "PriorityLevelConfiguration", "RuntimeClass",
    "SelfSubjectAccessReview", "SelfSubjectReview", "SelfSubjectRulesReview", "StorageClass", "SubjectAccessReview",
    "TokenReview", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
    "VolumeAttachment",
})  # fmt: skip


def guessed_resource(kind: Kind) -> Resource:
    """The resource that most likely serves a kind.

    The plural is the one that kubernetes itself would guess (apimachinery/pkg/api/meta/restmapper.go,
    UnsafeGuessKindToResource), in lower case.
    """
    singular = kind.kind.lower()
    if kind.kind in _IRREGULAR:
        plural = _IRREGULAR[kind.kind]
    elif singular.endswith("s"):
        plural = f"{singular}es"
    elif singular.endswith("y") and singular[-2:-1] not in "aeiou":
        plural = f"{singular[:-1]}ies"
    else:
        plural = f"{singular}s"
    return Resource(kind, plural, kind.kind not in _CLUSTER_WIDE)
