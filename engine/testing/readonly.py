"""A cluster that can only be read: what a write would come to is worked out here, and nothing is sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NamedTuple

from engine.errors import ApiError
from engine.kube.api import APPLIES, BACKGROUND, OPENAPI, Api, Page, PatchType, Selection, WatchEvent
from engine.kube.embedded.patches import json_patched
from engine.model.merge import merged
from engine.model.objects import Kind, Object, Resource, metadata

REVIEW = "SubjectAccessReview"


class Consent(NamedTuple):
    """That a user may do something to an object: what is taken for granted."""

    user: str
    verb: str
    resource: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.user} may {self.verb} {self.resource} {self.namespace}/{self.name}"


class ReadOnlyCluster:
    """Reads go to a cluster; dry runs of writes are worked out from what is read, so that get and list are all it needs.

    `assumed` collects the questions of consent that a running engine would ask the API server, and that count as granted.
    """

    def __init__(self, api: Api) -> None:
        self.assumed: list[Consent] = []
        self._api = api

    async def discover(self, kind: Kind) -> Resource:
        """See `Api.discover`."""
        return Resource(kind, "", False) if kind.kind == REVIEW else await self._api.discover(kind)

    async def openapi(self, path: str = OPENAPI) -> Mapping[str, Any]:
        """See `Api.openapi`."""
        return await self._api.openapi(path)

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Api.get`."""
        return await self._api.get(resource, namespace, name)

    async def list(self, selection: Selection, *, limit: int = 0, next: str = "") -> Page:
        """See `Api.list`."""
        return await self._api.list(selection, limit=limit, next=next)

    def pages(self, selection: Selection) -> AsyncGenerator[Page, None]:
        """See `Api.pages`."""
        return self._api.pages(selection)

    def watch(self, selection: Selection, resource_version: str, *, timeout: float = 300.0) -> AsyncGenerator[WatchEvent, None]:
        """See `Api.watch`."""
        return self._api.watch(selection, resource_version, timeout=timeout)

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """What would be created; consent is granted, and noted."""
        if resource.kind.kind != REVIEW:
            _only_dry(dry_run)
            return body
        spec = body["spec"]
        asked = spec["resourceAttributes"]
        target = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        consent = Consent(spec["user"], asked["verb"], target, asked.get("namespace", "(cluster)"), asked.get("name", "(any)"))
        self.assumed.append(consent)
        return {**body, "status": {"allowed": True}}

    async def replace(
        self, resource: Resource, namespace: str, body: Object, *, subresource: str = "", dry_run: bool = False
    ) -> Object:
        """What would be there."""
        _only_dry(dry_run)
        return body

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]], *,
        type: PatchType = PatchType.MERGE, subresource: str = "", dry_run: bool = False,
    ) -> Object:  # fmt: skip
        """What the object would become; a server-side apply is taken for a merge, which leaves out who owns which field."""
        _only_dry(dry_run)
        try:
            there = await self._api.get(resource, namespace, name)
        except ApiError as error:
            if error.status != 404 or type not in APPLIES:
                raise
            there = {}
        if type is PatchType.JSON:
            after: Object = json_patched(dict(there), body)
        else:
            after = merged(there, body)
        return after

    async def patch_metadata(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Api.patch_metadata`."""
        return metadata(await self.patch(resource, namespace, name, body))

    async def apply_status(self, resource: Resource, namespace: str, name: str, body: Object, manager: str) -> Object:
        """Nothing."""
        _only_dry(dry_run=False)
        return body

    async def delete(
        self, resource: Resource, namespace: str, name: str, *,
        uid: str = "", version: str = "", propagation: str = BACKGROUND, dry_run: bool = False,
    ) -> None:  # fmt: skip
        """Nothing."""
        _only_dry(dry_run)

    async def evict(self, namespace: str, name: str, *, uid: str = "", dry_run: bool = False) -> None:
        """Nothing."""
        _only_dry(dry_run)

    async def close(self) -> None:
        """See `Api.close`."""
        await self._api.close()


def _only_dry(dry_run: bool) -> None:
    if not dry_run:
        raise ApiError(405, "MethodNotAllowed", "this cluster is only read")
