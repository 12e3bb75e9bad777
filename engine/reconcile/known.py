"""What is remembered of one object: how packs have evaluated it, and what has them evaluate it again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.model.merge import added, merged
from engine.model.objects import Object, metadata
from engine.model.plan import OwnWrite
from engine.packs.pack import RulePack
from engine.reconcile.prefilter import Values, Watchers
from engine.reconcile.state import PackState


class Seen(NamedTuple):
    """An object as watchers have evaluated it; `pending` are those of them that our own write has given something new."""

    uid: str
    values: Values
    pending: frozenset[int] = frozenset()


@dataclass(slots=True)
class Known:
    """What is remembered of one object: under which catalog (its number), by identities of packs, and our own last write."""

    generation: int = -1
    seen: dict[Watchers, Seen] = field(default_factory=dict)
    living: dict[str, PackState] = field(default_factory=dict)
    ending: dict[str, PackState] = field(default_factory=dict)
    own: OwnWrite | None = None
    unrecorded: tuple[str, Object] | None = None
    """The uid of an object that is gone, which the watch has not shown yet, and what could not be written on it any more."""
    woken: dict[str, int] = field(default_factory=dict)
    """The packs that have to evaluate it although it has not changed, each with a number that is another one each time."""
    taken: dict[str, int] = field(default_factory=dict)
    """What of that the evaluation under way has to do."""

    def keep(self, packs: Collection[RulePack], generation: int) -> None:
        """Forget what other packs have evaluated, and the state of those that are no longer in force."""
        self.living = {name: state for name, state in self.living.items() if state.pack in packs}
        names = {pack.identity for pack in packs}
        self.ending = {name: state for name, state in self.ending.items() if name in names}
        self.seen.clear()
        self.generation = generation

    def as_written(self, obj: Object) -> Object:
        """Return the object with what we wrote on it ourselves, or could not since it is gone, until the watch has shown that."""
        after = obj
        if self.own is not None:
            after = self.own.over(obj)
            if after is obj:
                self.own = None
        if self.unrecorded is not None and self.unrecorded[0] == metadata(obj).get("uid"):
            after = merged(after, self.unrecorded[1])
        return after

    def wrote(self, uid: str, written: OwnWrite) -> None:
        """Note what we wrote on the object with this uid, beside what we wrote before."""
        if not written.gone:
            self.own = written if self.own is None else written._replace(patch=added(self.own.patch, written.patch))
        elif self.unrecorded is not None and self.unrecorded[0] == uid:
            self.unrecorded = uid, added(self.unrecorded[1], written.patch)
        else:
            self.unrecorded = uid, written.patch

    def changed(self, group: Watchers, uid: str, values: Values, now: float) -> frozenset[int]:
        """Return which of the watchers have not evaluated the object as it is, or wait for this time."""
        seen = self.seen.get(group)
        if seen is None or seen.uid != uid:
            return group.everyone
        found = group.affected(seen.values, values) | seen.pending
        for name, state in self.living.items():
            if state.due(now) and name in group.indexes:
                found |= {group.indexes[name]}
        if self.taken:
            found |= {group.indexes[name] for name in self.taken if name in group.indexes}
        return found

    def retry_at(self) -> float | None:
        """Return the earliest time at which one of the packs wants to evaluate again."""
        times = [state.retry_at for state in (*self.living.values(), *self.ending.values()) if state.retry_at is not None]
        return min(times, default=None)
