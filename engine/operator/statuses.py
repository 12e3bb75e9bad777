"""What is written on ConfigMaps with rule packs, feature flags and parameters: an annotation, and an Event for what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.errors import ApiError
from engine.kube.act import Actor, NotLeading
from engine.kube.clock import Clock
from engine.model.merge import canonical
from engine.model.names import digest
from engine.model.objects import Object, annotations_of, dig, ref_of
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


class Statuses:
    """Brings ConfigMaps up to date, and logs once which of them refuse that."""

    def __init__(self, actor: Actor, clock: Clock) -> None:
        self._actor, self._clock = actor, clock
        self._unwritten: set[str] = set()

    async def write(self, statuses: Iterable[Status]) -> None:
        """Write what has changed; what fails is to be tried again."""
        failures: set[str] = set()
        for status in statuses:
            ref = ref_of(status.config_map)
            try:
                await self._write(status)
            except ApiError as error:
                failures.add(f"{ref}: it is read, but its status cannot be written on it: {error}")
            except NotLeading:
                return
        for failure in sorted(failures - self._unwritten):  # a line when it begins, not one for each attempt
            log.warning("%s", failure)
        self._unwritten = failures

    async def _write(self, status: Status) -> None:
        """Bring the annotation up to date, and emit one Warning Event for each new problem of each version of the data."""
        config_map, text = status.config_map, cut(clean("\n".join(status.problems)), LIMIT) or OK
        before = annotations_of(config_map).get(STATUS)
        if before == text or (before is None and text == OK and not status.says_ok):
            return
        ref = ref_of(config_map)
        if status.problems:
            cause = Cause("rulepack", "load", config_map, ref, digest(canonical(dig(config_map, ("data",), {})), text))
            now = datetime.fromtimestamp(self._clock.time(), UTC)
            content = Content("Warning", status.reason, text, {})
            await self._actor.perform(event(cause, config_map, content, now), dry_run=False)
        try:
            await self._actor.write_metadata(Patch(ref, {"metadata": {"annotations": {STATUS: text}}}))
        except ApiError as error:
            if error.status != 404 and "uid" not in error.message.lower():  # it is gone, or another one has its name by now
                raise
