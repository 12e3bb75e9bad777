"""The nulls that `kubectl apply` was given and did not send, as the annotation has them in which it notes what it was given.

Source of what kubectl notes and sends: k8s.io/kubectl, pkg/util/apply.go; of metadata.managedFields:
kubernetes.io/docs/reference/using-api/server-side-apply. An Update takes what it changes from other managers, and gets a new time
with that; `spec.rules` has one owner, since it is a list without keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from engine.cel import Path
from engine.model.objects import Object, annotations_of, dig, metadata
from engine.packs.document import shown_path

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation in which kubectl, and what works like it, notes what it was given to apply."""
_OBJECT_META = frozenset([
    "name", "generateName", "namespace", "labels", "annotations", "ownerReferences", "finalizers", "managedFields", "uid",
    "resourceVersion", "generation", "selfLink", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
])  # fmt: skip
"""The keys of metadata; the API server drops any other (kubernetes: apimachinery/pkg/apis/meta/v1/types.go, ObjectMeta)."""
_METADATA = '"metadata":'
_ANNOTATION = ("fieldsV1", "f:metadata", "f:annotations", f"f:{LAST_APPLIED}")


class Dropped(NamedTuple):
    """A null that does not count: its path, and the field manager that has written that part since ('' where none has)."""

    path: str
    manager: str = ""


class Given(NamedTuple):
    """An object's spec with the nulls that count, and those of which that is not sure.

    `dropped` are the nulls that do not count where null is a value. `whole` has those of them too in whose place there is
    nothing; `places` leads from the path of each in `whole` to the one in `dropped`.
    """

    spec: Any
    dropped: tuple[Dropped, ...] = ()
    whole: Any = None
    places: Mapping[str, str] = {}


def spec_with_nulls(obj: Object) -> Given:
    """Return an object's spec with the nulls that `kubectl apply` dropped of it, and the nulls that do not count.

    Nulls count in the keys of the spec that nobody has written since the annotation, and there in each part that is as it was
    given: to restore one that somebody has taken away would remove what that one wants to keep. A key of the spec itself that was
    given as null, and has no value, is null.
    """
    stored = obj.get("spec")
    given = _last_applied(obj)
    if not isinstance(given, dict) or not isinstance(stored, dict):
        return Given(stored)
    writers, dropped, spec = _later_writers(obj), list[Dropped](), dict[str, Any](stored)
    whole, places = dict[str, Any](stored), dict[str, str]()
    for key, value in given.items():
        writer = writers.get(key)
        if value is None:
            spec.setdefault(key, None)  # nobody can write what is not there, and a key without a value is a fault
        elif writer is not None:
            lost = set(_nulls(value, ("spec", key))) - set(_nulls(stored.get(key), ("spec", key)))
            dropped += [Dropped(each, writer.manager) for each in sorted(map(shown_path, lost))]
        elif key in stored:
            spec[key] = _with_nulls(value, stored[key], ("spec", key), dropped)
        if key in stored and not (writer and writer.whole):
            whole[key] = _restored(value, stored[key], (("spec", key), ("spec", key)), places)
    return Given(spec, tuple(dropped), whole, places) if dropped else Given(spec)


def misplaced(obj: Object) -> Mapping[str, Any]:
    """Return what `kubectl apply` was given last in the metadata of an object, and the API server has dropped.

    kubectl sends that only where nothing validates it, as with --validate=false. It notes JSON with its keys in order and without
    spaces, so metadata stands before spec, of which nothing has to be decoded.
    """
    text = annotations_of(obj).get(LAST_APPLIED, "")
    at = text.find(_METADATA)
    try:
        given = json.JSONDecoder().raw_decode(text, at + len(_METADATA))[0] if at >= 0 else {}
    except (ValueError, RecursionError):  # anybody can write an annotation
        given = {}
    return {key: value for key, value in given.items() if key not in _OBJECT_META} if isinstance(given, dict) else {}


def _last_applied(obj: Object) -> Any:
    """Return the spec that `kubectl apply` was given last, without --server-side, where there is a null in it; else None."""
    text = annotations_of(obj).get(LAST_APPLIED, "")
    try:
        return dig(json.loads(text), ("spec",), None) if "null" in text else None
    except (ValueError, RecursionError):  # anybody can write an annotation
        return None


class _Writer(NamedTuple):
    """A field manager; `whole` where it applies on the server, which sends nulls: what it has not given is not there."""

    manager: str
    whole: bool = False


def _later_writers(obj: Object) -> Mapping[str, _Writer]:
    """Return the keys of a spec that have been written since the annotation, by the field manager that did.

    Times are whole seconds, so of two in the same one nobody knows the order, and an apply on the server that changes no value
    has none: both count as later. Where nobody is known to have written the annotation by an Update, all may have been.
    """
    entries = [each for each in metadata(obj).get("managedFields") or () if not each.get("subresource")]
    applied = [each for each in entries if each.get("operation") == "Update" and dig(each, _ANNOTATION, None) is not None]
    if not applied:
        return dict.fromkeys(obj.get("spec") or {}, _Writer("another tool"))
    since = max(str(each.get("time", "")) for each in applied)
    return {
        key.removeprefix("f:"): _Writer(str(each.get("manager", "")), each.get("operation") == "Apply")
        for each in entries if each not in applied and str(each.get("time", since)) >= since
        for key in dig(each, ("fieldsV1", "f:spec"), {})
    }  # fmt: skip


def _without_nulls(value: Any) -> Any:
    """Return a value without the keys that hold null, at any depth."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _with_nulls(given: Any, stored: Any, path: Path, dropped: list[Dropped]) -> Any:
    """Return what is stored, with the nulls that were given in those of its parts that are otherwise as they were given.

    Those in other parts are added to `dropped`.
    """
    if stored in (given, _without_nulls(given)):
        return given
    if isinstance(given, dict) and isinstance(stored, dict):
        lost = [key for key, value in given.items() if value is None and key not in stored]
        dropped += [Dropped(shown_path((*path, key))) for key in lost]
        return {
            key: _with_nulls(given[key], value, (*path, key), dropped) if key in given else value for key, value in stored.items()
        }
    if isinstance(given, list) and isinstance(stored, list) and len(given) == len(stored):
        both = enumerate(zip(given, stored, strict=True))
        return [_with_nulls(each, kept, (*path, index), dropped) for index, (each, kept) in both]
    if _without_nulls(stored) == stored:  # else what has changed it keeps nulls
        dropped += [Dropped(shown_path(each)) for each in _nulls(given, path)]
    return stored


def _restored(given: Any, stored: Any, paths: tuple[Path, Path], places: dict[str, str]) -> Any:
    """Return what is stored, with each null that was given and in whose place there is nothing.

    `paths` are those of what is stored and of what was given. The path of each null is added to `places`.
    """
    here, there = paths
    if isinstance(given, dict) and isinstance(stored, dict):
        lost = [key for key, value in given.items() if value is None and key not in stored]
        places.update({shown_path((*here, key)): shown_path((*there, key)) for key in lost})
        below = {
            key: _restored(given[key], value, ((*here, key), (*there, key)), places) if key in given else value
            for key, value in stored.items()
        }
        return below | dict.fromkeys(lost)
    if isinstance(given, list) and isinstance(stored, list):
        pairs = _pairs(given, stored)
        return [
            _restored(given[pairs[index]], each, ((*here, index), (*there, pairs[index])), places) if index in pairs else each
            for index, each in enumerate(stored)
        ]
    return stored


def _pairs(given: list[Any], stored: list[Any]) -> dict[int, int]:
    """Return which item was given for each that is stored, by their numbers: by name, else by content, else by the number."""
    plain = [_identity(each) for each in given]
    pairs = {index: plain.index(_identity(each)) for index, each in enumerate(stored) if _identity(each) in plain}
    if len(given) == len(stored):
        free = {*range(len(given))} - {*pairs.values()}
        pairs |= {index: index for index in free if index not in pairs}
    return pairs


def _identity(item: Any) -> Any:
    """Return what an item of a list is found by: its name, else all of it that is not null."""
    return item["name"] if isinstance(item, dict) and isinstance(item.get("name"), str) else _without_nulls(item)


def _nulls(value: Any, path: Path) -> Iterator[Path]:
    """Yield the paths of all nulls in a value."""
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _nulls(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _nulls(each, (*path, index))
