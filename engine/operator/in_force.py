"""Keeps when each rule came into force, in annotations of a Lease, which every installation may create and update."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from engine.errors import ApiError
from engine.kube.clock import Clock
from engine.kube.leases import Leases
from engine.model.objects import Object, annotations_of
from engine.packs.catalog import Catalog
from engine.packs.in_force import InForce

NAME = "rulepack-state"
PREFIX = "since.rules.mlops.dev/"
CHECK = 60.0
"""Seconds between two requests for whether the Lease is still there."""
RETRY = 5.0
"""Seconds until a Lease that cannot be had is asked for again."""
log = logging.getLogger(__name__)


def times_of(annotations: Mapping[str, str]) -> dict[str, InForce]:
    """Return the times that the annotations of the Lease hold, by the names of the rules' records."""
    texts = ((key.removeprefix(PREFIX), text) for key, text in annotations.items() if key.startswith(PREFIX))
    return {name: time for name, text in texts if (time := InForce.parse(text)) is not None}


class InForceTimes:
    """Reads the times before a catalog is in force, and writes those of its new rules. With `dry_run` it writes nothing.

    Every replica does so, leading or not: whoever sees a rule first says since when it is in force. Times that somebody has
    deleted, with the Lease or without, are put back, since everything that a rule has still to do would be left as older than it.
    """

    def __init__(self, leases: Leases, clock: Clock, *, dry_run: bool) -> None:
        self._leases, self._clock, self._dry_run = leases, clock, dry_run
        self._times: Mapping[str, InForce] = {}

    async def dated(self, catalog: Catalog) -> Catalog:
        """Return the catalog with the times of its rules; wait for them while the API server cannot be reached."""
        while True:
            try:
                return await self._dated(catalog)
            except ApiError as error:
                if error.status != 409:
                    log.warning("cannot keep in Lease %s since when rules are in force: %s", NAME, error)
                if not error.retryable:
                    return self._in_memory(catalog)
                await self._clock.sleep(0.0 if error.status == 409 else RETRY)

    async def run(self) -> None:
        """Put back what somebody deletes, until cancelled."""
        while True:
            await self._clock.sleep(CHECK)
            try:
                await self._write(await self._read())
            except ApiError as error:  # the next request may succeed
                log.debug("cannot read Lease %s: %s", NAME, error)

    async def _dated(self, catalog: Catalog) -> Catalog:
        lease = await self._read()
        dated = self._in_memory(catalog)
        await self._write(lease)
        return dated

    async def _read(self) -> Object | None:
        """Take in the times that the Lease holds, and return it; None where there is none. Raises ApiError."""
        lease = await self._leases.get(NAME)
        written = {} if lease is None else times_of(annotations_of(lease))
        if lost := self._times.keys() - written.keys():
            log.warning("Lease %s has lost since when %d rules are in force; it is put back", NAME, len(lost))
        self._times = {**self._times, **written}
        return lease

    async def _write(self, lease: Object | None) -> None:
        """Write the times on the Lease that was read, where it does not say them. Raises ApiError."""
        texts = {} if lease is None else annotations_of(lease)
        if self._times != times_of(texts) and not self._dry_run:
            times = {PREFIX + name: time.text for name, time in self._times.items()}
            others = {key: text for key, text in texts.items() if not key.startswith(PREFIX)}
            await self._leases.put(NAME, lease, {}, {**others, **times})

    def _in_memory(self, catalog: Catalog) -> Catalog:
        now = datetime.fromtimestamp(int(self._clock.time()), UTC)
        dated = catalog.dated(self._times, now)
        self._times = dated.times
        for name in sorted(name for name in catalog.unsure if dated.modes[name] is not catalog.modes[name]):
            why = "the kind RulePack is not served; its feature flag can say otherwise"
            log.warning("pack %s stays Disabled, as it was: %s", name, why)
        return dated
