"""Where the reconciler finds watched objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from engine.model.objects import Object, ObjectKey
from engine.packs.pack import RulePack


class Cached(NamedTuple):
    """An object in an informer's cache; `initial`: it was in the first list, and has not changed since."""

    object: Object
    initial: bool


class Caches(Protocol):
    """Where the reconciler finds watched objects; the manager's informers answer it."""

    def get(self, pack: RulePack, namespace: str, name: str) -> Cached | None:
        """The object as the informer of this pack's selection has it."""
        ...

    def objects(self, pack: RulePack) -> Iterable[ObjectKey]:
        """All objects of a pack's selection."""
        ...

    def synced(self, pack: RulePack) -> bool:
        """Whether the informers of a pack's selection have listed all of them."""
        ...

    def watches(self, namespace: str) -> bool:
        """Whether the objects of a namespace are watched at all."""
        ...

    def take_deleted(self, pack: RulePack, namespace: str, name: str) -> Object | None:
        """The last state of an object that is gone from this pack's selection; given out once."""
        ...
