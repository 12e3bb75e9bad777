"""Which objects packs watch, and what the rules make of one of them, as plain data for the pages Objects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from heapq import nsmallest
from typing import Any, NamedTuple

from engine.console.content import SECRET_READ, UNSEEN, Content
from engine.console.firings import LINES, TEXT, Firings
from engine.console.viewer import Viewer
from engine.console.visible import NO_SECRET, VisibleCluster, named_object
from engine.errors import ApiError
from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.objects import NAMESPACE, SECRET, Kind, Object, ObjectKey, Ref, metadata
from engine.model.observe import Act
from engine.model.text import clean, cut
from engine.operator.informer import Informer
from engine.operator.overview import known
from engine.operator.selection import InformerKey
from engine.operator.wiring import Operator
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.reconcile.explain import Clause, Value
from engine.reconcile.timeslice import TimeSlice
from engine.testing.describe import step_text, value_text
from engine.testing.explain import Basis, Explanation, PackExplanation, RuleExplanation, explain
from engine.testing.known import joined
from engine.testing.verdict import verdict

FOUND = 100
"""How many objects a search shows."""
RULES = 100
"""How many rules the page of an object shows."""
VALUES = 20
"""How many values of one condition, and steps of one rule, are shown."""
CHUNK = 500
"""How many objects are searched before others have their turn."""
AT_ONCE = 2
"""How many objects are explained at a time: each may have 1 MB, and as much again in what its rules look up."""
BASES = 16
"""Of how many kinds is kept what explaining takes of the catalog."""


class Search(NamedTuple):
    """Which objects are shown: of that kind, and in whose namespace and name each text is; '' for any."""

    kind: str = ""
    namespace: str = ""
    name: str = ""

    def fits(self, kind: Kind, namespace: str, name: str) -> bool:
        """Return whether an object is shown."""
        whole = not self.kind or self.kind == str(kind)
        return whole and self.namespace.lower() in namespace and self.name.lower() in name.lower()


class Objects:
    """Searches what the packs of a running operator watch, and explains it with no more than a viewer may read."""

    def __init__(self, api: Api, operator: Operator, content: Content, firings: Firings, clock: Clock) -> None:
        self._api, self._operator, self._content, self._firings, self._clock = api, operator, content, firings, clock
        self._under_way = asyncio.Semaphore(AT_ONCE)
        self._bases: dict[Kind, Basis] = {}

    @property
    def _catalog(self) -> Catalog:
        return self._operator.reconciler.catalog

    def _informers(self) -> Mapping[InformerKey, Informer]:
        return {informer.key: informer for pack in self._catalog.packs.values() for informer in self._operator.caches.of(pack)}

    def names(self) -> object:
        """Return what is another one once an object has come or gone."""
        return tuple((key, informer.store.names) for key, informer in self._informers().items())

    def state(self, key: ObjectKey) -> object:
        """Return what is another one once an object, its rules or what they make of it has changed, while it is followed."""
        name = key.namespace, key.name
        seen = [each.store.objects.get(name) for each in self._informers().values() if each.key.kind == key.kind]
        versions = tuple(metadata(each.object).get("resourceVersion") for each in seen if each)
        return versions, self._firings.evaluations.get(key), self._catalog, self._operator.may_act()

    def following(self, key: ObjectKey) -> AbstractContextManager[None]:
        """Count meanwhile what `state` reads."""
        return self._firings.following(key)

    async def search(self, viewer: Viewer, only: Search) -> dict[str, Any]:
        """Return what the page of a search says."""
        kinds = sorted({kind for pack in self._catalog.packs.values() for kind in pack.watches}, key=str)
        first: list[tuple[str, str, Kind]] = []
        for key, informer in self._informers().items():
            names = list(informer.store.objects) if only.kind in ("", str(key.kind)) else []
            for start in range(0, len(names), CHUNK):
                fits = [each for each in names[start : start + CHUNK] if only.fits(key.kind, *each)]
                seen = [(*each, key.kind) for each in fits if await viewer.sees(Ref(key.kind, *each))]
                first = nsmallest(FOUND + 1, {*first, *seen})
                await asyncio.sleep(0)
        rows = [{"namespace": namespace, "name": name, "kind": kind} for namespace, name, kind in first[:FOUND]]
        return {"rows": rows, "more": len(first) > FOUND, "kinds": kinds, "only": only}

    async def one(self, viewer: Viewer, key: ObjectKey, only: Mapping[str, str]) -> dict[str, Any] | None:
        """Return what the page of an object says, of the packs and rules in whose names these texts are.

        None where no pack watches its kind, it is not there, or the viewer may not see it. Raises ApiError.
        """
        ref = Ref(key.kind, key.namespace, key.name)
        if not self._catalog.for_kind(key.kind) or not await viewer.sees(ref):
            return None
        sees_packs = await viewer.sees_packs()
        common = {"object": ref, "only": only, "sees_packs": sees_packs, "leading": self._content.leading()}
        if key.kind.kind == SECRET.kind:
            return {**common, "packs": [], "more": 0, "assumed": (), "secret": True}
        async with self._under_way:
            try:
                explanation = await self._explained(viewer, key)
            except ApiError as error:
                if error.not_found:
                    return None
                raise
            shown = _Shown(self._content, self._firings, explanation, key, viewer, sees_packs)
            packs, more = await shown.packs(only, self._operator.time_slice)
            assumed = await shown.assumed()
        return {**common, "packs": packs, "more": more, "assumed": assumed, "secret": False}

    async def _explained(self, viewer: Viewer, key: ObjectKey) -> Explanation:
        cluster, catalog = VisibleCluster(self._api, viewer), self._catalog
        obj = await cluster.watched(key)
        basis = await self._basis(catalog, key.kind)
        namespaces = await self._namespaces(catalog.for_kind(key.kind), key.namespace)
        explanation = await explain(
            cluster, self._clock, catalog, obj, basis=basis, namespaces=namespaces, time_slice=self._operator.time_slice
        )
        packs = known(self._operator.activity, key, self._operator.reconciler.states(key))
        return joined(explanation, {"packs": packs})

    async def _basis(self, catalog: Catalog, kind: Kind) -> Basis:
        found = self._bases.get(kind)
        if found is None or found.catalog is not catalog:
            found = await asyncio.to_thread(Basis.of, catalog, kind)
            self._bases = {kind: each for kind, each in self._bases.items() if each.catalog is catalog}
            if len(self._bases) >= BASES:
                self._bases.clear()
            self._bases[kind] = found
        return found

    async def _namespaces(self, packs: Iterable[RulePack], name: str) -> Mapping[str, Object]:
        """Return the object's namespace, where packs select by its labels; no value of it is shown."""
        if not name or not any(pack.selects_namespaces for pack in packs):
            return {}
        return {name: await named_object(self._api, NAMESPACE, "", name)}


class _Shown(NamedTuple):
    """An explanation as plain data. Who may not see the packs gets no conditions, since those are text of a pack."""

    content: Content
    firings: Firings
    explanation: Explanation
    key: ObjectKey
    viewer: Viewer
    sees_packs: bool

    async def packs(self, only: Mapping[str, str], time_slice: TimeSlice) -> tuple[list[dict[str, Any]], int]:
        """Return the packs, and how many of their rules are not shown."""
        found, rules, more = [], 0, 0
        for pack in self.explanation.packs:
            if only["pack"].lower() not in pack.name:
                continue
            shown = []
            for rule in (each for each in pack.rules if only["rule"].lower() in each.name):
                if time_slice.over():
                    await time_slice.next()
                rules += 1
                if rules <= RULES:
                    reasons = await self.content.reasons(self.viewer, self.key, pack.name, rule.name)
                    shown.append(self._rule(pack, rule, [reason for _, reason in reasons], await self._instead(pack, rule)))
                more = max(0, rules - RULES)
            if shown or not pack.rules:
                found.append(self._pack(pack, shown))
        return found, more

    async def assumed(self) -> Sequence[str]:
        """Return what is taken for granted, for those who may see the packs: without names, and not where one may be hidden."""
        rules = [(pack, rule) for pack in self.explanation.packs for rule in pack.rules]
        if not self.explanation.assumed or not self.sees_packs or any([await self._instead(*each) for each in rules]):
            return ()
        said = (f"{each.user} may {each.verb} {each.resource} in {each.namespace}" for each in self.explanation.assumed)
        return tuple(dict.fromkeys(said))

    async def _instead(self, pack: PackExplanation, rule: RuleExplanation) -> str:
        """Return what is shown instead of texts about a rule that may quote what nobody, or not this viewer, may see, or ''.

        What the rule looks up and acts on was read with the viewer's rights; params were not.
        """
        if self.firings.hides(pack.name, rule.name, self.key.kind):
            return SECRET_READ
        found = [await self.viewer.may("get", kind, "") for kind in self.firings.finds(pack.name, rule.name)]
        return "" if all(found) else UNSEEN

    def _pack(self, pack: PackExplanation, rules: list[dict[str, Any]]) -> dict[str, Any]:
        selectors = [(each.of, each.text if self.sees_packs else "", each.picks) for each in pack.selectors]
        fields = [(field.path, value_text(field)) for field in pack.fields[:VALUES]] if self.sees_packs else []
        return {
            "name": pack.name, "mode": pack.mode.word, "source": pack.source, "selectors": selectors, "picked": pack.picked,
            "fields": fields, "rules": rules,
        }  # fmt: skip

    def _rule(self, pack: PackExplanation, rule: RuleExplanation, reasons: Sequence[str], instead: str) -> dict[str, Any]:
        hides = instead == SECRET_READ
        record = instead if hides and rule.record else rule.record or ""
        waiting = [] if hides else [f"an Event said at {each}" for each in rule.waiting]
        said = _said(rule.skipped, instead)
        skipped = said if self.sees_packs or not said.startswith("when[") else said.partition(":")[0]
        of_packs = {
            "clauses": [_clause(each, instead) for each in rule.clauses],
            "once_per": (rule.once_per.path, _value(rule.once_per, instead)) if rule.once_per else None,
            "loop": (rule.loop.path, _value(rule.loop, instead)) if rule.loop else None,
        } if self.sees_packs else {"clauses": [], "once_per": None, "loop": None}  # fmt: skip
        return {
            "name": rule.name, "description": rule.description, "mode": rule.mode.word, "off": rule.mode is Mode.OFF,
            "verdict": verdict(rule), "result": rule.result.value, "skipped": _short(skipped), **of_packs,
            "keyed": rule.once_per is not None, "record": _short(record),
            "timing": [*rule.timing, *([_unread(rule.unread, hides, instead)] if rule.unread else [])],
            "waiting": [_short(each) for each in (*dict.fromkeys(reasons), *waiting)][:VALUES],
            "acts": [_act(each, instead) for each in rule.acts[:VALUES]], "more": max(0, len(rule.acts) - VALUES),
        }  # fmt: skip


def _short(text: str, limit: int = 2 * TEXT) -> str:
    return cut(clean(cut(text, 4 * limit)), limit)


def _said(text: str, instead: str) -> str:
    """Return a text; where something is shown instead, only as much of it as quotes nothing."""
    said = getattr(text, "plain", "")
    if not (instead and text) or said == text:
        return text
    return f"{said}: {instead}" if said else instead


def _unread(why: str, hides: bool, instead: str) -> str:
    """Return why what a rule looks up is not read."""
    return f"lookup: {NO_SECRET}, `rulepack explain` does" if hides else instead or _short(why)


def _value(value: Value, instead: str) -> str:
    return instead or value_text(value)


def _clause(clause: Clause, instead: str) -> dict[str, Any]:
    """Return a condition; one that decides nothing, after one that is false, is undecided."""
    undecided = clause.holds is None and not clause.doubt
    mark, word = {True: ("✓", "true"), False: ("✗", "false"), None: ("·" if undecided else "?", "no answer")}[clause.holds]
    values = [(value.path, _value(value, instead)) for value in clause.values if value.there or not undecided]
    return {
        "mark": mark, "word": word, "source": _short(" ".join(clause.source.split())),
        "doubt": _short(_said(clause.doubt, instead)), "values": values[:VALUES],
    }  # fmt: skip


def _act(act: Act, instead: str) -> dict[str, Any]:
    what = step_text(act.step) if act.step else act.result.value
    shown = {"item": _short(act.item), "what": _short(what), "detail": _short(act.detail), "diff": tuple(_lines(act.diff))}
    if instead:
        what = instead if act.step else what
        shown |= {"item": instead if act.item else "", "what": what, "detail": _said(act.detail, instead), "diff": ()}
    return {"action": act.action, "planned": act.step is not None, **shown}


def _lines(diff: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(diff):
        if number == LINES:
            yield "…"
            return
        yield _short(line, TEXT)
