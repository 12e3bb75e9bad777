"""The objects that an informer holds: as much of each as is read, and each difference reported once."""

from __future__ import annotations

import logging
from collections.abc import Callable

from engine.model.objects import Kind, Object, metadata, names_of
from engine.reconcile.caches import Cached
from engine.reconcile.prune import Prune

log = logging.getLogger(__name__)

OnChange = Callable[[str, str, Object | None, Object | None, bool], None]
"""(namespace, name, old, new, initial): old is None for a new object, new is None for one that is gone."""


class Store:
    """The objects of one kind by namespace and name, as `prune` leaves them; differences go to `on_change`.

    `names` grows whenever an object comes or goes.
    `left_out` are objects that cannot be decoded (what names them, and why); they are not in `objects`.
    """

    def __init__(self, kind: Kind, prune: Prune, on_change: OnChange) -> None:
        self.objects: dict[tuple[str, str], Cached] = {}
        self.names = 0
        self.left_out: dict[tuple[str, str], tuple[Object, str]] = {}
        self.prune = prune
        self._kind, self._on_change = kind, on_change

    def put(self, obj: Object, initial: bool = False, refreshing: bool = False) -> tuple[str, str]:
        """Keep an object as it is now; return its namespace and name.

        `initial`: it was there before the engine. `refreshing`: report it also where its version is the known one.
        """
        key, meta = names_of(obj), metadata(obj)
        self.left_out.pop(key, None)
        known = self.objects.get(key)
        if known is not None:
            before = metadata(known.object)
            if before.get("resourceVersion") == meta.get("resourceVersion"):
                if not refreshing:
                    return key
                initial = known.initial
            else:
                initial = False
                if before.get("uid") != meta.get("uid"):  # deleted and created again while nobody watched
                    self.remove(key)
                    known = None
        self.names += known is None
        entry = self.objects[key] = self.prune.entry(obj, initial)
        self._on_change(*key, known.object if known else None, entry.object, entry.initial)
        return key

    def leave_out(self, obj: Object, reason: str) -> None:
        """Do without an object that cannot be decoded, until it can be or is gone."""
        key = names_of(obj)
        if key not in self.left_out:
            log.error("%s %s/%s is left out, since it cannot be decoded: %s", self._kind, *key, reason)
        self.remove(key)
        self.left_out[key] = obj, reason

    def remove(self, key: tuple[str, str], last: Object | None = None) -> None:
        """Forget an object that is gone; `last` is its last state where that is newer than the known one."""
        self.left_out.pop(key, None)
        known = self.objects.pop(key, None)
        if known is not None:
            self.names += 1
            self._on_change(*key, known.object if last is None else self.prune.entry(last).object, None, False)
