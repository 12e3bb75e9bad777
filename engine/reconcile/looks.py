"""Which packs have something to judge about an object, and what is remembered of it between two looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from engine.decide.match import settled, watched_values
from engine.decide.memory import PackMemory
from engine.model.flags import Mode
from engine.model.merge import added, merged
from engine.model.objects import Object, ObjectKey, Ref, metadata, ref_of
from engine.model.plan import OwnWrite
from engine.reconcile.caches import Caches
from engine.rulepack.pack import RulePack


@dataclass(slots=True)
class Look:
    """One pack's look at one object: what it sees, what it remembers, and what the look comes to."""

    pack: RulePack
    object: Object
    memory: PackMemory
    now: float
    generation: int
    on: str = "Change"
    initial: bool = False
    due: float | None = None
    ref: Ref = field(init=False)

    def __post_init__(self) -> None:
        self.ref = ref_of(self.object)

    def again(self, when: float | None) -> None:
        """Look again at the earliest of the times asked for."""
        if when is not None:
            self.due = when if self.due is None else min(self.due, when)


class Memories:
    """What is remembered of each object, by pack; none of it is lost work when it is lost."""

    def __init__(self, caches: Caches) -> None:
        self._caches = caches
        self._memories: dict[ObjectKey, dict[tuple[str, str], PackMemory]] = {}
        self._own: dict[ObjectKey, OwnWrite] = {}

    def looks(self, key: ObjectKey, packs: Iterable[RulePack], generation: int, now: float) -> Iterator[Look]:
        """The looks of those packs that have something to judge."""
        memories = self._memories.setdefault(key, {})
        for name, on in memories.keys() - {(pack.name, on) for pack in packs for on in ("Change", "Delete")}:
            del memories[name, on]
        for pack in packs:
            gone = self._caches.take_deleted(pack, key.namespace, key.name)
            if gone is not None:
                memories[pack.name, "Delete"] = PackMemory(pack, ref_of(gone).uid, judged=gone)
            ending = memories.get((pack.name, "Delete"))
            if ending is not None and ending.judged is not None and (ending.due or 0.0) <= now:
                yield Look(pack, ending.judged, ending, now, generation, on="Delete")
            cached = self._caches.get(pack, key.namespace, key.name)
            if cached is None:
                memories.pop((pack.name, "Change"), None)
                continue
            obj = self._with_own(key, cached.object)
            memory = memories.get((pack.name, "Change"))
            if memory is None or memory.pack is not pack or memory.uid != metadata(obj).get("uid", ""):
                memory = memories[pack.name, "Change"] = PackMemory(pack, ref_of(obj).uid)
            if not settled(memory, generation, watched_values(pack, obj), now):
                yield Look(pack, obj, memory, now, generation, initial=cached.initial)

    def wrote(self, key: ObjectKey, written: OwnWrite) -> None:
        """Remember our own write, until the watch has shown it."""
        earlier = self._own.get(key)
        self._own[key] = written if earlier is None else replace(written, patch=added(earlier.patch, written.patch))

    def settle(self, look: Look, written: OwnWrite | None) -> None:
        """Remember what was judged, as it is after our own write; what has ended is on record now."""
        memory = look.memory
        memory.judged = look.object if written is None else merged(look.object, written.patch)
        memory.seen = watched_values(look.pack, memory.judged)
        memory.generation = look.generation
        memory.unrecorded = 0
        for rule in memory.rules.values():
            if rule.mode is Mode.ENFORCE:
                rule.items = {name: item for name, item in rule.items.items() if item.ended is None}

    def due(self, key: ObjectKey, looks: Iterable[Look]) -> float | None:
        """When to look again (seconds since the epoch), after these looks; None where only a change matters."""
        memories = self._memories[key]
        for look in looks:
            look.memory.due = look.due
            if look.on == "Delete" and look.due is None:
                memories.pop((look.pack.name, "Delete"), None)
        if not memories:
            del self._memories[key]
            self._own.pop(key, None)
        return min((memory.due for memory in memories.values() if memory.due is not None), default=None)

    def _with_own(self, key: ObjectKey, obj: Object) -> Object:
        """The object with what we wrote on it ourselves, as long as the watch has not shown that yet."""
        written = self._own.get(key)
        if written is None:
            return obj
        after = written.over(obj)
        if after is obj:
            del self._own[key]
        return after
