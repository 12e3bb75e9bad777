"""Which packs have something to judge about an object, and what is remembered of it between two looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.decide.match import settled, watched_values
from engine.decide.memory import PackMemory
from engine.model.merge import added, merged
from engine.model.objects import Object, ObjectKey, Ref, ref_of
from engine.model.plan import OwnWrite
from engine.reconcile.caches import Caches
from engine.rulepack.pack import RulePack


@dataclass(slots=True)
class Look:
    """One pack's look at one object: what it sees (`values`: of the watched fields), what it remembers, and what it comes to.

    `rules` are those that may have something to do, by their numbers.
    """

    pack: RulePack
    object: Object
    ref: Ref
    memory: PackMemory
    now: float
    generation: int
    rules: Sequence[int]
    on: str = "Change"
    initial: bool = False
    values: tuple[Any, ...] = ()
    due: float | None = None

    def again(self, when: float | None) -> None:
        """Look again at the earliest of the times asked for."""
        if when is not None:
            self.due = when if self.due is None else min(self.due, when)


@dataclass(slots=True)
class _Known:
    """What is remembered of one object: by the names of packs, under which catalog, and our own last write."""

    generation: int = -1
    living: dict[str, PackMemory] = field(default_factory=dict)
    ending: dict[str, PackMemory] = field(default_factory=dict)
    own: OwnWrite | None = None

    def keep(self, packs: Sequence[RulePack], generation: int) -> None:
        """Forget what packs that are no longer in force had to remember."""
        names = {pack.name for pack in packs}
        self.living = {name: memory for name, memory in self.living.items() if name in names}
        self.ending = {name: memory for name, memory in self.ending.items() if name in names}
        self.generation = generation

    def as_written(self, obj: Object) -> Object:
        """The object with what we wrote on it ourselves, as long as the watch has not shown that yet."""
        if self.own is None:
            return obj
        after = self.own.over(obj)
        if after is obj:
            self.own = None
        return after

    def due(self) -> float | None:
        """The earliest time at which one of the packs wants to look again."""
        times = [memory.due for memory in (*self.living.values(), *self.ending.values()) if memory.due is not None]
        return min(times, default=None)


class Memories:
    """What is remembered of each object, by pack; none of it is lost work when it is lost.

    Thorough ones give every rule to a look, where the others leave out those that cannot hold, and looks without any.
    """

    def __init__(self, caches: Caches, thorough: bool) -> None:
        self._caches = caches
        self._thorough = thorough
        self._known: dict[ObjectKey, _Known] = {}

    def looks(self, key: ObjectKey, packs: Sequence[RulePack], generation: int, now: float) -> Iterator[Look]:
        """The looks of those packs that have something to judge."""
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known()
        if known.generation != generation:
            known.keep(packs, generation)
        cached_object = obj = ref = None
        for pack in packs:
            if pack.ends and (gone := self._caches.take_deleted(pack, key.namespace, key.name)) is not None:
                known.ending[pack.name] = PackMemory(pack, ref_of(gone).uid, judged=gone)
            ending = known.ending.get(pack.name) if known.ending else None
            if ending is not None and ending.judged is not None and (ending.due or 0.0) <= now:
                rules = self._rules(pack, ending.judged, ending)
                yield Look(pack, ending.judged, ref_of(ending.judged), ending, now, generation, rules, on="Delete")
            cached = self._caches.get(pack, key.namespace, key.name)
            if cached is None:
                known.living.pop(pack.name, None)
                continue
            if cached.object is not cached_object:  # packs of one selection see the same object
                cached_object, obj = cached.object, known.as_written(cached.object)
                ref = ref_of(obj)
            assert obj is not None and ref is not None
            memory = known.living.get(pack.name)
            if memory is None or memory.pack is not pack or memory.uid != ref.uid:
                memory = known.living[pack.name] = PackMemory(pack, ref.uid)
            values = watched_values(pack, obj)
            if settled(memory, generation, values, now):
                memory.seen = values  # equal, but of the newer object: the older one need not stay in memory
            elif (rules := self._rules(pack, obj, memory)) or pack.reads_old:
                yield Look(pack, obj, ref, memory, now, generation, rules, initial=cached.initial, values=values)
            else:
                memory.settle(obj, values, generation)

    def _rules(self, pack: RulePack, obj: Object, memory: PackMemory) -> Sequence[int]:
        return range(len(pack.rules)) if self._thorough else pack.index.candidates(obj, memory.rules)

    def wrote(self, key: ObjectKey, written: OwnWrite) -> None:
        """Remember our own write, until the watch has shown it."""
        known = self._known[key]
        known.own = written if known.own is None else written._replace(patch=added(known.own.patch, written.patch))

    def settle(self, looks: Iterable[Look], written: OwnWrite | None) -> None:
        """Remember what was judged, as it is after our own write; what has ended is on record now."""
        before = after = None
        for look in looks:
            if look.object is not before:
                before = look.object
                after = before if written is None else merged(before, written.patch)
            assert after is not None
            values = look.values if after is look.object else watched_values(look.pack, after)
            look.memory.settle(after, values, look.generation)
            look.memory.tidy(look.pack.rule)

    def due(self, key: ObjectKey, looks: Iterable[Look]) -> float | None:
        """When to look again (seconds since the epoch), after these looks; None where only a change matters."""
        known = self._known[key]
        for look in looks:
            look.memory.due = look.due
            if look.on == "Delete" and look.due is None:
                known.ending.pop(look.pack.name, None)
        if not known.living and not known.ending:
            del self._known[key]
        return known.due()
