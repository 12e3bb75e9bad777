"""What rules with `prune` have generated: which of it has no reason any more, and whether it may be removed.

Nothing is removed on what is not known: a condition or lookup without an answer, objects that are not listed or not watched
now, an object that cannot be decoded, a source of which the API server does not say that it is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from engine.actions.event import Content, event
from engine.actions.generated import Removal, read_of
from engine.cel import Scope
from engine.errors import ApiError, EvaluationError
from engine.kube.act import Actor
from engine.kube.clock import Clock
from engine.kube.selectors import label_selector
from engine.model.flags import Mode
from engine.model.generated import SOURCE_UID, Origin, made_by, source_of, without
from engine.model.objects import Kind, Object, ObjectKey, Ref, labels_of, metadata, ref_of
from engine.model.outcome import Done, Outcome, Skipped
from engine.model.plan import Read
from engine.model.text import plain
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.rule import Limits, Rule, RuleAction
from engine.reconcile.budgets import resume_command, resumes_also
from engine.reconcile.caches import Caches, NotListed, Replica
from engine.reconcile.evaluate import Firing, Item
from engine.reconcile.events import Events
from engine.reconcile.hidden import without_secrets
from engine.reconcile.kept import Kept
from engine.reconcile.matching import Evaluation
from engine.reconcile.permissions import refused_read
from engine.reconcile.related import Related
from engine.reconcile.removals import Held, Removals, Wanted
from engine.reconcile.silent import logger
from engine.reconcile.state import PackState
from engine.reconcile.upcoming import ending

REMOVALS = "(prune)"
"""The item of a firing that removes what has no reason any more."""
LISTING, PAUSE, LATER = 5.0, 30.0, 300.0
"""Seconds until the caches are asked again that are not up to date, until the API server is that gave no answer, and until it is
about a source that is there and not seen from here."""
TO_KEEP = "to keep them, undo what makes them go, and nothing is held back any more, or set the pack's feature flag to Off"
log = logger(__name__)


class Generated:
    """Decides what is removed. What it remembers is no lost work when it is lost; a suspension is then decided anew."""

    def __init__(self, actor: Actor, caches: Caches, related: Related, replica: Replica, events: Events, clock: Clock) -> None:
        self._actor, self._caches, self._related, self._replica = actor, caches, related, replica
        self._events, self._clock = events, clock
        self._catalog = Catalog()
        self._removals: dict[tuple[str, str], Removals] = {}
        self._ended: dict[ObjectKey, dict[str, PackState]] = {}
        self.kept = Kept()
        self._generating: dict[Kind, list[tuple[RulePack, list[Rule]]]] = {}

    def use(self, catalog: Catalog) -> None:
        """Take in which rules are in force."""
        generating = self.kept.use(catalog)
        self._generating = {}
        for pack in catalog.packs.values():
            rules = [rule for rule in pack.rules if (pack.identity, rule.name) in generating]
            for kind in pack.watches if rules else ():
                self._generating.setdefault(kind, []).append((pack, rules))
        self._catalog, self._ended = catalog, {}
        self._removals = {key: self._resumed(key, each) for key, each in self._removals.items() if key in generating}

    def held(self) -> list[Held]:
        """Return what is not removed until somebody confirms it."""
        every = (each.held(*key) for key, each in self._removals.items() if self._enforces(key))
        return [held for held in every if held is not None]

    def forget(self) -> None:
        """Forget what was to be removed and was confirmed: another replica may act now, and this one would not notice it."""
        self._removals = {}

    async def decided(self, evaluation: Evaluation, rule: Rule, scope: Scope, outcome: Outcome) -> Outcome:
        """Return what becomes of a rule's evaluation for an object that is there: also a firing where there is only to remove."""
        if isinstance(outcome, Done):
            firing: Firing = outcome.result
            evaluation.again(ending(rule, scope))
        elif isinstance(outcome, Skipped) and not outcome.unknown:
            firing = Firing("", ())
        else:
            return outcome
        try:
            wanted = [
                generates.read(scope if rule.loop is None else scope.child(**{rule.loop_var: item.value})).ref
                for item in firing.items
                for generates in rule.generates
            ]
            present = self._generated(evaluation, rule)
        except (EvaluationError, ApiError, NotListed) as unknown:
            why = without_secrets(rule.name in evaluation.pack.reads_secrets, str(unknown))
            log.info("%s/%s removes nothing of %s: %s", evaluation.pack.identity, rule.name, evaluation.ref, why)
            evaluation.again(evaluation.now + LISTING)
            return outcome
        doomed = without(present, wanted)
        if doomed and not self._caches.current(evaluation.pack):
            evaluation.again(evaluation.now + LISTING)
            return outcome
        item = await self._removal(evaluation, rule, scope, doomed)
        return outcome if item is None else Done(firing._replace(items=(*firing.items, item)))

    async def ended(self, key: ObjectKey, now: float) -> Sequence[tuple[Evaluation, Rule, Scope, Firing]]:
        """Return what there is to remove for an object that no pack sees any more, with an evaluation for each pack."""
        found: list[tuple[Evaluation, Rule, Scope, Firing]] = []
        states: dict[str, PackState] = {}
        before = self._ended.pop(key, {})
        for pack, rules in self._generating.get(key.kind, ()):
            if self._caches.get(pack, key) is not None or not self._replica.owns(key):
                continue
            state = before.get(pack.identity) or PackState(pack, "")
            pauses: list[float] = []
            for rule in rules:
                evaluation, doomed, pause = await self._without_source(pack, rule, key, state, now)
                if pause is not None:
                    pauses.append(pause)
                if not doomed and pause in (None, LATER):
                    self._keep(evaluation, rule)
                if doomed:
                    scope = Scope(_variables(self._catalog, pack, evaluation.object, self._clock.time()), {}, now)
                    item = await self._removal(evaluation, rule, scope, doomed)
                    found += [(evaluation, rule, scope, Firing("", (item,)))] if item is not None else []
            if pauses:
                state.retry_at = now + min(pauses)
                states[pack.identity] = state
        if states:
            self._ended[key] = states
        return found

    def states(self, key: ObjectKey) -> Iterable[PackState]:
        """Return what is remembered of the removals for an object that is gone."""
        return self._ended.get(key, {}).values()

    def settle(self, key: ObjectKey, evaluations: Iterable[Evaluation]) -> float | None:
        """Return when to ask again what is still to be removed for an object that is gone, None: nothing is."""
        for each in evaluations:
            if each.retry_at is not None and each.state.retry_at is not None:
                each.state.retry_at = min(each.retry_at, each.state.retry_at)
            for state in each.state.rules.values():
                if state.firing is not None:
                    state.firing.keep_open()  # what shows later is another removal
        return min((state.retry_at for state in self.states(key) if state.retry_at is not None), default=None)

    async def _without_source(
        self, pack: RulePack, rule: Rule, key: ObjectKey, state: PackState, now: float
    ) -> tuple[Evaluation, Sequence[Object], float | None]:
        """An evaluation of an object that is gone, what is to be removed for it, and after which seconds to ask again."""
        gone = Evaluation(pack, _stand_in(key, ""), Ref(*key), state, now, (rule,), "Delete")
        try:
            if not self._generated(gone, rule):
                return gone, (), None
            if not (self._caches.synced(pack) and self._caches.current(pack)):
                return gone, (), LISTING
            there = await self._actor.by_name(gone.ref)
            present = self._generated(gone, rule)
        except NotListed:
            return gone, (), LISTING
        except ApiError as unknown:
            log.info("%s/%s removes nothing of %s: %s", pack.identity, rule.name, key, unknown)
            return gone, (), PAUSE
        if there is not None and label_selector(pack.watches[key.kind].selection.labels)(there):
            return gone, (), LATER  # it is there, and only not seen from here: by its namespace, or by another replica
        source = there or _stand_in(key, next((labels_of(obj).get(SOURCE_UID, "") for obj in present), ""))
        return replace(gone, object=source, ref=ref_of(source)), present, PAUSE

    async def _removal(self, evaluation: Evaluation, rule: Rule, scope: Scope, doomed: Sequence[Object]) -> Item | None:
        """The item that removes objects, or waits with that; None where there is nothing to remove."""
        permitted = [obj for obj in doomed if self._permitted(evaluation, obj, scope)]
        if not permitted:
            self._keep(evaluation, rule)
            return None
        if self._catalog.mode(evaluation.pack, rule) is not Mode.ENFORCE:
            return Item(REMOVALS, Removal(permitted))
        key, uids = (evaluation.pack.identity, rule.name), _uids(permitted)
        before = self._removals.get(key, Removals())
        removals = before.ask(self._wanted(evaluation, rule, uids), self._catalog.resume, evaluation.now)
        self._removals[key] = removals
        held = removals.held(*key)
        if held is None or removals.allows(uids):
            return Item(REMOVALS, Removal(permitted))
        if removals.number > before.number:
            log.error("pack %s: %s (%s); to go on: %s", *key[:1], held, evaluation.ref, resume_command(self._replica.namespace))
        await self._report(evaluation, rule, held, removals)
        return Item(REMOVALS, Removal(permitted, plain(str(held))))

    def _keep(self, evaluation: Evaluation, rule: Rule) -> None:
        """Note that nothing is to be removed for an object: what was held back of it is not any more, and no word is about it."""
        key = evaluation.pack.identity, rule.name
        if (before := self._removals.get(key)) is None:
            return
        self._removals[key] = after = before.without(ObjectKey(*evaluation.ref[:3]))
        if before.suspended and not after.suspended:
            log.info("pack %s: rule %s holds back no removal any more: none is due", *key)

    def _enforces(self, key: tuple[str, str]) -> bool:
        pack = self._catalog.packs[key[0]]
        return any(rule.name == key[1] and self._catalog.mode(pack, rule) is Mode.ENFORCE for rule in pack.rules)

    def _resumed(self, key: tuple[str, str], removals: Removals) -> Removals:
        """What a rule has to remove, after what people last said: where it does not act, that is about something else."""
        return removals.resumed(self._catalog.resume) if self._enforces(key) else removals._replace(word=self._catalog.resume)

    def _wanted(self, evaluation: Evaluation, rule: Rule, uids: frozenset[str]) -> Wanted:
        pack, key = evaluation.pack, ObjectKey(*evaluation.ref[:3])
        every = [obj for origin in self._catalog.origins(pack, rule) for obj in self._found(pack, rule, made_by(*origin))]
        orphans = [obj for obj in every if self._orphan(pack, source_of(obj))]
        names = {str(metadata(obj).get("uid")): str(ref_of(obj)) for obj in every}
        return Wanted(key, uids, _uids(every), _uids(orphans), names)

    def _orphan(self, pack: RulePack, source: ObjectKey | None) -> bool:
        """Whether nothing is known of a source that would be seen from here."""
        if source is None or source.kind not in pack.watches or not self._replica.owns(source):
            return False
        return self._caches.watches(source.namespace) and self._caches.get(pack, source) is None

    def _generated(self, evaluation: Evaluation, rule: Rule) -> list[Object]:
        """What is there of what was generated for an object, and is not going already. Raises ApiError and NotListed."""
        source = ObjectKey(*evaluation.ref[:3])
        origins = [Origin(*each, source) for each in self._catalog.origins(evaluation.pack, rule)]
        found = [(origin, obj) for origin in origins for obj in self._found(evaluation.pack, rule, origin.selector)]
        return [obj for origin, obj in found if origin.made(obj) and metadata(obj).get("deletionTimestamp") is None]

    def _found(self, pack: RulePack, rule: Rule, selector: str) -> Iterator[Object]:
        for kind in dict.fromkeys(generates.kind for generates in rule.generates):
            if kind is not None:
                yield from self._related.find(pack, None, read_of(kind, selector)) or ()

    def _permitted(self, evaluation: Evaluation, obj: Object, scope: Scope) -> bool:
        """Whether the pack may remove it: the marks on it are the consent of its namespace, unless the pack denies all others."""
        refused = refused_read(evaluation.pack, Read(ref_of(obj)), scope.child(object=evaluation.object))
        if refused is not None:
            log.warning("%s keeps %s, whose reason is gone: %s", evaluation.pack.identity, ref_of(obj), refused.reason)
        return refused is None

    async def _report(self, evaluation: Evaluation, rule: Rule, held: Held, removals: Removals) -> None:
        others = [f"pack {each.pack}: {each}" for each in self.held() if (each.pack, each.rule) != (held.pack, held.rule)]
        message = (
            f"Pack {held.pack}: {held}, since that is more than half of them. If that is right: "
            f"{resume_command(self._replica.namespace)}{resumes_also(others)}. T{TO_KEEP[1:]}."
        )
        cause = evaluation.cause(rule, f"removals suspended {removals.word} {removals.number}")
        now = datetime.fromtimestamp(self._clock.time(), UTC)
        step = event(cause, evaluation.object, Content("Warning", "RemovalSuspended", message, {}), now)
        await self._events.emit(evaluation.key, step)


def for_item(rule: Rule, item: Item, scope: Scope) -> tuple[Rule, Scope]:
    """Return the rule with what it does for an item, and what its expressions then see."""
    if isinstance(item.value, Removal):
        removal = RuleAction(item.value, rule.actions[0].location)
        return replace(rule, actions=(removal,), rescue=(), limits=Limits()), scope
    return rule, scope if rule.loop is None else scope.child(**{rule.loop_var: item.value})


def _variables(catalog: Catalog, pack: RulePack, obj: Object, now: float) -> dict[str, object]:
    """What the removal of what an object that is gone has left may see: no condition of the rule is evaluated."""
    params = catalog.params.get(pack.identity, {})
    return {"object": obj, "params": params, "flags": catalog.flags, "now": datetime.fromtimestamp(now, UTC)}


def _stand_in(key: ObjectKey, uid: str) -> Object:
    """What names an object that is gone: Events are about it."""
    meta = {"name": key.name, **({"namespace": key.namespace} if key.namespace else {}), "uid": uid}
    return {"apiVersion": key.kind.api_version, "kind": key.kind.kind, "metadata": meta}


def _uids(objects: Iterable[Object]) -> frozenset[str]:
    return frozenset(str(metadata(obj).get("uid")) for obj in objects)
