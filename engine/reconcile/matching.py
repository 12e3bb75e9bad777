"""Which packs have something to evaluate about an object, and what is remembered of it from one evaluation to the next."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from engine.actions import Cause
from engine.model.flags import Mode
from engine.model.merge import merged
from engine.model.objects import SECRET, GroupKey, Kind, Object, ObjectKey, Ref, ref_of
from engine.model.outcome import Outcome
from engine.model.plan import Annotate, OwnWrite, joined, own_patch
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.rule import Rule
from engine.reconcile.caches import Caches
from engine.reconcile.dependencies import Dependent
from engine.reconcile.known import Known, Seen
from engine.reconcile.prefilter import Values, Watchers, watchers
from engine.reconcile.record import PREFIX, recorded
from engine.reconcile.related import Related
from engine.reconcile.state import INITIAL, Own, PackState, RuleState


@dataclass(slots=True)
class Evaluation:
    """One pack's evaluation of one object: the rules that may have something to do, and what they come to.

    `on` is what it is about, as rules name it. `omitted` are the paths of large values that `object` does not hold, and
    `whole` is the object with those that its rules read, once it has been read. `values` are those of the fields that
    `watchers` watch, of which the pack is one. It is the `first` one of the object under this catalog, and `woken` where
    something has changed that it looked up, and not `complete` where an item that waits is left out. Where it is about a
    group, `group` names it, `object` is its target, empty where it has none, and `counted` holds the namespaces that count.
    `own` is what rules want on the object itself, `timers` what of it is for timers alone, by rules, and it `notes_hold` where
    that says of one that its conditions hold. `steps` are how many were taken elsewhere, `retry_at` is when to evaluate again,
    in seconds of the monotonic clock as `now`.
    """

    pack: RulePack
    object: Object
    ref: Ref
    state: PackState
    now: float
    rules: Sequence[Rule] = ()
    on: str = "Change"
    watchers: Watchers | None = None
    values: Values = ()
    omitted: Sequence[tuple[str, ...]] = ()
    whole: Object | None = None
    group: GroupKey | None = None
    counted: frozenset[str] = frozenset()
    first: bool = True
    woken: bool = False
    complete: bool = True
    steps: int = 0
    own: list[Own] = field(default_factory=list)
    timers: dict[str, Annotate] = field(default_factory=dict)
    notes_hold: bool = False
    found_secrets: set[str] = field(default_factory=set)
    """The rules that have looked up a Secret."""
    retry_at: float | None = None

    def retry(self, outcome: Outcome) -> None:
        """Evaluate again when an outcome asks for it."""
        self.again(getattr(outcome, "retry_at", None))

    def again(self, when: float | None) -> None:
        """Evaluate again at the earliest of the times asked for."""
        if when is not None:
            self.retry_at = when if self.retry_at is None else min(self.retry_at, when)

    @property
    def key(self) -> ObjectKey | GroupKey:
        """What is reconciled."""
        return self.group or ObjectKey(self.ref.kind, self.ref.namespace, self.ref.name)

    def cause(self, rule: Rule, key: str) -> Cause:
        """Return why actions of a rule run, for a firing key."""
        return Cause(self.pack.identity, rule.name, self.object, self.ref, key, hides=self.hides(rule.name))

    def hides(self, rule: str) -> bool:
        """Return whether a text about a rule may quote a Secret."""
        return rule in self.pack.reads_secrets or rule in self.found_secrets

    def looked_up(self, rule: Rule, found: Mapping[str, Any]) -> None:
        """Note what a rule has looked up, by name, since the kind may be computed; all of one lookup are of the same kind."""
        some = (each[:1] if isinstance(each, list) else [each] for each in found.values())
        if any(obj is not None and obj.get("kind") == SECRET.kind for each in some for obj in each):
            self.found_secrets.add(rule.name)

    def rule_state(self, rule: Rule) -> RuleState:
        """Return what is remembered of a rule."""
        return self.state.rules.get(rule.name, INITIAL)

    def remember(self, rule: Rule, state: RuleState) -> None:
        """Remember the state of a rule."""
        self.state.rules[rule.name] = state


class Matcher:
    """Matches changed objects with the packs that watch them. What it remembers is no lost work when it is lost.

    With `every_rule`, an evaluation has every rule; otherwise those that cannot fire are left out, and so are evaluations
    without any.
    """

    def __init__(self, caches: Caches, related: Related, every_rule: bool) -> None:
        self._caches, self._related = caches, related
        self._every_rule = every_rule
        self._wakes = count()
        self._known: dict[ObjectKey, Known] = {}
        self._watchers: dict[tuple[Kind, tuple[RulePack, ...]], Sequence[Watchers]] = {}
        self._catalog, self._generation = Catalog(), 0

    def match(self, key: ObjectKey, packs: tuple[RulePack, ...], catalog: Catalog, now: float) -> Iterator[Evaluation]:
        """Yield the evaluations of those packs whose fields have changed or whose timers have run out."""
        if catalog is not self._catalog:
            self._watchers, self._catalog, self._generation = {}, catalog, self._generation + 1
        groups = self._watchers.get((key.kind, packs))
        if groups is None:
            groups = self._watchers[key.kind, packs] = watchers(key.kind, packs, catalog.params)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = Known()
        if known.generation != self._generation:
            known.keep(packs, self._generation)
        if known.woken or known.taken:
            known.taken = dict(known.woken)
        for group in groups:
            if group.end:
                yield from self._ended(key, known, group, now)
            yield from self._changed(key, known, group, now)

    def _ended(self, key: ObjectKey, known: Known, group: Watchers, now: float) -> Iterator[Evaluation]:
        """Evaluations of an object that is gone."""
        for index in group.end:
            pack = group.packs[index]
            gone = self._caches.take_deleted(pack, key)
            if gone is not None:
                gone = known.as_written(gone)  # whose rules ask for records, and so for what is done already
                known.ending[pack.identity] = PackState(pack, ref_of(gone).uid, evaluated=gone)
            state = known.ending.get(pack.identity)
            if state is not None and state.evaluated is not None and (state.retry_at or 0.0) <= now:
                obj = state.evaluated
                numbers = self._candidates(group, {index}, obj, known.ending).get(index, ())
                yield Evaluation(pack, obj, ref_of(obj), state, now, _rules(pack, numbers, "Delete"), "Delete")

    def _changed(self, key: ObjectKey, known: Known, group: Watchers, now: float) -> Iterator[Evaluation]:
        """Evaluations of an object as it is."""
        for pack in group.packs:
            if (cached := self._caches.get(pack, key)) is not None:
                break
        else:
            known.seen.pop(group, None)
            self._related.forget(group.followers, key)
            known.living = {name: state for name, state in known.living.items() if name not in group.indexes}
            return
        obj = known.as_written(cached.object)
        ref, values = ref_of(obj), group.values(obj)
        changed = known.changed(group, ref.uid, values, now)
        first = (seen := known.seen.get(group)) is None or seen.uid != ref.uid
        numbers = self._candidates(group, changed, obj, known.living) if changed else {}
        for index in changed & group.readers_of_old:
            numbers.setdefault(index, [])
        if group.followers:
            self._related.forget((group.packs[index] for index in changed.difference(numbers)), key)
        if known.living:  # whatever it was about does not hold any more
            for index in changed.difference(numbers):
                known.living.pop(group.packs[index].identity, None)
        if not numbers:
            known.seen[group] = Seen(ref.uid, values)  # maybe equal, but of the newer object: the older one need not stay
        for index in sorted(numbers):
            pack = group.packs[index]
            state = known.living.get(pack.identity)
            if state is None or state.uid != ref.uid:
                state = known.living[pack.identity] = PackState(pack, ref.uid)
            rules = _rules(pack, numbers[index], "Change")
            woken = pack.identity in known.taken
            self._related.begin(pack, key)
            yield Evaluation(pack, obj, ref, state, now, rules, "Change", group, values, cached.omitted, first=first, woken=woken)

    def _candidates(
        self, group: Watchers, changed: Collection[int], obj: Object, states: dict[str, PackState]
    ) -> dict[int, list[int]]:
        """By the indexes of the packs, the numbers of the rules to evaluate: also those of which something is remembered."""
        if self._every_rule:
            return {index: [*range(len(group.packs[index].rules))] for index in changed}
        found = group.candidates(obj, changed)
        for changing in changed:
            if group.packs[changing].holds and (held := _on_record_as_held(group.packs[changing], obj)):
                found[changing] = sorted({*found.get(changing, ()), *held})
        for name, state in states.items():
            if state.rules and (index := group.indexes.get(name)) is not None and index in changed:
                found[index] = sorted({*found.get(index, ()), *(state.pack.numbers[rule] for rule in state.rules)})
        return found

    def settle(self, key: ObjectKey, evaluations: Sequence[Evaluation], written: OwnWrite | None) -> None:
        """Remember what was evaluated, as it is after our own write: that is news only for packs that did not evaluate."""
        known = self._known[key]
        if written is not None:
            known.wrote(evaluations[0].ref.uid, written)
        by_watchers: dict[Watchers, list[Evaluation]] = {}
        for evaluation in evaluations:
            if evaluation.watchers is not None:
                by_watchers.setdefault(evaluation.watchers, []).append(evaluation)
        for group, those in by_watchers.items():
            obj, uid, values = those[0].object, those[0].ref.uid, those[0].values
            pending: frozenset[int] = frozenset()
            if written is not None:
                obj = merged(obj, written.patch)
                before, values = values, group.values(obj)
                pending = group.affected(before, values) - {group.indexes[each.pack.identity] for each in those}
                pending |= _news_of_others(group, those, evaluations)
            known.seen[group] = Seen(uid, values, pending)
            for evaluation in those:
                evaluation.state.settle(obj)

    def wake(self, dependent: Dependent) -> bool:
        """Have a pack evaluate an object although that has not changed; return whether the object is known."""
        known = self._known.get(dependent.key) if isinstance(dependent.key, ObjectKey) else None
        if known is None:
            return False
        known.woken[dependent.pack] = next(self._wakes)
        return True

    def wake_timed(self) -> Iterator[ObjectKey]:
        """Have packs whose rules go by the time of day evaluate the objects that wait for a time; yield these."""
        packs = self._catalog.packs.items()
        timed = {name for name, pack in packs if any(rule.schedule or rule.reads_now for rule in pack.rules)}
        for key, known in self._known.items() if timed else ():
            waiting = [name for name, state in known.living.items() if name in timed and state.retry_at is not None]
            known.woken |= {name: next(self._wakes) for name in waiting}
            if waiting:
                yield key

    def states(self, key: ObjectKey) -> Iterator[PackState]:
        """Yield what is remembered of an object, by pack."""
        if (known := self._known.get(key)) is not None:
            yield from known.living.values()
            yield from known.ending.values()

    def finish(self, key: ObjectKey, evaluations: Sequence[Evaluation]) -> float | None:
        """Return when to evaluate again (seconds of the monotonic clock), None where only a change matters; forget the rest."""
        known = self._known[key]
        if known.woken:
            known.woken = {name: number for name, number in known.woken.items() if known.taken.get(name) != number}
        for each in evaluations:
            each.state.retry_at = each.retry_at
            if each.on == "Change":
                self._related.end(each.pack, key, complete=each.complete)
            if each.on == "Delete" and each.retry_at is None:
                known.ending.pop(each.pack.identity, None)
            elif each.on == "Change" and each.state.idle:
                known.living.pop(each.pack.identity, None)
        if not known.living and not known.ending and not known.seen:
            del self._known[key]
        return known.retry_at()


def _news_of_others(group: Watchers, those: Sequence[Evaluation], evaluations: Sequence[Evaluation]) -> frozenset[int]:
    """Return the packs that have evaluated an object before another pack has written what they watch. Records are no news."""
    writing = [each for each in evaluations if any(_without_records(own.step) != Annotate() for own in each.own)]
    reading = {group.indexes[each.pack.identity] for each in those if all(each is not other for other in writing)}
    pending = _affected(group, those[0], writing) & reading if writing and reading else frozenset()
    for evaluation in those:
        index = group.indexes[evaluation.pack.identity]
        if index not in reading and len(writing) > 1:
            pending |= _affected(group, evaluation, [each for each in writing if each is not evaluation]) & {index}
    return pending


def _affected(group: Watchers, evaluated: Evaluation, writing: Sequence[Evaluation]) -> frozenset[int]:
    """Return the packs for which an object is another one after what these evaluations write on it, records left out."""
    step = _without_records(joined(own.step for each in writing for own in each.own))
    after = merged(evaluated.object, own_patch(evaluated.object, step).body)
    return group.affected(evaluated.values, group.values(after))


def _without_records(step: Annotate) -> Annotate:
    return Annotate({key: text for key, text in step.annotations.items() if not key.startswith(PREFIX)}, step.labels)


def _rules(pack: RulePack, numbers: Sequence[int], on: str) -> Sequence[Rule]:
    rules = (pack.rules[number] for number in numbers)
    return [rule for rule in rules if rule.on == on and rule.mode is not Mode.OFF]


def _on_record_as_held(pack: RulePack, obj: Object) -> Sequence[int]:
    """The rules of which is on record since when their conditions hold: it must not go on saying so where they do not."""
    return [number for number in pack.holds if recorded(obj, pack.record_names[pack.rules[number].name]).true_since]
