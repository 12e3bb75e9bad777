"""Events about objects that are left out, since they cannot be decoded."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from cachetools import TTLCache

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.errors import ApiError
from engine.kube.act import Actor, NotLeading
from engine.kube.clock import Clock
from engine.kube.decode import EXPECTED, Undecodable
from engine.model.objects import Object, ObjectKey, kind_of, ref_of
from engine.operator.informer import Informer

INTERVAL = 10.0
REMEMBERED = 600.0
"""Seconds for which is remembered what a read has left out; no informer says when it is there again."""
LIMIT = 1000
"""How many of those are remembered."""
log = logging.getLogger(__name__)


class LeftOut:
    """What informers and reads have left out: for the metric, and reported by one Event for each version of an object."""

    def __init__(
        self, actor: Actor, clock: Clock, informers: Callable[[], Iterable[Informer]], owns: Callable[[ObjectKey], bool]
    ) -> None:
        self._actor, self._clock, self._informers, self._owns = actor, clock, informers, owns
        self._reported: set[tuple[str, str]] = set()
        self._read: TTLCache[ObjectKey, Undecodable] = TTLCache(LIMIT, REMEMBERED, timer=clock.monotonic)

    def add(self, broken: Undecodable) -> None:
        """Take in what a read has left out: of a list, a selector, or a lookup that is not followed."""
        ref = ref_of(broken.object)
        key = ObjectKey(ref.kind, ref.namespace, ref.name)
        if key not in self._read:
            log.error("%s %s/%s is left out, since it cannot be decoded: %s", *key, broken.reason)
        self._read[key] = broken

    def objects(self) -> Iterator[tuple[Object, str]]:
        """Yield once what names each object, and why it is left out."""
        followed = (each for informer in self._informers() for each in informer.store.left_out.values())
        yield from {ref_of(obj)[:3]: (obj, reason) for obj, reason in (*self._read.values(), *followed)}.values()

    def counts(self) -> Mapping[tuple[str, ...], float]:
        """Return how many objects of each kind are left out."""
        return Counter((str(kind_of(obj)),) for obj, _ in self.objects())

    async def run(self) -> None:
        """Emit an Event for each on the object itself, until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            present = set()
            for obj, reason in [*self.objects()]:
                version = ref_of(obj).uid, str(obj["metadata"].get("resourceVersion", ""))
                present.add(version)
                if version not in self._reported and await self._report(obj, reason, version[1]):
                    self._reported.add(version)
            self._reported &= present

    async def _report(self, obj: Object, reason: str, version: str) -> bool:
        """Emit the Event; return False where that has to be tried again."""
        ref = ref_of(obj)
        key = ObjectKey(ref.kind, ref.namespace, ref.name)
        if key not in self._read and not self._owns(key):
            return False
        message = f"Rules go without this object, since it cannot be decoded: {reason}. Expected {EXPECTED}."
        content, now = Content("Warning", "ObjectLeftOut", message, {}), datetime.fromtimestamp(self._clock.time(), UTC)
        try:
            await self._actor.perform(event(Cause("rulepack", "decode", obj, ref, version), obj, content, now), dry_run=False)
        except (ApiError, NotLeading) as error:
            log.debug("no Event about %s: %s", ref, error)
            return False
        return True
