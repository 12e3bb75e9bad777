"""Which packs have something to judge about an object, and what is remembered of it between two looks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.model.merge import added, merged
from engine.model.objects import Object, ObjectKey, Ref, ref_of
from engine.model.plan import OwnWrite
from engine.packs.pack import RulePack
from engine.reconcile.caches import Caches
from engine.reconcile.match import Values, Watchers, watchers
from engine.reconcile.memory import PackMemory


@dataclass(slots=True)
class Look:
    """One pack's look at one object: the rules that may have something to do, by their numbers, and what they come to.

    `on` is what it is about, as rules name it. `values` are those of the fields that `watchers` watch, of which the pack is one;
    of an object that is gone nobody does.
    """

    pack: RulePack
    object: Object
    ref: Ref
    memory: PackMemory
    now: float
    rules: Sequence[int]
    on: str = "Change"
    watchers: Watchers | None = None
    values: Values = ()
    initial: bool = False
    due: float | None = None

    def again(self, when: float | None) -> None:
        """Look again at the earliest of the times asked for."""
        if when is not None:
            self.due = when if self.due is None else min(self.due, when)


class _Seen(NamedTuple):
    """An object as watchers have judged it; `pending` are those of them that our own write has given something new to see."""

    uid: str
    values: Values
    pending: frozenset[int] = frozenset()


@dataclass(slots=True)
class _Known:
    """What is remembered of one object: under which catalog, by packs and by their names, and our own last write."""

    generation: int = -1
    seen: dict[Watchers, _Seen] = field(default_factory=dict)
    living: dict[str, PackMemory] = field(default_factory=dict)
    ending: dict[str, PackMemory] = field(default_factory=dict)
    own: OwnWrite | None = None

    def keep(self, packs: Collection[RulePack], generation: int) -> None:
        """Forget what was judged by other packs, and what those had to remember that are no longer in force."""
        self.living = {name: memory for name, memory in self.living.items() if memory.pack in packs}
        names = {pack.name for pack in packs}
        self.ending = {name: memory for name, memory in self.ending.items() if name in names}
        self.seen.clear()
        self.generation = generation

    def as_written(self, obj: Object) -> Object:
        """The object with what we wrote on it ourselves, as long as the watch has not shown that yet."""
        if self.own is None:
            return obj
        after = self.own.over(obj)
        if after is obj:
            self.own = None
        return after

    def asked(self, group: Watchers, uid: str, values: Values, now: float) -> frozenset[int]:
        """Which of the watchers have not judged the object as it is, or wait for this time."""
        seen = self.seen.get(group)
        if seen is None or seen.uid != uid:
            return group.everyone
        found = group.affected(seen.values, values) | seen.pending
        for name, memory in self.living.items():
            if memory.waits(now) and name in group.places:
                found |= {group.places[name]}
        return found

    def due(self) -> float | None:
        """The earliest time at which one of the packs wants to look again."""
        times = [memory.due for memory in (*self.living.values(), *self.ending.values()) if memory.due is not None]
        return min(times, default=None)


class Memories:
    """What is remembered of each object; none of it is lost work when it is lost.

    Thorough ones give every rule to a look, where the others leave out those that cannot hold, and looks without any.
    """

    def __init__(self, caches: Caches, thorough: bool) -> None:
        self._caches = caches
        self._thorough = thorough
        self._known: dict[ObjectKey, _Known] = {}
        self._watchers: dict[tuple[RulePack, ...], Sequence[Watchers]] = {}
        self._generation = -1

    def looks(self, key: ObjectKey, packs: tuple[RulePack, ...], generation: int, now: float) -> Iterator[Look]:
        """The looks of those packs that have something to judge."""
        if generation != self._generation:
            self._watchers, self._generation = {}, generation
        groups = self._watchers.get(packs)
        if groups is None:
            groups = self._watchers[packs] = watchers(packs)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known()
        if known.generation != generation:
            known.keep(packs, generation)
        for group in groups:
            if group.end:
                yield from self._endings(key, known, group, now)
            yield from self._changes(key, known, group, now)

    def _endings(self, key: ObjectKey, known: _Known, group: Watchers, now: float) -> Iterator[Look]:
        """Looks at an object that is gone."""
        for place in group.end:
            pack = group.packs[place]
            gone = self._caches.take_deleted(pack, key.namespace, key.name)
            if gone is not None:
                known.ending[pack.name] = PackMemory(pack, ref_of(gone).uid, judged=gone)
            ending = known.ending.get(pack.name)
            if ending is not None and ending.judged is not None and (ending.due or 0.0) <= now:
                rules = self._rules(group, {place}, ending.judged, known.ending)
                yield Look(pack, ending.judged, ref_of(ending.judged), ending, now, rules.get(place, ()), "Delete")

    def _changes(self, key: ObjectKey, known: _Known, group: Watchers, now: float) -> Iterator[Look]:
        """Looks at an object as it is."""
        for pack in group.packs:
            if (cached := self._caches.get(pack, key.namespace, key.name)) is not None:
                break
        else:
            known.seen.pop(group, None)
            known.living = {name: memory for name, memory in known.living.items() if name not in group.places}
            return
        obj = known.as_written(cached.object)
        ref, values = ref_of(obj), group.values(obj)
        asked = known.asked(group, ref.uid, values, now)
        rules = self._rules(group, asked, obj, known.living) if asked else {}
        for place in asked & group.readers_of_old:
            rules.setdefault(place, [])
        if known.living:  # whatever it was about does not hold any more
            for place in asked.difference(rules):
                known.living.pop(group.packs[place].name, None)
        if not rules:
            known.seen[group] = _Seen(ref.uid, values)  # maybe equal, but of the newer object: the older one need not stay
        for place in sorted(rules):
            pack = group.packs[place]
            memory = known.living.get(pack.name)
            if memory is None or memory.uid != ref.uid:
                memory = known.living[pack.name] = PackMemory(pack, ref.uid)
            yield Look(pack, obj, ref, memory, now, rules[place], "Change", group, values, cached.initial)

    def _rules(
        self, group: Watchers, asked: Collection[int], obj: Object, memories: dict[str, PackMemory]
    ) -> dict[int, list[int]]:
        """By the places of the packs that are asked, the numbers of the rules to evaluate: also those that are remembered."""
        if self._thorough:
            return {place: [*range(len(group.packs[place].rules))] for place in asked}
        found = group.candidates(obj, asked)
        for name, memory in memories.items():
            if memory.rules and (place := group.places.get(name)) is not None and place in asked:
                found[place] = sorted({*found.get(place, ()), *(memory.pack.numbers[rule] for rule in memory.rules)})
        return found

    def wrote(self, key: ObjectKey, written: OwnWrite) -> None:
        """Remember our own write, until the watch has shown it."""
        known = self._known[key]
        known.own = written if known.own is None else written._replace(patch=added(known.own.patch, written.patch))

    def settle(self, key: ObjectKey, looks: Sequence[Look], written: OwnWrite | None) -> None:
        """Remember what was judged, as it is after our own write: that is news only for those that did not look."""
        looking: dict[Watchers, list[Look]] = {}
        for look in looks:
            if look.watchers is not None:
                looking.setdefault(look.watchers, []).append(look)
        for group, those in looking.items():
            obj, uid, values = those[0].object, those[0].ref.uid, those[0].values
            pending: frozenset[int] = frozenset()
            if written is not None:
                obj = merged(obj, written.patch)
                before, values = values, group.values(obj)
                pending = group.affected(before, values) - {group.places[look.pack.name] for look in those}
            self._known[key].seen[group] = _Seen(uid, values, pending)
            for look in those:
                look.memory.settle(obj)

    def due(self, key: ObjectKey, looks: Sequence[Look]) -> float | None:
        """When to look again (seconds since the epoch), after these looks; None where only a change matters."""
        known = self._known[key]
        for look in looks:
            look.memory.due = look.due
            if look.on == "Delete" and look.due is None:
                known.ending.pop(look.pack.name, None)
            elif look.on == "Change" and look.memory.idle:
                known.living.pop(look.pack.name, None)
        if not known.living and not known.ending and not known.seen:
            del self._known[key]
        return known.due()
