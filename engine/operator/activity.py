"""What the engine does, as log lines and, beside the packs in force and their faults, as the JSON data of /packs."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import nsmallest
from operator import itemgetter
from typing import Any

from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.objects import ObjectKey, Ref, flow_of, ref_of
from engine.model.observe import TIMER, Act, ActResult, Evaluated
from engine.model.plan import Annotate, Create, Delete, Measure, Patch, Step
from engine.model.send import Send
from engine.model.text import cut
from engine.operator.caches import PackCaches
from engine.operator.rulepacks import LISTS, MISSING_RIGHT, WAITING_FOR_KIND
from engine.operator.selection import State
from engine.packs.catalog import Catalog
from engine.packs.pack import DISRUPTIONS, RulePack
from engine.packs.status import SUSPENDED, RuleCounts
from engine.packs.versions import Report
from engine.reconcile.budget import MANY, Terms, resumed
from engine.reconcile.budgets import described, resumes_also
from engine.reconcile.generated import TO_KEEP
from engine.reconcile.removals import Held
from engine.reconcile.state import PackState, RuleState
from engine.reconcile.waits import Waits

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
SHOWN = 10
"""How many objects /packs names of those that wait for the same."""
CHANGE = 200
"""Characters of one change of a field in the log."""
_ANSWER = re.compile(r"\d{3} [A-Za-z]+(?=: )")
"""How an answer of the API server begins, as ApiError writes it: its status and its reason."""
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

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON data, without what went wrong: that may quote the object, so only the log and its Events say it."""
        last = max(filter(None, (self.fired, self.audited)), key=itemgetter(0), default=None)
        return {
            "lastFiring": _act_data(*last) if last else None,
            "lastError": _act_data(*self.failed) if self.failed else None,
        }


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
        started = self.clock.time() - self.clock.monotonic()
        for held in self.removals():
            flows = found.setdefault(held.pack, {})
            for flow in held.flows:
                flows[flow] = min(flows.get(flow, started + held.since), started + held.since)
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
        rule = self._rule(act.pack, act.rule)
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

    def counts(self, pack: str, rule: str) -> RuleCounts:
        """Return what a rule did since the process began, for the status of its pack."""
        activity = self.rules.get((pack, rule), RuleActivity())
        time, act = activity.fired or (None, None)
        ended, failure = activity.ended or (None, None)
        return RuleCounts(
            fired=activity.firings, failed=activity.failures,
            suspended=sorted(self.suspensions.get(pack, ())),
            last_firing="" if time is None else _timestamp(time), last_object=str(act.object) if act else "",
            last_failure="" if ended is None else _timestamp(ended), failure=_failure(failure) if failure else "",
        )  # fmt: skip

    def counts_of(
        self, pack: RulePack, waits: Waits, failing: Mapping[str, int], audited: Mapping[str, int]
    ) -> dict[str, RuleCounts]:
        """Return what each rule of a pack did, and what waits and is reported: how much, since when, and mostly for what.

        `failing` says for how many items rules fail now, `audited` for how many they would act.
        """
        reasons: dict[str, Counter[str]] = {}
        since: dict[str, float] = {}
        for _, wait in waits.overdue():
            if wait.pack == pack.identity:
                reasons.setdefault(wait.rule, Counter())[wait.obstacle.value] += wait.items
                since[wait.rule] = min(wait.since, since.get(wait.rule, wait.since))
        started = self.clock.time() - self.clock.monotonic()
        found = {
            rule.name: self.counts(pack.identity, rule.name)._replace(
                failing=failing.get(rule.name, 0), audited=audited.get(rule.name, 0)
            )
            for rule in pack.rules
        }
        for name in found.keys() & reasons.keys():
            ((most, _),) = reasons[name].most_common(1)
            found[name] = found[name]._replace(
                waiting=reasons[name].total(), waiting_since=_timestamp(started + since[name]), waiting_for=most
            )
        return found

    def standing(self, pack: RulePack, caches: PackCaches, resume: str) -> tuple[str, Sequence[str]]:
        """Return why a pack in force cannot work, in one word ('' where it can) and in sentences; `resume` has it go on."""
        if problems := caches.problems(pack.identity):
            return MISSING_RIGHT if caches.forbidden(pack.identity) else WAITING_FOR_KIND, problems
        if listing := caches.listing(pack):
            return LISTS, [f"{kind} is being listed" for kind in listing]
        why = self._why_suspended()
        if own := why.pop(pack.identity, None):
            others = [f"pack {name}: {each}" for name, reasons in sorted(why.items()) for each in reasons]
            keep = [TO_KEEP] if any(held.pack == pack.identity for held in self.removals()) else []
            return SUSPENDED, ["; ".join([*own, f"to go on: {resume}{resumes_also(others)}", *keep])]
        return "", ()

    def _why_suspended(self) -> dict[str, list[str]]:
        """By pack why something of it is suspended."""
        spent = self.spent.items()
        why = {pack: [f"the budget is spent for {', '.join(map(described, sorted(flows)))}"] for pack, flows in spent if flows}
        for held in self.removals():
            why.setdefault(held.pack, []).append(str(held))
        return why

    def overview(self, catalog: Catalog, caches: PackCaches, reports: Collection[Report], waits: Waits) -> dict[str, Any]:
        """Return the packs in force, how they fare, and what is wrong with others, as JSON data; of objects kinds and names."""
        waiting = self._waiting(waits)
        return {
            "packs": [self._pack(catalog, pack, caches, waiting.get(name, {})) for name, pack in sorted(catalog.packs.items())],
            "faults": [str(fault) for report in reports for fault in report.faults],
            "warnings": [str(warning) for report in reports for warning in report.warnings],
        }

    def known(self, key: ObjectKey, states: Iterable[PackState]) -> dict[str, Any]:
        """Return by pack what is remembered of an object: timers and waits by rule, and for whom its budget is spent."""
        started, known, flow = self.clock.time() - self.clock.monotonic(), dict[str, Any](), flow_of(key)
        for pack, flows in self.spent.items():
            if flow in flows or len(flows) >= MANY:
                known[pack] = {"suspended": described(flow), "rules": {}}
        for state in states:
            pack = known.setdefault(state.pack.identity, {"suspended": "", "rules": {}})
            for name, rule in state.rules.items():
                ended = self.rules.get((state.pack.identity, name), RuleActivity()).ended
                last = ended[1] if ended and _is_of(ended[1].object, key) and ended[0] >= started + (rule.fired_at or 0) else None
                pack["rules"][name] = _rule_data(rule, started) | ({"ended": last.result.value} if last else {})
        return known

    def _waiting(self, waits: Waits) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """Return what waits and is reported, by pack and rule: why, how many, since when, and the first few objects."""
        found: dict[tuple[str, str, str], list[tuple[float, int, str]]] = {}
        for key, wait in waits.overdue():
            found.setdefault((wait.pack, wait.rule, wait.obstacle.value), []).append((wait.since, wait.items, str(key)))
        started = self.clock.time() - self.clock.monotonic()
        waiting: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for (pack, rule, reason), each in sorted(found.items()):
            first = nsmallest(SHOWN, each)
            data = {"reason": reason, "items": sum(items for _, items, _ in each), "since": _timestamp(started + first[0][0])}
            waiting.setdefault(pack, {}).setdefault(rule, []).append({**data, "objects": [name for _, _, name in first]})
        return waiting

    def _pack(
        self, catalog: Catalog, pack: RulePack, caches: PackCaches, waits: Mapping[str, list[dict[str, Any]]]
    ) -> dict[str, Any]:
        # one that is Off has none of its own, but another pack may have one of the same selection
        informers, followed = ([], []) if catalog.mode(pack) is Mode.OFF else (caches.of(pack), caches.followed(pack))
        waiting = [] if catalog.mode(pack) is Mode.OFF else [str(kind) for kind, waits in caches.waiting(pack).items() if waits]
        suspended = self.suspensions.get(pack.identity, {})
        return {
            "name": pack.identity,
            "description": pack.description,
            "source": pack.source,
            "mode": catalog.mode(pack).value,
            "kind": ", ".join(map(str, pack.watches)),
            "waitingFor": ", ".join(waiting) or None,
            "objects": sum(len(informer.cache) for informer in informers),
            "suspended": len(self.spent.get(pack.identity, ())) >= MANY,
            "suspendedFor": {flow: _timestamp(since) for flow, since in sorted(suspended.items())},
            "leftOut": sorted({str(ref_of(obj)) for each in (*informers, *followed) for obj, _ in each.left_out.values()}),
            "watchErrors": sorted({informer.error for informer in informers if informer.state is State.FAILING}),
            "rules": [
                {"name": rule.name, "description": rule.description, "mode": catalog.mode(pack, rule).value}
                | self.rules.get((pack.identity, rule.name), RuleActivity()).as_data()
                | {"waiting": waits.get(rule.name, [])}
                for rule in pack.rules
            ],
        }

    def _rule(self, pack: str, rule: str) -> RuleActivity:
        return self.rules.get((pack, rule)) or self.rules.setdefault((pack, rule), RuleActivity())


def _rule_data(state: RuleState, started: float) -> dict[str, Any]:
    """Return timers and waits of a rule; `started` is what the monotonic clock counts from."""
    items = state.firing.items.values() if state.firing is not None else ()
    stalled = [(item.stall, item.retry_at) for item in items if item.ended is None and item.stall is not None]
    stalled += [(state.stall, state.stall.since)] if state.stall is not None else []
    waiting = [
        {"reason": reason, "items": len(each), "since": _timestamp(started + min(stall.since for stall, _ in each)),
         "retryAt": _timestamp(started + min(retry_at for _, retry_at in each))}
        for reason in dict.fromkeys(stall.obstacle.value for stall, _ in stalled)
        if (each := [(stall, retry_at) for stall, retry_at in stalled if stall.obstacle.value == reason])
    ]  # fmt: skip
    times = {"trueSince": state.true_since, "firedAt": state.fired_at}
    return {name: _timestamp(started + at) for name, at in times.items() if at is not None} | {"waiting": waiting}


def _is_of(ref: Ref, key: ObjectKey) -> bool:
    return (ref.kind, ref.namespace, ref.name) == (key.kind, key.namespace, key.name)


def _act_data(time: float, act: Act) -> dict[str, str]:
    return {"time": _timestamp(time), "object": str(act.object), "action": act.action, "outcome": act.result.value}


def _failure(act: Act) -> str:
    """Return which action failed for which object, and the API server's answer without its message, which may quote that."""
    answer = _ANSWER.match(act.detail)
    return f"{act.action} for {act.object}: {answer[0] if answer else act.result.value}; its Events and the log say why"


def _timestamp(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def description(step: Step) -> str:
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
