"""Counting objects in the groups of aggregates, once all of them are listed."""

from __future__ import annotations

from collections.abc import Callable, Collection

from engine.cel import Scope
from engine.errors import ApiError, EvaluationError
from engine.kube.act import Actor
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.objects import GroupKey, Object, ObjectKey, Ref, metadata
from engine.model.outcome import Skipped
from engine.model.plan import Read
from engine.model.text import Quoting, after, plain
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.rule import Rule
from engine.reconcile.caches import Caches
from engine.reconcile.counted import Counted
from engine.reconcile.evaluate import condition, variables_of
from engine.reconcile.hidden import without_secrets
from engine.reconcile.matching import Evaluation
from engine.reconcile.reader import Reader
from engine.reconcile.record import Record, recorded
from engine.reconcile.silent import logger
from engine.reconcile.totals import Row, Totals, row_of
from engine.reconcile.upcoming import ending, upcoming

SYNC_WAIT = 1.0
NO_GROUP = Skipped(plain("belongs to no group"))
log = logger(__name__)


class Counting:
    """Counts objects in the groups of each aggregate rule, and has a group evaluated that has changed.

    `owns` says which groups are this replica's; the others are not counted.
    """

    def __init__(
        self, actor: Actor, reader: Reader, caches: Caches, clock: Clock, enqueue: Callable[[GroupKey], None],
        owns: Callable[[GroupKey], bool],
    ) -> None:  # fmt: skip
        self._actor, self._reader, self._caches, self._clock = actor, reader, caches, clock
        self._add, self._owns = enqueue, owns
        self._counted: dict[tuple[str, str], Counted] = {}
        self._fired: dict[tuple[str, str], set[str]] = {}  # of those that are to be counted anew
        self._waiting: set[tuple[str, str]] = set()  # rules whose objects are not all listed yet

    def waits(self, key: GroupKey) -> bool:
        """Return whether the objects of a rule are not all listed yet."""
        return (key.pack, key.rule) in self._waiting

    def get(self, key: GroupKey) -> Counted | None:
        """Return the groups of a rule, None where they are not counted here."""
        return self._counted.get((key.pack, key.rule))

    async def count(self, catalog: Catalog, evaluation: Evaluation, rule: Rule, scope: Scope) -> Skipped:
        """Count one object; once all are listed, the first one of a rule has all others counted with it."""
        pack, obj = evaluation.pack, evaluation.object
        counted = await self._counting(catalog, pack, rule)
        if counted is None:
            return Skipped("waits until all objects are listed")
        if self._reader.time_slice.over():
            await self._reader.time_slice.next()
        key = ObjectKey(evaluation.ref.kind, evaluation.ref.namespace, evaluation.ref.name)
        before, skipped = counted.first.pop(key, (None, NO_GROUP))
        if before is obj:
            return skipped
        return self._count(counted, key, scope.child(oldObject=None) if pack.reads_old else scope)

    def forget(self, pack: RulePack, key: ObjectKey) -> None:
        """Count an object no more; where its kind is not served, keep what the targets say until all objects are listed again."""
        for rule in pack.rules:
            name = pack.identity, rule.name
            counted = self._counted.get(name)
            if counted is not None and self._caches.synced(pack):
                self._put(counted, key, None)
            elif counted is not None:
                self._fired[name] = counted.fired
                del self._counted[name]
                self._waiting.add(name)
                self._enqueue(GroupKey(*name, ""))

    def keep(self, packs: Collection[str]) -> None:
        """Forget the groups of all other packs: what is not watched any more is counted anew when it is watched again."""
        self._counted = {key: counted for key, counted in self._counted.items() if key[0] in packs}
        self._fired = {key: fired for key, fired in self._fired.items() if key[0] in packs}
        self._waiting = {key for key in self._waiting if key[0] in packs}

    async def wait(self, catalog: Catalog, key: GroupKey, now: float) -> Skipped:
        """Have the objects of a rule counted as soon as all are listed; no change of one of them may come then."""
        pack = catalog.packs.get(key.pack)
        rule = next((rule for rule in pack.rules if rule.name == key.rule), None) if pack else None
        if pack is None or rule is None or rule.aggregate is None or catalog.mode(pack, rule) is Mode.OFF:
            self._waiting.discard((key.pack, key.rule))
            return Skipped("is not in force")
        waiting = await self._counting(catalog, pack, rule) is None
        return Skipped("waits until all objects are listed", now + SYNC_WAIT if waiting else None)

    async def ask(self, counted: Counted, group: str, target: Object, scope: Scope) -> None:
        """Ask which members count: those that may act on the target. Only what has changed, or all of a target that has."""
        about, by = metadata(target), counted.totals.aggregate.target
        read = None if by is None else by.read(scope.child(object={}))
        for member in counted.totals.unasked(group, (str(about.get("uid")), str(about.get("resourceVersion")))):
            cached = self._caches.get(counted.pack, member)
            if cached is None:
                continue
            if self._reader.time_slice.over():
                await self._reader.time_slice.next()
            refused = None
            if read is not None:
                refused = await self._reader.check(counted.pack, read, ("patch",), scope.child(object=cached.object), [target])
            counted.totals.admit(group, member, consents=refused is None)
            if refused is not None:
                why = without_secrets(counted.rule.name in counted.pack.reads_secrets, refused.reason)
                log.debug("%s does not count in a group of %s: %s", member, counted.rule.name, why)

    def has_begun(self, counted: Counted, evaluation: Evaluation) -> bool:
        """Return whether the rule has begun to act for a group while it had members; the record on its target says so too."""
        assert evaluation.group is not None
        group, totals = evaluation.group.group, counted.totals
        if totals.aggregate.target is None:
            return group in counted.fired
        if group in counted.fired and not totals.has_members(group):  # one with members may count none of them, time and again
            return True
        known = recorded(evaluation.object, counted.pack.record_names[evaluation.group.rule])
        return known.key == group and self._all_watched(known)

    def _all_watched(self, record: Record) -> bool:
        """Whether all namespaces that were counted are watched here; otherwise another engine knows of their objects."""
        return all(self._caches.watches(namespace) for namespace in record.items)

    async def _counting(self, catalog: Catalog, pack: RulePack, rule: Rule) -> Counted | None:
        """The groups of a rule with all objects counted in them; None until all of those are listed."""
        name = pack.identity, rule.name
        counted, params = self._counted.get(name), catalog.params.get(pack.identity, {})
        if counted is not None and counted.pack is pack and counted.params == params:
            return counted
        if counted is not None:
            self._fired[name] = counted.fired
        if not self._caches.synced(pack):
            if name not in self._waiting:  # one timer for the rule, not one for each of its objects
                self._waiting.add(name)
                self._enqueue(GroupKey(*name, ""))
            return None
        assert rule.aggregate is not None
        self._waiting.discard(name)
        counted = self._counted[name] = Counted(pack, rule, params, Totals(rule.aggregate), fired=self._fired.pop(name, set()))
        await self._count_all(catalog, counted)
        return counted

    async def _count_all(self, catalog: Catalog, counted: Counted) -> None:
        """Count every object there is, and enqueue every group, those that only an old record knows of included."""
        pack, now = counted.pack, self._clock.time()
        for key in list(self._caches.objects(pack)):
            if self._reader.time_slice.over():
                await self._reader.time_slice.next()
            cached = self._caches.get(pack, key)
            if cached is not None:
                scope = Scope(variables_of(catalog, pack, cached.object, None, now), counted.rule.vars, self._clock.monotonic())
                counted.first[key] = cached.object, self._count(counted, key, scope)
        counted.ready, counted.recounted_at = True, self._clock.monotonic()
        for group in {*counted.totals.keys(), *await self._on_record(counted)}:
            self._enqueue(GroupKey(pack.identity, counted.rule.name, group))

    async def _on_record(self, counted: Counted) -> list[str]:
        """The groups whose targets carry a record: the last member of one may have gone while nobody watched.

        Without targets, those for which the rule has fired.
        """
        pack, rule, target = counted.pack, counted.rule, counted.totals.aggregate.target
        kind = None if target is None else target.kind
        if kind is None:
            return [*counted.fired]
        try:
            targets = await self._actor.read(Read(Ref(kind, "", ""), ""))
        except ApiError as error:
            log.warning("%s/%s: cannot list %s to find groups that have gone: %s", pack.identity, rule.name, kind, error)
            return []
        records = [recorded(target, pack.record_names[rule.name]) for target in targets]
        return [found.key for found in records if found.key and self._all_watched(found)]

    def _enqueue(self, key: GroupKey) -> None:
        """Have a group evaluated, if it is this replica's."""
        if self._owns(key):
            self._add(key)

    def _count(self, counted: Counted, key: ObjectKey, scope: Scope) -> Skipped:
        """Count an object as it is, or no more; say where, and when that changes by itself."""
        rule = counted.rule
        row: Row | None = None
        try:
            skipped = condition(rule, scope)
            if skipped is None and (row := row_of(counted.totals.aggregate, scope)) is not None:
                skipped = Skipped(Quoting(f"counts in group {row.group!r}", "counts in a group"))
        except EvaluationError as error:
            skipped = Skipped(after("cannot be counted", error), unknown=True)
        self._put(counted, key, row)
        skipped = skipped or NO_GROUP
        return skipped if skipped.unknown else skipped._replace(retry_at=_again(rule, scope, counts=row is not None))

    def _put(self, counted: Counted, key: ObjectKey, row: Row | None) -> None:
        if row is not None and not self._owns(GroupKey(counted.pack.identity, counted.rule.name, row.group)):
            row = None
        for group in counted.totals.put(key, row, self._clock.monotonic()):
            if counted.ready:
                self._enqueue(GroupKey(counted.pack.identity, counted.rule.name, group))


def _again(rule: Rule, scope: Scope, *, counts: bool) -> float | None:
    """Return when time alone may make an object count or not, or contribute something else; None where it does not."""
    assert rule.aggregate is not None
    if not (rule.reads_now or rule.aggregate.reads_now):
        return None
    if rule.resync is not None:
        return scope.now + rule.resync
    return ending(rule, scope) if counts else upcoming(rule, scope)
