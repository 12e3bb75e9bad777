"""Keeps when each rule came into force, in annotations of a Lease, which every installation may create and update."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from engine.errors import ApiError
from engine.kube.clock import Clock
from engine.kube.leases import Leases
from engine.model.objects import annotations_of
from engine.packs.catalog import Catalog
from engine.packs.in_force import InForce

NAME = "rulepack-state"
PREFIX = "since.rules.mlops.dev/"
RETRY = 5.0
"""Seconds until a Lease that cannot be had is asked for again."""
log = logging.getLogger(__name__)


def times_of(annotations: Mapping[str, str]) -> dict[str, InForce]:
    """Return the times that the annotations of the Lease hold, by the names of the rules' records."""
    texts = ((key.removeprefix(PREFIX), text) for key, text in annotations.items() if key.startswith(PREFIX))
    return {name: time for name, text in texts if (time := InForce.parse(text)) is not None}


class InForceTimes:
    """Reads the times before a catalog is in force, and writes those of its new rules. With `dry_run` it writes nothing.

    Every replica does so, leading or not: whoever sees a rule first says since when it is in force.
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

    async def _dated(self, catalog: Catalog) -> Catalog:
        lease = await self._leases.get(NAME)
        texts = {} if lease is None else annotations_of(lease)
        self._times = times_of(texts)
        before, after = self._times, self._in_memory(catalog)
        if self._times != before and not self._dry_run:
            written = {PREFIX + name: time.text for name, time in self._times.items()}
            others = {key: text for key, text in texts.items() if not key.startswith(PREFIX)}
            await self._leases.put(NAME, lease, {}, {**others, **written})
        return after

    def _in_memory(self, catalog: Catalog) -> Catalog:
        now = datetime.fromtimestamp(int(self._clock.time()), UTC)
        dated = catalog.dated(self._times, now)
        self._times = dated.times
        return dated
