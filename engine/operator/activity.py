"""What the engine does, as log lines, and what it did last, for /packs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.kube.clock import Clock
from engine.model.objects import Ref
from engine.model.observe import Act, ActResult, Evaluated
from engine.model.plan import Annotate, Create, Delete, Measure, Patch, Step
from engine.packs.pack import DISRUPTIONS

log = logging.getLogger(__name__)

_LEVELS = {
    ActResult.DONE: logging.INFO,
    ActResult.AUDITED: logging.INFO,
    ActResult.UNCHANGED: logging.DEBUG,
    ActResult.WAITING: logging.DEBUG,
    ActResult.RETRYING: logging.WARNING,
    ActResult.FAILED: logging.WARNING,
    ActResult.REFUSED: logging.WARNING,
}
_FAULTS = (ActResult.RETRYING, ActResult.FAILED, ActResult.REFUSED)


@dataclass(slots=True)
class RuleActivity:
    """What a rule did last, with the clock's time; None where it has not yet."""

    fired: tuple[float, Act] | None = None
    failed: tuple[float, Act] | None = None
    suspended: float | None = None

    @property
    def last_firing(self) -> dict[str, str] | None:
        """As JSON data."""
        return _told(*self.fired) if self.fired else None

    @property
    def last_error(self) -> dict[str, str] | None:
        """As JSON data; what went wrong may quote the object, so that only the log and the object's Events say it."""
        return _told(*self.failed) if self.failed else None

    @property
    def suspended_since(self) -> str | None:
        """As JSON data."""
        return None if self.suspended is None else _stamp(self.suspended)


@dataclass(slots=True)
class Activity:
    """An observer (engine.model.observe.Observer) that logs and remembers; never what an object contains, only names."""

    clock: Clock
    rules: dict[tuple[str, str], RuleActivity] = field(default_factory=dict)
    """By pack and rule."""

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Nothing to add: the reconciler logs an Unknown, once for each object and reason."""

    def acted(self, act: Act) -> None:
        """Log it, and remember it as the rule's last firing or last error."""
        level = (
            logging.DEBUG if act.result is ActResult.DONE and isinstance(act.step, Annotate | Measure) else _LEVELS[act.result]
        )
        if log.isEnabledFor(level):
            doing = f"{act.action}: {_described(act.step)}" if act.step else act.action
            detail = f": {act.detail}" if act.detail else ""
            log.log(level, "%s/%s: %s: %s: %s%s", act.pack, act.rule, act.object, doing, act.result.value, detail)
        if act.result is ActResult.AUDITED:
            for line in act.diff:
                log.info("%s/%s: %s: would change %s", act.pack, act.rule, act.object, line)
        rule = self._rule(act.pack, act.rule)
        if act.result in _FAULTS:
            rule.failed = (self.clock.time(), act)
        elif act.result is not ActResult.WAITING:
            rule.fired = (self.clock.time(), act)

    def measured(self, metric: str, labels: object, value: float) -> None:
        """Nothing to add: the metric itself says it."""

    def suspended(self, pack: str, rule: str, obj: Ref) -> None:
        """Log it, and remember since when."""
        log.error("%s/%s is suspended from %s on, since its pack has spent its budget (%s)", pack, rule, obj, DISRUPTIONS)
        self._rule(pack, rule).suspended = self.clock.time()

    def resumed(self, pack: str) -> None:
        """Whatever was suspended of a pack goes on."""
        for (name, rule), activity in self.rules.items():
            if name == pack and activity.suspended is not None:
                log.info("%s/%s goes on", pack, rule)
                activity.suspended = None

    def _rule(self, pack: str, rule: str) -> RuleActivity:
        return self.rules.get((pack, rule)) or self.rules.setdefault((pack, rule), RuleActivity())


def _told(time: float, act: Act) -> dict[str, str]:
    return {"time": _stamp(time), "object": str(act.object), "action": act.action, "outcome": act.result.value}


def _stamp(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _described(step: Step) -> str:
    match step:
        case Patch(target=target):
            return f"patch {target}"
        case Delete(target=target, evict=evict):
            return f"{'evict' if evict else 'delete'} {target}"
        case Create(target=target):
            return f"create {target}"
        case Measure(metric=metric):
            return f"measure {metric}"
        case Annotate():
            return "its own metadata"
