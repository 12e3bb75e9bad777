"""Server-side apply: who set which field, and what follows from it.

Simpler than the API server's (structured-merge-diff): lists are atomic, there is one field manager, and every field that
it has not applied counts as set by somebody's update.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from engine.errors import ApiError
from engine.kube.api import FIELD_MANAGER
from engine.kube.embedded import answers
from engine.model.objects import Object, dig, metadata

Path = tuple[str, ...]

_MISSING = object()
_APPLICABLE_METADATA = frozenset({"labels", "annotations", "finalizers", "ownerReferences"})


def applied(live: dict[str, Any], config: Object, *, subresource: str, force: bool, now: str) -> dict[str, Any]:
    """Return a live object, changed in place to what it becomes when `config` is applied; `{}` where there is none yet.

    Fields that were applied before and no longer are go, unless somebody else set them too.
    Raises ApiError 409 where another value was set by somebody else, and 400 where the config holds managedFields.
    """
    if metadata(config).get("managedFields"):
        raise answers.bad_request("metadata.managedFields must be nil")
    own, shared = ownership(live)
    in_scope = {path for path in own if (path[0] == "status") == (subresource == "status")}
    wanted = dict(_leaves(config))
    theirs = {path for path in wanted if _get(live, path) is not _MISSING and path not in own - shared}
    contested = sorted(path for path in theirs if _get(live, path) != wanted[path])
    if contested and not force:
        raise _conflict(config, contested)
    for path in in_scope - wanted.keys() - shared:
        _remove(live, path)
    for path, value in wanted.items():
        _set(live, path, value)
    conditions = {field: metadata(config)[field] for field in ("uid", "resourceVersion") if metadata(config).get(field)}
    live["metadata"] = {**live["metadata"], **conditions}
    _record(live, (own - in_scope) | wanted.keys(), ((shared - in_scope) | theirs) - set(contested), config, now)
    return live


def disowned(live: Object, new: dict[str, Any]) -> None:
    """Note, in the new state of an object, that an update took over the applied fields that it changed."""
    own, shared = ownership(live)
    lost = {path for path in own if _get(new, path) != _get(live, path)}
    if lost:
        _record(new, own - lost, shared - lost, new, "")


def ownership(obj: Object) -> tuple[set[Path], set[Path]]:
    """Return the fields that were applied, and those among them that somebody's update set as well."""
    fields: dict[str, set[Path]] = {"Apply": set(), "Update": set()}
    for entry in metadata(obj).get("managedFields") or ():
        fields[entry["operation"]] |= set(_decoded(entry["fieldsV1"]))
    return fields["Apply"], fields["Update"] & fields["Apply"]


def _record(obj: dict[str, Any], own: Set[Path], shared: Set[Path], config: Object, now: str) -> None:
    meta = obj.setdefault("metadata", {})
    if (set(own), set(shared)) == ownership(obj):
        return
    meta.pop("managedFields", None)
    entries = [
        {"manager": FIELD_MANAGER, "operation": operation, "apiVersion": config["apiVersion"],
         **({"time": now} if now else {}), "fieldsType": "FieldsV1", "fieldsV1": _encoded(paths)}
        for operation, paths in (("Apply", own), ("Update", shared)) if paths
    ]  # fmt: skip
    if entries:
        meta["managedFields"] = entries


def _conflict(config: Object, contested: list[Path]) -> ApiError:
    """409, worded as structured-merge-diff does (kubernetes: apimachinery/pkg/util/managedfields/internal/conflict.go)."""
    fields = [f".{'.'.join(path)}" for path in contested]
    who = f'"{FIELD_MANAGER}" using {config["apiVersion"]}'
    message = f"Apply failed with 1 conflict: conflict with {who}: {fields[0]}"
    if len(fields) > 1:
        lines = "".join(f"\n- {field}" for field in fields)
        message = f"Apply failed with {len(fields)} conflicts: conflicts with {who}:{lines}"
    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": field} for field in fields]
    return ApiError(409, "Conflict", message, details={"causes": causes})


def _leaves(config: Object) -> Iterator[tuple[Path, Any]]:
    """Yield the fields a config sets: everything that is not a mapping with something in it."""
    for key, value in config.items():
        if key == "metadata":
            parts = {name: part for name, part in value.items() if name in _APPLICABLE_METADATA}
            yield from _under((key,), parts) if parts else ()
        elif key not in ("apiVersion", "kind"):
            yield from _under((key,), value)


def _under(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _under((*path, key), part)
    else:
        yield path, value


def _encoded(paths: Set[Path]) -> dict[str, Any]:
    """FieldsV1: nested mappings of `f:name`."""
    result: dict[str, Any] = {}
    for path in sorted(paths):
        node = result
        for key in path:
            node = node.setdefault(f"f:{key}", {})
    return result


def _decoded(fields: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    if not fields and path:
        yield path
    for key, part in fields.items():
        yield from _decoded(part, (*path, key.removeprefix("f:")))


def _get(obj: Any, path: Path) -> Any:
    return dig(obj, path, _MISSING)


def _set(obj: dict[str, Any], path: Path, value: Any) -> None:
    for key in path[:-1]:
        part = obj.get(key)
        obj[key] = obj = part if isinstance(part, dict) else {}
    if not (isinstance(value, Mapping) and isinstance(obj.get(path[-1]), Mapping)):
        obj[path[-1]] = value


def _remove(obj: dict[str, Any], path: Path) -> None:
    """Remove a field, and the mappings above it that are then empty."""
    nodes = [obj]
    for key in path[:-1]:
        part = nodes[-1].get(key)
        if not isinstance(part, dict):
            return
        nodes.append(part)
    for node, key in zip(reversed(nodes), reversed(path), strict=True):
        if node.get(key) and node is not nodes[-1]:
            return
        node.pop(key, None)
