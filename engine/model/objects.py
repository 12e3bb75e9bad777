"""The watched object and how it is named: raw JSON mappings, and immutable references to them.

References are named tuples: a queue and its workers hash one a dozen times for each change, which tuples do without a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from engine.model.mappings import is_mapping

#: A Kubernetes object as the API server sent it, decoded from JSON and never changed in place.
Object = Mapping[str, Any]


class Kind(NamedTuple):
    """A kind in a version of its group, as `apiVersion` and `kind` name it in a manifest."""

    api_version: str
    kind: str

    @property
    def group(self) -> str:
        """The API group, '' for the core group."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        return f"{self.kind}.{self.api_version}"


class Resource(NamedTuple):
    """What discovery says of a kind: the plural in its URL and whether its objects live in namespaces."""

    kind: Kind
    plural: str
    namespaced: bool

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path, without host; with no namespace it spans all of them."""
        path = f"/apis/{self.kind.api_version}" if self.kind.group else f"/api/{self.kind.api_version}"
        if self.namespaced and namespace:
            path += f"/namespaces/{namespace}"
        for part in (self.plural, name, subresource):
            if part:
                path += f"/{part}"
        return path


def api_verb(verb: str) -> tuple[str, str]:
    """Return the API server's verb and subresource ('' for none) for a verb of rule packs."""
    return {"evict": ("create", "eviction"), "patch/status": ("patch", "status")}.get(verb, (verb, ""))


class Ref(NamedTuple):
    """One object by name; `uid` ('' when not known) distinguishes it from another object of the same name."""

    kind: Kind
    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        place = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind.kind} {place}"


class ObjectKey(NamedTuple):
    """What a work queue holds of an object: its kind, namespace ('' where it has none) and name."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return str(Ref(self.kind, self.namespace, self.name))


class GroupKey(NamedTuple):
    """What a work queue holds of a group of objects: the pack and the rule that count it, and the group's own key."""

    pack: str
    rule: str
    group: str

    def __str__(self) -> str:
        return f"group {self.group!r} of {self.pack}/{self.rule}"

    @property
    def ref(self) -> Ref:
        """Return what names a group that is about no object."""
        return Ref(GROUP, f"{self.pack}/{self.rule}", self.group)


def flow_of(key: ObjectKey | GroupKey | Ref) -> str:
    """Return what a key shares work and budgets by: its namespace; a Namespace counts as itself, what lives in none by its kind.

    Each group counts with the others of its pack. No two of these can be equal: a namespace's name has neither dots nor spaces.
    """
    if isinstance(key, GroupKey):
        return f"groups of {key.pack}"
    if key.kind == NAMESPACE:
        return key.name
    return key.namespace or str(key.kind)


GROUP = Kind("", "group")
"""Stands for the kind of groups of objects, which the cluster knows nothing of."""
NAMESPACE, SECRET = Kind("v1", "Namespace"), Kind("v1", "Secret")


def kind_of(obj: Object) -> Kind:
    """The kind that an object says it is of; empty strings where it does not say."""
    return _kind(str(obj.get("apiVersion", "")), str(obj.get("kind", "")))


#: There are few kinds, and they are asked for all the time.
_kind = lru_cache(maxsize=1024)(Kind)


def version_of(obj: Object | None) -> str:
    """Return its resourceVersion, '' where it has none or there is no object."""
    return str(metadata(obj or {}).get("resourceVersion") or "")


def ref_of(obj: Object) -> Ref:
    """The reference to an object, uid included."""
    meta = metadata(obj)
    return Ref(kind_of(obj), str(meta.get("namespace") or ""), str(meta.get("name") or ""), str(meta.get("uid") or ""))


def names_of(obj: Object) -> tuple[str, str]:
    """The namespace of an object, '' where it has none, and its name."""
    meta = metadata(obj)
    return str(meta.get("namespace") or ""), str(meta.get("name") or "")


def metadata(obj: Object) -> Mapping[str, Any]:
    """`metadata`, or an empty mapping where it is missing or not a mapping."""
    meta = obj.get("metadata")
    return meta if type(meta) is dict or is_mapping(meta) else {}


def annotations_of(obj: Object) -> Mapping[str, str]:
    """`metadata.annotations`, or an empty mapping."""
    found = metadata(obj).get("annotations")
    return found if type(found) is dict or is_mapping(found) else {}


def labels_of(obj: Object) -> Mapping[str, str]:
    """`metadata.labels`, or an empty mapping."""
    found = metadata(obj).get("labels")
    return found if type(found) is dict or is_mapping(found) else {}


def dig(value: Any, path: tuple[str, ...], default: Any = None) -> Any:
    """The value at a path of mapping keys, or the default where a key is missing, null or not in a mapping."""
    for key in path:
        if type(value) is not dict and not is_mapping(value):
            return default
        value = value.get(key)
        if value is None:
            return default
    return value
