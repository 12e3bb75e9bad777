"""The informers that the packs in force need, as the caches that the reconciler reads."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import inf

from cachetools import TTLCache

from engine.kube.act import named
from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.kube.selectors import Predicate, selects
from engine.model.objects import NAMESPACE, Kind, Object, ObjectKey, Ref
from engine.model.plan import LookupWatch, Read
from engine.operator.informer import Informer
from engine.operator.selection import InformerKey, State
from engine.packs.pack import RulePack
from engine.packs.watches import Watch
from engine.reconcile.caches import Cached, OnRelated
from engine.reconcile.labelindex import LabelIndex
from engine.reconcile.namespaces import Namespaces
from engine.reconcile.prune import Pruner
from engine.reconcile.reads import NAMES, looked_up_by, pruner_of

LISTING = 2
"""Informers of one kind that list at a time: there is one for each namespace, and each may have some MB under way."""
DELETED_SECONDS = 300.0
"""How long the last state of a deleted object is held for a worker: a standby takes over well within that time."""
Changed = Callable[[ObjectKey, Object | None, Object | None], None]


class PackCaches:
    """One informer for each distinct selection of the packs and each namespace; implements `engine.reconcile.caches.Caches`.

    What lookups follow is a selection, too; one informer serves it where packs also watch the same. `changed` is called with
    each object that an informer of a pack's selection reports as new, changed or gone, as it was and as it is, and with each of
    a namespace that begins or ceases to be selected; `labels` is a selector that all watched objects must fit, beside the pack's
    own.
    """

    def __init__(self, api: Api, clock: Clock, namespaces: Collection[str], changed: Changed, labels: str = "") -> None:
        self.informers: dict[InformerKey, Informer] = {}
        self._api, self._clock, self._namespaces, self._changed, self._labels = api, clock, namespaces, changed, labels
        self._packs: dict[InformerKey, list[RulePack]] = {}
        self._followed: dict[InformerKey, LabelIndex] = {}
        self._on_related: OnRelated = _nobody
        self._on_listed: Callable[[Kind], None] = _nobody
        self._kept: dict[InformerKey, Pruner] = {}
        self._listing = defaultdict[Kind, asyncio.Semaphore](lambda: asyncio.Semaphore(LISTING))
        self._of: dict[RulePack, dict[Kind, list[Informer]]] = {}
        self._selected = Namespaces(clock.monotonic)
        self._selecting: list[InformerKey] = []
        self._followers: dict[RulePack, list[Informer]] = {}
        self._deleted: TTLCache[tuple[str, ObjectKey], Object] = TTLCache(inf, DELETED_SECONDS, timer=clock.monotonic)

    async def use(self, packs: Collection[RulePack]) -> None:
        """Start the informers that these packs need, and stop all others."""
        self._packs = self._watching(packs)
        known: dict[tuple[Kind, tuple[RulePack, ...]], Pruner] = {}  # the same packs watch in every namespace
        for key, watching in self._packs.items():
            if (key.kind, tuple(watching)) not in known:
                known[key.kind, tuple(watching)] = pruner_of(key.kind, watching)
        wanted = {key: known[key.kind, tuple(watching)] for key, watching in self._packs.items()}
        followed = {key: kept for watch, kept in looked_up_by(packs).items() for key in self._lookup_keys(watch)}
        for key, kept in followed.items():
            wanted[key] = wanted.get(key, kept).also(kept.keep)
        self._selecting = self._namespace_keys() if any(pack.selects_namespaces for pack in packs) else []
        wanted |= {key: wanted.get(key, NAMES) for key in self._selecting}
        self._followed = {key: self._followed.get(key) or LabelIndex() for key in followed}
        for key, kept in wanted.items():
            if key not in self.informers:
                changed, waiting = partial(self._report, key), partial(self._waiting, key)
                self.informers[key] = Informer(self._api, key, self._clock, kept, changed, waiting, self._listing[key.kind])
                self.informers[key].on_listed = partial(self._listed, key)
                self.informers[key].start()
            elif kept != self._kept[key]:
                self.informers[key].refresh(kept)
            self._kept[key] = kept
        for (_, name), cached in (each for key in self._selecting for each in self.informers[key].store.objects.items()):
            self._selected.put(name, cached.object)
        self._of = {
            pack: {kind: [self.informers[key] for key in self._keys(watch)] for kind, watch in pack.watches.items()}
            for pack in packs
        }
        self._followers = {
            pack: list(dict.fromkeys(self.informers[key] for watch in looked_up_by([pack]) for key in self._lookup_keys(watch)))
            for pack in packs if pack.followed
        }  # fmt: skip
        for key in self.informers.keys() - wanted.keys():
            await self.informers[key].stop()
            del self.informers[key], self._kept[key]

    async def stop(self) -> None:
        """Stop all informers."""
        await self.use(())

    def get(self, pack: RulePack, key: ObjectKey) -> Cached | None:
        """See `engine.reconcile.caches.Caches.get`."""
        for informer in self._of.get(pack, {}).get(key.kind, ()):
            if (found := informer.store.objects.get((key.namespace, key.name))) is not None:
                return found if self._selects(pack, key) else None
        return None

    def present(self) -> Callable[[Ref], bool]:
        """Return what says whether some informer has an object of this kind, namespace and name; for one turn of the loop.

        It takes no longer where there are many informers, one for each of many namespaces.
        """
        found = defaultdict[tuple[Kind, str], list[Mapping[tuple[str, str], Cached]]](list)
        for key, informer in self.informers.items():
            found[key.kind, key.namespace].append(informer.store.objects)

        def has(ref: Ref) -> bool:
            name = ref.namespace, ref.name
            for namespace in (ref.namespace, ""):
                for cache in found.get((ref.kind, namespace), ()):
                    if name in cache:
                        return True
            return False

        return has

    def take_deleted(self, pack: RulePack, key: ObjectKey) -> Object | None:
        """Return the last state of an object that is gone from this pack's selection; it is given out once."""
        return self._deleted.pop((pack.identity, key), None)

    def find(self, read: Read) -> Sequence[Object] | None:
        """Return what a lookup finds in the informers that follow it, in order; None where none of them covers it.

        Raises ApiError where the objects cannot be listed, NotListed where that is under way.
        """
        found: dict[tuple[str, str], Object] = {}
        informers = self._covering(read)
        for informer in informers:
            if (reason := informer.unlisted()) is not None:
                raise reason
            names: Iterable[tuple[str, str]] = [(read.ref.namespace, read.ref.name)]
            fits: Predicate | None = None
            if read.label_selector is not None:
                fits = selects(read.label_selector, read.fields)
                names = self._followed[informer.key].candidates(read, informer.store.objects)
            for name in names:
                cached = informer.store.objects.get(name)
                if cached is not None and (fits is None or fits(cached.object)):
                    found[name] = named(cached.object, informer.key.kind)
        return [obj for _, obj in sorted(found.items())] if informers else None

    def follow(self, changed: OnRelated, listed: Callable[[Kind], None]) -> None:
        """See `engine.reconcile.caches.Caches.follow`."""
        self._on_related, self._on_listed = changed, listed

    def objects(self, pack: RulePack) -> Iterator[ObjectKey]:
        """Yield all objects of a pack's selection."""
        for informer in self.of(pack):
            for namespace, name in informer.store.objects:
                if self._selects(pack, key := ObjectKey(informer.key.kind, namespace, name)):
                    yield key

    def synced(self, pack: RulePack) -> bool:
        """Return whether the informers of a pack's selection have listed all of them."""
        informers = self.needed(pack)
        return bool(informers) and all(informer.synced.is_set() for informer in informers)

    def listing(self, pack: RulePack) -> Sequence[Kind]:
        """Return the kinds of a pack's selection that have yet to be listed; none where all are."""
        if self.synced(pack):
            return ()
        return list(dict.fromkeys(each.key.kind for each in self.needed(pack) if not each.synced.is_set())) or list(pack.watches)

    def current(self, pack: RulePack) -> bool:
        """Return whether everything that a pack watches and looks up is listed, watched without a failure, and decoded."""
        informers = [*self.needed(pack), *self.followed(pack)]
        return all(each.synced.is_set() and each.state is State.WATCHING and not each.store.left_out for each in informers)

    def watches(self, namespace: str) -> bool:
        """Return whether all objects of a namespace are watched here that anybody watches: none are left to other labels."""
        return not self._labels and ("" in self._namespaces or namespace in self._namespaces)

    def of(self, pack: RulePack) -> Sequence[Informer]:
        """Return the informers of a pack's selection."""
        return [informer for informers in self._of.get(pack, {}).values() for informer in informers]

    def needed(self, pack: RulePack) -> Sequence[Informer]:
        """Return the informers of a pack's selection, and those of the namespaces that it selects by."""
        selecting = self._selecting if pack in self._of and pack.selects_namespaces else ()
        return [*self.of(pack), *(self.informers[key] for key in selecting)]

    def followed(self, pack: RulePack) -> Sequence[Informer]:
        """Return the informers that a pack's lookups follow."""
        return self._followers.get(pack, ())

    def waiting(self, pack: RulePack) -> Mapping[Kind, bool]:
        """Return of each kind that a pack watches, or selects by, whether its objects cannot be listed or watched."""
        waiting: dict[Kind, bool] = {}
        for informer in self.needed(pack):
            waiting[informer.key.kind] = waiting.get(informer.key.kind, False) or informer.waits
        return waiting

    def problems(self, pack: str) -> list[str]:
        """Return why the objects that a pack watches or looks up cannot be listed or watched, by the pack's identity."""
        watched = [f"pack {pack} waits: {each.problem()}" for each in self._needed_by(pack) if each.problem()]
        return watched + [f"lookups of pack {pack} wait: {each.problem()}" for each in self._followed_by(pack) if each.problem()]

    def forbidden(self, pack: str) -> bool:
        """Return whether a right is missing for what a pack watches or looks up."""
        return any(each.forbidden for each in (*self._needed_by(pack), *self._followed_by(pack)))

    def _needed_by(self, pack: str) -> list[Informer]:
        return [informer for each in self._of if each.identity == pack for informer in self.needed(each)]

    def _followed_by(self, pack: str) -> list[Informer]:
        return [informer for each, those in self._followers.items() if each.identity == pack for informer in those]

    def _watching(self, packs: Iterable[RulePack]) -> dict[InformerKey, list[RulePack]]:
        found: dict[InformerKey, list[RulePack]] = {}
        for pack in packs:
            for key in (key for watch in pack.watches.values() for key in self._keys(watch)):
                found.setdefault(key, []).append(pack)
        return found

    def _keys(self, watch: Watch) -> list[InformerKey]:
        labels = ",".join(filter(None, (watch.selection.labels, self._labels)))
        return [InformerKey(watch.kind, namespace, labels) for namespace in self._namespaces]

    def _namespace_keys(self) -> list[InformerKey]:
        """All namespaces, or those that are watched, each by its name, so that no more rights are needed."""
        if "" in self._namespaces:
            return [InformerKey(NAMESPACE)]
        return [InformerKey(NAMESPACE, fields=f"metadata.name={namespace}") for namespace in self._namespaces]

    def _selects(self, pack: RulePack, key: ObjectKey) -> bool:
        return self._selected.selects(pack.watches[key.kind].selection, key.namespace)

    def _lookup_keys(self, watch: LookupWatch) -> list[InformerKey]:
        namespaces = [watch.namespace] if watch.namespace else self._namespaces
        return [InformerKey(watch.kind, namespace, watch.labels, watch.fields) for namespace in namespaces]

    def _covering(self, read: Read) -> list[Informer]:
        """The informers that have all that a read may find; those of a kind where it says nothing more."""
        kind, namespace = read.ref.kind, read.ref.namespace
        keys = self._lookup_keys(read.watch) if read.watch else [key for key in self._followed if key.kind == kind]
        return [
            self.informers[key] for key in keys if key in self._followed and (not namespace or key.namespace in ("", namespace))
        ]

    def _select(self, name: str, namespace: Object | None) -> None:
        """Take in a namespace, and report the objects in it of the packs that begin or cease to watch them."""
        watching = [
            (pack, watch) for pack in self._of for watch in pack.watches.values() if watch.selection.namespaces is not None
        ]
        before = [self._selected.selects(watch.selection, name) for _, watch in watching]
        self._selected.put(name, namespace)
        found: dict[ObjectKey, None] = {}
        for (pack, watch), was in zip(watching, before, strict=True):
            if self._selected.selects(watch.selection, name) is not was:
                for informer in self._of[pack][watch.kind]:
                    found |= dict.fromkeys(ObjectKey(watch.kind, *each) for each in informer.store.objects if each[0] == name)
        for key in found:
            self._changed(key, None, None)

    def _listed(self, key: InformerKey) -> None:
        if key in self._selecting:
            for pack in self._of:
                for each in self.objects(pack) if pack.selects_namespaces else ():
                    self._changed(each, None, None)
        if key in self._followed:
            self._on_listed(key.kind)

    def _waiting(self, key: InformerKey) -> list[str]:
        return [f"pack {pack.identity} waits" for pack in self._packs.get(key, ())]

    def _report(self, key: InformerKey, namespace: str, name: str, old: Object | None, new: Object | None, initial: bool) -> None:
        if (index := self._followed.get(key)) is not None:
            index.put((namespace, name), old, new)
            self._on_related(key.kind, namespace, name, old, new)
        if key in self._selecting:
            if self.informers[key].synced.is_set():
                self._select(name, new)
            else:
                self._selected.put(name, new)  # what there is of all of them is reported once they are listed
        if key not in self._packs:
            return
        changed = ObjectKey(key.kind, namespace, name)
        # a kind that is not served any more says nothing about its objects
        if new is None and old is not None and self.informers[key].state is not State.WAITING:
            for pack in self._packs.get(key, ()):
                if pack.ends and self._selects(pack, changed):
                    self._deleted[pack.identity, changed] = old
        self._changed(changed, old, new)


def _nobody(*_: object) -> None:
    """Take in nothing: nobody has asked yet."""
