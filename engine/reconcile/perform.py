"""Carrying out one loop item of a firing: for each action in turn read, plan, act; then retry, rescue or done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, assert_never

from engine.actions import Action, Cause
from engine.actions.event import Content, event
from engine.cel import Scope
from engine.errors import ApiError, EvaluationError
from engine.kube.access import AccessReviews
from engine.kube.act import Actor, Written
from engine.model.backoff import Backoff
from engine.model.diff import diff
from engine.model.flags import Mode
from engine.model.merge import changes
from engine.model.names import digest
from engine.model.objects import Object
from engine.model.observe import Act, ActResult, Observer
from engine.model.outcome import DONE, Done, Failed, Outcome, Refused, Skipped, Unavailable, Waiting
from engine.model.plan import Annotate, Create, Delete, Measure, Patch, Plan, Read, Step, own_patch
from engine.packs.pack import Retry, Rule, RuleAction, RulePack
from engine.reconcile.budgets import Budgets, disruptive
from engine.reconcile.permissions import limited, refused_step
from engine.reconcile.reader import Reader
from engine.reconcile.state import ActionProgress, ItemProgress

CONFLICT_TRIES = 3
EVICTION_WAIT = 5.0
"""Seconds until an eviction is tried again that a PodDisruptionBudget does not allow now."""
OUTAGE = (0, 401)
"""No answer, or none to these credentials: nothing can be done or reported until that ends, so it is no attempt."""
OUTAGE_WAIT = 3.0
READING = frozenset({"get", "list"})
"""What an action is permitted for each object that it reads, by how it reads it."""
CONFIRMATIONS = 2
"""How often a 403 has to be repeated: an API server that has just started refuses what it allows once it knows the roles."""


class ItemRun(NamedTuple):
    """One run of one loop item: where it belongs, what its expressions see, and how far it has come."""

    pack: RulePack
    rule: Rule
    cause: Cause
    scope: Scope
    progress: ItemProgress
    mode: Mode

    @property
    def budgeted(self) -> bool:
        """Whether its steps count towards the pack's budget: those of a group do not, one for all of the group's objects."""
        return self.mode is Mode.ENFORCE and self.rule.aggregate is None


class Performer:
    """Carries out items. Whatever a cluster, a target or an expression answers becomes an outcome, never an exception."""

    def __init__(self, actor: Actor, reader: Reader, access: AccessReviews, observer: Observer, budgets: Budgets) -> None:
        self._actor, self._reader, self._access, self._observer = actor, reader, access, observer
        self.budgets = budgets

    async def run(self, run: ItemRun) -> Outcome:
        """Carry out an item as far as it goes now.

        Return Done or Failed where it has ended, else Waiting or Unavailable. Raises NotLeading where the Lease is lost.
        """
        progress = run.progress
        if run.budgeted:
            admitted = await self.budgets.begin(run.cause, run.scope)
            if not isinstance(admitted, Done):
                return bounded(run, admitted)
        if not progress.error:
            outcome = bounded(run, await self._all(run, run.rule.actions, 0))
            if not isinstance(outcome, Failed):
                return outcome
            progress.error, progress.attempts = outcome.reason, 0
        rescued = run._replace(scope=run.scope.child(error=progress.error))
        outcome = bounded(rescued, await self._rescue(rescued), rescuing=True)
        return Failed(progress.error) if isinstance(outcome, Done) else outcome

    async def _rescue(self, run: ItemRun) -> Outcome:
        """The actions of `rescue`, or an Event where the rule has none."""
        if run.rule.rescue:
            return await self._all(run, run.rule.rescue, len(run.rule.actions))
        message = f"Rule {run.pack.identity}/{run.rule.name} failed: {run.progress.error}"
        step = event(run.cause, run.cause.object, Content("Warning", "RuleFailed", message, {}), run.scope.value("now"))
        try:
            return await self._step(run, "emitEvent", step)
        except ApiError as error:
            return self._report_outcome(run, "emitEvent", self._outcome_of(run, error))

    async def _all(self, run: ItemRun, entries: Sequence[RuleAction], offset: int) -> Outcome:
        """All actions in turn; one that is done in an earlier run is not done again."""
        results: dict[str, Any] = {}
        for number, entry in enumerate(entries, start=offset):
            scope = run.scope.child(results=dict(results)) if results else run.scope
            progress = run.progress.actions.setdefault(number, ActionProgress())
            if progress.done is None:
                if self._reader.time_slice.over():
                    await self._reader.time_slice.next()
                try:
                    if entry.when is not None and not entry.when.condition(scope):
                        continue
                except EvaluationError as error:
                    return Failed(f"when of {entry.action.name} has no answer: {error}")
                outcome = await self._action(run, entry.action, scope, progress)
                if not isinstance(outcome, Done):
                    return outcome
                progress.done = outcome
            if entry.register:
                results[entry.register] = progress.done.result
        return DONE

    async def _action(self, run: ItemRun, action: Action, scope: Scope, progress: ActionProgress) -> Outcome:
        """One action: read, plan, act. A conflict means that what was read has changed, so it is read again at once."""
        for tries_left in reversed(range(CONFLICT_TRIES)):
            try:
                plan = await self._plan(run, action, scope, progress)
                outcome = plan.outcome
                for step in plan.steps:
                    taken = await self._step(run, action.name, step)
                    if not isinstance(taken, Done):
                        return self._report_outcome(run, action.name, taken)
                    progress.steps += 1
                if not isinstance(outcome, Done) or not plan.steps:
                    self._report_outcome(run, action.name, outcome)
                return outcome
            except EvaluationError as error:
                return self._report_outcome(run, action.name, Failed(str(error)))
            except ApiError as error:
                if error.status != 409 or action.conflict_is_final or not tries_left:
                    return self._report_outcome(run, action.name, self._outcome_of(run, error, action))
        raise AssertionError("the last try returns")

    async def _plan(self, run: ItemRun, action: Action, scope: Scope, progress: ActionProgress) -> Plan:
        """What an action wants, given what it reads; with an outcome that is Refused and no steps where it may not."""
        time_slice = self._reader.time_slice
        live: dict[Read, Sequence[Object]] = {}
        if time_slice.over():
            await time_slice.next()
        for read in action.reads(scope, live):
            verbs = {need.verb for need in action.needs() if need.kind in (None, read.ref.kind)} - READING
            found = await self._reader.read(run.pack, read, verbs, scope)
            if isinstance(found, Refused):
                return Plan(outcome=found)
            live[read] = found.result
        if live and time_slice.over():
            await time_slice.next()
        since = run.progress.waiting_since
        cause = run.cause if since is None else run.cause._replace(waited=scope.now - since)
        with scope.budget:
            plan = action.plan(cause, scope, live, progress.state)
        progress.state = plan.state
        for step in plan.steps:
            if refusal := refused_step(run.pack, step):
                return Plan(outcome=refusal)
        return limited(plan, run.rule.limits, progress.steps)

    async def _step(self, run: ItemRun, action: str, step: Step) -> Outcome:
        """Take one step, or ask what it would do in Audit. Raises ApiError."""
        audit = run.mode is not Mode.ENFORCE
        result = ActResult.AUDITED if audit else ActResult.DONE
        if isinstance(step, Measure):
            if not audit:
                self._observer.measured(run.cause.ref, run.pack.metrics[step.metric].name, step.labels, step.value)
            return self._report(run, action, step, result)
        if isinstance(step, Annotate):
            own = own_patch(run.cause.object, step)
            changing = changes(run.cause.object, own.body)
            if not audit:
                run.progress.own.append(step)
            if not (audit and changing):
                return self._report(run, action, step, ActResult.DONE if changing else ActResult.UNCHANGED)
            step = own
        if run.budgeted and disruptive(step):
            admitted = await self.budgets.take(run.cause, run.scope)
            if not isinstance(admitted, Done):
                return admitted
        try:
            written = await self._written(run, step)
        except ApiError as error:
            if error.status == 429 and isinstance(step, Delete) and step.evict:  # a PodDisruptionBudget
                return Waiting(error.message, run.scope.now + EVICTION_WAIT)
            raise
        run.progress.steps += 1
        lines = diff(step.before or {}, written.after) if isinstance(step, Patch) else ()
        return self._report(run, action, step, result if audit or written.changed else ActResult.UNCHANGED, lines)

    async def _written(self, run: ItemRun, step: Patch | Delete | Create) -> Written:
        """Write; what was taken from the budget is given back where nothing was done. Raises ApiError."""
        counted = run.budgeted and disruptive(step)
        try:
            written = await self._actor.perform(step, dry_run=run.mode is not Mode.ENFORCE)
        except ApiError as error:
            if counted and error.refused:
                self.budgets.give_back(run.cause)
            raise
        if counted and not written.changed:
            self.budgets.give_back(run.cause)
        return written

    def _outcome_of(self, run: ItemRun, error: ApiError, action: Action | None = None) -> Outcome:
        """What an error of the API server means for an item."""
        if error.status == 403:
            self._access.forget(run.cause.ref.namespace)
            run.progress.denials += 1
        denied = error.status == 403 and run.progress.denials <= CONFIRMATIONS
        if denied or error.status in OUTAGE:
            return Unavailable(str(error), run.scope.now + OUTAGE_WAIT)
        if not error.retryable or (error.status == 409 and action is not None and action.conflict_is_final):
            return Failed(str(error))
        pause = max(backoff(run.rule.retry, run.cause, run.progress.attempts), error.retry_after or 0.0)
        return Unavailable(str(error), run.scope.now + pause, counts=True)

    def _report_outcome(self, run: ItemRun, action: str, outcome: Outcome) -> Outcome:
        """Tell the observer about an action that comes to no step; return its outcome."""
        match outcome:
            case Done():
                self._report(run, action, None, ActResult.UNCHANGED)
            case Unavailable(reason, _, counts=True):
                self._report(run, action, None, ActResult.RETRYING, detail=reason)
            case Waiting(counts=False):
                pass  # the budget reports itself
            case Waiting(reason) | Unavailable(reason):
                self._report(run, action, None, ActResult.WAITING, detail=reason)
            case Refused(reason):
                self._report(run, action, None, ActResult.REFUSED, detail=reason)
            case Failed(reason) | Skipped(reason):
                self._report(run, action, None, ActResult.FAILED, detail=reason)
            case _:
                assert_never(outcome)
        return outcome

    def _report(
        self, run: ItemRun, action: str, step: Step | None, result: ActResult, lines: tuple[str, ...] = (), detail: str = ""
    ) -> Done:
        cause = run.cause
        act = Act(cause.pack, cause.rule, cause.ref, cause.key, cause.item, action, step, result, detail, lines, run.mode)
        self._observer.acted(act)
        return DONE


def bounded(run: ItemRun, outcome: Outcome, *, rescuing: bool = False) -> Outcome:
    """Return what an outcome means under the rule's `retry`: Failed where there were enough attempts or it waited too long.

    Keep count of both in the item's progress. A `rescue` may wait for ever, and is not tried again in Audit.
    """
    if isinstance(outcome, Done):
        return outcome
    retry, progress, now = run.rule.retry, run.progress, run.scope.now
    match outcome:
        case Waiting(counts=False):
            progress.waiting_since = None
        case Unavailable(counts=True):
            if progress.attempts >= retry.limit or (run.mode is not Mode.ENFORCE and not rescuing):
                return Failed(outcome.reason)
            progress.attempts += 1
        case Waiting() | Unavailable():
            since = progress.waiting_since = now if progress.waiting_since is None else progress.waiting_since
            progress.waiting_for = outcome.reason
            if retry.timeout is not None and now - since >= retry.timeout and not rescuing:
                return Failed(f"timed out waiting: {outcome.reason}")
        case Skipped() | Refused() | Failed():
            return Failed(outcome.reason)
        case _:
            assert_never(outcome)
    progress.retry_at = outcome.retry_at
    return outcome


def backoff(retry: Retry, cause: Cause, attempts: int) -> float:
    """Return seconds: doubling, with a jitter of up to a quarter that comes from the cause, so that a replay waits the same."""
    spread = int(digest(cause.ref.uid, cause.rule, cause.item, str(attempts))[:4], 16) / 0xFFFF
    return Backoff(retry.backoff, retry.max_backoff).pause(attempts + 1, spread / 4)
