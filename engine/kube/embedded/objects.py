"""What the API server makes of an object that is written: its system fields, status and generation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from engine.kube.embedded import answers
from engine.kube.embedded.kinds import DEPLOYMENT, NAMESPACE, Served
from engine.kube.embedded.validation import check
from engine.model.objects import Object, kind_of, metadata

#: Fields of metadata that only the server sets; what a request says of them does not count.
_SERVER_SET = ("namespace", "name", "generateName", "uid", "creationTimestamp", "generation", "deletionTimestamp",
               "deletionGracePeriodSeconds", "selfLink")  # fmt: skip
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5


def created(served: Served, namespace: str, body: Object, *, uid: str, number: int, time: float) -> dict[str, Any]:
    """Return a new object as the server would keep it; `number` makes a generated name unique. Raises ApiError 422."""
    kind, meta = served.resource.kind, dict(metadata(body))
    for field in ("generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "namespace"):
        meta.pop(field, None)
    if not meta.get("name") and not meta.get("generateName"):
        raise answers.invalid(kind, "", "metadata.name: Required value: name or generateName is required")
    meta["name"] = meta.get("name") or meta["generateName"] + _suffix(number)
    meta |= {"uid": uid, "creationTimestamp": timestamp(time)}
    if served.resource.namespaced:
        meta["namespace"] = namespace
    if served.generation:
        meta["generation"] = 1
    if kind == NAMESPACE:
        meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta["name"]}
    named = {} if served.custom else {"apiVersion": kind.api_version, "kind": kind.kind}
    obj = {**named, **body, "metadata": _kept(meta)}
    if served.status:
        obj.pop("status", None)
        if served.initial_status:
            obj["status"] = dict(served.initial_status)
    check(obj)
    return obj


def updated(served: Served, old: Object, new: Object, subresource: str) -> dict[str, Any]:
    """Return what the server would keep of a new state of an object, given the old one.

    Raises ApiError 422 where it changes what may not change, and 409 where its resourceVersion is not the old one's.
    """
    resource, before, after = served.resource, metadata(old), dict(metadata(new))
    if after.get("resourceVersion", before["resourceVersion"]) != before["resourceVersion"]:
        raise answers.conflict(resource, before["name"])
    if subresource == "status":
        result = {**old, "metadata": {**before, "managedFields": after.get("managedFields")}}
        result["status"] = new.get("status")
    else:
        _refuse_changes(old, new)
        after |= {field: before.get(field) for field in _SERVER_SET} | {"resourceVersion": before["resourceVersion"]}
        result = {**new, "metadata": after}
        if served.status:
            result["status"] = old.get("status")
    result["metadata"] = _kept(result["metadata"])
    if result.get("status", ...) is None:
        del result["status"]
    if served.generation and _asks_for_work(served, old, result):
        result["metadata"]["generation"] = before["generation"] + 1
    check(result)
    return result


def terminating(old: Object, time: float) -> dict[str, Any]:
    """Return an object whose deletion waits for its finalizers; asking for that is a change of what is wanted of it."""
    meta = {**metadata(old), "deletionTimestamp": timestamp(time), "deletionGracePeriodSeconds": 0}
    if "generation" in meta:
        meta["generation"] += 1
    return {**old, "metadata": meta}


def without_owner(obj: Object, uid: str) -> dict[str, Any]:
    """Return an object that another one, with this uid, owns no longer."""
    left = [owner for owner in metadata(obj)["ownerReferences"] if owner["uid"] != uid]
    return {**obj, "metadata": {**metadata(obj), "ownerReferences": left}}


def timestamp(time: float) -> str:
    """metav1.Time: RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _kept(meta: Object) -> dict[str, Any]:
    """Metadata without what is null, and without maps and lists that are empty (`omitempty` in metav1.ObjectMeta)."""
    return {field: value for field, value in meta.items() if value is not None and value != {} and value != []}


def _refuse_changes(old: Object, new: Object) -> None:
    before, after, name = metadata(old), metadata(new), metadata(old)["name"]
    faults = [
        f'metadata.{field}: Invalid value: "{after[field]}": field is immutable'
        for field in ("uid", "deletionTimestamp")
        if after.get(field) and after[field] != before.get(field)
    ]
    added = [entry for entry in after.get("finalizers") or () if entry not in (before.get("finalizers") or ())]
    if added and before.get("deletionTimestamp"):
        faults.append("metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
                      f"finalizers {added}")  # fmt: skip
    if faults:
        raise answers.invalid(kind_of(old), name, *faults)


def _asks_for_work(served: Served, old: Object, new: Object) -> bool:
    """Return whether anything but metadata and status changed; of a Deployment, also its annotations (its strategy.go)."""
    ignored = {"metadata", "status"} if served.status else {"metadata"}
    if served.resource.kind == DEPLOYMENT and metadata(old).get("annotations") != metadata(new).get("annotations"):
        return True
    return {key: old[key] for key in old.keys() - ignored} != {key: new[key] for key in new.keys() - ignored}


def _suffix(number: int) -> str:
    letters = ""
    for _ in range(_SUFFIX_LENGTH):
        number, digit = divmod(number, len(_SUFFIX_ALPHABET))
        letters = _SUFFIX_ALPHABET[digit] + letters
    return letters
