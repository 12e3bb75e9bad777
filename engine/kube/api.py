"""The protocol between the engine and a cluster: what both the real API server and the embedded one answer.

Every method that fails raises `ApiError`. Objects go in and come out as raw JSON mappings.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, Protocol

from engine.kube.decode import Undecodable
from engine.model.objects import Kind, Object, Resource

FIELD_MANAGER = "rulepack"
BACKGROUND = "Background"

OPENAPI = "/openapi/v3"
"""Where the index of a cluster's OpenAPI v3 documents is (kubernetes: The Kubernetes API, OpenAPI V3)."""


class PatchType(Enum):
    """The patch formats of the API server: content type, and whether fields are taken over from other field managers.

    Source: kubernetes, apimachinery/pkg/types/patch.go.
    """

    MERGE = ("application/merge-patch+json", False)
    JSON = ("application/json-patch+json", False)
    APPLY = ("application/apply-patch+yaml", False)
    FORCED_APPLY = ("application/apply-patch+yaml", True)

    def __init__(self, content_type: str, forced: bool) -> None:
        self.content_type, self.forced = content_type, forced


APPLIES = (PatchType.APPLY, PatchType.FORCED_APPLY)
"""Those of server-side apply, which create what is not there."""


class Selection(NamedTuple):
    """Which objects of a resource: a namespace ('' spans all), a label selector and a field selector, as strings.

    With `metadata_only`, lists and watches give of each object no more than what names it and its metadata.
    """

    resource: Resource
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    metadata_only: bool = False


class Page(NamedTuple):
    """One page of a list; `next` is the continue token, '' on the last page. `undecodable` are left out of `items`.

    `gone` are objects of earlier pages that have been deleted since.
    """

    items: Sequence[Object]
    resource_version: str
    next: str = ""
    undecodable: Sequence[Undecodable] = ()
    gone: Sequence[Object] = ()


class WatchEvent(NamedTuple):
    """One event of a watch: type ADDED, MODIFIED, DELETED or BOOKMARK, and the object.

    An ERROR event of the server is raised as ApiError instead (410 Expired when the resourceVersion is too old).
    `undecodable` says why an object cannot be decoded; `object` is then no more than what names it.
    """

    type: str
    object: Object
    undecodable: str = ""


class Api(Protocol):
    """A cluster. Implementations: `KubernetesApi` (real) and `EmbeddedCluster` (in memory)."""

    async def discover(self, kind: Kind) -> Resource:
        """Return the resource that serves a kind. Raises ApiError 404 where the cluster does not have it."""
        ...

    async def openapi(self, path: str = OPENAPI) -> Mapping[str, Any]:
        """Return the index of the OpenAPI v3 documents of a cluster, or the document at a path of that index."""
        ...

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Return one object. Raises ApiError 404."""
        ...

    async def list(self, selection: Selection, *, limit: int = 0, next: str = "") -> Page:
        """Return one page of objects: all of them where limit is 0. Raises ApiError 410 where a continue token expired."""
        ...

    def pages(self, selection: Selection) -> AsyncGenerator[Page, None]:
        """Yield all objects, a few MB at a time, however many and large they are; the last page has the resourceVersion.

        Raises ApiError 410 where it took so long that the rest is no longer known.
        """
        ...

    def watch(self, selection: Selection, resource_version: str, *, timeout: float = 300.0) -> AsyncGenerator[WatchEvent, None]:
        """Yield changes after a resourceVersion, bookmarks included; ends quietly when the server closes it.

        `timeout` is in seconds: the server is asked to close the watch then. Raises ApiError 410 where the
        resourceVersion is too old, 0 where the connection is lost.
        """
        ...

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object and return it; `metadata.generateName` is honoured. Raises ApiError 409 AlreadyExists."""
        ...

    async def replace(
        self, resource: Resource, namespace: str, body: Object, *, subresource: str = "", dry_run: bool = False
    ) -> Object:
        """Put an object and return it; 409 Conflict where it carries a resourceVersion that is not the current one."""
        ...

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]], *,
        type: PatchType = PatchType.MERGE, subresource: str = "", dry_run: bool = False,
    ) -> Object:  # fmt: skip
        """Patch an object and return it as it then is.

        A merge patch with metadata.resourceVersion is refused with 409 where it is stale, and one with another
        metadata.uid with 409 or 422. APPLY is server-side apply as field manager `rulepack`.
        """
        ...

    async def patch_metadata(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Patch an object by a merge patch and return the metadata that it then has: cheaper than the whole object."""
        ...

    async def apply_status(self, resource: Resource, namespace: str, name: str, body: Object, manager: str) -> Object:
        """Apply an object's status as a field manager and return the object; what others applied is taken over."""
        ...

    async def delete(
        self, resource: Resource, namespace: str, name: str, *,
        uid: str = "", version: str = "", propagation: str = BACKGROUND, dry_run: bool = False,
    ) -> None:  # fmt: skip
        """Delete an object; with a uid or a resourceVersion, 409 where the object has another one.

        `propagation` says what becomes of its dependents: `Background`, `Foreground` (before it) or `Orphan` (they stay).
        """
        ...

    async def evict(self, namespace: str, name: str, *, uid: str = "", dry_run: bool = False) -> None:
        """Evict a pod (policy/v1 Eviction). Raises ApiError 429 where a PodDisruptionBudget does not allow it now."""
        ...

    async def close(self) -> None:
        """Give connections back; the object is not used afterwards."""
        ...
