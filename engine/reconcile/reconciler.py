"""The pipeline of every change: watch → match → evaluate → plan → act → record.

An informer has put the key of a changed object, or of a group of objects, into the work queue; `Reconciler.reconcile` takes
it from there. Every part returns an Outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import attrgetter

from engine.cel import Scope
from engine.errors import ApiError
from engine.kube.access import AccessReviews
from engine.kube.act import Actor
from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.objects import GroupKey, ObjectKey
from engine.model.observe import Act, ActResult, Observer
from engine.model.outcome import DONE, Done, Failed, Outcome, Refused, Skipped, Unavailable
from engine.packs.catalog import Catalog
from engine.packs.rule import Rule
from engine.reconcile.aggregates import Aggregates
from engine.reconcile.budgets import Budgets
from engine.reconcile.caches import Caches, Replica
from engine.reconcile.deletions import confirm
from engine.reconcile.evaluate import NOT_WANTED, Firing, replaced, unwanted, variables_of
from engine.reconcile.evaluator import Evaluator
from engine.reconcile.events import Events
from engine.reconcile.generated import Generated, for_item
from engine.reconcile.hidden import WithoutSecrets, without_secrets
from engine.reconcile.item import LONGEST, ItemRun
from engine.reconcile.itemcounts import ItemCounts
from engine.reconcile.itemnotes import note
from engine.reconcile.large import LargeValues
from engine.reconcile.matching import Evaluation, Matcher
from engine.reconcile.others import Others
from engine.reconcile.perform import Performer
from engine.reconcile.reader import Reader
from engine.reconcile.record import Result, recorded
from engine.reconcile.recorder import Recorder
from engine.reconcile.related import Related
from engine.reconcile.requests import Requests
from engine.reconcile.state import FiringProgress, Incident, ItemProgress, PackState
from engine.reconcile.waits import Waits


class Reconciler:
    """Evaluates objects and groups, and acts on them. Do not give one key to two calls at the same time.

    With `every_rule` it evaluates also the rules that an object rules out, and so gives a reason for each. Objects that
    `replica` does not own are only counted, since the group that they belong to may be its own.
    """

    def __init__(
        self, api: Api, clock: Clock, caches: Caches, observer: Observer, replica: Replica,
        enqueue: Callable[[ObjectKey | GroupKey], None],
        *, every_rule: bool = False,
    ) -> None:  # fmt: skip
        observer = WithoutSecrets(observer, lambda: self._catalog)
        self._clock, self._caches, self._observer, self._replica = clock, caches, observer, replica
        self.actor = Actor(api, replica.may_act)
        access = AccessReviews(api, clock)
        self.related, self._enqueue = Related(caches, clock), enqueue
        self._reader = Reader(self.actor, access, clock, self.related, replica.time_slice)
        self._evaluator = Evaluator(self._reader, observer, replica.operator)
        self._events = Events(self.actor, clock)
        self.generated = Generated(self.actor, caches, self.related, replica, self._events, clock)
        self.waits = Waits(self._events, clock)
        self.failing, self.audited = ItemCounts(attrgetter("failing")), ItemCounts(attrgetter("audited"))
        self.others = Others(replica.operator, self._events, clock)
        budgets = Budgets(self.actor, observer, replica)
        requests = Requests(self.actor, replica)
        self._performer = Performer(self.actor, self._reader, self._events, requests, observer, budgets, clock)
        self.aggregates = Aggregates(self.actor, self._reader, caches, clock, enqueue, replica.owns)
        self._matcher, self._large = Matcher(caches, self.related, every_rule), LargeValues(self.actor)
        self._recorder = Recorder(self.actor, clock, observer, self.aggregates, self.waits, replica.operator)
        self._catalog = Catalog()

    @property
    def catalog(self) -> Catalog:
        """The packs, modes and params in force; with a new one, every pack evaluates its objects again."""
        return self._catalog

    @catalog.setter
    def catalog(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._performer.budgets.resume = catalog.resume
        packs = [pack for pack in catalog.packs.values() if catalog.mode(pack) is not Mode.OFF]
        in_force = {pack.identity for pack in packs}
        self.related.use(packs, catalog)
        self.aggregates.counting.keep(in_force)
        self.waits.keep(in_force)
        self.failing.keep(packs)
        self.audited.keep(packs)
        self.others.use(catalog)
        self.generated.use(catalog)

    def states(self, key: ObjectKey) -> Iterable[PackState]:
        """Return what is remembered of an object."""
        return self._matcher.states(key)

    async def reconcile(self, key: ObjectKey | GroupKey) -> float | None:
        """Evaluate one object or group, and act. Return the seconds after which to do so again, None: only after a change.

        Nothing that an object or a cluster holds raises here; NotLeading does, where the Lease is lost meanwhile.
        """
        await self._events.retry(key)
        await self.others.report(key)
        times: list[float | None] = []
        matched = await self._match(key, self._clock.monotonic())
        if isinstance(matched, Done):
            evaluations: Sequence[Evaluation] = matched.result
            for evaluation in evaluations:
                for rule, variables in self._scopes(evaluation):
                    if self._reader.time_slice.over():
                        await self._reader.time_slice.next()
                    outcome, scope = await self._evaluate(evaluation, rule, variables)
                    skipped = None if isinstance(outcome, Done) else outcome
                    if isinstance(outcome, Done):
                        outcome = await self._plan_and_act(evaluation, rule, scope, outcome.result)
                    else:
                        await self._skip(evaluation, rule, outcome)
                    evaluation.retry(outcome)
                    note(evaluation, rule, skipped, self._catalog.mode(evaluation.pack, rule))
                    self._recorder.put(evaluation, rule, scope, self._catalog)
            retry_at = await self._record(key, evaluations)
        else:
            retry_at = getattr(matched, "retry_at", None)
        if isinstance(key, GroupKey):
            states = [*self.aggregates.states(key)]
        else:
            times.append(await self._remove_what_is_left(key))
            states = [*self._matcher.states(key), *self.generated.states(key)]
        self.waits.update(key, states)
        self.failing.update(key, states)
        self.audited.update(key, states)
        if isinstance(key, GroupKey) and not states:
            self.related.forget_group(key)
        due = min((time for time in (*times, retry_at, self._events.retry_at(key)) if time is not None), default=None)
        return None if due is None else max(0.0, due - self._clock.monotonic())

    def wake(self, limit: int) -> bool:
        """Enqueue objects that depend on what has changed, no more than that many; return whether there may be more."""
        taken = self.related.take(limit)
        for dependent in taken:
            key = dependent.key
            known = self.aggregates.wake(key) if isinstance(key, GroupKey) else self._matcher.wake(dependent)
            if known or self.related.generates(dependent):
                self._enqueue(key)
        return len(taken) == limit

    def time_was_set(self) -> None:
        """Enqueue the objects that are to be evaluated at a time of day, since that may have come or be further away."""
        for key in self._matcher.wake_timed():
            self._enqueue(key)

    async def _match(self, key: ObjectKey | GroupKey, now: float) -> Outcome:
        """Done with the evaluations that there are to make."""
        if isinstance(key, GroupKey):
            return await self.aggregates.match(self._catalog, key, now)
        packs, owned = self._catalog.in_force(key.kind), self._replica.owns(key)
        if not owned:
            packs = tuple(pack for pack in packs if pack.counts)
        for pack in packs:
            if pack.counts and self._caches.get(pack, key) is None:
                self.aggregates.counting.forget(pack, key)
        evaluations = list(self._matcher.match(key, packs, self._catalog, now))
        for evaluation in evaluations:
            if not owned:
                evaluation.rules = [rule for rule in evaluation.rules if rule.aggregate is not None]
            if evaluation.on == "Delete" and evaluation.rules:
                await confirm(self.actor, self._observer, evaluation)
        await self._large.read(evaluations)
        return Done(evaluations)

    def _scopes(self, evaluation: Evaluation) -> Sequence[tuple[Rule, Scope]]:
        """The rules of an evaluation, each with its variables."""
        pack = evaluation.pack
        if not evaluation.rules:
            return ()
        if evaluation.group is not None:
            self.related.begin(pack, evaluation.group)
            return [(rule, self.aggregates.scope(self._catalog, evaluation)) for rule in evaluation.rules]
        old = evaluation.state.evaluated if evaluation.on == "Change" else evaluation.object
        obj = evaluation.whole or evaluation.object
        shared = Scope(variables_of(self._catalog, pack, obj, old, self._clock.time()), pack.vars, evaluation.now)
        return [(rule, shared.having(rule.vars)) for rule in evaluation.rules]

    async def _evaluate(self, evaluation: Evaluation, rule: Rule, scope: Scope) -> tuple[Outcome, Scope]:
        """Done with a Firing where the rule fires, else why not; with the scope of its actions."""
        before = state = evaluation.rule_state(rule)
        if evaluation.group is not None:
            outcome, scope = await self.aggregates.evaluate(evaluation, rule, scope)
        elif rule.aggregate is not None:
            outcome = await self.aggregates.counting.count(self._catalog, evaluation, rule, scope)
        else:
            outcome, scope, state = await self._evaluator.evaluate(self._catalog, evaluation, rule, scope, state)
            if rule.generates:
                outcome = await self.generated.decided(evaluation, rule, scope, outcome)
            outcome, state = self.others.leave(evaluation, rule, outcome, state, self._catalog)
        outcome, reported = self._evaluator.report(evaluation, rule, outcome, state)
        if reported is not before:
            evaluation.remember(rule, reported)
        news = isinstance(outcome, Refused) and reported.unknown != before.unknown
        if news and self._catalog.mode(evaluation.pack, rule) is Mode.ENFORCE:
            await self.waits.refused(evaluation.key, evaluation.cause(rule, ""), reported.unknown)
        return outcome, scope

    async def _plan_and_act(self, evaluation: Evaluation, rule: Rule, scope: Scope, firing: Firing) -> Outcome:
        """Carry out the items of a firing that are due, and note for the record those that have ended."""
        mode, state = self._catalog.mode(evaluation.pack, rule), evaluation.rule_state(rule)
        progress, began = state.firing, evaluation.group is None and not state.under_way(firing.key)
        if progress is None or progress.key != firing.key or progress.mode is not mode:
            same = progress is not None and progress.key == firing.key
            await self._drop(evaluation, rule, replaced(firing.key, mode if same else None))
            progress = FiringProgress(firing.key, mode)
        if began and rule.notifies:
            progress.emission = state.incident.emission
            state = state._replace(incident=Incident.OPEN)
        evaluation.remember(rule, state._replace(firing=progress, fired_at=evaluation.now if began else state.fired_at))
        if progress.items.keys() - (wanted_keys := {item.key for item in firing.items}):
            await self._drop(evaluation, rule, NOT_WANTED, wanted_keys)
        cause = evaluation.cause(rule, firing.key)._replace(emission=progress.emission)
        if rule.generates:
            earlier, every = self._catalog.origins(evaluation.pack, rule)[1:], evaluation.pack.origins(rule)[1:]
            cause = cause._replace(earlier=earlier, claimed=tuple(each for each in every if each not in earlier))
        for wanted in firing.items:
            item = progress.items.setdefault(wanted.key, ItemProgress())
            if item.ended is None and item.due(evaluation.now, woken=evaluation.woken, first=evaluation.first):
                acting, inner = for_item(rule, wanted, scope)
                run = ItemRun(evaluation.key, evaluation.pack, acting, cause._replace(item=wanted.key), inner, item, mode)
                outcome = await self._performer.run(run)
                item.ended = {Done: Result.DONE, Failed: Result.FAILED}.get(type(outcome))
                evaluation.steps += item.steps
            elif item.ended is None:
                evaluation.complete = False
            if item.ended is None:
                evaluation.again(item.retry_at)
            if evaluation.on != "Delete":
                evaluation.own += item.own
        stalled = (stall for _, stall in progress.stalls())
        evaluation.again(await self.waits.report(evaluation.key, cause, stalled, mode is Mode.ENFORCE))
        return DONE

    async def _remove_what_is_left(self, key: ObjectKey) -> float | None:
        """Remove what was generated from an object that is gone; return when to do so again, None where nothing is left."""
        ended = await self.generated.ended(key, self._clock.monotonic())
        for evaluation, rule, scope, firing in ended:
            await self._plan_and_act(evaluation, rule, scope, firing)
        return self.generated.settle(key, (evaluation for evaluation, *_ in ended))

    async def _skip(self, evaluation: Evaluation, rule: Rule, outcome: Outcome) -> None:
        """Drop what is under way of a rule that does not fire any more; where nobody knows whether it does, keep it."""
        state = evaluation.rule_state(rule)
        refused = isinstance(outcome, Refused) and evaluation.on != "Delete"  # somebody may consent meanwhile
        if isinstance(outcome, Skipped) and not outcome.unknown:
            await self._drop(evaluation, rule, unwanted(rule, outcome))
        elif refused or (state.firing is not None and state.under_way(state.firing.key)):
            evaluation.again(evaluation.now + LONGEST)
        if isinstance(outcome, Unavailable):
            stalls = filter(None, (state.stall, evaluation.state.stall))
            enforced = self._catalog.mode(evaluation.pack, rule) is Mode.ENFORCE
            evaluation.again(await self.waits.report(evaluation.key, evaluation.cause(rule, ""), stalls, enforced))

    async def _drop(self, evaluation: Evaluation, rule: Rule, why: str, keep: Collection[str] = ()) -> None:
        """Drop what waits of a rule and does not hold any more, and say so of what nobody has done meanwhile."""
        progress = evaluation.rule_state(rule).firing
        dropped = {} if progress is None else progress.drop(keep)
        if progress is not None and dropped and rule.once_per is not None:
            record = recorded(evaluation.object, evaluation.pack.record_names[rule.name])
            dropped = {item: stall for item, stall in dropped.items() if not record.ended(progress.key, item)}
        if progress is not None and dropped:
            cause = evaluation.cause(rule, progress.key)
            end = "", None, ActResult.DROPPED, without_secrets(cause.hides, why), (), progress.mode
            for item in dropped:
                self._observer.acted(Act(cause.pack, cause.rule, cause.ref, cause.key, item, *end))
            await self.waits.dropped(evaluation.key, cause, dropped, why, named=rule.loop_key is not None)

    async def _record(self, key: ObjectKey | GroupKey, evaluations: Sequence[Evaluation]) -> float | None:
        """Write what all packs want on the object in one patch, and remember what was evaluated."""
        living = [evaluation for evaluation in evaluations if evaluation.on != "Delete"]
        if living:
            try:
                written = await self._recorder.write(living, self._catalog.times)
                if written is not None and not written.gone:
                    self._performer.fights.wrote_own(own for each in living for own in each.own)
                    self._reader.wrote_own(living[0].ref, written)
                if isinstance(key, GroupKey):
                    self.aggregates.settle(living[0], written)
                else:
                    self._matcher.settle(key, living, written)
            except ApiError as error:
                await self.waits.unrecorded(living, error)
        if isinstance(key, GroupKey):
            self.related.end(living[0].pack, key, complete=living[0].complete)
            return self.aggregates.finish(living[0])
        return self._matcher.finish(key, evaluations)
