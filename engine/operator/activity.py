"""What the engine does: logged, and remembered by rule for the status of packs, for /packs and for the console."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.kube.clock import Clock
from engine.model.objects import Ref
from engine.model.observe import TIMER, Act, ActResult, Evaluated
from engine.model.plan import Annotate, Create, Delete, Measure, Patch, Step
from engine.model.send import Send
from engine.model.text import cut
from engine.packs.pack import DISRUPTIONS
from engine.reconcile.budget import Terms, resumed
from engine.reconcile.budgets import described
from engine.reconcile.removals import Held

log = logging.getLogger(__name__)

_LEVELS = {
    ActResult.DONE: logging.INFO,
    ActResult.AUDITED: logging.INFO,
    ActResult.UNCHANGED: logging.DEBUG,
    ActResult.WAITING: logging.DEBUG,
    ActResult.RETRYING: logging.WARNING,
    ActResult.FAILED: logging.WARNING,
    ActResult.REFUSED: logging.WARNING,
    ActResult.DROPPED: logging.INFO,
}
AT_ONCE = 16
"""For how many objects a rule may fire at once and each firing yet be counted once: as many as there are workers by default."""
CHANGE = 200
"""Characters of one change of a field in the log."""
_FAULTS = (ActResult.RETRYING, ActResult.FAILED, ActResult.REFUSED)


@dataclass(slots=True)
class RuleActivity:
    """What a rule did last, with the clock's time, None where it has not yet; and how often, about.

    What Audit says that it would do is no firing; it has a time of its own.
    """

    fired: tuple[float, Act] | None = None
    audited: tuple[float, Act] | None = None
    failed: tuple[float, Act] | None = None
    ended: tuple[float, Act] | None = None
    """What failed for good last, which is not tried again."""
    firings: int = 0
    failures: int = 0
    counted: dict[str, dict[tuple[str, str], bool]] = field(default_factory=dict)
    """By the last objects the firings, each by key and item, and whether they count as such: all steps of one count once."""
    unwritten: set[str] = field(default_factory=set)
    """Those of these objects on which the last firing has yet to be written, so that what follows belongs to it."""

    def count(self, act: Act) -> None:
        """Count the firing that an act is of: as failed only where it fails for good, whatever else it does."""
        about, firing = str(act.object), (act.key, act.item)
        counted = self.counted.setdefault(about, {})
        if act.result in _FAULTS:
            self.failures += 1
            self.firings -= counted.get(firing, False)
            counted[firing] = False
        elif firing not in counted:
            counted[firing] = act.result is not ActResult.AUDITED
            self.firings += counted[firing]
        if len(self.counted) > AT_ONCE:
            oldest = next(iter(self.counted))
            del self.counted[oldest]
            self.unwritten.discard(oldest)

    def begin(self, about: str) -> None:
        """Count what is done for an object from now on as another firing, unless the last one has yet to be written on it."""
        if about in self.unwritten:
            self.unwritten.discard(about)
        else:
            self.counted.pop(about, None)


@dataclass(slots=True)
class Activity:
    """An observer (engine.model.observe.Observer) that logs and remembers; never what an object contains, only names."""

    clock: Clock
    rules: dict[tuple[str, str], RuleActivity] = field(default_factory=dict)
    """By pack and rule."""
    enforced: Collection[str] = frozenset()
    """The packs in Enforce."""
    terms: Mapping[str, Terms] = field(default_factory=dict)
    """By pack, the last terms of its budget."""
    _suspensions: dict[str, dict[str, tuple[float, Terms]]] = field(default_factory=dict)
    """By pack and flow: since when, and the terms then; also of a pack that is gone, since its budget has them too."""

    removals: Callable[[], Iterable[Held]] = list[Held]
    """Returns what rules do not remove until somebody confirms it."""

    @property
    def started(self) -> float:
        """The time that the monotonic clock counts from."""
        return self.clock.time() - self.clock.monotonic()

    @property
    def spent(self) -> dict[str, dict[str, float]]:
        """By pack and flow whose budget is spent, and since when: nothing of a pack that is not in Enforce."""
        return {
            pack: {flow: since for flow, (since, _) in flows.items()}
            for pack, flows in self._suspensions.items() if pack in self.enforced
        }  # fmt: skip

    @property
    def suspensions(self) -> dict[str, dict[str, float]]:
        """By pack and flow what is suspended, and since when: what has spent its budget, and removals that are held back."""
        found = {pack: dict(flows) for pack, flows in self.spent.items()}
        for held in self.removals():
            flows = found.setdefault(held.pack, {})
            for flow in held.flows:
                flows[flow] = min(flows.get(flow, self.started + held.since), self.started + held.since)
        return found

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Note that another firing begins. An Unknown is logged by the reconciler, once for each object and reason."""
        if result is Evaluated.FIRED and (activity := self.rules.get((pack, rule))):
            activity.begin(str(obj))

    def acted(self, act: Act) -> None:
        """Log it, and remember it as the rule's last firing or last error."""
        quiet = act.result is ActResult.DONE and isinstance(act.step, Measure)
        level = logging.DEBUG if quiet else _LEVELS[act.result]
        if log.isEnabledFor(level):
            doing = f"{act.action}: {description(act.step)}" if act.step else act.action
            detail = f": {act.detail}" if act.detail else ""
            changed = (
                f": {'; '.join(cut(line, CHANGE) for line in act.diff)}" if act.result is ActResult.DONE and act.diff else ""
            )
            log.log(level, "%s/%s: %s: %s: %s%s%s", act.pack, act.rule, act.object, doing, act.result.value, detail, changed)
        if act.result is ActResult.AUDITED:
            for line in act.diff:
                doing = "send" if isinstance(act.step, Send) else "change"
                log.info("%s/%s: %s: would %s %s", act.pack, act.rule, act.object, doing, line)
        rule = self.rules.setdefault((act.pack, act.rule), RuleActivity())
        if act.result in _FAULTS:
            rule.failed = (self.clock.time(), act)
            if act.result is not ActResult.RETRYING and act.action != TIMER:
                rule.ended = rule.failed
                rule.count(act)
            elif isinstance(act.step, Annotate) and str(act.object) in rule.counted:
                rule.unwritten.add(str(act.object))
        elif act.result not in (ActResult.WAITING, ActResult.DROPPED, ActResult.UNCHANGED):
            rule.count(act)
            if act.result is ActResult.AUDITED:
                rule.audited = (self.clock.time(), act)
            else:
                rule.fired = (self.clock.time(), act)

    def measured(self, obj: Ref, metric: str, labels: object, value: float) -> None:
        """Do nothing: the metric itself says it."""

    def suspended(self, pack: str, flow: str, obj: Ref) -> None:
        """Log it, and remember since when."""
        log.error("pack %s is suspended for %s from %s on: its budget is spent (%s)", pack, described(flow), obj, DISRUPTIONS)
        self._suspensions.setdefault(pack, {})[flow] = self.clock.time(), self.terms[pack]

    def contested(self, pack: str, rule: str, target: Ref) -> None:
        """Log it."""
        log.warning("%s/%s: what it writes on %s is undone again and again, so it waits", pack, rule, target)

    def take_terms(self, terms: Mapping[str, Terms]) -> set[str]:
        """Take in the terms of the packs' budgets; return the packs of which something that was suspended goes on by these."""
        self.terms, going_on = {**self.terms, **terms}, set[str]()
        for pack in terms.keys() & self._suspensions.keys():
            flows = self._suspensions[pack]
            for flow in [flow for flow, (_, before) in flows.items() if resumed(before, terms[pack])]:
                log.info("pack %s goes on for %s", pack, described(flow))
                del flows[flow]
                going_on.add(pack)
        return going_on

    def suspended_series(self) -> Mapping[tuple[str, ...], float]:
        """Return the values of the metric that shows what is suspended."""
        return {(pack, flow): 1.0 for pack, flows in self.suspensions.items() for flow in flows}

    def of(self, pack: str, rule: str) -> RuleActivity:
        """Return what a rule did."""
        return self.rules.get((pack, rule)) or RuleActivity()


def timestamp(time: float) -> str:
    """Return a time as statuses and JSON data have it: UTC, to the second."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def description(step: Step) -> str:
    """Return a step in a few words, for the log."""
    match step:
        case Patch(target=target):
            return f"patch {target}"
        case Delete(target=target, evict=evict):
            return f"{'evict' if evict else 'delete'} {target}"
        case Create(target=target, body=body):
            return f"{body.get('type')} Event {body.get('reason')}" if target.kind.kind == "Event" else f"create {target}"
        case Measure(metric=metric):
            return f"measure {metric}"
        case Send():
            return str(step)
        case Annotate():
            return "its own metadata"
