"""The real cluster: the protocol `Api` over the HTTP interface of a Kubernetes API server."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote

from engine.errors import ApiError
from engine.kube import credentials
from engine.kube.api import BACKGROUND, FIELD_MANAGER, OPENAPI, Page, PatchType, Selection, WatchEvent
from engine.kube.collections import Collections
from engine.kube.connection import Connection
from engine.model.objects import Kind, Object, Resource, metadata

POD = Resource(Kind("v1", "Pod"), "pods", namespaced=True)

#: The query of a write, and of one that is not to be kept.
_WRITE = {False: f"?fieldManager={FIELD_MANAGER}", True: f"?fieldManager={FIELD_MANAGER}&dryRun=All"}
#: Metadata alone, or the whole object of a server that cannot leave it out (kubernetes: API concepts, metadata-only fetches).
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
_PLAIN = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]*")


class KubernetesApi:
    """A Kubernetes API server; see `Api` for what the methods do. Made by `connect`."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._collections = connection, Collections(connection)
        self._served: dict[str, dict[str, Resource]] = {}
        self._asking = defaultdict[str, asyncio.Lock](asyncio.Lock)

    @classmethod
    async def connect(cls, kubeconfig: str | None = None, context: str | None = None) -> Self:
        """Find credentials (see `credentials.find`); nothing is sent yet. Raises UsageError where there are none."""
        return cls(await Connection.open(credentials.find(kubeconfig, context)))

    @property
    def token(self) -> str:
        """The bearer token that requests carry, '' where a client certificate says who asks."""
        return self._connection.token

    async def discover(self, kind: Kind) -> Resource:
        """See `Api.discover`."""
        found = self._served.get(kind.api_version, {}).get(kind.kind)
        if found is None:  # only what is there is remembered, so a CRD that appears is seen at once
            async with self._asking[kind.api_version]:  # those who wait here for one answer need not ask for another
                known = self._served.get(kind.api_version, {})
                if kind.kind not in known:
                    self._served[kind.api_version] = known = await self._resources(kind)
            found = known.get(kind.kind)
        if found is None:
            raise _not_served(kind, known)
        return found

    async def names(self, kind: Kind) -> frozenset[str]:
        """Return what kubectl calls a kind: its plural, singular and short names. Raise ApiError 404 where it is not served."""
        found = next((each for each in await self._discovered(kind) if each["kind"] == kind.kind), None)
        if found is None:
            raise _not_served(kind)
        return frozenset({found["name"], found.get("singularName") or kind.kind.lower(), *(found.get("shortNames") or ())})

    async def _resources(self, kind: Kind) -> dict[str, Resource]:
        return {
            each["kind"]: Resource(Kind(kind.api_version, each["kind"]), each["name"], each["namespaced"])
            for each in await self._discovered(kind)
        }

    async def _discovered(self, kind: Kind) -> Sequence[Mapping[str, Any]]:
        """What discovery says of the kinds of a version of an API group, without their subresources."""
        root = "/apis" if kind.group else "/api"
        try:
            answer = await self._connection.request("GET", f"{root}/{quote(kind.api_version)}")
        except ApiError as error:
            raise _not_served(kind) if error.status == HTTPStatus.NOT_FOUND else error from None
        return [each for each in answer.get("resources") or () if "/" not in each["name"]]

    async def openapi(self, path: str = OPENAPI) -> Mapping[str, Any]:
        """See `Api.openapi`."""
        return await self._connection.request("GET", path)

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Api.get`."""
        return await self._request(resource, "GET", _path(resource, namespace, name))

    async def list(self, selection: Selection, *, limit: int = 0, next: str = "") -> Page:
        """See `Api.list`."""
        path = _collection(selection.resource, selection.namespace)
        with self._rediscovering(selection.resource):
            page, _ = await self._collections.page(path, selection, limit, next)
            return page

    async def pages(self, selection: Selection) -> AsyncGenerator[Page, None]:
        """See `Api.pages`."""
        path = _collection(selection.resource, selection.namespace)
        with self._rediscovering(selection.resource):
            async with aclosing(self._collections.pages(path, selection)) as pages:
                async for page in pages:
                    yield page

    def watch(self, selection: Selection, resource_version: str, *, timeout: float = 300.0) -> AsyncGenerator[WatchEvent, None]:
        """See `Api.watch`."""
        path = _collection(selection.resource, selection.namespace)
        return self._collections.watch(path, selection, resource_version, timeout)

    async def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """See `Api.create`."""
        return await self._request(resource, "POST", _collection(resource, namespace) + _WRITE[dry_run], body)

    async def replace(
        self, resource: Resource, namespace: str, body: Object, *, subresource: str = "", dry_run: bool = False
    ) -> Object:
        """See `Api.replace`."""
        path = _path(resource, namespace, str(metadata(body).get("name") or ""), subresource)
        return await self._request(resource, "PUT", path + _WRITE[dry_run], body)

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any] | Sequence[Mapping[str, Any]], *,
        type: PatchType = PatchType.MERGE, subresource: str = "", dry_run: bool = False,
    ) -> Object:  # fmt: skip
        """See `Api.patch`."""
        path = _path(resource, namespace, name, subresource) + _WRITE[dry_run] + ("&force=true" if type.forced else "")
        return await self._request(resource, "PATCH", path, body, type.content_type)

    async def patch_metadata(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Api.patch_metadata`."""
        path = _path(resource, namespace, name) + _WRITE[False]
        return metadata(await self._request(resource, "PATCH", path, body, PatchType.MERGE.content_type, _METADATA))

    async def apply_status(self, resource: Resource, namespace: str, name: str, body: Object, manager: str) -> Object:
        """See `Api.apply_status`."""
        path = f"{_path(resource, namespace, name, 'status')}?fieldManager={manager}&force=true"
        return await self._connection.request("PATCH", path, body, PatchType.FORCED_APPLY.content_type)

    async def delete(
        self, resource: Resource, namespace: str, name: str, *,
        uid: str = "", version: str = "", propagation: str = BACKGROUND, dry_run: bool = False,
    ) -> None:  # fmt: skip
        """See `Api.delete`."""
        body: dict[str, Any] = {"propagationPolicy": propagation}
        if preconditions := {key: value for key, value in (("uid", uid), ("resourceVersion", version)) if value}:
            body["preconditions"] = preconditions
        path = _path(resource, namespace, name)
        if dry_run:
            body["dryRun"] = ["All"]
            path += "?dryRun=All"  # the server obeys the body, but its audit log shows only this
        await self._request(resource, "DELETE", path, body)

    async def evict(self, namespace: str, name: str, *, uid: str = "", dry_run: bool = False) -> None:
        """See `Api.evict`."""
        body: dict[str, Any] = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
        }
        if uid:
            body["deleteOptions"] = {"preconditions": {"uid": uid}}
        await self._connection.request("POST", _path(POD, namespace, name, "eviction") + _WRITE[dry_run], body)

    async def close(self) -> None:
        """See `Api.close`."""
        await self._connection.close()

    async def _request(self, resource: Resource, method: str, path: str, *request: Any) -> dict[str, Any]:
        """Send a request about a kind."""
        with self._rediscovering(resource):
            return await self._connection.request(method, path, *request)

    @contextmanager
    def _rediscovering(self, resource: Resource) -> Iterator[None]:
        """Where the server no longer serves a kind, ask anew what it serves the next time."""
        try:
            yield
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND and not error.not_found:  # its CRD is gone, or has another plural now
                self._served.pop(resource.kind.api_version, None)
            raise


def _path(resource: Resource, namespace: str, name: str, subresource: str = "") -> str:
    if not name:  # it would be the path of the collection: a delete would then delete everything in it
        raise _bad_request(f"a {resource.kind.kind} without a name was requested; expected the name of one object")
    return resource.path(_segment(namespace), _segment(name), subresource)


def _collection(resource: Resource, namespace: str) -> str:
    return resource.path(_segment(namespace))


def _segment(name: str) -> str:
    """Return one segment of a path, quoted; refused where the API server has no object of such a name.

    Names may come from whoever wrote an annotation, and must not lead to another path than the one of that object
    (kubernetes: apimachinery/pkg/api/validation/path/name.go).
    """
    if _PLAIN.fullmatch(name):  # as nearly all are
        return name
    if name in (".", "..") or "/" in name or "%" in name:
        raise _bad_request(f"'{name}' cannot be a name; expected one without '/' and '%' that is not '.' or '..'")
    return quote(name, safe="")


def _not_served(kind: Kind, others: Collection[str] = ()) -> ApiError:
    close = get_close_matches(kind.kind, others, n=1)
    hint = f"it has {close[0]}, did you mean that?" if close else "is its CRD installed?"
    message = f"the cluster does not serve {kind.kind} of {kind.api_version}; {hint}"
    return ApiError(HTTPStatus.NOT_FOUND, "NotFound", message)


def _bad_request(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "BadRequest", message)
