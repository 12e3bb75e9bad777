"""The statuses of objects of kind RuleLibrary."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from engine.kube.act import Actor, NotLeading
from engine.kube.clock import Clock
from engine.model.objects import Object, ref_of
from engine.operator.own_objects import NOT_HERE, OwnObjects, apply_status
from engine.operator.statuses import Writer
from engine.packs.conditions import INVALID, verdict
from engine.packs.library import KIND
from engine.packs.library_status import LibraryStanding, library_status
from engine.packs.sources import LibraryObject
from engine.packs.store import PackStore
from engine.packs.versions import Report


class RuleLibraryStatuses:
    """Keeps the status of every object of kind RuleLibrary, differences only."""

    def __init__(self, actor: Actor, clock: Clock, objects: OwnObjects) -> None:
        self._actor, self._clock, self._objects = actor, clock, objects
        self._writer = Writer(actor, clock)

    async def write(self, store: PackStore, reports: Mapping[str, Report]) -> None:
        """Bring all statuses up to date, by what the store has read and what became of it; what fails is to be tried again."""
        read = {each.file: each for each in store.objects}
        with suppress(NotLeading):
            for obj in self._objects.objects():
                given = LibraryObject.of(obj)
                report = reports.get(given.file)
                if report and read.get(given.file) == given:  # else it is read soon
                    await self._attempt(obj, _standing(given, store, report))
            for obj in self._objects.refused():
                faults, advice = [self._objects.refusal(obj)], self._objects.move(obj)
                await self._attempt(obj, LibraryStanding(refused=NOT_HERE, faults=faults, advice=advice))
        self._writer.done()

    async def _attempt(self, obj: Object, standing: LibraryStanding) -> None:
        await self._writer.attempt(f"{ref_of(obj)}: its status cannot be written", self._write(obj, standing))

    async def _write(self, obj: Object, standing: LibraryStanding) -> None:
        """Write the status of one object where it differs, and emit an Event where that says anew why it is refused."""
        now = datetime.fromtimestamp(self._clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status, before = library_status(obj, standing, now), obj.get("status", {})
        if status == before:
            return
        if standing.refused and status["conditions"] != before.get("conditions"):
            reason = f"{KIND}{standing.refused}" if standing.refused == INVALID else standing.refused
            await self._writer.warn(obj, reason, standing.refusal, str(status["observedGeneration"]))
        await apply_status(self._actor, obj, status)


def _standing(given: LibraryObject, store: PackStore, report: Report) -> LibraryStanding:
    """Return how an object of the operator's namespace stands."""
    refused = verdict(report.faults)
    packs = store.callers(given.name)
    if report.generation is None:
        return LibraryStanding(packs=packs, refused=refused, faults=report.faults, warnings=report.warnings)
    functions = store.libraries.libraries[given.name].functions
    calls = [store.libraries.functions.defined[name].signature for name in functions]
    return LibraryStanding(report.generation, calls, packs, refused, report.faults, report.warnings)
