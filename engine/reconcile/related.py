"""What lookups find in the informers that follow them, and which objects are evaluated again when that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from cachetools import TTLCache

from engine.actions.generated import read_of
from engine.errors import ApiError
from engine.kube.clock import Clock
from engine.kube.selectors import label_selector, selects
from engine.model.generated import PACK, pack_label, source_of
from engine.model.merge import merged
from engine.model.objects import NAMESPACE, GroupKey, Kind, Object, ObjectKey, Ref, labels_of, metadata, names_of
from engine.model.plan import Delete, OwnWrite, Patch, Read
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.rule import Rule
from engine.reconcile.caches import Caches, NotListed
from engine.reconcile.dependencies import Dependencies, Dependent
from engine.reconcile.reads import NAMESPACES

OWN_SECONDS, OWN_LIMIT = 60.0, 10_000
"""For how long an own write is laid over what the watch has shown, and how many are."""
_POD = Kind("v1", "Pod")
_IGNORED = frozenset(["resourceVersion", "managedFields"])


class _Own(NamedTuple):
    """An own write of an object: what it then was (None: it is deleted), or the patch of it, and its resourceVersion.

    For a deletion `uid` names what was deleted, and `version` is '', since no answer has it.
    """

    version: str
    after: Object | None = None
    patch: Object | None = None
    uid: str = ""

    def over(self, seen: Object | None) -> Object | None:
        """Return the object as it is, by what the watch has shown of it (None: nothing)."""
        if not self.version:
            return seen if seen is None or metadata(seen).get("uid") != self.uid else self.after
        if seen is not None and not _older(seen, self.version):
            return seen
        if self.patch is not None:
            return None if seen is None else merged(seen, self.patch)
        return self.after

    def shown(self, old: Object | None, new: Object | None) -> bool:
        """Return whether a change that the watch shows is this write, or a later one."""
        if new is None or not self.version:
            return True
        return not _older(new, self.version)


class Related:
    """Answers lookups that are followed, and says what depends on what has changed.

    `news` is set while there are dependents to take. What is answered is never older than an own write.
    """

    def __init__(self, caches: Caches, clock: Clock) -> None:
        self._caches, self.dependents = caches, Dependencies()
        self._kinds: frozenset[Kind] = frozenset()
        self._generating: Sequence[RulePack] = ()
        self._owned: dict[str, tuple[RulePack, Sequence[tuple[str, str]]]] = {}
        self._by_label: dict[str, list[RulePack]] = {}
        self._own: TTLCache[ObjectKey, _Own] = TTLCache(OWN_LIMIT, OWN_SECONDS, timer=clock.monotonic)
        self._pending: dict[Dependent, None] = {}
        self.news = asyncio.Event()
        caches.follow(self.changed, self.listed)

    def use(self, packs: Collection[RulePack], catalog: Catalog) -> None:
        """Follow the lookups of these packs of a catalog, and forget what depends on those of others."""
        names = {pack.identity for pack in packs}
        generating = [pack for pack in packs if any(rule.generates for rule in pack.rules)]
        before, self._owned = self._owned, {pack.identity: (pack, _owned(pack, catalog)) for pack in generating}
        self._generating, self._by_label = generating, {}
        for pack in generating:
            origins = (origin for rule in pack.rules if rule.generates for origin in pack.origins(rule))
            for label in dict.fromkeys(pack_label(name) for name, _ in origins):
                self._by_label.setdefault(label, []).append(pack)
        self._kinds = frozenset(lookup.watch.kind for pack in packs for _, lookup in pack.followed if lookup.watch)
        self.dependents.forget(each for each in self.dependents.all() if each.pack not in names)
        for pack in (pack for pack in generating if self._owned[pack.identity] != before.get(pack.identity)):
            # what is listed already is not reported again; of an earlier name it may have become this pack's just now
            for kind in {each.kind for rule in pack.rules for each in rule.generates if each.kind is not None}:
                with suppress(ApiError, NotListed):
                    self._add(self._sources(*(self._find(read_of(kind, PACK)) or ())))

    def begin(self, pack: RulePack, key: ObjectKey | GroupKey) -> None:
        """Note that a pack begins to evaluate an object."""
        if pack.followed:
            self.dependents.begin(Dependent(pack.identity, key))

    def end(self, pack: RulePack, key: ObjectKey | GroupKey, *, complete: bool) -> None:
        """Note that it has; what it did not look up again matters no more, unless it left out something that waits."""
        if pack.followed:
            dependent = Dependent(pack.identity, key)
            if not complete:
                self.dependents.keep(dependent)
            self.dependents.end(dependent)

    def forget(self, packs: Iterable[RulePack], key: ObjectKey) -> None:
        """Forget what packs have looked up for an object."""
        self.dependents.forget(Dependent(pack.identity, key) for pack in packs if pack.followed)

    def forget_group(self, key: GroupKey) -> None:
        """Forget what was looked up for a group."""
        self.dependents.forget([Dependent(key.pack, key)])

    def find(self, pack: RulePack, key: ObjectKey | GroupKey | None, read: Read) -> Sequence[Object] | None:
        """Return what a lookup finds, in order, and note that the pack's evaluation of the object `key` depends on it (None: no).

        None where no informer covers it, so that it must be read. Raises ApiError while that cannot list its objects, NotListed
        while it is about to.
        """
        chosen = Read(Ref(NAMESPACE, "", ""), read.namespaces, watch=NAMESPACES, entry=True)
        for each in [read] if read.namespaces is None else [chosen, read]:
            if key is not None:
                self.dependents.add(Dependent(pack.identity, key), each)
        if read.namespaces is None:
            return self._find(read)
        found: list[Object] = []
        for namespace in self._find(chosen) or ():
            name = str(metadata(namespace)["name"])
            found += self._find(read._replace(ref=read.ref._replace(namespace=name), namespaces=None)) or ()
        return found

    def wrote(self, step: Patch | Delete, after: Object | None) -> None:
        """Note what the engine has written: the object as it then is, None where it is deleted."""
        target = step.target
        if target.kind not in self._kinds:
            return
        key = ObjectKey(target.kind, target.namespace, target.name)
        if isinstance(step, Delete):
            before = self._seen(key)
            if before is not None:
                self._own[key] = _Own("", _terminating(before), uid=target.uid)
        elif after is not None:
            self._own[key] = _Own(str(metadata(after).get("resourceVersion", "")), after)

    def wrote_own(self, key: ObjectKey, written: OwnWrite) -> None:
        """Note what the engine has written on a watched object itself."""
        if key.kind in self._kinds:
            self._own[key] = _Own(written.resource_version, patch=written.patch)

    def changed(self, kind: Kind, namespace: str, name: str, old: Object | None, new: Object | None) -> None:
        """Take in that an object that an informer follows for lookups has changed (None: it is not there)."""
        key = ObjectKey(kind, namespace, name)
        if (own := self._own.get(key)) is not None and own.shown(old, new):
            del self._own[key]
        if old is None or new is None or not _alike(old, new):
            self._add(self.dependents.affected(key, old, new, self._selects))
            self._add(self._sources(old, new))

    def listed(self, kind: Kind) -> None:
        """Take in that the objects of a kind are listed, so that lookups have an answer."""
        self._add(self.dependents.all(kind))

    def generates(self, dependent: Dependent) -> bool:
        """Return whether a pack may have generated something from an object, so that something may be left of it."""
        return any(pack.identity == dependent.pack for pack in self._generating)

    def take(self, limit: int) -> list[Dependent]:
        """Return dependents to evaluate again, no more than that many; they are given out once."""
        taken = list(islice(self._pending, limit))
        for each in taken:
            del self._pending[each]
        if not self._pending:
            self.news.clear()
        return taken

    def _add(self, dependents: Iterable[Dependent]) -> None:
        self._pending.update(dict.fromkeys(dependents))
        if self._pending:
            self.news.set()

    def _sources(self, *states: Object | None) -> Iterator[Dependent]:
        """Yield what an object is generated from: that is to put it back, or to remove it where the source is gone."""
        for obj in states if self._generating else ():
            if obj is not None and (source := source_of(obj)) is not None:
                for pack in self._by_label.get(labels_of(obj)[PACK], ()):
                    if source.kind in pack.watches:
                        yield Dependent(pack.identity, source)

    def _find(self, read: Read) -> Sequence[Object] | None:
        """What the informers hold, with own writes laid over it."""
        found = self._caches.find(read)
        if found is None or not self._own:
            return found
        if read.label_selector is None:
            own = self._own.get(ObjectKey(read.ref.kind, read.ref.namespace, read.ref.name))
            over = own.over(next(iter(found), None)) if own else None
            return found if own is None else [] if over is None else [over]
        objects = {names_of(obj): obj for obj in found}
        fits = selects(read.label_selector, read.fields)
        for key, own in list(self._own.items()):
            if key.kind == read.ref.kind and read.ref.namespace in ("", key.namespace):
                seen = self._caches.find(read._replace(ref=Ref(*key), label_selector=None))
                obj = own.over(next(iter(seen or ()), None))
                if obj is not None and fits(obj):
                    objects[key.namespace, key.name] = obj
                else:
                    objects.pop((key.namespace, key.name), None)
        return [obj for _, obj in sorted(objects.items())]

    def _seen(self, key: ObjectKey) -> Object | None:
        found = self._caches.find(Read(Ref(*key)))
        return next(iter(found or ()), None)

    def _selects(self, selector: str, namespace: str) -> bool:
        found = self._find(Read(Ref(NAMESPACE, "", namespace), watch=NAMESPACES))
        return any(label_selector(selector)(obj) for obj in found or ())


def _owned(pack: RulePack, catalog: Catalog) -> Sequence[tuple[str, str]]:
    """Return under which packs and names a pack's rules have generated what is their own."""
    return [origin for rule in pack.rules if rule.generates for origin in catalog.origins(pack, rule)]


def dependent_of(rule: Rule, key: ObjectKey | GroupKey) -> ObjectKey | GroupKey | None:
    """Return what is evaluated again when what a rule looks up changes: an object or a group; None for an object that is gone."""
    return key if rule.on == "Change" else None


def _older(obj: Object, version: str) -> bool:
    """Return whether an object is from before a write: resourceVersions may be compared as numbers (KEP-5504)."""
    seen = str(metadata(obj).get("resourceVersion", ""))
    return seen.isdecimal() and version.isdecimal() and int(seen) < int(version)


def _terminating(obj: Object) -> Object | None:
    """Return what a deletion leaves of an object at first: pods end after a while, and finalizers hold an object back."""
    meta = metadata(obj)
    if obj.get("kind") != _POD.kind and not meta.get("finalizers"):
        return None
    return {**obj, "metadata": {"deletionTimestamp": "1970-01-01T00:00:00Z", **meta}}


def _alike(old: Object, new: Object) -> bool:
    """Return whether two states of an object differ in nothing but what changes at every write."""
    if {**old, "metadata": None} != {**new, "metadata": None}:
        return False
    before, after = metadata(old), metadata(new)
    return all(before.get(key) == after.get(key) for key in before.keys() | after.keys() if key not in _IGNORED)
