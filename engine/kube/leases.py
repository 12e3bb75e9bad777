"""Leases (coordination.k8s.io/v1): records that several processes write, each only where it knows the last state."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from engine.errors import ApiError
from engine.kube.api import Api
from engine.model.objects import Kind, Object, Resource, annotations_of, metadata

LEASE = Resource(Kind("coordination.k8s.io/v1", "Lease"), "leases", True)

LEASE_DURATION = 15.0
"""Seconds after which a Lease that was not renewed may be taken over."""


OUTSIDE = "rules.mlops.dev/outside-of-a-pod"
"""The annotation of a Lease that a process outside of a pod has written last."""


class Leases:
    """The Leases of one namespace. What a process outside of a pod writes is marked, what one in a pod writes is not."""

    def __init__(self, api: Api, namespace: str, *, in_pod: bool = True) -> None:
        self.namespace, self._api, self._in_pod = namespace, api, in_pod

    def foreign(self, lease: Object) -> bool:
        """Return whether a Lease is that of an operator in the cluster, and this process is outside of it."""
        return not self._in_pod and OUTSIDE not in annotations_of(lease)

    async def get(self, name: str) -> Object | None:
        """Return a Lease, None where there is none. Raises ApiError."""
        try:
            return await self._api.get(LEASE, self.namespace, name)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def put(
        self, name: str, known: Object | None, spec: Mapping[str, Any], annotations: Mapping[str, str] | None = None
    ) -> Object:
        """Create a Lease, or replace the one that was read, and return it. Without `annotations`, it keeps those that it has.

        Raises ApiError: 409 where somebody else has created, or 409 or 404 where somebody has changed or deleted it since.
        """
        before = {} if known is None else annotations_of(known)
        kept = {key: text for key, text in (before if annotations is None else annotations).items() if key != OUTSIDE}
        annotations = kept if self._in_pod else {**kept, OUTSIDE: "true"}
        typed = {"apiVersion": LEASE.kind.api_version, "kind": LEASE.kind.kind}
        if known is None:
            meta = {"namespace": self.namespace, "name": name, **({"annotations": annotations} if annotations else {})}
            return await self._api.create(LEASE, self.namespace, {**typed, "metadata": meta, "spec": spec})
        known = {**known, "metadata": {**metadata(known), "annotations": annotations}}
        return await self._api.replace(LEASE, self.namespace, {**typed, **known, "spec": spec})
