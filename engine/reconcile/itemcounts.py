"""For how many items something holds of a rule now, not how often it has ever been so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable

from engine.model.objects import GroupKey, ObjectKey
from engine.packs.pack import RulePack
from engine.reconcile.state import PackState, RuleState


class ItemCounts:
    """How many items there are, by what is reconciled; `number` says how many of a rule and an object or a group.

    It holds numbers only of objects and groups that have such items, and their sums, since there may be many objects and the sums
    are asked for often. Those of another text of a pack are not counted.
    """

    def __init__(self, number: Callable[[RuleState], int]) -> None:
        self._number = number
        self._items: dict[ObjectKey | GroupKey, dict[tuple[RulePack, str], int]] = {}
        self._sums: Counter[tuple[RulePack, str]] = Counter()

    def update(self, key: ObjectKey | GroupKey, states: Iterable[PackState]) -> None:
        """Take in what is remembered of a key now; there is nothing of it where there are no states."""
        numbers = ((state.pack, name, self._number(rule)) for state in states for name, rule in state.rules.items())
        now = {(pack, name): number for pack, name, number in numbers if number}
        if before := self._items.pop(key, None):
            self._sums.subtract(before)
        if now:
            self._items[key] = now
            self._sums.update(now)

    def keep(self, packs: Collection[RulePack]) -> None:
        """Forget the items of packs that are no longer in force, or have another text now."""
        kept = {key: {name: number for name, number in of.items() if name[0] in packs} for key, of in self._items.items()}
        self._items = {key: of for key, of in kept.items() if of}
        self._sums = Counter({name: number for name, number in self._sums.items() if name[0] in packs and number})

    def count(self, pack: RulePack) -> dict[str, int]:
        """Return how many items the rules of a pack have, by their names; only those that have some."""
        return {rule: number for (counted, rule), number in self._sums.items() if counted is pack and number}
