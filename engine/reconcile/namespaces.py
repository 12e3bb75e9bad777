"""Which objects are watched by the labels of their namespaces."""

from __future__ import annotations

from collections.abc import Callable

from cachetools import TTLCache

from engine.kube.selectors import label_selector
from engine.model.objects import Object
from engine.packs.watches import Selection

GONE_SECONDS, GONE_LIMIT = 300.0, 10_000
"""For how long a namespace that is gone is still selected, and how many: the deletion of its objects may be reported later."""


class Namespaces:
    """The namespaces of a cluster, as far as they are known; `now` gives seconds of a monotonic clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._there: dict[str, Object] = {}
        self._gone: TTLCache[str, Object] = TTLCache(GONE_LIMIT, GONE_SECONDS, timer=now)

    def put(self, name: str, namespace: Object | None) -> None:
        """Take in a namespace as it is now (None: it is gone)."""
        before = self._there.pop(name, None)
        if namespace is not None:
            self._there[name] = namespace
            self._gone.pop(name, None)
        elif before is not None:
            self._gone[name] = before

    def selects(self, selection: Selection, name: str) -> bool:
        """Return whether a selection has the objects of a namespace ('': those in none, which no labels select)."""
        if selection.namespaces is None:
            return True
        namespace = self._there.get(name) or self._gone.get(name)
        return namespace is not None and label_selector(selection.namespaces)(namespace)
