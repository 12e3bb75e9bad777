"""Carrying out one loop item of a firing: for each action in turn read, plan, act; then retry, rescue or done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, assert_never

from engine.actions.event import Content, event
from engine.cel import Scope
from engine.errors import ApiError, EvaluationError
from engine.kube.act import Actor, Written
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.merge import changes, merged
from engine.model.objects import Object, ref_of, version_of
from engine.model.observe import Act, ActResult, Observer
from engine.model.outcome import DONE, Done, Failed, Obstacle, Outcome, Refused, Skipped, Unavailable, Waiting
from engine.model.plan import Annotate, Create, Delete, Measure, Patch, Plan, Read, Step, own_patch
from engine.model.send import Assumed, Send
from engine.model.text import Quoting, after
from engine.packs.rule import RuleAction
from engine.reconcile.answers import explained, obstacle_of, stale
from engine.reconcile.budgets import Budgets, disruptive
from engine.reconcile.events import Events
from engine.reconcile.fights import Fights
from engine.reconcile.hidden import outcome_without_secrets
from engine.reconcile.item import LONGEST, RULE_FAILED, ItemRun, bounded, by_answer, changed, passed_over
from engine.reconcile.own import carrying, note_written, write_before
from engine.reconcile.permissions import limited, refused_step
from engine.reconcile.reader import Reader
from engine.reconcile.requests import Requests
from engine.reconcile.rights import Wanted, explained_with, verbs_on, wanted
from engine.reconcile.state import ActionProgress, Own

CONFLICT_TRIES = 3
REFS = 20
"""How many objects that an action has read are kept one by one."""
EVICTION_WAIT = 5.0
"""Seconds until an eviction is tried again that a PodDisruptionBudget does not allow now."""


class Performer:
    """Carries out items. Whatever a cluster, a target or an expression answers becomes an outcome, never an exception."""

    def __init__(
        self, actor: Actor, reader: Reader, events: Events, requests: Requests, observer: Observer, budgets: Budgets, clock: Clock
    ) -> None:
        self._actor, self._reader, self._events, self._requests, self._observer = actor, reader, events, requests, observer
        self.budgets, self.fights = budgets, Fights(actor, events, observer, clock)

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
            progress.error, progress.attempts = str(outcome.reason), 0  # an expression reads it
        rescued = run._replace(scope=run.scope.child(error=progress.error))
        outcome = bounded(rescued, await self._rescue(rescued), rescuing=True)
        return Failed(progress.error) if isinstance(outcome, Done) else outcome

    async def _rescue(self, run: ItemRun) -> Outcome:
        """The actions of `rescue`, or an Event where the rule has none."""
        if run.rule.rescue:
            return await self._all(run, run.rule.rescue, len(run.rule.actions))
        message = f"Rule {run.pack.identity}/{run.rule.name} failed: {run.progress.error}"
        step = event(run.cause, run.cause.object, Content("Warning", RULE_FAILED, message, {}), run.scope.value("now"))
        return await self._step(run, "emitEvent", step)

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
                    outcome = await self._action(run, entries[number - offset :], scope, progress)
                except EvaluationError as error:
                    outcome = self._no_answer(run, entry, scope, after(f"when of {entry.action.name} has no answer", error))
                if not isinstance(outcome, Done):
                    if not (entry.action.notifies and passed_over(run, outcome)):
                        return outcome
                    outcome = DONE
                progress.done, run.progress.attempts = outcome, 0
            if entry.register:
                results[entry.register] = progress.done.result
        return DONE

    async def _action(self, run: ItemRun, entries: Sequence[RuleAction], scope: Scope, progress: ActionProgress) -> Outcome:
        """The first of these: read, plan, act. A conflict means that what was read has changed, so it is read again at once."""
        action, run = entries[0].action, run._replace(action=progress)
        for tries_left in reversed(range(CONFLICT_TRIES)):
            try:
                plan = await self._plan(run, entries, scope, progress)
                if await write_before(run, plan.steps, self._actor, self._reader):
                    plan = await self._plan(run, entries, scope, progress)  # as it is now
                outcome = plan.outcome
                for step in plan.steps:
                    taken = await self._step(run, action.name, step)
                    if not isinstance(taken, Done):
                        return self._report_outcome(run, action.name, taken)
                    outcome = taken if taken.result is not None else outcome
                    progress.steps += 1
                if isinstance(outcome, Done) and not plan.steps:
                    self._observer.acted(_act(run, action.name, None, ActResult.UNCHANGED)._replace(read=progress.read))
                return self._report_outcome(run, action.name, outcome)
            except EvaluationError as error:
                return self._no_answer(run, entries[0], scope, Quoting(str(error), "an expression has no answer"))
            except ApiError as error:
                if not stale(error) or not tries_left:
                    return self._report_outcome(run, action.name, await self._outcome_of(run, error, wanted(entries, scope)))
        raise AssertionError("the last try returns")

    async def _plan(self, run: ItemRun, entries: Sequence[RuleAction], scope: Scope, progress: ActionProgress) -> Plan:
        """What the first action wants, given what it reads; with an outcome that is Refused and no steps where it may not."""
        action, time_slice = entries[0].action, self._reader.time_slice
        live: dict[Read, Sequence[Object]] = {}
        if time_slice.over():
            await time_slice.next()
        progress.asked = ()
        for read in action.reads(scope, live):
            progress.asked += (read.ref,)
            found = await self._reader.read(run.pack, read, verbs_on(action, read), scope, run.dependent)
            if isinstance(found, Refused):
                return Plan(outcome=Refused(await self._reader.refusal(run.pack, found, wanted(entries, scope), scope)))
            if not isinstance(found, Done):
                return Plan(outcome=found)
            live[read] = found.result
        progress.read = tuple(ref_of(obj) for found in live.values() for obj in found)
        few = progress.read if len(progress.read) <= REFS else {ref._replace(name="", uid="") for ref in progress.read}
        progress.asked = (*(read.ref for read in live if read.ref.name), *few)
        if live and time_slice.over():
            await time_slice.next()
        with scope.budget:
            plan = action.plan(run.cause._replace(waited=run.waited, hides=run.hides), scope, live, progress.state)
        progress.state = plan.state
        for step in plan.steps:
            if refusal := refused_step(run.pack, step):
                return Plan(outcome=refusal)
        return limited(plan, run.rule.limits, progress.steps)

    async def _step(self, run: ItemRun, action: str, step: Step) -> Outcome:
        """Take one step, or ask what it would do in Audit. Raises ApiError."""
        audit = run.mode is not Mode.ENFORCE
        if isinstance(step, Measure):
            return self._measure(run, action, step)
        if isinstance(step, Create):
            return await self._emit(run, action, step)
        if isinstance(step, Send):
            return await self._send(run, action, step)
        if isinstance(step, Annotate):
            own = own_patch(run.cause.object, step)
            changing = changes(run.cause.object, own.body)
            if changing and (contested := await self.fights.contested(run, own)):
                return contested
            if not audit:
                lines = changed(run, own, merged(run.cause.object, own.body)) if changing else ()
                done = _act(run, action, step, ActResult.DONE, lines) if changing else None
                run.progress.own.append(Own(run.rule.name, step, run.cause, own if changing else None, done))
            if not changing:
                return self._report(run, action, step, ActResult.UNCHANGED)
            if not audit:  # the observer is notified once it is written, by the recorder
                return DONE
            step = own
        elif isinstance(step, Patch) and (contested := await self.fights.contested(run, step)):
            return contested
        return await self._perform(run, action, step)

    async def _perform(self, run: ItemRun, action: str, step: Patch | Delete) -> Outcome:
        """Take one step on an object, or ask what it would do in Audit, within the budget. Raises ApiError."""
        audit = run.mode is not Mode.ENFORCE
        if run.budgeted and disruptive(step):
            admitted = await self.budgets.take(run.cause, run.scope)
            if not isinstance(admitted, Done):
                return admitted
        sent = carrying(run, step)
        try:
            written = await self._written(run, sent)
        except ApiError as error:
            if error.status == 429 and isinstance(step, Delete) and step.evict:  # a PodDisruptionBudget
                return Waiting(error.message, run.scope.now + EVICTION_WAIT, Obstacle.DISRUPTION_BUDGET)
            raise
        run.progress.steps += 1
        if sent is not step:
            note_written(run)
        if not audit:
            self._reader.wrote(step, written.after)
        if isinstance(step, Patch) and not audit and version_of(written.after) != version_of(step.before):
            self.fights.wrote(run.cause, step)
        lines = changed(run, sent, written.after or {}) if isinstance(sent, Patch) else ()
        result = ActResult.AUDITED if audit else ActResult.DONE if written.changed else ActResult.UNCHANGED
        return self._report(run, action, step, result, lines)

    async def _written(self, run: ItemRun, step: Patch | Delete) -> Written:
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

    async def _emit(self, run: ItemRun, action: str, step: Create) -> Done:
        """Emit an Event, or ask what that would do in Audit. One that is refused is in nobody's way."""
        if run.mode is Mode.ENFORCE:
            result, why = await self._events.emit(run.key, step._replace(hides=run.hides))
            return self._report(run, action, step, result, detail=why)
        try:
            await self._actor.perform(step, dry_run=True)
        except ApiError as error:
            return self._report(run, action, step, ActResult.RETRYING, detail=explained(error))
        return self._report(run, action, step, ActResult.AUDITED)

    def _measure(self, run: ItemRun, action: str, step: Measure) -> Done:
        """Make a measurement; none in Audit."""
        if run.mode is not Mode.ENFORCE:
            return self._report(run, action, step, ActResult.AUDITED)
        self._observer.measured(run.cause.ref, run.pack.metrics[step.metric].name, step.labels, step.value)
        return self._report(run, action, step, ActResult.DONE)

    async def _send(self, run: ItemRun, action: str, step: Send) -> Outcome:
        """Send a request, and return Done with the answer; in Audit say what would be sent, and why it would be refused."""
        if run.mode is not Mode.ENFORCE:
            return self._report(run, action, step, ActResult.AUDITED, step.lines, self._requests.refusal(step))
        outcome = await self._requests.send(run.pack, step, run.scope.now)
        if isinstance(outcome, Done):
            self._report(run, action, step, ActResult.DONE, step.lines)
        return outcome

    async def _outcome_of(self, run: ItemRun, error: ApiError, needed: Iterable[Wanted]) -> Outcome:
        """What an error of the API server means for an item that needs these rights."""
        if error.status == 403:
            self._reader.access.forget(run.cause.ref.namespace)
        obstacle = obstacle_of(error)
        if obstacle is None:
            return Failed(explained(error))
        if obstacle is Obstacle.TARGET_MISSING:
            return Waiting(explained(error), run.scope.now, obstacle)
        why = await explained_with(error, needed, self._actor)
        return Unavailable(why, run.scope.now + min(error.retry_after or 0.0, LONGEST), obstacle)

    def _no_answer(self, run: ItemRun, entry: RuleAction, scope: Scope, why: str) -> Outcome:
        """What it means that an expression of an action has no answer; it is no failure where Audit lacks one to go by."""
        if not by_answer(entry, scope):
            return self._report_outcome(run, entry.action.name, Failed(why))
        detail = after("it goes by an answer that Audit does not have", why)
        self._report(run, entry.action.name, None, ActResult.AUDITED, detail=detail)
        return Done(Assumed())

    def _report_outcome(self, run: ItemRun, action: str, outcome: Outcome) -> Outcome:
        """Notify the observer of an action that comes to no step; return its outcome, without what may quote a Secret."""
        outcome = outcome_without_secrets(run.hides, outcome)
        match outcome:
            case Done():
                pass  # its steps are reported, or that there was none
            case Unavailable(reason):
                self._report(run, action, None, ActResult.RETRYING, detail=reason)
            case Waiting(obstacle=Obstacle.PACK_BUDGET | Obstacle.SUSPENDED | Obstacle.CONTESTED):
                pass  # these report themselves
            case Waiting(reason):
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
        self._observer.acted(_act(run, action, step, result, lines, detail))
        run.progress.audited |= result is ActResult.AUDITED
        return DONE


def _act(run: ItemRun, action: str, step: Step | None, result: ActResult, lines: tuple[str, ...] = (), detail: str = "") -> Act:
    cause = run.cause
    seen = run.progress.seen
    about = cause.pack, cause.rule, cause.ref, cause.key, cause.item
    return Act(*about, action, step, result, detail, lines, run.mode, seen=seen, hides=run.hides)
