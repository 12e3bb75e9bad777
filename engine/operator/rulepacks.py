"""The statuses of objects of kind RulePack, and the objects that stand for packs whose text is elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from engine.kube.act import Actor, NotLeading
from engine.kube.api import FIELD_MANAGER, Api
from engine.kube.clock import Clock, within
from engine.model.flags import STRICTNESS, Mode
from engine.model.generated import left_in
from engine.model.objects import Object, dig, metadata, ref_of
from engine.model.plan import Create
from engine.operator.counted import Counted
from engine.operator.informer import UNLISTED
from engine.operator.own_objects import NOT_HERE, OwnObjects, apply_status
from engine.operator.settings import Settings
from engine.operator.statuses import Writer
from engine.packs.catalog import Catalog
from engine.packs.claims import specs_in
from engine.packs.conditions import INVALID, verdict
from engine.packs.earlier import written_mode
from engine.packs.pack import RulePack
from engine.packs.rbac import RULE_PACK
from engine.packs.schema import API_VERSION
from engine.packs.sources import MANAGED, PackObject, Text
from engine.packs.status import RuleCounts, Standing, computed, holds, left, part, refusal, was_ready
from engine.packs.versions import Report

log = logging.getLogger(__name__)

PERIOD, SOON = 5.0, 0.5
"""Seconds between two writes of a status in which only counts differ, and while a pack lists its kind, for which people wait."""
LAST = 3.0
"""Seconds for the last write of the counts, when the process ends: it has 30 in all."""
RETRY = 10.0
"""Seconds before a status that could not be written is tried again."""
LISTING = 30.0
"""Seconds for which a pack may list its kind anew, as at a restart, before its status says that it is not ready."""
LISTS = "Listing"
"""The reason of a pack whose kind is being listed."""
WAITING_FOR_KIND, MISSING_RIGHT = "WaitingForKind", "MissingRight"
"""The reasons of a pack whose kind cannot be listed or watched."""
_AGAIN = {LISTS: LISTING, MISSING_RIGHT: UNLISTED, WAITING_FOR_KIND: UNLISTED}
"""For how long after a restart the status does not say so of a pack that was ready."""


class Fare(NamedTuple):
    """How a pack fares: why it cannot work, in one word ('' where it can) and in sentences, and what its rules did.

    `notes` say what does not keep it from working, a sentence each.
    """

    reason: str
    waits: Sequence[str]
    counts: Mapping[str, RuleCounts]
    notes: Sequence[str] = ()


def references(catalog: Catalog, shipped: Collection[str], config_maps: Sequence[Object], namespace: str) -> list[Object]:
    """Return the objects that are to stand for packs whose text is elsewhere: those shipped, and those that ConfigMaps hold.

    The latter go with their ConfigMap, and before those of shipped packs that they replace.
    """
    wanted = {name: _reference(name, namespace, {"shipped": name}) for name in sorted(shipped)}
    for config_map in config_maps:
        ref = ref_of(config_map)
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": ref.name, "uid": ref.uid}
        for name, pack in sorted(catalog.packs.items()):
            if pack.source.startswith(f"configmap/{ref.namespace}/{ref.name}/"):
                wanted[name] = _reference(name, namespace, {"configMap": ref.name}, owner)
    return [*wanted.values()]


def _reference(name: str, namespace: str, spec: Object, *owners: Object) -> Object:
    meta = {"name": name, "namespace": namespace, "labels": MANAGED, **({"ownerReferences": [*owners]} if owners else {})}
    return {"apiVersion": API_VERSION, "kind": RULE_PACK.kind, "metadata": meta, "spec": spec}


def _unheeded(wanted: Mode | None, pack: RulePack, mode: Mode) -> str:
    """Return that the mode in what is refused does not count, and what to do, where it is stricter than the one in force."""
    if wanted is None or STRICTNESS.index(wanted) <= STRICTNESS.index(mode):
        return ""
    now = f"to have it now, set the feature flag {pack.feature_flag}: {wanted.word} in ConfigMap rulepack-feature-flags"
    return f"its mode {wanted.word} does not count while it is refused: {now}"


def _deleting(obj: Object) -> str:
    """Return that an object is being deleted, and what holds that up; '' where it is not."""
    finalizers = ", ".join(metadata(obj).get("finalizers") or ())
    gone = f"it is being deleted, and counts until somebody takes away its finalizers ({finalizers})"
    return gone if metadata(obj).get("deletionTimestamp") else ""


class RulePackStatuses:
    """Creates the objects that stand for packs whose text is elsewhere, and keeps the status of every object, differences only.

    `fare` says how a pack in force fares. `leads` says whether this replica may write, `first` whether it writes more than
    its own part of a status, which one of several shards does.
    """

    def __init__(
        self, api: Api, settings: Settings, clock: Clock, leads: Callable[[], bool], fare: Callable[[RulePack], Fare]
    ) -> None:
        self._clock, self._leads, self._fare = clock, leads, fare
        self._namespace, self._dry_run = settings.operator_namespace, settings.dry_run
        self._shard, self._shards = (settings.shard.number, settings.shard.count) if settings.shard else (0, 1)
        self._actor = Actor(api, leads)
        self._writer = Writer(self._actor, clock)
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._objects: OwnObjects | None = None
        self._read: Mapping[str, Text | PackObject] = {}
        self._reports: Mapping[str, Report] = {}
        self._refused_texts: Mapping[str, Mapping[str, Mapping[str, Any] | None]] = {}  # by file, the specs by pack
        self._catalog = Catalog()
        self._references: Sequence[Object] = ()
        self._counted = Counted(self._shard)
        self._typed = False
        self._listing: dict[str, float] = {}  # since when, by pack

    def use(
        self, objects: OwnObjects, read: Sequence[Text | PackObject], reports: Sequence[Report], catalog: Catalog,
        references: Sequence[Object], *, typed: bool,
    ) -> None:  # fmt: skip
        """Take in what was `read`, and what became of each source; write the statuses soon.

        `references` are the objects that are to stand for packs whose text is elsewhere. `typed` says whether the types of
        expressions have been checked.
        """
        self._typed = typed
        self._objects, self._read = objects, {each.file: each for each in read}
        self._reports = {report.source: report for report in reports}
        refused = {fault.location.file for report in reports for fault in report.faults}
        self._refused_texts = {
            each.file: specs_in(each.text) for each in read if isinstance(each, Text) and each.file in refused
        }  # fmt: skip
        self._catalog, self._references = catalog, references
        self._news.set()

    def took_over(self) -> None:
        """Go on from the counts that are in the statuses now, since another replica may have counted on."""
        self._counted.took_over()
        self._news.set()

    def waits_of(self, identity: str) -> Sequence[str]:
        """Return what a pack in force waits for, a sentence each."""
        fare = self._fare_of(identity)
        return fare.waits if fare and fare.reason in (WAITING_FOR_KIND, MISSING_RIGHT) else ()

    def notes_of(self, identity: str) -> Sequence[str]:
        """Return what people should know of a pack in force that works, a sentence each."""
        fare = self._fare_of(identity)
        return fare.notes if fare else ()

    def _fare_of(self, identity: str) -> Fare | None:
        pack = self._catalog.packs.get(identity)
        return None if pack is None or self._catalog.mode(pack) is Mode.OFF else self._fare(pack)

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            written = await self._write(create=True)
            while not self._news.is_set():
                begun = self._clock.monotonic() - LISTING
                soon = SOON if any(since > begun for since in self._listing.values()) else PERIOD
                await within(self._clock, soon if written else RETRY, self._news.wait())
                if not self._news.is_set():
                    written = await self._write(create=not written)

    async def finish(self) -> None:
        """Write once more what the rules have done, within LAST seconds: nobody counts the last moments of a process again."""
        if not await within(self._clock, LAST, self._write(create=False)):
            log.warning("the statuses of RulePacks were not written within %g s: their counts lack the last moments", LAST)

    async def _write(self, *, create: bool) -> bool:
        """Bring all statuses up to date; return False where that has to be tried again.

        Objects are created only after something changed: what they refer to may be gone meanwhile.
        """
        async with self._writing:
            return await self._write_all(create=create)

    async def _write_all(self, *, create: bool) -> bool:
        objects = self._objects
        if objects is None or self._dry_run or not self._leads() or not objects.own.synced.is_set():
            return True
        try:
            if create and self._shard == 0:
                await self._create_references(objects)
            for obj in objects.objects():
                standing = self._standing(obj)
                other = standing.pack is None and not standing.faults  # it stands for a pack that another operator ships
                known = self._read.get(PackObject.of(obj).file) == PackObject.of(obj)  # else it is read soon
                if known and not (other or self._lists_again(obj, standing) or self._warned(obj, standing)):
                    await self._attempt(obj, standing)
            for obj in objects.refused() if self._shard == 0 else ():
                elsewhere = Standing(refused=NOT_HERE, faults=[objects.refusal(obj)], advice=objects.move(obj))
                await self._attempt(obj, elsewhere)
        except NotLeading:
            return True
        return self._writer.done()

    async def _create_references(self, objects: OwnObjects) -> None:
        """Create the objects that stand for packs and are not there; one that somebody deletes comes back."""
        there = {metadata(obj)["name"] for obj in objects.objects()}
        for body in self._references:
            if metadata(body)["name"] not in there:
                failing = f"{ref_of(body)}, which is to stand for a pack, cannot be created"
                await self._writer.attempt(failing, self._actor.perform(Create(ref_of(body), body), dry_run=False))

    async def _attempt(self, obj: Object, standing: Standing) -> None:
        await self._writer.attempt(f"{ref_of(obj)}: its status cannot be written", self._apply(obj, standing))

    async def _apply(self, obj: Object, standing: Standing) -> None:
        """Write the status of one object where it differs, and emit an Event where that says anew why it is refused."""
        now = datetime.fromtimestamp(self._clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if self._shard == 0:
            await self._leave(obj)
            status = computed(obj, standing, self._shard, now)
            manager = FIELD_MANAGER
        else:
            status = {"parts": [part(standing, self._shard)]} if standing.pack else {}
            manager = f"{FIELD_MANAGER}-{self._shard}"
        if not status or holds(obj, status, self._shard):
            return
        if standing.refused and self._shard == 0 and status["conditions"] != dig(obj, ("status", "conditions"), ()):
            reason = f"RulePack{standing.refused}" if standing.refused == INVALID else standing.refused
            await self._writer.warn(obj, reason, refusal(standing), str(status["observedGeneration"]))
        await apply_status(self._actor, obj, status, manager)

    async def _leave(self, obj: Object) -> None:
        """Take back, in the names of shards that are gone, what they said of what waits."""
        for each in dig(obj, ("status", "parts"), ()):
            if each["shard"] >= self._shards and left(each) != each:
                await self._actor.apply_status(ref_of(obj), {"parts": [left(each)]}, f"{FIELD_MANAGER}-{each['shard']}")

    def _lists_again(self, obj: Object, standing: Standing) -> bool:
        """Return whether a pack that was ready lists its kind anew since a moment ago, which every restart does.

        Its status stays: it would say for seconds that the pack is not ready, to those who wait for it too. An API server that
        has just started too forbids everything until it has read the roles.
        """
        if standing.pack is None or standing.unready[0] not in _AGAIN:
            return False
        now = self._clock.monotonic()
        began = self._listing.setdefault(standing.pack.identity, now)
        return was_ready(obj, standing) and now - began < _AGAIN[standing.unready[0]]

    def _warned(self, obj: Object, standing: Standing) -> bool:
        """Return whether a status warns of this generation, before the types of expressions are checked: it would do so again."""
        status = dig(obj, ("status",), {})
        same = status.get("observedGeneration") == metadata(obj).get("generation")
        return not self._typed and not standing.refused and same and "warnings" in status

    def _standing(self, obj: Object) -> Standing:
        """Return how an object of the operator's namespace stands."""
        given = PackObject.of(obj)
        self._counted.seed(given.name, obj)
        report = self._reports.get(given.file, Report(given.file))
        pack = self._catalog.packs.get(report.packs[0]) if report.packs else None
        refused = verdict(report.faults)
        if pack is None:
            left = "" if given.reference else left_in(given.spec, given.name)
            return Standing(refused=refused or INVALID, faults=report.faults, note=left, warnings=report.warnings)
        fare, mode = self._fare(pack), self._catalog.mode(pack)
        unready = ("", "") if mode is Mode.OFF else (fare.reason, "; ".join(fare.waits))
        if fare.reason not in _AGAIN:
            self._listing.pop(pack.identity, None)
        counts = self._counted.added(given.name, pack, fare.counts)
        note = "; ".join(filter(None, (report.note, *fare.notes)))
        return Standing(
            pack, report.generation, mode, refused, report.faults, unready, note, counts, report.warnings,
            unheeded=_unheeded(self._wanted(given, pack), pack, mode) if refused else "", deleting=_deleting(obj),
        )  # fmt: skip

    def _wanted(self, given: PackObject, pack: RulePack) -> Mode | None:
        """Return the mode that is written in what is refused: in an object, else in the text that it stands for."""
        text = self._refused_texts.get(pack.source, {}).get(pack.name) or {}
        return written_mode(given.spec, given.beside) or written_mode(text)
