"""For which items a rule failed for good last, or was refused: what fails now, not what has ever failed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from engine.model.objects import GroupKey, ObjectKey
from engine.model.outcome import Outcome, Skipped
from engine.packs.rule import Rule
from engine.reconcile.evaluate import FIRED, NO_ITEMS, false
from engine.reconcile.matching import Evaluation
from engine.reconcile.record import Result, failures
from engine.reconcile.state import PackState


class Failing:
    """How many items fail now, by what is reconciled. It holds numbers only of objects and groups that have such items."""

    def __init__(self) -> None:
        self._items: dict[ObjectKey | GroupKey, dict[tuple[str, str], int]] = {}

    def update(self, key: ObjectKey | GroupKey, states: Iterable[PackState]) -> None:
        """Take in what fails of a key now; nothing of it does where there are no states."""
        rules = ((state.pack.identity, name, rule.failing) for state in states for name, rule in state.rules.items())
        if now := {(pack, name): number for pack, name, number in rules if number}:
            self._items[key] = now
        else:
            self._items.pop(key, None)

    def keep(self, packs: Collection[str]) -> None:
        """Forget what fails of packs that are no longer in force."""
        kept = {key: {name: number for name, number in of.items() if name[0] in packs} for key, of in self._items.items()}
        self._items = {key: of for key, of in kept.items() if of}

    def count(self, pack: str) -> dict[str, int]:
        """Return for how many items the rules of a pack fail, by their names; only those that do."""
        counts: dict[str, int] = {}
        for of in self._items.values():
            for (name, rule), number in of.items():
                if name == pack:
                    counts[rule] = counts.get(rule, 0) + number
        return counts


def note(evaluation: Evaluation, rule: Rule, skipped: Outcome | None) -> None:
    """Remember for how many items a rule fails; `skipped` is why it does not fire, None where it does.

    What failed for good fails until another firing, or until its conditions do not hold any more. The firing record says so after
    a takeover. What is tried again is among what waits (engine.reconcile.waits), with what for.
    """
    state = evaluation.rule_state(rule)
    failing = state.failing
    if skipped is None:
        failing = len({*_on_record(evaluation, rule, _key(evaluation, rule)), *_under_way(evaluation, rule)})
    elif isinstance(skipped, Skipped) and skipped.reason.startswith(FIRED):
        failing = len({*_on_record(evaluation, rule, skipped.reason.removeprefix(FIRED))})
    elif isinstance(skipped, Skipped) and (false(skipped) or skipped.reason == NO_ITEMS):
        failing = 0
    if failing != state.failing:
        evaluation.remember(rule, state._replace(failing=failing))


def _key(evaluation: Evaluation, rule: Rule) -> str:
    """Return the key of the firing under way."""
    progress = evaluation.rule_state(rule).firing
    return progress.key if progress else ""


def _under_way(evaluation: Evaluation, rule: Rule) -> Iterator[str]:
    progress = evaluation.rule_state(rule).firing
    for name, item in progress.items.items() if progress else ():
        if item.ended is Result.FAILED or (item.ended is None and item.error):
            yield name


def _on_record(evaluation: Evaluation, rule: Rule, key: str) -> Iterator[str]:
    """Yield the items that failed for good, by the firing record, where that is of the firing with this key."""
    if rule.once_per is not None and evaluation.group is None:
        yield from failures(evaluation.object, evaluation.pack.record_names[rule.name], key)
