"""What the reconciler needs of the process that it runs in: the watched objects, and what this replica is to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from engine.model.objects import GroupKey, Kind, Object, ObjectKey
from engine.model.plan import Read
from engine.outbound.sender import Sender
from engine.packs.pack import RulePack
from engine.reconcile.timeslice import TimeSlice

OnRelated = Callable[[Kind, str, str, Object | None, Object | None], None]
"""(kind, namespace, name, old, new) of an object that lookups follow: old is None for a new one, new for one that is gone."""


class NotListed(Exception):
    """The objects that a lookup follows are about to be listed; the message says which."""


class Cached(NamedTuple):
    """An object in an informer's cache; `initial`: it was in the first list, and has not changed since.

    `omitted` are the paths of what it does not hold since it is too large, until it is needed.
    """

    object: Object
    initial: bool = False
    omitted: Sequence[tuple[str, ...]] = ()


class Caches(Protocol):
    """Where the reconciler finds watched objects: the operator's informers, or a test's."""

    def get(self, pack: RulePack, key: ObjectKey) -> Cached | None:
        """Return the object as the informer of this pack's selection has it; None also where its namespace is not selected."""
        ...

    def objects(self, pack: RulePack) -> Iterable[ObjectKey]:
        """Return all objects of a pack's selection."""
        ...

    def synced(self, pack: RulePack) -> bool:
        """Return whether the informers of a pack's selection have listed all of them."""
        ...

    def current(self, pack: RulePack) -> bool:
        """Return whether everything that a pack watches and looks up is listed, watched without a failure, and decoded."""
        ...

    def watches(self, namespace: str) -> bool:
        """Return whether the objects of a namespace are watched at all."""
        ...

    def take_deleted(self, pack: RulePack, key: ObjectKey) -> Object | None:
        """Return the last state of an object that is gone from this pack's selection, once."""
        ...

    def find(self, read: Read) -> Sequence[Object] | None:
        """Return what a lookup finds in the informers that follow it, in order; None where none of them covers it.

        Raises ApiError where the objects cannot be listed, NotListed where that is under way.
        """
        ...

    def follow(self, changed: OnRelated, listed: Callable[[Kind], None]) -> None:
        """Report from now on each change of what lookups follow, and when all objects of a kind are listed."""
        ...


def everything(key: ObjectKey | GroupKey) -> bool:
    """Return True: an engine that shares a cluster with nobody owns every object and group."""
    return True


class Replica(NamedTuple):
    """What this replica is to do: whether it may act now, which objects and groups are its own, and its share of each budget.

    `operator` names the installation that it is of, for other operators in the cluster: its namespace and its Lease. `sender`
    sends the HTTP requests of actions; None: none may be sent. `namespace` is the operator's own, where their Secrets are.
    `time_slice` is that of all who evaluate in this process; None: nobody else does.
    """

    may_act: Callable[[], bool]
    owns: Callable[[ObjectKey | GroupKey], bool] = everything
    budget_share: float = 1.0
    operator: str = ""
    sender: Sender | None = None
    namespace: str = ""
    time_slice: TimeSlice | None = None
