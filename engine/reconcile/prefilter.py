"""The prefilter before any CEL: which packs watch a field that has changed, and which of their rules can fire at all?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any

from engine.model.objects import Object, dig, metadata
from engine.packs.pack import RulePack
from engine.packs.prefilter import RuleIndex

Path = tuple[str, ...]
Values = tuple[Any, ...]
_IGNORED = ("resourceVersion", "managedFields")


class Watchers:
    """Packs that see the same objects. What they watch is read once for all of them; packs go by their index in `packs`."""

    def __init__(self, packs: Sequence[RulePack]) -> None:
        self.packs = packs
        watching: dict[Path, list[int]] = {}
        for index, pack in enumerate(packs):
            for path in pack.watch.fields or ((),):
                watching.setdefault(path, []).append(index)
        self._fields = [(key, [path[1:] for path in paths]) for key, paths in groupby(sorted(watching), lambda path: path[:1])]
        self._watching = [frozenset(watching[path]) for path in sorted(watching)]
        self.everyone = frozenset(range(len(packs)))
        self.readers_of_old = frozenset(index for index, pack in enumerate(packs) if pack.reads_old)
        self.end = [index for index, pack in enumerate(packs) if pack.ends]
        self.indexes = {pack.name: index for index, pack in enumerate(packs)}
        rules = [(index, number) for index, pack in enumerate(packs) for number in range(len(pack.rules))]
        self._rules = tuple(rules)
        self._index = RuleIndex.of([packs[index].rules[number].prefilter(packs[index].inputs) for index, number in rules])

    def values(self, obj: Object) -> Values:
        """Return what an object has in the fields that are watched; what they lie in is looked up once for all of them."""
        found: list[Any] = []
        for key, below in self._fields:
            if not key:
                found.append(_whole(obj))
                continue
            part = obj.get(key[0])
            for path in below:
                found.append(part.get(path[0]) if len(path) == 1 and type(part) is dict else dig(part, path))
        return tuple(found)

    def affected(self, before: Values, after: Values) -> frozenset[int]:
        """Return the packs that watch a field whose value is another one now."""
        found: frozenset[int] = frozenset()
        for packs, old, new in zip(self._watching, before, after, strict=True):
            if old is not new and old != new:
                found = found | packs if found else packs
        return found

    def candidates(self, obj: Object, changed: Collection[int]) -> dict[int, list[int]]:
        """Return, by pack, the numbers of the rules that an object does not rule out, of those packs in `changed`."""
        found: dict[int, list[int]] = {}
        for rule in self._index.candidates(obj):
            index, number = self._rules[rule]
            if index in changed:
                found.setdefault(index, []).append(number)
        return found


def watchers(packs: Iterable[RulePack]) -> Sequence[Watchers]:
    """Return the packs of one kind, those together that pick their objects by the same labels."""
    by_labels: dict[str, list[RulePack]] = {}
    for pack in packs:
        by_labels.setdefault(pack.watch.label_selector, []).append(pack)
    return [Watchers(together) for together in by_labels.values()]


def _whole(obj: Object) -> Values:
    """All of an object but what changes at every write."""
    kept = {key: value for key, value in metadata(obj).items() if key not in _IGNORED}
    return (kept, *(value for key, value in sorted(obj.items()) if key != "metadata"))
