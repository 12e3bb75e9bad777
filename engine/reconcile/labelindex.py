"""Objects by namespace and by a label or field, so that a selector need not go through all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.kube.selectors import required, required_value
from engine.model.objects import Object
from engine.model.plan import Read
from engine.reconcile.caches import Cached

LABELS = 16
"""How many labels and fields are indexed at most: what a selector asks for may come from an object."""
ANY = ""
"""Stands for no label or field at all; none has this key."""
Name = tuple[str, str]
"""Namespace and name."""
_Values = dict[str, dict[str, dict[str, None]]]
"""By value and namespace, the names of the objects."""


def indexed_by(read: Read) -> tuple[str, str] | None:
    """Return what the objects that a read selects are found by: a key of `required` and its value; None: it requires nothing.

    Rather not what the informer that answers the read selects by already, which all its objects have.
    """
    every = sorted(required(read.label_selector or "", read.fields))
    common = set(required(read.watch.labels, read.watch.fields)) if read.watch else ()
    return next((each for each in every if each not in common), next(iter(every), None))


class LabelIndex:
    """An index of objects by those labels and fields that selectors have asked for, each built when it is first needed."""

    def __init__(self) -> None:
        self._by_label: dict[str, _Values] = {}

    def put(self, name: Name, old: Object | None, new: Object | None) -> None:
        """Take in that an object has changed (None: it is not there)."""
        for label, values in self._by_label.items():
            before, after = _value(old, label), _value(new, label)
            if before != after:
                if before is not None:
                    _discard(values, before, name)
                if after is not None:
                    values.setdefault(after, {}).setdefault(name[0], {})[name[1]] = None

    def candidates(self, read: Read, cache: Mapping[Name, Cached]) -> Iterator[Name]:
        """Yield the objects that may fit what a read selects, in its namespace ('': in any)."""
        label, value = indexed_by(read) or (ANY, ANY)
        namespace = read.ref.namespace
        if label not in self._by_label and len(self._by_label) >= LABELS:
            label, value = ANY, ANY
        if label not in self._by_label:
            self._by_label[label] = _indexed(label, cache)
        names = self._by_label[label].get(value, {})
        for each in [namespace] if namespace else names:
            for name in names.get(each, ()):
                yield each, name


def _indexed(label: str, cache: Mapping[Name, Cached]) -> _Values:
    values: _Values = {}
    for (namespace, name), cached in cache.items():
        if (value := _value(cached.object, label)) is not None:
            values.setdefault(value, {}).setdefault(namespace, {})[name] = None
    return values


def _value(obj: Object | None, label: str) -> str | None:
    if obj is None:
        return None
    return ANY if label == ANY else required_value(obj, label)


def _discard(values: _Values, value: str, name: Name) -> None:
    namespaces = values[value]
    del namespaces[name[0]][name[1]]
    if not namespaces[name[0]]:
        del namespaces[name[0]]
    if not namespaces:
        del values[value]
