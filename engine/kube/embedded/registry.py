"""Reading and writing objects by the API server's rules; everything here happens at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from engine.errors import ApiError
from engine.kube.api import APPLIES, PatchType
from engine.kube.clock import Clock
from engine.kube.embedded import answers, eviction
from engine.kube.embedded.apply import applied, disowned
from engine.kube.embedded.kinds import BUDGET, BUILT_IN, CRD, NAMESPACE, POD, Served, defined_by
from engine.kube.embedded.objects import created, terminating, timestamp, updated, without_owner
from engine.kube.embedded.patches import json_patched, merge_patched
from engine.kube.embedded.store import Key, Store, Stored, Table
from engine.kube.embedded.validation import undecodable
from engine.model.objects import Kind, Object, Resource, dig, metadata


class Registry:
    """The objects of a cluster. Every method raises ApiError where the API server would refuse."""

    def __init__(self, clock: Clock) -> None:
        self.store = Store()
        self._clock = clock
        self._born = 0
        for served in BUILT_IN:
            self.store.serve(served)
        for name in ("default", "kube-system"):
            self._create(self.store.tables[NAMESPACE], "", {"metadata": {"name": name}}, dry_run=False)

    def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        """Return one object; 404 where there is none."""
        return self._find(resource, namespace, name)[2].copy()

    def create(self, resource: Resource, namespace: str, body: Object, *, dry_run: bool) -> dict[str, Any]:
        """Create an object."""
        table = self.store.table(resource)
        obj = _decoded(table.served, namespace, _json_copy(body))
        obj["metadata"].pop("managedFields", None)
        if obj["metadata"].get("resourceVersion"):
            raise ApiError(500, "InternalServerError", "resourceVersion should not be set on objects to be created")
        return self._create(table, namespace, obj, dry_run=dry_run)

    def replace(self, resource: Resource, namespace: str, body: Object, subresource: str, *, dry_run: bool) -> dict[str, Any]:
        """Put an object in place of the one of its name."""
        name = metadata(body).get("name", "")
        table, key, old = self._find(resource, namespace, name, subresource)
        new = _decoded(table.served, namespace, _json_copy(body))
        given, actual = new["metadata"].get("uid"), old.object["metadata"]["uid"]
        if given and given != actual:
            raise answers.conflict(resource, name, "StorageError: invalid object, Code: 4, AdditionalErrorMsg: Precondition "
                                   f"failed: UID in precondition: {given}, UID in object meta: {actual}")  # fmt: skip
        return self._update(table, key, new, subresource, dry_run=dry_run)

    def patch(
        self, resource: Resource, namespace: str, name: str, body: Any, type: PatchType, subresource: str, *, dry_run: bool
    ) -> dict[str, Any]:
        """Patch an object."""
        patch = _json_copy(body)
        if type in APPLIES:
            return self._apply(resource, namespace, name, patch, subresource, dry_run=dry_run, force=type.forced)
        table, key, old = self._find(resource, namespace, name, subresource)
        new = json_patched(old.copy(), patch) if type is PatchType.JSON else merge_patched(old.object, patch)
        _check_patched(old.object, new)
        return self._update(table, key, new, subresource, dry_run=dry_run)

    def delete(
        self, resource: Resource, namespace: str, name: str, seen: tuple[str, str], *, orphan: bool = False, dry_run: bool
    ) -> None:
        """Delete an object, or begin to where it has finalizers; with `orphan` what it owns is its own no longer.

        `seen` are the uid and the resourceVersion that it must have; '': any.
        """
        uid, version = seen
        table, key, stored = self._find(resource, namespace, name)
        actual = stored.object["metadata"]["uid"]
        if uid and uid != actual:
            raise answers.wrong_uid(resource.kind, name, uid, actual)
        if version and version != (now := stored.object["metadata"]["resourceVersion"]):
            raise answers.wrong_version(resource, name, version, now)
        if dry_run:
            return
        for of, dependent in self.store.dependents(actual) if orphan else ():
            self.store.put(of, dependent, without_owner(of.objects[dependent].object, actual))
        self._delete(table, key)

    def evict(self, namespace: str, name: str, uid: str, *, dry_run: bool) -> None:
        """Delete a pod, where no PodDisruptionBudget is against it."""
        pods, budgets = self.store.tables[POD], self.store.tables[BUDGET]
        pod = self._find(pods.served.resource, namespace, name)[2].object
        eviction.check(pod, pods.within(namespace), budgets.within(namespace), self._replicas)
        self.delete(pods.served.resource, namespace, name, (uid, ""), dry_run=dry_run)

    def _find(self, resource: Resource, namespace: str, name: str, subresource: str = "") -> tuple[Table, Key, Stored]:
        if not name or name in (".", "..") or "/" in name or "%" in name:
            raise answers.bad_request(f"'{name}' cannot be a name; expected one without '/' and '%' that is not '.' or '..'")
        table = self.store.table(resource)
        if subresource and not (subresource == "status" and table.served.status):
            raise answers.unserved()
        key = table.key(namespace, name)
        if key not in table.objects:
            raise answers.not_found(resource, name)
        return table, key, table.objects[key]

    def _create(self, table: Table, namespace: str, body: Object, *, dry_run: bool) -> dict[str, Any]:
        served = table.served
        if served.resource.namespaced and ("", namespace) not in self.store.tables[NAMESPACE].objects:
            raise answers.not_found(self.store.tables[NAMESPACE].served.resource, namespace)
        self._born += 1
        uid = f"00000000-0000-4000-8000-{self._born:012x}"
        obj = created(served, namespace, body, uid=uid, number=self._born, time=self._clock.time())
        key = table.key(namespace, obj["metadata"]["name"])
        if key in table.objects:
            there = metadata(table.objects[key].object)
            raise answers.already_exists(served.resource, key[1], terminating="deletionTimestamp" in there)
        defined = defined_by(obj) if served.resource.kind == CRD else None
        if dry_run:
            return _as_decoded(obj)
        result = self.store.put(table, key, obj).copy()
        if defined:
            self.store.serve(defined)
        return result

    def _update(self, table: Table, key: Key, new: Object, subresource: str, *, dry_run: bool) -> dict[str, Any]:
        """Keep a new state that somebody's update asked for."""
        old = table.objects[key].object
        if table.served.custom and not metadata(new).get("resourceVersion"):
            raise answers.unconditional(table.served.resource, key[1])
        new = {**new, "metadata": {**metadata(new), "managedFields": metadata(old).get("managedFields")}}
        result = updated(table.served, old, new, subresource)
        disowned(old, result)
        return self._commit(table, key, result, dry_run=dry_run)

    def _commit(self, table: Table, key: Key, new: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
        stored = table.objects[key]
        if new == stored.object:
            return stored.copy()
        kind = table.served.resource.kind
        defined = defined_by(new) if kind == CRD else None
        if dry_run:
            return _as_decoded(new)
        if "deletionTimestamp" in new["metadata"] and not new["metadata"].get("finalizers"):
            self._remove(table, key)
            return _as_decoded(new)
        if defined:
            self.store.serve(defined)
        return self.store.put(table, key, new).copy()

    def _apply(
        self, resource: Resource, namespace: str, name: str, config: Any, subresource: str, *, dry_run: bool, force: bool
    ) -> dict[str, Any]:  # fmt: skip
        if not isinstance(config, dict) or "kind" not in config or "apiVersion" not in config:
            raise answers.bad_request("invalid object type: /, Kind=")
        table, now = self.store.table(resource), timestamp(self._clock.time())
        config = _decoded(table.served, namespace, config)
        _check_named(config, name)
        key = table.key(namespace, name)
        if key in table.objects:
            self._find(resource, namespace, name, subresource)
            old = table.objects[key]
            new = applied(old.copy(), config, subresource=subresource, force=force, now=now)
            return self._commit(table, key, updated(table.served, old.object, new, subresource), dry_run=dry_run)
        if subresource:
            raise answers.not_found(resource, name)
        if uid := config["metadata"].get("uid"):
            raise answers.conflict(resource, name, f"uid mismatch: the provided object specified uid {uid}, and no existing "
                                                   "object was found")  # fmt: skip
        live = {"apiVersion": config["apiVersion"], "kind": config["kind"], "metadata": {"name": name}}
        new = applied(live, config, subresource="", force=force, now=now)
        new["metadata"].pop("resourceVersion", None)
        return self._create(table, namespace, new, dry_run=dry_run)

    def _delete(self, table: Table, key: Key) -> None:
        obj = table.objects[key].object
        if not metadata(obj).get("finalizers"):
            self._remove(table, key)
        elif "deletionTimestamp" not in metadata(obj):
            self.store.put(table, key, terminating(obj, self._clock.time()))

    def _remove(self, table: Table, key: Key) -> None:
        """Remove an object, and at once what a real cluster's controllers would remove after it."""
        obj, kind = table.objects[key].object, table.served.resource.kind
        orphans = self.store.remove(table, key)
        if kind == NAMESPACE:
            orphans += [(each, inner) for each in self.store.tables.values() for inner in each.keys_within(key[1])]
        if kind == CRD:
            self.store.drop(defined_by(obj).resource.kind)
        for of, orphan in orphans:
            if orphan in of.objects:
                self._delete(of, orphan)

    def _replicas(self, controller: Object, namespace: str) -> int | None:
        table = self.store.tables.get(Kind(controller["apiVersion"], controller["kind"]))
        stored = table.objects.get(table.key(namespace, controller["name"])) if table else None
        return dig(stored.object, ("spec", "replicas")) if stored else None


def _json_copy(value: Any) -> Any:
    """Return the same value as it would arrive over the wire."""
    return orjson.loads(orjson.dumps(value, default=dict))


def _as_decoded(obj: Object) -> dict[str, Any]:
    """Return a copy of an object that was not kept."""
    copy: dict[str, Any] = _json_copy(obj)
    return copy


def _decoded(served: Served, namespace: str, obj: dict[str, Any]) -> dict[str, Any]:
    """Return a body that says its kind, and that kind is the one it was sent to. Raises ApiError 400 or 422."""
    kind = served.resource.kind
    if served.custom and "kind" not in obj:
        raise answers.bad_request(f"the object provided is unrecognized (must be of type {kind.kind}): Object 'Kind' is missing")
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, **obj, "metadata": {**metadata(obj)}}
    if obj["apiVersion"] != kind.api_version:
        raise answers.bad_request(f"the API version in the data ({obj['apiVersion']}) does not match the expected API version "
                                  f"({kind.api_version})")  # fmt: skip
    if obj["kind"] != kind.kind:
        raise answers.bad_request(f'{obj["kind"]} in version "{kind.api_version}" cannot be handled as a {kind.kind}')
    _check_namespace(obj, namespace if served.resource.namespaced else "")
    if fault := undecodable(obj):
        raise answers.bad_request(f'{kind.kind} in version "{kind.api_version}" cannot be handled as a {kind.kind}: {fault}')
    return obj


def _check_namespace(obj: Object, namespace: str) -> None:
    if metadata(obj).get("namespace", namespace) != namespace:
        raise answers.bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _check_named(obj: Object, name: str) -> None:
    if metadata(obj).get("name", name) != name:
        raise answers.bad_request(f"the name of the object ({metadata(obj)['name']}) does not match the name on the URL ({name})")


def _check_patched(old: Object, new: Object) -> None:
    """A patch may not make another object of it. Raises ApiError 400 or 422."""
    _check_named(new, metadata(old)["name"])
    _check_namespace(new, metadata(old).get("namespace", ""))
    fault = undecodable(new)
    if (new.get("apiVersion"), new.get("kind")) != (old["apiVersion"], old["kind"]):
        fault = f'no kind "{new.get("kind")}" is registered for version "{new.get("apiVersion")}"'
    if fault or not isinstance(new.get("metadata"), Mapping):
        raise ApiError(422, "Invalid", f' "" is invalid: patch: Invalid value: {fault or "metadata: must be an object"}')
