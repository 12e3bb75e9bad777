"""Which objects were evaluated by which others: a reverse index from what lookups have read to what depends on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from engine.kube.selectors import FIELD, required_value, selects
from engine.model.objects import GroupKey, Kind, Object, ObjectKey, labels_of
from engine.model.plan import Read
from engine.reconcile.labelindex import indexed_by

Label = tuple[str, str] | None
"""A label or field that a selector requires (see `required`); None for a selector that requires none."""
Selects = Callable[[str, str], bool]
"""Whether a selector of namespaces selects one: (selector, name of the namespace)."""


class Dependent(NamedTuple):
    """A pack, by its identity, and an object or group that it has evaluated by what it looked up."""

    pack: str
    key: ObjectKey | GroupKey


class _Selector(NamedTuple):
    """What a lookup selects by; with `entry` it matters only whether an object is selected, not what it holds."""

    labels: str
    fields: str
    namespaces: str | None
    entry: bool


class Dependencies:
    """The reads of each dependent, and the dependents of each object. A look-up costs as much as there are dependents."""

    def __init__(self) -> None:
        self._reads: dict[Dependent, dict[Read, None]] = {}
        self._fresh: dict[Dependent, dict[Read, None]] = {}
        self._by_name: dict[tuple[Kind, str, str], dict[Dependent, None]] = {}
        self._by_label: dict[tuple[Kind, str, Label], dict[_Selector, dict[Dependent, None]]] = {}
        self._fields: dict[Kind, Counter[str]] = {}

    def __len__(self) -> int:
        return len(self._reads)

    def is_empty(self) -> bool:
        """Return whether nothing is held of anybody."""
        return not (self._reads or self._fresh or self._by_name or self._by_label or self._fields)

    def begin(self, dependent: Dependent) -> None:
        """Collect what an evaluation reads; what it does not read again is forgotten at its end."""
        self._fresh[dependent] = {}

    def add(self, dependent: Dependent, read: Read) -> None:
        """Note a read. From now on a change of what it is about affects the dependent."""
        self._fresh.setdefault(dependent, {})[read] = None
        reads = self._reads.setdefault(dependent, {})
        if read not in reads:
            reads[read] = None
            self._slot(read)[dependent] = None

    def keep(self, dependent: Dependent) -> None:
        """Forget nothing at the end of this evaluation, since it leaves out something that waits."""
        self._fresh.setdefault(dependent, {}).update(self._reads.get(dependent, {}))

    def end(self, dependent: Dependent) -> None:
        """Forget what the evaluation has not read again."""
        fresh = self._fresh.pop(dependent, {})
        for read in [read for read in self._reads.get(dependent, ()) if read not in fresh]:
            self._remove(dependent, read)

    def forget(self, dependents: Iterable[Dependent]) -> None:
        """Forget all reads of some dependents."""
        for dependent in dependents:
            self._fresh.pop(dependent, None)
            for read in list(self._reads.get(dependent, ())):
                self._remove(dependent, read)

    def all(self, kind: Kind | None = None) -> list[Dependent]:
        """Return all dependents, or those on objects of a kind."""
        return [each for each, reads in self._reads.items() if kind is None or any(read.ref.kind == kind for read in reads)]

    def affected(self, key: ObjectKey, old: Object | None, new: Object | None, in_namespace: Selects) -> dict[Dependent, None]:
        """Return what depends on an object, by how it was and how it is (None: it is not there)."""
        found = dict(self._by_name.get((key.kind, key.namespace, key.name), {}))
        for slot in self._slots(key, old, new):
            for selector, dependents in slot.items():
                fits = selects(selector.labels, selector.fields)
                was, now = old is not None and fits(old), new is not None and fits(new)
                if was == now and (selector.entry or not now):
                    continue
                if selector.namespaces is None or in_namespace(selector.namespaces, key.namespace):
                    found |= dependents
        return found

    def _slots(self, key: ObjectKey, old: Object | None, new: Object | None) -> Iterator[dict[_Selector, dict[Dependent, None]]]:
        """Yield the selectors that may select an object, found by its labels, and by those fields that some selector requires."""
        labels: set[Label] = {None}
        for obj in (each for each in (old, new) if each is not None):
            labels.update(labels_of(obj).items())
            labels.update((field, required_value(obj, field) or "") for field in self._fields.get(key.kind, ()))
        for namespace in {key.namespace, ""}:
            for label in labels:
                if (slot := self._by_label.get((key.kind, namespace, label))) is not None:
                    yield slot

    def _slot(self, read: Read) -> dict[Dependent, None]:
        ref = read.ref
        if read.label_selector is None:
            return self._by_name.setdefault((ref.kind, ref.namespace, ref.name), {})
        place = _label_slot(read)
        if place not in self._by_label:
            self._by_label[place] = {}
            self._count(place, 1)
        return self._by_label[place].setdefault(_selector(read), {})

    def _count(self, place: tuple[Kind, str, Label], by: int) -> None:
        """Count the slots that are found by each field."""
        kind, _, label = place
        if label is not None and label[0].startswith(FIELD):
            counts = self._fields.setdefault(kind, Counter())
            counts[label[0]] += by
            if not counts[label[0]]:
                del counts[label[0]]
            if not counts:
                del self._fields[kind]

    def _remove(self, dependent: Dependent, read: Read) -> None:
        del self._reads[dependent][read]
        if not self._reads[dependent]:
            del self._reads[dependent]
        dependents = self._slot(read)
        dependents.pop(dependent, None)
        if dependents:
            return
        if read.label_selector is None:
            del self._by_name[read.ref.kind, read.ref.namespace, read.ref.name]
            return
        place = _label_slot(read)
        del self._by_label[place][_selector(read)]
        if not self._by_label[place]:
            del self._by_label[place]
            self._count(place, -1)


def _label_slot(read: Read) -> tuple[Kind, str, Label]:
    return read.ref.kind, read.ref.namespace, indexed_by(read)


def _selector(read: Read) -> _Selector:
    return _Selector(read.label_selector or "", read.fields, read.namespaces, read.entry)
