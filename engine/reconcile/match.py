"""The cheap gates before any CEL: which packs have not judged an object as it is, and which of their rules can hold at all?"""

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
    """Packs that see the same objects. What they watch is read once for all of them; packs go by their place in `packs`."""

    def __init__(self, packs: Sequence[RulePack]) -> None:
        self.packs = packs
        watching: dict[Path, list[int]] = {}
        for place, pack in enumerate(packs):
            for path in pack.watch.fields or ((),):
                watching.setdefault(path, []).append(place)
        self._fields = [(key, [path[1:] for path in paths]) for key, paths in groupby(sorted(watching), lambda path: path[:1])]
        self._watching = [frozenset(watching[path]) for path in sorted(watching)]
        self.everyone = frozenset(range(len(packs)))
        self.readers_of_old = frozenset(place for place, pack in enumerate(packs) if pack.reads_old)
        self.end = [place for place, pack in enumerate(packs) if pack.ends]
        self.places = {pack.name: place for place, pack in enumerate(packs)}
        rules = [(place, number) for place, pack in enumerate(packs) for number in range(len(pack.rules))]
        self._rules = tuple(rules)
        self._index = RuleIndex.of([packs[place].rules[number].prefilter(packs[place].inputs) for place, number in rules])

    def values(self, obj: Object) -> Values:
        """What an object has in the fields that somebody watches; what they lie in is looked up once for all of them."""
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
        """The packs that watch a field whose value is another one now."""
        found: frozenset[int] = frozenset()
        for packs, old, new in zip(self._watching, before, after, strict=True):
            if old is not new and old != new:
                found = found | packs if found else packs
        return found

    def candidates(self, obj: Object, asked: Collection[int]) -> dict[int, list[int]]:
        """For each of the packs that are asked, the numbers of those of its rules that the object does not rule out."""
        found: dict[int, list[int]] = {}
        for index in self._index.candidates(obj):
            place, number = self._rules[index]
            if place in asked:
                found.setdefault(place, []).append(number)
        return found


def watchers(packs: Iterable[RulePack]) -> Sequence[Watchers]:
    """The packs of one kind, those together that pick their objects by the same labels."""
    by_labels: dict[str, list[RulePack]] = {}
    for pack in packs:
        by_labels.setdefault(pack.watch.label_selector, []).append(pack)
    return [Watchers(together) for together in by_labels.values()]


def _whole(obj: Object) -> Values:
    """All of an object but what changes at every write."""
    kept = {key: value for key, value in metadata(obj).items() if key not in _IGNORED}
    return (kept, *(value for key, value in sorted(obj.items()) if key != "metadata"))
