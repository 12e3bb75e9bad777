"""Explains what the packs in force make of an object: the engine evaluates it once, in Audit, on a cluster it cannot change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from engine.actions.event import EVENT
from engine.cel import Scope
from engine.errors import ApiError
from engine.kube.access import AccessReviews
from engine.kube.act import Actor
from engine.kube.api import Api, Selection
from engine.kube.clock import Clock
from engine.kube.selectors import label_selector
from engine.model.flags import Mode
from engine.model.objects import NAMESPACE, GroupKey, Kind, Object, ObjectKey, annotations_of, dig, kind_of, metadata, names_of
from engine.model.observe import Act, Evaluated
from engine.model.outcome import Done
from engine.model.text import field_text
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.rule import Rule
from engine.packs.watches import Selection as Selected
from engine.reconcile import Reconciler, Replica
from engine.reconcile.evaluate import TOLERANCE, variables_of
from engine.reconcile.explain import Clause, Value, clauses, value_of
from engine.reconcile.reader import Reader
from engine.reconcile.record import PREFIX
from engine.reconcile.silent import silent
from engine.reconcile.timeslice import TimeSlice
from engine.reconcile.waits import RULE_WAITING
from engine.testing.caches import DirectCaches
from engine.testing.http import PlayedHttp
from engine.testing.readonly import Consent, ReadOnlyCluster
from engine.testing.world import Seen


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """What one rule makes of the object: `skipped` is the first thing that keeps it from firing, '' where it fires.

    `unread` is why its lookups are not read, `waiting` what a running engine has said, in Events, that it waits for.
    """

    name: str
    description: str
    mode: Mode
    result: Evaluated
    skipped: str
    clauses: tuple[Clause, ...]
    once_per: Value | None
    loop: Value | None
    record: str | None
    timing: tuple[str, ...]
    acts: tuple[Act, ...]
    on: str = "Change"
    waiting: tuple[str, ...] = ()
    unread: str = ""


class Selector(NamedTuple):
    """A selector of a pack: by which labels, and whether it picks the object."""

    of: str
    text: str
    picks: bool


@dataclass(frozen=True, slots=True)
class PackExplanation:
    """What one pack makes of the object; without `rules` where one of its selectors does not pick it."""

    name: str
    source: str
    mode: Mode
    selectors: tuple[Selector, ...]
    fields: tuple[Value, ...]
    rules: tuple[RuleExplanation, ...]

    @property
    def picked(self) -> bool:
        """Whether all selectors pick the object."""
        return all(each.picks for each in self.selectors)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What all packs that watch its kind make of an object; `assumed` names consent that was taken for granted."""

    object: Object
    packs: tuple[PackExplanation, ...]
    assumed: tuple[Consent, ...]


class Basis(NamedTuple):
    """What explaining objects of one kind takes of a catalog, for any number of them. `catalog` is what is in force, and
    `audited` has of it the packs that watch the kind; `caches` are empty."""

    catalog: Catalog
    audited: Catalog
    caches: DirectCaches

    @classmethod
    def of(cls, catalog: Catalog, kind: Kind) -> Basis:
        """Return it; with 500 rules that takes some tenths of a second of CPU, and may be done in another thread."""
        # it is the given object that is explained, not what it has become since
        return cls(catalog, _audited(catalog, kind), DirectCaches(catalog.for_kind(kind), large=True))


async def explain(
    api: Api, clock: Clock, catalog: Catalog, obj: Object, *, basis: Basis | None = None,
    namespaces: Mapping[str, Object] | None = None, time_slice: TimeSlice | None = None,
) -> Explanation:  # fmt: skip
    """Explain one object. Only reads, logs nothing; raises ApiError where objects of an aggregate, or namespaces, cannot be read.

    With `namespaces`, those by whose labels packs select, by name, no groups are evaluated, and only what rules read is read.
    A process that evaluates more shares its `time_slice`.
    """
    with silent():
        cluster, kind = ReadOnlyCluster(api), kind_of(obj)
        packs, basis = catalog.for_kind(kind), basis or Basis.of(catalog, kind)
        seen, groups, alone = Seen(), list[ObjectKey | GroupKey](), namespaces is not None
        caches = basis.caches.emptied()
        namespaces = await _namespaces(api, packs, obj) if namespaces is None else namespaces
        caches.select(namespaces)
        for each in [*([] if alone else await _others(api, packs)), obj]:
            caches.put(_key(each), each)
        replica = Replica(lambda: True, sender=PlayedHttp(clock), time_slice=time_slice)
        reconciler = Reconciler(cluster, clock, caches, seen, replica, groups.append, every_rule=True)
        reconciler.catalog = basis.audited
        await reconciler.reconcile(_key(obj))
        for group in () if alone else groups:
            if isinstance(group, GroupKey) and _counts_in(catalog, group, obj, clock.time()):
                await reconciler.reconcile(group)
        reader = Reader(Actor(cluster, lambda: True), AccessReviews(cluster, clock), clock, time_slice=time_slice)
        explainer = _Explainer(catalog, obj, clock.time(), seen, reader, await _waiting(cluster, obj), namespaces)
        return Explanation(obj, tuple([await explainer.pack(pack) for pack in packs]), tuple(dict.fromkeys(cluster.assumed)))


async def _waiting(api: Api, obj: Object) -> Sequence[Object]:
    """The Events in which a running engine has said what rules wait for; none where they may not be listed."""
    name, namespace = str(metadata(obj).get("name") or ""), str(metadata(obj).get("namespace") or "default")
    try:
        fields = f"involvedObject.name={name},reason={RULE_WAITING}"
        page = await api.list(Selection(await api.discover(EVENT), namespace, fields=fields))
    except ApiError:
        return ()
    return [event for event in page.items if event["involvedObject"].get("uid") == metadata(obj).get("uid")]


def _audited(catalog: Catalog, kind: Kind) -> Catalog:
    """The packs that watch a kind, with every mode Audit, so that also what is Off says what it would do."""
    packs = {
        pack.identity: replace(pack, rules=tuple(replace(rule, mode=None) for rule in pack.rules))
        for pack in catalog.for_kind(kind)
    }
    modes = dict.fromkeys(catalog.packs, Mode.AUDIT)
    return Catalog(packs, modes, catalog.params, undecided=catalog.undecided, times=catalog.times)


async def _others(api: Api, packs: Sequence[RulePack]) -> list[Object]:
    """All objects of the kind, where a rule counts them in groups."""
    if not any(rule.aggregate is not None for pack in packs for rule in pack.rules):
        return []
    kinds = dict.fromkeys(kind for pack in packs if pack.counts for kind in pack.watches)
    return [each for kind in kinds for each in (await api.list(Selection(await api.discover(kind)))).items]


async def _namespaces(api: Api, packs: Sequence[RulePack], obj: Object) -> Mapping[str, Object]:
    """The namespaces by name, where packs select by their labels: all where objects are counted in groups, else the object's."""
    selecting, (name, _) = [pack for pack in packs if pack.selects_namespaces], names_of(obj)
    if not selecting:
        return {}
    resource = await api.discover(NAMESPACE)
    if any(pack.counts for pack in selecting):
        return {names_of(each)[1]: each for each in (await api.list(Selection(resource))).items}
    return {name: await api.get(resource, "", name)} if name else {}


def _counts_in(catalog: Catalog, key: GroupKey, obj: Object, now: float) -> bool:
    """Whether an object belongs to a group."""
    pack = catalog.packs[key.pack]
    rule = next(rule for rule in pack.rules if rule.name == key.rule)
    by = value_of(rule.aggregate.by if rule.aggregate else None, Scope(variables_of(catalog, pack, obj, None, now), rule.vars))
    return by is not None and by.there and by.value == key.group


def _key(obj: Object) -> ObjectKey:
    return ObjectKey(kind_of(obj), *names_of(obj))


@dataclass(frozen=True, slots=True)
class _Explainer:
    """One object, evaluated in one catalog at one time, and what the engine made of it."""

    catalog: Catalog
    obj: Object
    now: float
    seen: Seen
    reader: Reader
    events: Sequence[Object]
    namespaces: Mapping[str, Object]

    async def pack(self, pack: RulePack) -> PackExplanation:
        """What one pack makes of it."""
        watch = pack.watches[kind_of(self.obj)]
        selectors = tuple(self._selectors(watch.selection))
        fields = tuple(_field(self.obj, path) for path in watch.fields)
        rules = [await self._timely(pack, rule) for rule in pack.rules] if all(each.picks for each in selectors) else []
        return PackExplanation(pack.identity, pack.source, self.catalog.mode(pack), selectors, fields, tuple(rules))

    async def _timely(self, pack: RulePack, rule: Rule) -> RuleExplanation:
        """What one rule makes of it, once others have had their turn: a running engine has more to do than to explain."""
        if self.reader.time_slice.over():
            await self.reader.time_slice.next()
        return await self.rule(pack, rule)

    def _selectors(self, selection: Selected) -> Iterator[Selector]:
        if selection.labels:
            yield Selector("label", selection.labels, label_selector(selection.labels)(self.obj))
        if selection.namespaces is not None:
            namespace = self.namespaces.get(names_of(self.obj)[0])
            picks = namespace is not None and label_selector(selection.namespaces)(namespace)
            yield Selector("namespace", selection.namespaces, picks)

    async def rule(self, pack: RulePack, rule: Rule) -> RuleExplanation:
        """What one rule makes of it."""
        scope, unread = await scope_of(self.reader, self.catalog, pack, rule, self.obj, self.now)
        timing = (*_timing(rule, self.catalog.since(pack, rule)), *_unfollowed(pack, rule))
        name, mode = f"{pack.identity}/{rule.name}", self.catalog.mode(pack, rule)
        evaluated = [(result, reason) for each, result, reason in self.seen.evaluations if each == name]
        result, skipped = evaluated[-1] if evaluated else (Evaluated.SKIPPED, "is about objects that are gone (on: Delete)")
        acts = tuple(act for act in self.seen.acts if (act.pack, act.rule) == (pack.identity, rule.name))
        if mode is Mode.OFF:
            result, skipped = Evaluated.SKIPPED, f"its mode is {Mode.OFF.word}"
        elif rule.aggregate is not None and acts:
            result, skipped = Evaluated.FIRED, ""
        there, names = annotations_of(self.obj), pack.record_names[rule.name]
        record = next((there[PREFIX + name] for name in names if PREFIX + name in there), None)
        waiting = () if result is Evaluated.SKIPPED else self._waiting(pack, rule)
        return RuleExplanation(
            rule.name, rule.description, mode, result, skipped, tuple(clauses(rule, scope)), value_of(rule.once_per, scope),
            value_of(rule.loop, scope), record, timing, acts, rule.on, waiting, unread,
        )  # fmt: skip

    def _waiting(self, pack: RulePack, rule: Rule) -> tuple[str, ...]:
        """What a running engine has said that a rule waits for, and when it last did."""
        said = [event for event in self.events if event.get("reportingInstance") == f"{pack.identity}.{rule.name}"]
        return tuple(f"{event.get('lastTimestamp')}: {event.get('message')}" for event in said)


async def scope_of(reader: Reader, catalog: Catalog, pack: RulePack, rule: Rule, obj: Object, now: float) -> tuple[Scope, str]:
    """Return what a rule's expressions see of an object, with what it looks up, and why that could not be looked up, or ''."""
    scope = Scope(variables_of(catalog, pack, obj, None, now), rule.vars)
    if rule.schedule is not None:
        scope = scope.child(schedule={"time": rule.schedule.nearest(scope.value("now"))})
    if not rule.lookups or rule.aggregate is not None:  # which a group looks up, not an object
        return scope, ""
    try:
        found = await reader.look_up(pack, rule, scope, {})
    except ApiError as error:
        return scope, f"lookup failed: {await reader.failure(pack, rule, scope, error)}"
    return (scope.child(lookup=found.result), "") if isinstance(found, Done) else (scope, found.reason)


def _field(obj: Object, path: tuple[str, ...]) -> Value:
    value = dig(obj, path)
    return Value(field_text(path), value, there=value is not None)


def _unfollowed(pack: RulePack, rule: Rule) -> Iterator[str]:
    """Say of which lookups a running engine does not notice a change."""
    followed = [lookup.name for follower, lookup in pack.followed if follower is rule]
    for name in rule.lookups:
        if name not in followed:
            yield f"lookup.{name}: read when the rule is evaluated; a change of it does not evaluate it"


def _timing(rule: Rule, in_force: datetime | None) -> Iterator[str]:
    """What besides conditions may keep a rule from firing, or have it evaluated again; `in_force`: since when it is in force."""
    if rule.hold:
        where = "is on record once it is a minute" if rule.durable_hold else "is known to a running engine only"
        yield f"for: the conditions must have held for {rule.hold:g} s, and how long they have {where}"
    if rule.throttle is not None:
        yield f"throttle: at most once in {rule.throttle:g} s"
    since = "its creation" if rule.existing.age_from is None else rule.existing.age_from.source
    at = "" if in_force is None else f", at {in_force:%Y-%m-%dT%H:%M:%SZ},"
    left = f"the rule came into force{at} is left alone, with {TOLERANCE.seconds} s of tolerance, since clocks differ"
    if rule.existing.policy == "Ignore":
        yield f"existing: what was so ({since}) before {left}"
    elif rule.existing.max_age is not None:
        yield f"existing: what was so ({since}) {rule.existing.max_age:g} s before {left}"
    if rule.schedule is not None:
        yield f"schedule: {rule.schedule.describe()}, at most {rule.schedule.starting_deadline:g} s late"
    if rule.resync is not None:
        yield f"resync: evaluated again every {rule.resync:g} s"
