"""What rules wait for, reported by an Event on the object, a metric and /packs: once for each cause.

What only somebody can mend, such as a missing right, and what waits for its turn is reported at once, the rest after a minute.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.errors import ApiError
from engine.kube.clock import Clock
from engine.model.backoff import Backoff
from engine.model.objects import GroupKey, ObjectKey
from engine.model.outcome import Obstacle, Unavailable
from engine.model.plan import Create, Emission
from engine.reconcile.answers import explained, obstacle_of
from engine.reconcile.events import Events
from engine.reconcile.hidden import any_hides, named, without_secrets
from engine.reconcile.matching import Evaluation
from engine.reconcile.silent import logger
from engine.reconcile.state import PackState, Stall

MINUTE = 60.0
"""Seconds that something waits before it is reported, unless it is one of these."""
_AT_ONCE = frozenset(
    {Obstacle.MISSING_RIGHT, Obstacle.SECRET_MISSING, Obstacle.NOT_LISTED, Obstacle.SUSPENDED, Obstacle.PACK_BUDGET}
)
"""These end only when somebody has granted the right, made the Secret, listed the host, or resumed the pack; or they wait for a
turn."""
PAUSES = Backoff(2.0, 300.0)
SHOWN = 10
"""Items that an Event names at most."""
RULE_WAITING = "RuleWaiting"
_UNREPORTED = frozenset({Obstacle.PACK_BUDGET, Obstacle.SUSPENDED, Obstacle.CONTESTED, Obstacle.CONDITION})
"""These have Events of their own, or end by themselves as their rule says."""
_NORMAL = frozenset({Obstacle.TARGET_NOT_READY, Obstacle.DISRUPTION_BUDGET})
"""Nothing is wrong."""
log = logger(__name__)


class Wait(NamedTuple):
    """Items of one rule and one object that wait for the same: since when (of the monotonic clock) the first of them does.

    What a rule wants on the object itself is one item, its firing record included. `reason` says for what in words.
    """

    pack: str
    rule: str
    obstacle: Obstacle
    since: float
    items: int
    reason: str


class Waits:
    """What waits, by what is reconciled."""

    def __init__(self, events: Events, clock: Clock) -> None:
        self._events, self._clock = events, clock
        self._waits: dict[ObjectKey | GroupKey, tuple[Wait, ...]] = {}
        self._refused: dict[tuple[str, str], dict[ObjectKey | GroupKey, str]] = {}  # by pack and rule: why, by object
        self._refused_of: dict[ObjectKey | GroupKey, set[tuple[str, str]]] = {}
        self._not_durable: dict[tuple[str, str], str] = {}  # by pack and rule: why, with an object
        self._shown: dict[ObjectKey | GroupKey, ObjectKey | GroupKey] = {}  # of groups whose keys are hidden

    def update(self, key: ObjectKey | GroupKey, states: Iterable[PackState]) -> None:
        """Take in what waits of a key now, and which lookups are refused; nothing of it waits where there are no states."""
        states = list(states)
        self._shown.pop(key, None)
        if isinstance(key, GroupKey) and any(key.rule in state.pack.reads_secrets for state in states):
            self._shown[key] = named(True, key)
        self._update_refused(key, states)
        waits = tuple(wait for state in states for wait in _waits_of(state, getattr(key, "rule", "")))
        if waits:
            self._waits[key] = waits
        else:
            self._waits.pop(key, None)

    def _update_refused(self, key: ObjectKey | GroupKey, states: Iterable[PackState]) -> None:
        now = {
            (state.pack.identity, name): rule.unknown for state in states for name, rule in state.rules.items() if rule.refused
        }
        for each in self._refused_of.pop(key, set()) - now.keys():
            self._refused[each].pop(key)
            if not self._refused[each]:
                del self._refused[each]
        for each, why in now.items():
            self._refused.setdefault(each, {})[key] = why
        if now:
            self._refused_of[key] = set(now)

    def not_durable(self, pack: str, rule: str, why: str) -> bool:
        """Note that a timer of a rule cannot be put on record; return whether that is news."""
        news = (pack, rule) not in self._not_durable
        self._not_durable.setdefault((pack, rule), why)
        return news

    def durable(self, rules: Iterable[tuple[str, str]]) -> None:
        """Note that timers of these rules, each with its pack, are on record."""
        for each in rules if self._not_durable else ():
            self._not_durable.pop(each, None)

    def notes(self, pack: str) -> Sequence[str]:
        """Return what people should know of a pack that works, a sentence each."""
        timers = [f"rule {rule}: {why}" for (name, rule), why in sorted(self._not_durable.items()) if name == pack]
        return [*self.refusals(pack), *self.sentences(pack), *timers]

    def refusals(self, pack: str) -> Sequence[str]:
        """Return which lookups of a pack are refused, or have no answer for a group: a sentence for each rule with an example."""
        found = [(rule, *next(iter(keys.items()))) for (name, rule), keys in self._refused.items() if name == pack]
        some = {rule: "groups" if isinstance(key, GroupKey) else "objects" for rule, key, _ in found}
        shown = [(rule, self._shown.get(key, key), why) for rule, key, why in sorted(found)]
        return [f"rule {rule} has no answer for some {some[rule]}, such as {key}: {why}" for rule, key, why in shown]

    def sentences(self, pack: str) -> Sequence[str]:
        """Return for what rules of a pack wait, beside a suspension: a sentence for each, with how many and an example."""
        found: dict[tuple[str, Obstacle], list[tuple[str, int, str]]] = {}
        for key, wait in self.overdue():
            if wait.pack == pack and wait.obstacle is not Obstacle.SUSPENDED:
                found.setdefault((wait.rule, wait.obstacle), []).append((str(key), wait.items, wait.reason))
        sentences = []
        for (rule, obstacle), each in sorted(found.items()):
            (example, _, why), items = min(each), sum(items for _, items, _ in each)
            what = " for a missing right" if obstacle is Obstacle.MISSING_RIGHT else ""
            many = f", with {items} items, such as" if items > 1 else ","
            sentences.append(f"rule {rule} waits{what}{many} for {example}: {why}")
        return sentences

    def keep(self, packs: Collection[str]) -> None:
        """Forget what packs wait for that are no longer in force."""
        self._refused = {each: keys for each, keys in self._refused.items() if each[0] in packs}
        self._not_durable = {each: why for each, why in self._not_durable.items() if each[0] in packs}
        self._refused_of = {key: {each for each in of if each in self._refused} for key, of in self._refused_of.items()}
        kept = {key: tuple(wait for wait in waits if wait.pack in packs) for key, waits in self._waits.items()}
        self._waits = {key: waits for key, waits in kept.items() if waits}
        self._shown = {key: shown for key, shown in self._shown.items() if key in self._waits or key in self._refused_of}

    def overdue(self) -> Iterator[tuple[ObjectKey | GroupKey, Wait]]:
        """Yield what has waited for long enough to be reported."""
        now = self._clock.monotonic()
        for key, waits in self._waits.items():
            for wait in waits:
                if _reported_at(wait) <= now:
                    yield self._shown.get(key, key), wait

    def counts(self) -> Mapping[tuple[str, ...], float]:
        """Return how many items are overdue, by pack, rule and obstacle."""
        counts: dict[tuple[str, ...], float] = {}
        for _, wait in self.overdue():
            labels = wait.pack, wait.rule, wait.obstacle.value
            counts[labels] = counts.get(labels, 0.0) + wait.items
        return counts

    async def report(
        self, key: ObjectKey | GroupKey, cause: Cause, stalls: Iterable[Stall], emits: bool, what: str = ""
    ) -> float | None:
        """Emit Events on the object for what has waited for long enough and was not reported; return when to do so again.

        `cause` names the rule and the object, `what` says in the Events with what it waits; where `emits` is false, nothing is
        written.
        """
        now, retry_at = self._clock.monotonic(), None
        unreported: dict[str, list[Stall]] = {}
        for stall in stalls:
            if stall.cause in stall.reported or stall.obstacle in _UNREPORTED:
                continue
            if now < _reported_at(stall):
                retry_at = min(retry_at or _reported_at(stall), _reported_at(stall))
                continue
            stall.reported = (*stall.reported, stall.cause)
            unreported.setdefault(stall.cause, []).append(stall)
        for why, waiting in unreported.items() if emits else ():
            await self._events.emit(key, self._event(cause._replace(key=f"{cause.key} waits {why}"), what, waiting))
        return retry_at

    async def dropped(
        self, key: ObjectKey | GroupKey, cause: Cause, stalls: Mapping[str, Stall], why: str, *, named: bool
    ) -> None:
        """Report that what was reported to wait is not done any more; which items of a loop that are, where these have names."""
        if reported := [item for item, stall in stalls.items() if stall.reported]:
            more = f" and {len(reported) - SHOWN} more" if len(reported) > SHOWN else ""
            what = f" with {', '.join(reported[:SHOWN])}{more}" if named and not cause.hides else ""
            why = without_secrets(cause.hides, why)
            message = f"Rule {cause.pack}/{cause.rule} no longer waits{what}, and does not do it: {why}"
            step = self._create(cause._replace(key=f"{cause.key} dropped"), Content("Normal", "RuleDropped", message, {}))
            await self._events.emit(key, step)

    async def refused(self, key: ObjectKey | GroupKey, cause: Cause, why: str) -> None:
        """Report at once that a rule must not look something up: that may last until somebody consents."""
        message = f"Rule {cause.pack}/{cause.rule} has no answer: {why}"
        await self._events.emit(key, self._create(cause, Content("Warning", "LookupRefused", message, {})))

    async def unrecorded(self, evaluations: Sequence[Evaluation], error: ApiError) -> None:
        """Have what rules want on an object written again, ever more rarely; report that as any other wait."""
        last, obstacle, hides = evaluations[-1], obstacle_of(error), any_hides(evaluations)
        why = without_secrets(hides, explained(error))
        for each in evaluations:
            each.state.unrecorded += 1
            pause = max(PAUSES.pause(each.state.unrecorded), min(error.retry_after or 0.0, PAUSES.longest))
            outcome = Unavailable(why, each.now + pause, obstacle or Obstacle.SERVER_ERROR)
            each.again(outcome.retry_at)
            each.state.unwritten = sorted({*(own.rule for own in each.own), *each.timers})
            each.state.stall = Stall.after(each.state.stall, outcome, each.now) if each.state.unwritten else None
        rules = ", ".join(f"{each.pack.identity}/{rule}" for each in evaluations for rule in each.state.unwritten)
        log.warning("%s: what %s writes on it cannot be written: %s; trying again", last.ref, rules, why)
        if obstacle is None:  # such as too many annotations: somebody has to make room
            message = f"What {rules} has done for this object cannot be written on it, so it may be done again: {why}"
            content, now = Content("Warning", "RecordRefused", message, {}), datetime.fromtimestamp(self._clock.time(), UTC)
            cause = Cause("rulepack", "record", last.object, last.ref, error.reason, hides=hides)
            await self._events.emit(last.key, event(cause, last.object, content, now))
            return
        for each in evaluations:
            if (stall := each.state.stall) is None:
                continue
            for rule in each.state.unwritten:
                cause = Cause(each.pack.identity, rule, last.object, last.ref, "on the object", hides=hides)
                copied = each.state.stall = replace(stall)  # it is reported for each of the rules
                each.again(await self.report(last.key, cause, [copied], True, " with what it writes on this object"))

    def _event(self, cause: Cause, what: str, waiting: list[Stall]) -> Create:
        since = datetime.fromtimestamp(self._clock.time(), UTC) - timedelta(
            seconds=self._clock.monotonic() - min(stall.since for stall in waiting)
        )
        what = what or (f" with {len(waiting)} items" if len(waiting) > 1 else "")
        message = (
            f"Rule {cause.pack}/{cause.rule} waits{what} since {since:%Y-%m-%dT%H:%M:%SZ} and is tried again until it can go on: "
            f"{waiting[0].reason}"
        )
        kind = "Normal" if waiting[0].obstacle in _NORMAL else "Warning"
        return self._create(cause, Content(kind, RULE_WAITING, message, {}))

    def _create(self, cause: Cause, content: Content) -> Create:
        now = datetime.fromtimestamp(self._clock.time(), UTC)
        return event(cause._replace(emission=Emission.REPEAT), cause.object, content, now)


def _reported_at(waiting: Wait | Stall) -> float:
    """Return from when on what waits is reported."""
    return waiting.since + (0.0 if waiting.obstacle in _AT_ONCE else MINUTE)


def _waits_of(state: PackState, group: str) -> Iterator[Wait]:
    """What waits of one pack and one object; `group` is the rule whose target that is, '' where it is none."""
    for name, rule in state.rules.items():
        by_obstacle: dict[Obstacle, list[Stall]] = {}
        for _, stall in rule.firing.stalls() if rule.firing is not None else ():
            by_obstacle.setdefault(stall.obstacle, []).append(stall)
        if rule.stall is not None:
            by_obstacle.setdefault(rule.stall.obstacle, []).append(rule.stall)
        for obstacle, stalls in by_obstacle.items():
            first = min(stalls, key=lambda stall: stall.since)
            yield Wait(state.pack.identity, name, obstacle, first.since, len(stalls), first.reason)
    if state.stall is not None:
        for name in state.unwritten or (group,):
            yield Wait(state.pack.identity, name, state.stall.obstacle, state.stall.since, 1, state.stall.reason)
