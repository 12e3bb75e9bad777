"""Acting: the only place where a plan's steps and reads become requests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from engine.errors import ApiError, RulepackError
from engine.kube.api import Api, Page, PatchType, Selection
from engine.kube.decode import Undecodable
from engine.model.fieldselectors import of_name
from engine.model.objects import NAMESPACE, Kind, Object, Ref, Resource, metadata, ref_of
from engine.model.plan import Create, Delete, Patch, Read

PAGE = 500
log = logging.getLogger(__name__)
_FORMATS = {"merge": PatchType.MERGE, "json": PatchType.JSON, "apply": PatchType.APPLY}


class NotLeading(RulepackError):
    """This replica does not hold the Lease (any more), so it must not act."""


class Written(NamedTuple):
    """A step was taken; `after` is the object as it then is, None where there is none; `changed` is false for a repeat."""

    after: Object | None = None
    changed: bool = True


def _logged(broken: Undecodable) -> None:
    log.error("%s is left out, since it cannot be decoded: %s", ref_of(broken.object), broken.reason)


class Actor:
    """Performs reads and steps. Asks before every write whether this replica may act.

    `on_left_out` is called with each object that a list leaves out, every time that it does.
    """

    def __init__(self, api: Api, may_act: Callable[[], bool]) -> None:
        self._api = api
        self._may_act = may_act
        self.on_left_out: Callable[[Undecodable], None] = _logged

    async def placed(self, read: Read) -> Read:
        """The read with the namespace that it really has: none where the kind's objects live in none. Raises ApiError."""
        if (await self._api.discover(read.ref.kind)).namespaced:
            return read
        return read._replace(ref=read.ref._replace(namespace=""))

    async def plural(self, kind: Kind) -> str:
        """The name of a kind in URLs, '' where it is not served or that cannot be known now."""
        try:
            return (await self._api.discover(kind)).plural
        except ApiError:
            return ""

    async def read(self, read: Read) -> Sequence[Object]:
        """What a read finds: nothing, one object, or all that its selector picks. Raises ApiError."""
        resource = await self._api.discover(read.ref.kind)
        if read.label_selector is None:
            try:
                return (named(await self._api.get(resource, read.ref.namespace, read.ref.name), read.ref.kind),)
            except ApiError as error:
                if error.not_found:
                    return ()
                raise
        selection = Selection(resource, read.ref.namespace, read.label_selector, read.fields)
        page = await self._api.list(selection, limit=PAGE)
        found, left_out = list(page.items), list(page.undecodable)
        while page.next:
            page = await self._api.list(selection, limit=PAGE, next=page.next)
            found += page.items
            left_out += page.undecodable
        if read.namespaces is not None:
            chosen = await self.read(Read(Ref(NAMESPACE, "", ""), read.namespaces))
            names = {metadata(namespace).get("name") for namespace in chosen}
            found = [item for item in found if metadata(item).get("namespace") in names]
            left_out = [each for each in left_out if metadata(each.object).get("namespace") in names]
        for each in left_out:
            self.on_left_out(each)
        return [named(item, read.ref.kind) for item in found]

    async def is_there(self, ref: Ref) -> bool:
        """Whether there is an object of this name with this uid, labels or no labels. Raises ApiError."""
        page = await self._listed(ref)
        found = (*page.items, *(each.object for each in page.undecodable))
        return any(metadata(obj).get("uid") == ref.uid for obj in found)

    async def current(self, ref: Ref) -> Object | None:
        """A watched object as it is now; None where there is none of this name with this uid. Raises ApiError."""
        found = (obj for obj in (await self._listed(ref)).items if metadata(obj).get("uid") == ref.uid)
        return next(found, None)

    async def by_name(self, ref: Ref) -> Object | None:
        """A watched object as it is now, whatever its uid and labels; None where there is none of this name. Raises ApiError.

        That the kind is not served, or that the object cannot be decoded, is an error: neither says that it is gone.
        """
        page = await self._listed(ref)
        for broken in page.undecodable:
            raise ApiError(0, "Undecodable", f"{ref} cannot be decoded: {broken.reason}")
        return next((named(obj, ref.kind) for obj in page.items), None)

    async def _listed(self, ref: Ref) -> Page:
        """The list of one object by its name: a pack that watches a kind has the right to that, and none to get."""
        resource = await self._api.discover(ref.kind)
        return await self._api.list(Selection(resource, ref.namespace, fields=of_name(ref.name)))

    async def perform(self, step: Patch | Delete | Create, *, dry_run: bool) -> Written:
        """Take one step. A repeat of what is already done succeeds. Raises ApiError and NotLeading."""
        resource = await self._allowed(step.target.kind)
        match step:
            case Patch():
                return await self._patch(resource, step, dry_run)
            case Delete():
                return await self._delete(resource, step, dry_run)
            case Create():
                return await self._create(resource, step, dry_run)

    async def metadata_of(self, target: Ref) -> Object:
        """Return an object's metadata, read by a patch of nothing: with the right to write it. Raises ApiError and NotLeading."""
        resource = await self._allowed(target.kind)
        return await self._api.patch_metadata(resource, target.namespace, target.name, {})

    async def write_metadata(self, step: Patch) -> str:
        """Take a step that changes metadata; gives the resourceVersion that it then has. Raises ApiError and NotLeading."""
        resource, target = await self._allowed(step.target.kind), step.target
        after = await self._api.patch_metadata(resource, target.namespace, target.name, _conditional(step))
        return str(after.get("resourceVersion", ""))

    async def raise_count(self, step: Create, count: int | None) -> int:
        """Raise the count of an Event that is there (None: it is not known) and return it. Raises ApiError and NotLeading."""
        resource, target = await self._allowed(step.target.kind), step.target
        if count is None:  # a patch of nothing reads, with the right that there is
            there = await self._api.patch(resource, target.namespace, target.name, {})
            count = int(there.get("count") or 1)
        body = {"count": count + 1, **{name: step.body[name] for name in ("message", "lastTimestamp")}}
        await self._api.patch(resource, target.namespace, target.name, body)
        return count + 1

    async def apply_status(self, target: Ref, status: Mapping[str, Any], manager: str) -> None:
        """Bring an object's status to what it should be, as a field manager. Raises ApiError and NotLeading."""
        resource = await self._allowed(target.kind)
        meta = {"name": target.name, "namespace": target.namespace, "uid": target.uid}
        body = {"apiVersion": target.kind.api_version, "kind": target.kind.kind, "metadata": meta, "status": status}
        await self._api.apply_status(resource, target.namespace, target.name, body, manager)

    def check_lease(self) -> None:
        """Raise NotLeading where this replica may not act now."""
        if not self._may_act():
            raise NotLeading("this replica does not hold the Lease; it does not act")

    async def _allowed(self, kind: Kind) -> Resource:
        """The resource that serves a kind, where this replica may act."""
        resource = await self._api.discover(kind)
        self.check_lease()  # last of all: whatever is waited for after this question might outlast the Lease
        return resource

    async def _patch(self, resource: Resource, step: Patch, dry_run: bool) -> Written:
        body = _conditional(step)
        after = await self._api.patch(
            resource, step.target.namespace, step.target.name, body,
            type=PatchType.FORCED_APPLY if step.force else _FORMATS[step.format], dry_run=dry_run, subresource=step.subresource,
        )  # fmt: skip
        return Written(after)

    async def _delete(self, resource: Resource, step: Delete, dry_run: bool) -> Written:
        target = step.target
        try:
            if step.evict:
                await self._api.evict(target.namespace, target.name, uid=target.uid, dry_run=dry_run)
            else:
                how = {"uid": target.uid, "version": step.resource_version, "propagation": step.propagation}
                await self._api.delete(resource, target.namespace, target.name, **how, dry_run=dry_run)
        except ApiError as error:
            # A 409 says that the name is another object's now, or no more than that somebody was faster: read again to know.
            if error.not_found:
                return Written(changed=False)
            raise
        return Written()

    async def _create(self, resource: Resource, step: Create, dry_run: bool) -> Written:
        try:
            return Written(await self._api.create(resource, step.target.namespace, step.body, dry_run=dry_run))
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return Written(changed=False)
            raise


def named(obj: Object, kind: Kind) -> Object:
    """An item of a list does not say its kind; everything after this may rely on it."""
    return obj if "kind" in obj else {"apiVersion": kind.api_version, "kind": kind.kind, **obj}


def _conditional(step: Patch) -> Any:
    """The body, refused by the API server where the object is no longer the one that was seen."""
    if step.format == "apply":
        return step.body
    if step.format == "json":
        tests: list[Mapping[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": step.target.uid}]
        if step.resource_version:
            tests.append({"op": "test", "path": "/metadata/resourceVersion", "value": step.resource_version})
        return [*tests, *step.body]
    seen = {"uid": step.target.uid, **({"resourceVersion": step.resource_version} if step.resource_version else {})}
    return {**step.body, "metadata": {**step.body.get("metadata", {}), **seen}}
