"""The objects of the embedded cluster, the history of their changes, and who watches them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from engine.errors import ApiError
from engine.kube.embedded import answers
from engine.kube.embedded.kinds import Served
from engine.kube.selectors import Predicate
from engine.model.objects import Kind, Object, Resource, dig

Key = tuple[str, str]
"""Namespace ('' where the kind has none) and name."""

#: How many changes of a kind are kept for watches that resume.
HISTORY = 10_000


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it is kept: decoded, for looking at, and as JSON, so that everyone gets a copy of their own."""

    object: Object
    json: bytes

    def copy(self, version: int | None = None) -> dict[str, Any]:
        """Return a copy that is the caller's own; with another resourceVersion where one is given."""
        result: dict[str, Any] = orjson.loads(self.json)
        if version is not None:
            result["metadata"]["resourceVersion"] = str(version)
        return result


@dataclass(frozen=True, slots=True)
class Change:
    """What one write did: there was nothing before a create, there is nothing after a delete."""

    version: int
    before: Stored | None
    after: Stored | None


Watcher = asyncio.Queue[Change | ApiError | int | None]
"""The queue of one watch: changes, an error to end with, the resourceVersion of a bookmark, None for the end."""


class Table:
    """The objects of one kind. `floor` is the oldest resourceVersion that a watch can resume from."""

    def __init__(self, served: Served, floor: int) -> None:
        self.served = served
        self.objects: dict[Key, Stored] = {}
        self.history: deque[Change] = deque()
        self.floor = floor
        self.watchers: set[Watcher] = set()

    def publish(self, signal: Change | ApiError | None) -> None:
        """Hand a change, an error or the end to everyone who watches."""
        for watcher in self.watchers:
            watcher.put_nowait(signal)

    def sorted(self, fits: Predicate = lambda _: True) -> list[Stored]:
        """Return the objects that fit, in the order in which the API server lists them."""
        keys = [key for key, stored in self.objects.items() if fits(stored.object)]
        return [self.objects[key] for key in sorted(keys, key="/".join)]  # the order of etcd's keys

    def keys_within(self, namespace: str) -> list[Key]:
        """Return the keys of what a namespace holds, in order."""
        return sorted(key for key in self.objects if key[0] == namespace)

    def within(self, namespace: str) -> list[Object]:
        """Return what a namespace holds."""
        return [self.objects[key].object for key in self.keys_within(namespace)]

    def key(self, namespace: str, name: str) -> Key:
        """Return the key of an object of this kind."""
        return (namespace if self.served.resource.namespaced else "", name)


class Store:
    """All tables, one counter of resourceVersions, and who owns whom."""

    def __init__(self) -> None:
        self.version = 1
        self.tables: dict[Kind, Table] = {}
        self._owned: dict[str, set[tuple[Kind, Key]]] = {}

    def serve(self, served: Served) -> None:
        """Begin to serve a kind, or serve it as newly defined."""
        kind = served.resource.kind
        if kind in self.tables:
            self.tables[kind].served = served
        else:
            self.tables[kind] = Table(served, self.version)

    def table(self, resource: Resource) -> Table:
        """Return the table of a kind. Raises ApiError 404 where it is not served."""
        table = self.tables.get(resource.kind)
        if table is None:
            raise answers.unserved()
        return table

    def put(self, table: Table, key: Key, obj: dict[str, Any]) -> Stored:
        """Keep an object under the next resourceVersion."""
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        before, after = table.objects.get(key), Stored(obj, orjson.dumps(obj))
        self._forget(table, key, before)
        for owner in owners(obj):
            self._owned.setdefault(owner, set()).add((table.served.resource.kind, key))
        table.objects[key] = after
        self._record(table, Change(self.version, before, after))
        return after

    def dependents(self, uid: str) -> list[tuple[Table, Key]]:
        """Return what an object with this uid owns."""
        return [(self.tables[kind], key) for kind, key in sorted(self._owned.get(uid, ())) if kind in self.tables]

    def remove(self, table: Table, key: Key) -> list[tuple[Table, Key]]:
        """Remove an object; gives the dependents that have no owner left."""
        before = table.objects.pop(key)
        self._forget(table, key, before)
        self.version += 1
        self._record(table, Change(self.version, before, None))
        dependents = self._owned.pop(dig(before.object, ("metadata", "uid"), ""), set())
        orphans = [(self.tables[kind], dependent) for kind, dependent in sorted(dependents) if kind in self.tables]
        alive = {dig(stored.object, ("metadata", "uid")) for stored in self._all()} if orphans else set()
        return [(of, dependent) for of, dependent in orphans if not alive & set(owners(of.objects[dependent].object))]

    def drop(self, kind: Kind) -> None:
        """Serve a kind no longer: its objects go, and who watches them gets that, and then the end."""
        table = self.tables[kind]
        for key in sorted(table.objects):
            self.remove(table, key)
        del self.tables[kind]
        table.publish(None)

    def compact(self) -> None:
        """Forget all history, as etcd does: watches can resume from now on only."""
        for table in self.tables.values():
            table.history.clear()
            table.floor = self.version

    def watch(self, table: Table, version: int) -> Watcher:
        """Return a queue that gets every change after a resourceVersion; after 0, what there is now comes first, as if created.

        Raises ApiError 410 where the resourceVersion is too old.
        """
        if 0 < version < table.floor:
            raise answers.expired(f"too old resource version: {version} ({table.floor})")
        watcher: Watcher = asyncio.Queue()
        there = [Change(self.version, None, stored) for stored in table.sorted()]
        for change in table.history if version else there:
            if change.version > version:
                watcher.put_nowait(change)
        table.watchers.add(watcher)
        return watcher

    def _record(self, table: Table, change: Change) -> None:
        table.history.append(change)
        if len(table.history) > HISTORY:
            table.floor = table.history.popleft().version
        table.publish(change)

    def _forget(self, table: Table, key: Key, stored: Stored | None) -> None:
        for owner in owners(stored.object) if stored else ():
            self._owned.get(owner, set()).discard((table.served.resource.kind, key))

    def _all(self) -> Iterable[Stored]:
        return (stored for table in self.tables.values() for stored in table.objects.values())


def owners(obj: Object) -> tuple[str, ...]:
    """Return the uids of an object's owners."""
    return tuple(owner["uid"] for owner in dig(obj, ("metadata", "ownerReferences"), ()))
