"""What is written on ConfigMaps with rule packs, feature flags and parameters: an annotation, and an Event for what is wrong.

The Events about objects of kind RulePack are written here too.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable, MutableMapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.errors import ApiError
from engine.kube.act import Actor, NotLeading
from engine.kube.clock import Clock
from engine.model.merge import canonical
from engine.model.names import digest
from engine.model.objects import Object, Ref, annotations_of, dig, ref_of
from engine.model.plan import Patch
from engine.model.text import clean, cut

STATUS = "rules.mlops.dev/status"
LIMIT = 16_384
"""Characters of the annotation: all annotations of an object together may have 256 KiB."""
OK = "ok"
log = logging.getLogger(__name__)


class Status(NamedTuple):
    """What is wrong with a ConfigMap, and the reason of the Event about it; where nothing is, `says_ok` has it say so."""

    config_map: Object
    problems: Sequence[str]
    reason: str
    says_ok: bool = True


class Writer:
    """Writes on objects how their packs fare, in a Warning Event too, and logs once what cannot be written."""

    def __init__(self, actor: Actor, clock: Clock) -> None:
        self._actor, self._clock = actor, clock
        self._failed: set[str] = set()
        self._failures: set[str] = set()

    async def attempt(self, failing: str, writing: Awaitable[object]) -> None:
        """Await what writes; where that fails, begin the line of the log with `failing`. Raises NotLeading."""
        try:
            await writing
        except ApiError as error:
            self._failures.add(f"{failing}: {error}")

    def done(self) -> bool:
        """Log what failed since the last call and did not before; return whether nothing did."""
        for failure in sorted(self._failures - self._failed):  # a line when it begins, not one for each attempt
            log.warning("%s", failure)
        self._failed, self._failures = self._failures, set()
        return not self._failed

    async def warn(self, about: Object, reason: str, text: str, version: str) -> None:
        """Emit an Event, one for each text about each version of an object. Raises ApiError."""
        ref = ref_of(about)
        cause = Cause("rulepack", "load", about, ref, digest(version, text))
        now = datetime.fromtimestamp(self._clock.time(), UTC)
        await self._actor.perform(event(cause, about, Content("Warning", reason, text, {}), now), dry_run=False)


class Statuses:
    """Brings the status annotations of ConfigMaps up to date."""

    def __init__(self, actor: Actor, clock: Clock) -> None:
        self._actor, self._writer = actor, Writer(actor, clock)

    async def write(self, statuses: Iterable[Status], left: MutableMapping[str, Ref]) -> None:
        """Write what has changed, and take the status of those away that are `left`; what fails is to be tried again.

        What is done is taken out of `left`.
        """
        with suppress(NotLeading):
            for status in statuses:
                failing = f"{ref_of(status.config_map)}: it is read, but its status cannot be written on it"
                await self._writer.attempt(failing, self._write(status))
            for uid, ref in [*left.items()]:
                failing = f"{ref}: it is no longer read, but its status cannot be taken away"
                await self._writer.attempt(failing, self._take_away(ref, uid, left))
        self._writer.done()

    async def _take_away(self, ref: Ref, uid: str, left: MutableMapping[str, Ref]) -> None:
        await self._annotate(ref, None)
        left.pop(uid, None)

    async def _write(self, status: Status) -> None:
        """Bring the annotation up to date, and emit one Warning Event for each new problem of each version of the data."""
        config_map, text = status.config_map, cut(clean("\n".join(status.problems)), LIMIT) or OK
        before = annotations_of(config_map).get(STATUS)
        if before == text or (before is None and text == OK and not status.says_ok):
            return
        ref = ref_of(config_map)
        if status.problems:
            await self._writer.warn(config_map, status.reason, text, canonical(dig(config_map, ("data",), {})))
        await self._annotate(ref, text)

    async def _annotate(self, ref: Ref, text: str | None) -> None:
        """Write the annotation, or take it away."""
        try:
            await self._actor.write_metadata(Patch(ref, {"metadata": {"annotations": {STATUS: text}}}))
        except ApiError as error:
            if error.status != 404 and "uid" not in error.message.lower():  # it is gone, or another one has its name by now
                raise
