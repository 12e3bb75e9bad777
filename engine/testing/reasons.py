"""Says of each rule why it has done nothing: what its last evaluation came to for each object, and what its conditions read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from engine.cel import Scope
from engine.errors import ApiError, EvaluationError, Location
from engine.kube.access import AccessReviews
from engine.kube.act import Actor
from engine.kube.selectors import label_selector
from engine.model.flags import Mode
from engine.model.objects import Object, ObjectKey, Ref, kind_of, names_of
from engine.model.observe import Act, ActResult, Evaluated
from engine.model.outcome import Obstacle, Skipped
from engine.model.plan import Create
from engine.model.text import field_text
from engine.packs.aggregate import Aggregate
from engine.packs.pack import RulePack
from engine.packs.rule import Rule
from engine.packs.unwatched import unwatched
from engine.packs.watches import Watch
from engine.reconcile.evaluate import NO_ITEMS, condition
from engine.reconcile.explain import Value, clauses, values_of
from engine.reconcile.item import RULE_FAILED
from engine.reconcile.reader import Reader
from engine.testing.describe import step_text, value_text
from engine.testing.explain import scope_of
from engine.testing.readonly import ReadOnlyCluster
from engine.testing.world import World

NOT_EVALUATED = "not evaluated"
_NOTABLE = (
    "unknown", ActResult.REFUSED, ActResult.FAILED, ActResult.RETRYING, ActResult.WAITING, ActResult.DROPPED, "skipped",
    NOT_EVALUATED,
)  # fmt: skip
"""What a rule that was expected to do something can have come to instead; what most often is the cause comes first."""


class LastEvaluation(NamedTuple):
    """What the last evaluation of a rule for an object came to; `number` counts all evaluations of a test from 0."""

    number: int
    result: Evaluated
    reason: str


class Window(NamedTuple):
    """What is new: from these numbers of evaluations and of acts on."""

    evaluations: int
    acts: int


@dataclass(frozen=True, slots=True)
class RuleReason:
    """What a rule came to for an object ('' where it is about none), why, and the values that decided it."""

    rule: str
    object: str
    result: str
    reason: str = ""
    values: tuple[str, ...] = ()

    @property
    def notable(self) -> bool:
        """Whether the rule has not done what it is there for."""
        return self.result in _NOTABLE

    def lines(self) -> Iterator[str]:
        """Yield it as text; what is below the first line is indented."""
        about = f" for {self.object}" if self.object else ""
        first, *more = f"{self.rule}{about}: {self.result}{': ' if self.reason else ''}{self.reason}".splitlines()
        yield first
        yield from (f"    {line}" for line in more)
        yield from (f"    {line}" for line in self.values)


@dataclass(frozen=True, slots=True)
class StepReasons:
    """What every rule came to in a step, which is named by its key; in an `expect`: since the one before."""

    place: Location
    step: str
    reasons: tuple[RuleReason, ...]


class Reasons:
    """Reads them from a world; `packs` are those of its catalog, by identity, without anything that counts evaluations."""

    def __init__(self, world: World, packs: Mapping[str, RulePack], last: Mapping[tuple[str, str, Ref], LastEvaluation]) -> None:
        self._world, self._packs, self._last = world, packs, last
        cluster = ReadOnlyCluster(world.cluster)
        self._reader = Reader(Actor(cluster, lambda: True), AccessReviews(cluster, world.clock), world.clock)

    async def since(self, window: Window) -> list[RuleReason]:
        """Return what every rule came to; what most often is the cause of a surprise comes first."""
        rules = [(pack, rule) for pack in self._packs.values() for rule in pack.rules]
        found = [reason for pack, rule in rules for reason in await self._rule(pack, rule, window)]
        order = {result: number for number, result in enumerate(_NOTABLE)}
        return sorted(found, key=lambda reason: order.get(reason.result, len(order)))

    async def _rule(self, pack: RulePack, rule: Rule, window: Window) -> list[RuleReason]:
        name = f"{pack.identity}/{rule.name}"
        if self._world.catalog.mode(pack, rule) is Mode.OFF:
            return [RuleReason(name, "", "skipped", f"its mode is {Mode.OFF.word}")]
        new = self._world.seen.acts[window.acts :]
        acts = [act for act in new if (act.pack, act.rule) == (pack.identity, rule.name)]
        last = {ref: each for (*key, ref), each in self._last.items() if key == [pack.identity, rule.name]}
        if not last and not acts:
            return [RuleReason(name, "", NOT_EVALUATED, await self._absent(pack, rule))]
        there = self._world.caches.keys()
        evaluations = [
            await self._evaluation(pack, rule, ref, each, window)
            for ref, each in last.items()
            if rule.on == "Delete" or ObjectKey(ref.kind, ref.namespace, ref.name) in there
        ]
        missing = [] if acts or rule.aggregate is None else await self._missing_targets(pack, rule, rule.aggregate)
        skipped = (RuleReason(name, "", "skipped", reason) for reason in missing)
        return [*_acts(name, acts), *self._held_back(pack, rule, last), *skipped, *evaluations]

    def _held_back(self, pack: RulePack, rule: Rule, refs: Iterable[Ref]) -> Iterator[RuleReason]:
        """Say what waits for the pack's budget, or has others undo it, which no act says."""
        for ref in refs:
            states = self._world.reconciler.states(ObjectKey(ref.kind, ref.namespace, ref.name))
            own = (state.rules.get(rule.name) for state in states if state.pack.identity == pack.identity)
            firings = (state.firing for state in own if state is not None and state.firing is not None)
            for _, stall in (each for firing in firings for each in firing.stalls()):
                if stall.obstacle in (Obstacle.SUSPENDED, Obstacle.PACK_BUDGET, Obstacle.CONTESTED):
                    yield RuleReason(f"{pack.identity}/{rule.name}", str(ref), str(ActResult.WAITING), stall.reason)

    async def _missing_targets(self, pack: RulePack, rule: Rule, aggregate: Aggregate) -> list[str]:
        """Say of each group of which nothing is written that its target is not there."""
        groups, missing, now = dict[str, Scope](), [], self._world.clock.time()
        if (target := aggregate.target) is None:
            return []
        for obj in [obj for kind in pack.watches for obj in await self._world.all(kind)]:
            scope, _ = await scope_of(self._reader, self._world.catalog, pack, rule, obj, now)
            with suppress(EvaluationError):  # it is in no group
                groups.setdefault(str(aggregate.by.evaluate(scope)), scope)
        for group, scope in groups.items():
            with suppress(EvaluationError):
                ref = target.read(scope.child(groupKey=group)).ref
                if ref.name and await self._object(ref) is None:
                    missing.append(f"its target for the group {group!r}, {ref}, is not there")
        return missing

    async def _evaluation(self, pack: RulePack, rule: Rule, ref: Ref, last: LastEvaluation, window: Window) -> RuleReason:
        name, reason = f"{pack.identity}/{rule.name}", last.reason
        values: tuple[str, ...] = ()
        obj = None if rule.on == "Delete" or last.result is Evaluated.FIRED else await self._object(ref)
        left_out: list[tuple[str, ...]] = []
        if obj is not None:
            scope = await self._scope(pack, rule, obj)
            values = tuple(f"{value.path} = {value_text(value)}" for value in _values(rule, scope, reason))
            left_out = unwatched(pack, rule, rule.when) if _has_changed(rule, scope, reason) else []
        if left_out:
            fields = " and ".join(field_text(path) for path in left_out)
            reason += f" (no longer so, but watch.fields leaves out {fields}: a change of that evaluates nothing)"
        elif last.number < window.evaluations:
            reason = f"{reason or 'before'} (evaluated earlier; nothing has changed since)"
        return RuleReason(name, str(ref), str(last.result), reason, values)

    async def _scope(self, pack: RulePack, rule: Rule, obj: Object) -> Scope:
        """What the expressions of a rule see of an object now."""
        scope, _ = await scope_of(self._reader, self._world.catalog, pack, rule, obj, self._world.clock.time())
        return scope.child(oldObject=self._world.old.get(ObjectKey(kind_of(obj), *names_of(obj))))

    async def _object(self, ref: Ref) -> Object | None:
        try:
            return await self._world.get(ref.kind, ref.name, ref.namespace)
        except ApiError:
            return None

    async def _absent(self, pack: RulePack, rule: Rule) -> str:
        """Return why a rule was never evaluated."""
        return "; ".join([await self._absent_kind(pack, rule, pack.watches[kind]) for kind in pack.kinds(rule) or pack.watches])

    async def _absent_kind(self, pack: RulePack, rule: Rule, watch: Watch) -> str:
        kind, (labels, namespaces) = watch.kind.kind, watch.selection
        if rule.on == "Delete":
            return f"no {kind} that the pack watches was deleted"
        objects = await self._world.all(watch.kind)
        if not objects:
            others = [each for each in self._world.cluster.kinds if each.kind == kind and each != watch.kind]
            there = [each.api_version for each in others if await self._world.all(each)]
            elsewhere = f" of {watch.kind.api_version}; there is one of {' and '.join(there)}" if there else ""
            return f"there is no {kind}{elsewhere}"
        objects = [obj for obj in objects if label_selector(labels)(obj)]
        if not objects:
            return f"the label selector {labels} picks none of the {kind} objects"
        if not any(self._world.caches.get(pack, ObjectKey(watch.kind, *names_of(obj))) for obj in objects):
            return f"the namespace selector {namespaces} picks none of the {kind} objects"
        return f"nothing that the pack watches of a {kind} has changed"


def _values(rule: Rule, scope: Scope, reason: str) -> tuple[Value, ...]:
    """Return what the condition read that decided, where it gives the same reason now; without what is known no more."""
    if rule.loop is not None and reason == NO_ITEMS:
        return values_of(rule.loop, scope)
    skipped = _condition(rule, scope)
    if skipped is None or skipped.reason != reason:
        return ()
    holds = None if skipped.unknown else False
    source, values = next((each.source, each.values) for each in clauses(rule, scope) if each.holds is holds)
    if "oldObject" in source and scope.value("oldObject") is None:
        values = (*(value for value in values if not value.path.startswith("oldObject")), Value("oldObject", None))
    return values


def _has_changed(rule: Rule, scope: Scope, reason: str) -> bool:
    """Return whether a clause that kept a rule from firing does not do so any more."""
    skipped = _condition(rule, scope)
    return reason.startswith("when[") and (skipped is None or skipped.reason != reason)


def _condition(rule: Rule, scope: Scope) -> Skipped | None:
    with scope.budget:
        return condition(rule, scope)


def _acts(rule: str, acts: Sequence[Act]) -> Iterator[RuleReason]:
    """Yield what the actions of a rule came to last, for each object and item."""
    last = {(act.object, act.item, act.action, step_text(act.step)): act for act in acts}
    for act in last.values():
        item = f" [{act.item}]" if act.item else ""
        if isinstance(act.step, Create) and act.step.body.get("reason") == RULE_FAILED:
            yield RuleReason(rule, str(act.object), str(ActResult.FAILED), str(act.step.body.get("message")))
            continue
        kept = ", ".join(map(str, act.read)) or "nothing to do"
        done = step_text(act.step) if act.step else act.detail or kept
        detail = f" ({act.detail})" if act.step and act.detail else ""
        yield RuleReason(rule, str(act.object), str(act.result), f"{act.action}{item}: {done}{detail}", act.diff)
