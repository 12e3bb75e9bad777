"""Caches for tests, explain and replay, into which somebody puts what is there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set

from engine.kube.selectors import label_selector, selects
from engine.model.objects import Kind, Object, ObjectKey, names_of
from engine.model.plan import Read
from engine.packs.pack import RulePack
from engine.packs.watches import Selection
from engine.reconcile import Cached
from engine.reconcile.caches import OnRelated
from engine.reconcile.namespaces import Namespaces
from engine.reconcile.prune import Pruner, pruner
from engine.reconcile.reads import looked_up_by, pruner_of

Watched = tuple[Kind, Selection]


class DirectCaches:
    """Caches that hold what was last read from the cluster, pruned as the operator's informers prune it.

    `only` names the namespaces that are watched, None: all. With `large`, large values are held too, as those of an object that
    no cluster has.
    """

    def __init__(self, packs: Iterable[RulePack] = (), *, large: bool = False) -> None:
        self._large = large
        self.only: frozenset[str] | None = None
        self.outdated: set[Kind] = set()
        self._there: dict[ObjectKey, Object] = {}
        self._pruned: dict[tuple[ObjectKey, Selection], Cached] = {}
        self._namespaces, self._known = Namespaces(lambda: 0.0), frozenset[str]()
        self._deleted: dict[tuple[str, ObjectKey], Object] = {}
        self._related: dict[Kind, dict[tuple[str, str], Object]] = {}
        self._on_related: OnRelated | None = None
        self.use(packs)

    def use(self, packs: Iterable[RulePack]) -> None:
        """Hold of each object what these packs read."""
        self._packs = tuple(packs)
        selections: dict[Watched, list[RulePack]] = {}
        for pack in self._packs:
            for watch in pack.watches.values():
                selections.setdefault((watch.kind, watch.selection), []).append(pack)
        prune = {watched: pruner_of(watched[0], together) for watched, together in selections.items()}
        self._prune = {watched: pruner(each.keep) if self._large else each for watched, each in prune.items()}
        self._pruned.clear()
        self._followed: dict[Kind, Pruner] = {}
        for looked_up, kept in looked_up_by(self._packs).items():
            self._followed[looked_up.kind] = self._followed.get(looked_up.kind, kept).also(kept.keep)
        self._related = {kind: there for kind, there in self._related.items() if kind in self._followed}

    def emptied(self) -> DirectCaches:
        """Return others that hold the same of each object, without any."""
        other = DirectCaches(large=self._large)
        other._packs, other._prune, other._followed = self._packs, self._prune, self._followed
        return other

    def get(self, pack: RulePack, key: ObjectKey) -> Cached | None:
        """See `Caches.get`."""
        found, watch = self._there.get(key), pack.watches.get(key.kind)
        if found is None or watch is None or not self._picks(watch.selection, key, found):
            return None
        selection = watch.selection
        if (key, selection) not in self._pruned:
            self._pruned[key, selection] = self._prune[key.kind, selection].entry(found)
        return self._pruned[key, selection]

    def whole(self, key: ObjectKey) -> Object | None:
        """Return an object as the cluster has it, None where it is not there."""
        return self._there.get(key)

    def objects(self, pack: RulePack) -> Iterable[ObjectKey]:
        """See `Caches.objects`."""
        keys = [key for key in self._there if key.kind in pack.watches]
        return [key for key in keys if self.get(pack, key) is not None]

    def select(self, namespaces: Mapping[str, Object]) -> Collection[ObjectKey]:
        """Take in all namespaces as they are now, by name; return the objects that packs begin or cease to watch by that."""
        selections = {(kind, selection) for kind, selection in self._prune if selection.namespaces is not None}

        def selected() -> set[tuple[Selection, ObjectKey]]:
            keys = ((selection, key) for kind, selection in selections for key in self._there if key.kind == kind)
            return {(selection, key) for selection, key in keys if self._namespaces.selects(selection, key.namespace)}

        before = selected()
        for name in self._known - namespaces.keys():
            self._namespaces.put(name, None)
        for name, namespace in namespaces.items():
            self._namespaces.put(name, namespace)
        self._known = frozenset(namespaces)
        return dict.fromkeys(key for _, key in sorted(before ^ selected(), key=lambda each: each[1]))

    def synced(self, pack: RulePack) -> bool:
        """See `Caches.synced`: everything is read before anything is evaluated."""
        return True

    def current(self, pack: RulePack) -> bool:
        """See `Caches.current`: where a kind is not served any more, what was read of it last is not current."""
        return not self.outdated

    def watches(self, namespace: str) -> bool:
        """See `Caches.watches`."""
        return self.only is None or namespace in self.only

    def take_deleted(self, pack: RulePack, key: ObjectKey) -> Object | None:
        """See `Caches.take_deleted`."""
        return self._deleted.pop((pack.identity, key), None)

    def find(self, read: Read) -> Sequence[Object] | None:
        """See `Caches.find`. A kind is not followed before `relate` has taken in its objects."""
        there, ref = self._related.get(read.ref.kind), read.ref
        if there is None:
            return None
        if read.label_selector is None:
            return [there[ref.namespace, ref.name]] if (ref.namespace, ref.name) in there else []
        fits = selects(read.label_selector, read.fields)
        return [obj for (namespace, _), obj in sorted(there.items()) if ref.namespace in ("", namespace) and fits(obj)]

    def follow(self, changed: OnRelated, listed: Callable[[Kind], None]) -> None:
        """See `Caches.follow`."""
        self._on_related = changed

    @property
    def followed(self) -> Collection[Kind]:
        """The kinds that lookups follow."""
        return self._followed.keys()

    def relate(self, kind: Kind, objects: Iterable[Object]) -> None:
        """Take in all objects of a kind that lookups follow, as they are now, and report what has changed."""
        before = self._related.get(kind, {})
        self._related[kind] = after = {names_of(obj): self._followed[kind](obj) for obj in objects}
        for name in sorted(before.keys() | after.keys()):
            old, new = before.get(name), after.get(name)
            if old != new and self._on_related is not None:
                self._on_related(kind, *name, old, new)

    def put(self, key: ObjectKey, obj: Object | None) -> None:
        """Take in an object as it is now (None: it is gone), and remember its last state for rules with `on: Delete`."""
        last = self._there.pop(key, None)
        if obj is not None:
            self._there[key] = obj
        for pack in self._packs:
            if (watch := pack.watches.get(key.kind)) is not None:
                selection = watch.selection
                self._pruned.pop((key, selection), None)
                still = obj is not None and label_selector(selection.labels)(obj)
                if pack.ends and last is not None and not still and self._picks(selection, key, last):
                    self._deleted[pack.identity, key] = self._prune[key.kind, selection].entry(last).object

    def _picks(self, selection: Selection, key: ObjectKey, obj: Object) -> bool:
        return label_selector(selection.labels)(obj) and self._namespaces.selects(selection, key.namespace)

    def keys(self) -> Set[ObjectKey]:
        """Return the objects that are there."""
        return self._there.keys()
