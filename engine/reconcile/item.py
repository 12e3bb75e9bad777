"""One run of one loop item of a firing, and what an outcome means for it: wait, try again, or give up."""

from __future__ import annotations

from typing import NamedTuple, assert_never

from engine.actions import Cause
from engine.cel import Program, Scope
from engine.cel.uses import used_names
from engine.errors import ApiError
from engine.model.backoff import Backoff
from engine.model.diff import diff
from engine.model.flags import Mode
from engine.model.names import digest
from engine.model.objects import SECRET, GroupKey, Object, ObjectKey, metadata
from engine.model.outcome import Done, Failed, Obstacle, Outcome, Refused, Skipped, Unavailable, Waiting
from engine.model.plan import Patch
from engine.model.send import Assumed
from engine.packs.pack import RulePack
from engine.packs.parts import instances
from engine.packs.rule import Retry, Rule, RuleAction
from engine.reconcile.answers import explained, obstacle_of
from engine.reconcile.related import dependent_of
from engine.reconcile.state import ActionProgress, ItemProgress, Stall

GRACE = 30.0
"""Seconds that a target may be missing: one that is replaced, or made at the same time, is not there for a moment."""
LONGEST = 300.0
"""Seconds that no pause exceeds, unless the rule's `retry` says so itself."""
READ_WAIT = 7.0
"""Seconds until something is read again that a rule has to know before it can fire; later half of how long it has waited."""
PATIENCE = 10.0
"""Seconds between two reads of a target that has not been ready for a minute; at first they follow each other sooner."""
RULE_FAILED = "RuleFailed"
"""The reason of the Event about a failure, where the rule has no `rescue`."""


class ItemRun(NamedTuple):
    """One run of one loop item: where it belongs, what its expressions see, and how far it has come."""

    key: ObjectKey | GroupKey
    pack: RulePack
    rule: Rule
    cause: Cause
    scope: Scope
    progress: ItemProgress
    mode: Mode
    action: ActionProgress | None = None
    """That of the action which is taken now."""

    @property
    def budgeted(self) -> bool:
        """Whether its steps count towards the pack's budget: those of a group do not, one for all of the group's objects."""
        return self.mode is Mode.ENFORCE and self.rule.aggregate is None

    @property
    def hides(self) -> bool:
        """Whether texts about it may quote a Secret: its rule reads them, or an action on a computed kind has read one."""
        return self.cause.hides or SECRET.kind in [ref.kind.kind for ref in self.progress.seen]

    @property
    def dependent(self) -> ObjectKey | GroupKey | None:
        """What depends on what its actions look up."""
        return dependent_of(self.rule, self.key)

    @property
    def waited(self) -> float:
        """For how many seconds it has waited by now, for whatever it was."""
        return 0.0 if self.progress.stall is None else self.scope.now - self.progress.stall.since


def bounded(run: ItemRun, outcome: Outcome, *, rescuing: bool = False) -> Outcome:
    """Return what an outcome means under the rule's `retry`: Failed where there were enough attempts or it waited too long.

    Keep count of both in the item's progress: `limit` is for what stands in the way, `timeout` for a target that is not ready.
    A `rescue` is tried without end: it is what notifies people of an outage, so it must not be lost to the same one.
    """
    retry, progress, now = run.rule.retry, run.progress, run.scope.now
    match outcome:
        case Done():
            return outcome
        case Skipped() | Refused() | Failed():
            return Failed(outcome.reason)
        case Waiting() | Unavailable():
            stall = progress.stall = Stall.after(progress.stall, outcome, now)
        case _:
            assert_never(outcome)
    if stall.obstacle is Obstacle.TARGET_MISSING and now - stall.obstacle_since >= GRACE:
        return Failed(outcome.reason)
    if isinstance(outcome, Unavailable):
        if not rescuing and retry.limit is not None and progress.attempts >= retry.limit:
            return Failed(outcome.reason)
        pause = backoff(retry, run.cause, progress.attempts)
        progress.attempts += 1
    else:
        budget = stall.obstacle in (Obstacle.PACK_BUDGET, Obstacle.SUSPENDED)
        if not (rescuing or budget) and retry.timeout is not None and stall.waited >= retry.timeout:
            return Failed(f"timed out waiting: {outcome.reason}")
        pause = min(run.waited / 6, PATIENCE)
    progress.retry_at = max(outcome.retry_at, now + pause)
    if isinstance(outcome, Waiting):
        progress.retry_at = min(progress.retry_at, outcome.latest)
    return outcome


def passed_over(run: ItemRun, outcome: Outcome) -> bool:
    """Return whether an action that only notifies, and could not read what about, is left out: at once, or after a while."""
    return isinstance(outcome, Refused) or (isinstance(outcome, Waiting | Unavailable) and run.waited >= GRACE)


def by_answer(entry: RuleAction, scope: Scope) -> bool:
    """Return whether an action goes by the answer of a request that is not sent in Audit: nobody knows then what it would do."""
    results = scope.values.get("results") or {}
    assumed = {name for name, result in results.items() if isinstance(result, Assumed)}
    return bool(assumed.intersection(used_names(instances(entry, Program), "results")))


def changed(run: ItemRun, step: Patch, after: Object) -> tuple[str, ...]:
    """Return what a patch changed; of the watched object its annotations and labels, as what is cached lacks other fields."""
    before = step.before or {}
    if before is run.cause.object:
        before, after = (
            {"kind": step.target.kind.kind, "metadata": {name: metadata(obj).get(name) for name in ("annotations", "labels")}}
            for obj in (before, after)
        )
    return diff(before, after)


def backoff(retry: Retry, cause: Cause, attempts: int) -> float:
    """Return seconds: doubling, with a jitter of up to a quarter that comes from the cause, so that a replay waits the same."""
    spread = int(digest(cause.ref.uid, cause.rule, cause.item, str(attempts))[:4], 16) / 0xFFFF
    return Backoff(retry.backoff, retry.max_backoff).pause(attempts + 1, spread / 4)


def unread(before: Stall | None, error: ApiError, now: float, name: str, why: str = "") -> tuple[Unavailable, Stall]:
    """Return when to read again what a rule has to know before it can fire, and that it waits for that; the pauses grow.

    `name` is what the jitter comes from, `why` what the error means for people, where more of that is known. An answer that is
    final is asked for again too: nothing can be said without one.
    """
    outcome = Unavailable(why or explained(error), now, obstacle_of(error) or Obstacle.SERVER_ERROR)
    stall = Stall.after(before, outcome, now)
    spread = int(digest(name, str(now - stall.since))[:4], 16) / 0xFFFF
    pause = min(max(READ_WAIT, (now - stall.since) / 2, error.retry_after or 0.0), LONGEST) * (1 - spread / 4)
    return outcome._replace(retry_at=now + pause), stall
