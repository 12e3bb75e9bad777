"""Finding the rules that can hold for an object without evaluating each: by the texts that their conditions ask for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.model.objects import Object, dig

Gate = tuple[tuple[str, ...], str]
"""A field of the object, and the text that it must hold for a rule to do anything."""


@dataclass(frozen=True, slots=True)
class RuleIndex:
    """The rules of a pack by their gates, as numbers in the order of the pack; `always` are those without one."""

    always: tuple[int, ...]
    by_text: Mapping[tuple[str, ...], Mapping[str, Sequence[int]]]
    numbers: Mapping[str, int]

    @classmethod
    def of(cls, gates: Iterable[tuple[str, Gate | None]]) -> RuleIndex:
        """The index of rules, by their names."""
        always: list[int] = []
        by_text: dict[tuple[str, ...], dict[str, list[int]]] = {}
        numbers: dict[str, int] = {}
        for number, (name, gate) in enumerate(gates):
            numbers[name] = number
            if gate is None:
                always.append(number)
            else:
                by_text.setdefault(gate[0], {}).setdefault(gate[1], []).append(number)
        return cls(tuple(always), by_text, numbers)

    def candidates(self, obj: Object, remembered: Collection[str]) -> list[int]:
        """The rules to evaluate: all but those whose field holds another text, and of which nothing is remembered.

        Where a field holds no text, its rules are all evaluated: they may have no answer, which is to be told.
        """
        found = set(self.always)
        for path, by_text in self.by_text.items():
            value = dig(obj, path)
            if type(value) is str:
                found.update(by_text.get(value, ()))
            else:
                found.update(*by_text.values())
        found.update(self.numbers[name] for name in remembered if name in self.numbers)
        return sorted(found)
