"""Carrying out one loop item of a firing: for each action in turn read, plan, act; then retry, rescue or done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from engine.actions import Action, Cause
from engine.actions.event import Content, event
from engine.cel import Scope
from engine.errors import ApiError, Refused, Unanswered
from engine.kube.access import AccessReviews
from engine.kube.act import Actor, Blocked
from engine.model.diff import diff
from engine.model.flags import Mode
from engine.model.merge import changes
from engine.model.objects import Object
from engine.model.observe import Act, Observer, Outcome
from engine.model.plan import Annotate, Decision, Measure, Patch, Read, Step, own_patch
from engine.packs.pack import Rule, RuleAction, RulePack
from engine.reconcile.brake import PAUSE, Brake, HeldBack
from engine.reconcile.budget import disruptive
from engine.reconcile.limits import backoff, limited, timed_out
from engine.reconcile.memory import ItemMemory
from engine.reconcile.permit import refused_step
from engine.reconcile.reading import Reader
from engine.reconcile.record import State

CONFLICT_TRIES = 3
BLOCKED_WAIT = 5.0
OUTAGE = (0, 401)
"""No answer, or none to these credentials: nothing can be done or told until that ends, so it is no failure of the rule."""
OUTAGE_WAIT = 3.0
CONFIRMATIONS = 2
EXPECTED = (Refused, ApiError, Blocked, Unanswered)
"""What can be wrong with an action without anything being wrong with the engine."""


class _Failed(Exception):
    """The item failed: why, whether trying again may help, and how long the server asked to wait."""

    def __init__(self, why: str, retryable: bool = False, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.why, self.retryable, self.retry_after = why, retryable, retry_after


class _Waiting(Exception):
    """The item is not finished, and nothing is wrong: look again in so many seconds."""

    def __init__(self, why: str, seconds: float) -> None:
        super().__init__(why)
        self.why, self.seconds = why, seconds


class Item(NamedTuple):
    """One run of one loop item: where it belongs, what its expressions see, and what is remembered of it."""

    pack: RulePack
    rule: Rule
    cause: Cause
    scope: Scope
    memory: ItemMemory
    mode: Mode

    @property
    def counts(self) -> bool:
        """Whether its steps count towards the pack's budget: those of a group do not, one for all of the group's objects."""
        return self.mode is Mode.ENFORCE and self.rule.aggregate is None


class Performer:
    """Carries out items. Every failure of a cluster, a target or an expression ends as a state, never as an exception."""

    def __init__(self, actor: Actor, reader: Reader, access: AccessReviews, observer: Observer) -> None:
        self._actor = actor
        self._reader = reader
        self._access = access
        self._observer = observer
        self.brake = Brake(actor, observer)

    async def run(self, item: Item, now: float) -> State | None:
        """Carry out an item as far as it goes now; None where `memory.due` says when to look again.

        Raises NotLeading where the Lease is lost in between.
        """
        try:
            if item.counts:
                await self.brake.look(item.cause, item.scope)
            return await self._run(item, now)
        except HeldBack as held:
            item.memory.waiting_since = None  # it does not wait for its target, so that does not count against `retry.timeout`
            return self._later(item.memory, str(held), now + PAUSE)

    async def _run(self, item: Item, now: float) -> State | None:
        memory = item.memory
        try:
            if not memory.error:
                await self._all(item, item.rule.actions, 0)
                return State.DONE
        except _Waiting as waiting:
            if not timed_out(item.rule.retry, memory, now):
                return self._later(memory, waiting.why, now + waiting.seconds)
            memory.error = f"timed out waiting: {waiting.why}"
        except _Failed as failed:
            if failed.retryable and memory.attempts < item.rule.retry.limit and item.mode is Mode.ENFORCE:
                return self._later(memory, failed.why, now + self._backoff(item, failed), attempt=True)
            memory.error = failed.why
            memory.attempts = 0
        return await self._rescue(item, now)

    async def _rescue(self, item: Item, now: float) -> State | None:
        memory, rule = item.memory, item.rule
        rescued = item._replace(scope=item.scope.child(error=memory.error))
        try:
            if rule.rescue:
                await self._all(rescued, rule.rescue, len(rule.actions))
            else:
                message = f"Rule {item.pack.name}/{rule.name} failed: {memory.error}"
                content = Content("Warning", "RuleFailed", message, {})
                try:
                    await self._step(rescued, "emitEvent", event(item.cause, item.cause.object, content, item.scope.value("now")))
                except EXPECTED as error:
                    raise self._ended(rescued, "emitEvent", error) from error
        except _Waiting as waiting:
            return self._later(memory, waiting.why, now + waiting.seconds)
        except _Failed as failed:
            if failed.retryable and memory.attempts < rule.retry.limit:
                return self._later(memory, failed.why, now + self._backoff(item, failed), attempt=True)
        return State.FAILED

    async def _all(self, item: Item, entries: Sequence[RuleAction], offset: int) -> None:
        """All actions in turn; one that has ended in an earlier run is not done again."""
        results: dict[str, Any] = {}
        for number, entry in enumerate(entries, start=offset):
            scope = item.scope.child(results=dict(results)) if results else item.scope
            notes = item.memory.actions.setdefault(number, {})
            if "ended" not in notes:
                if self._reader.turns.over():
                    await self._reader.turns.next()
                if not self._wanted(entry, scope):
                    continue
                notes["ended"] = (await self._action(item, entry.action, scope, notes)).result
            if entry.register:
                results[entry.register] = notes["ended"]

    @staticmethod
    def _wanted(entry: RuleAction, scope: Scope) -> bool:
        try:
            return entry.when is None or entry.when.condition(scope)
        except Unanswered as unanswered:
            raise _Failed(f"when of {entry.action.name} has no answer: {unanswered}") from unanswered

    async def _action(self, item: Item, action: Action, scope: Scope, notes: dict[str, Any]) -> Decision:
        """One action: read, plan, act; a conflict means that what was seen has changed, so look again at once."""
        try:
            for left in reversed(range(CONFLICT_TRIES)):
                try:
                    if self._reader.turns.over():
                        await self._reader.turns.next()
                    reads = action.reads(scope)
                    live = await self._read(item, action, scope, reads) if reads else {}
                    decision = self._plan(item, action, scope, live, notes)
                    for step in decision.steps:
                        await self._step(item, action.name, step)
                        notes["targets"] = notes.get("targets", 0) + 1
                    break
                except ApiError as error:
                    if error.status != 409 or action.name == "apply" or not left:
                        raise
        except EXPECTED as error:
            raise self._ended(item, action.name, error) from error
        if decision.wait is not None:
            self._note(item, action.name, None, Outcome.WAITING, decision.reason)
            raise _Waiting(decision.reason, decision.wait)
        if not decision.steps:
            self._note(item, action.name, None, Outcome.UNCHANGED, "")
        return decision

    def _ended(self, item: Item, action: str, error: Refused | ApiError | Blocked | Unanswered) -> _Failed | _Waiting:
        """What becomes of an item whose action could not be carried out; tells the observer."""
        match error:
            case ApiError():
                return self._unanswered(item, action, error)
            case Blocked():
                self._note(item, action, None, Outcome.WAITING, str(error))
                return _Waiting(str(error), BLOCKED_WAIT)
        self._note(item, action, None, Outcome.REFUSED if isinstance(error, Refused) else Outcome.FAILED, str(error))
        return _Failed(str(error))

    def _unanswered(self, item: Item, action: str, error: ApiError) -> _Failed | _Waiting:
        """What an error of the API server means for an item."""
        if error.status == 403:
            self._access.forget()
            item.memory.denials += 1
        # An API server that has just started refuses what it allows once it knows the roles: so a 403 has to be confirmed.
        denied = error.status == 403 and item.memory.denials <= CONFIRMATIONS
        if denied or error.status in OUTAGE:
            self._note(item, action, None, Outcome.WAITING, str(error))
            return _Waiting(str(error), OUTAGE_WAIT)
        # A conflict of server-side apply is about who owns a field: trying again does not change that.
        retryable = error.retryable and not (action == "apply" and error.status == 409)
        self._note(item, action, None, Outcome.RETRYING if retryable else Outcome.FAILED, str(error))
        return _Failed(str(error), retryable, error.retry_after)

    async def _read(self, item: Item, action: Action, scope: Scope, reads: Sequence[Read]) -> Mapping[Read, Sequence[Object]]:
        live = {}
        for read in reads:
            verbs = {need.verb for need in action.needs() if need.kind in (None, read.ref.kind)}
            live[read] = await self._reader.read(item.pack, read, verbs, scope)
        if self._reader.turns.over():
            await self._reader.turns.next()
        return live

    def _plan(
        self, item: Item, action: Action, scope: Scope, live: Mapping[Read, Sequence[Object]], notes: dict[str, Any]
    ) -> Decision:
        with scope.budget:
            decision = action.plan(item.cause, scope, live, notes)
        if decision.refused:
            raise Refused(decision.refused)
        for step in decision.steps:
            if why := refused_step(item.pack, step):
                raise Refused(why)
        return limited(decision, item.rule.limits, notes.get("targets", 0))

    async def _step(self, item: Item, action: str, step: Step) -> None:
        audit = item.mode is not Mode.ENFORCE
        if isinstance(step, Annotate):
            own = own_patch(item.cause.object, step)
            changing = changes(item.cause.object, own.body)
            if not audit:
                item.memory.own.append(step)
            if not (audit and changing):
                self._note(item, action, step, Outcome.DONE if changing else Outcome.UNCHANGED, "")
                return
            step = own
        match step:
            case Measure():
                if not audit:
                    self._observer.measured(step.metric, step.labels, step.value)
                self._note(item, action, step, Outcome.AUDITED if audit else Outcome.DONE, "")
            case _:
                if item.counts and disruptive(step):
                    await self.brake.take(item.cause, item.scope)
                done = await self._actor.perform(step, dry_run=audit)
                item.memory.steps += 1
                lines = diff(step.before or {}, done.after) if isinstance(step, Patch) else ()
                outcome = Outcome.AUDITED if audit else Outcome.DONE if done.changed else Outcome.UNCHANGED
                self._note(item, action, step, outcome, "", lines)

    def _note(
        self, item: Item, action: str, step: Step | None, outcome: Outcome, detail: str, lines: tuple[str, ...] = ()
    ) -> None:
        cause = item.cause
        self._observer.acted(
            Act(cause.pack, cause.rule, cause.ref, cause.key, cause.item, action, step, outcome, detail, lines, item.mode)
        )

    @staticmethod
    def _later(memory: ItemMemory, why: str, due: float, *, attempt: bool = False) -> None:
        memory.reason, memory.due = why, due
        memory.attempts += attempt

    @staticmethod
    def _backoff(item: Item, failed: _Failed) -> float:
        return max(backoff(item.rule.retry, item.cause, item.memory.attempts), failed.retry_after or 0.0)
