"""Events about objects that are left out, since they cannot be decoded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.errors import ApiError
from engine.kube.act import Actor, NotLeading
from engine.kube.clock import Clock
from engine.kube.decode import EXPECTED
from engine.model.objects import Object, ObjectKey, ref_of
from engine.operator.informer import Informer

INTERVAL = 10.0
log = logging.getLogger(__name__)


class LeftOut:
    """What the informers have left out: for the metric, and told by one Event for each version of an object."""

    def __init__(
        self, actor: Actor, clock: Clock, informers: Callable[[], Iterable[Informer]], owns: Callable[[ObjectKey], bool]
    ) -> None:
        self._actor, self._clock, self._informers, self._owns = actor, clock, informers, owns
        self._told: set[tuple[str, str]] = set()

    def objects(self) -> Iterator[tuple[Object, str]]:
        """Yield what names each object, and why it is left out."""
        for informer in self._informers():
            yield from informer.left_out.values()

    def counts(self) -> Mapping[tuple[str, ...], float]:
        """Return how many objects of each kind are left out."""
        counts: dict[tuple[str, ...], float] = {}
        for informer in self._informers():
            if informer.left_out:
                counts[(str(informer.key.kind),)] = counts.get((str(informer.key.kind),), 0.0) + len(informer.left_out)
        return counts

    async def run(self) -> None:
        """Tell of each on the object itself, until cancelled."""
        while True:
            await self._clock.sleep(INTERVAL)
            present = set()
            for obj, reason in [*self.objects()]:
                version = ref_of(obj).uid, str(obj["metadata"].get("resourceVersion", ""))
                present.add(version)
                if version not in self._told and await self._tell(obj, reason, version[1]):
                    self._told.add(version)
            self._told &= present

    async def _tell(self, obj: Object, reason: str, version: str) -> bool:
        """Emit the Event; return False where that has to be tried again."""
        ref = ref_of(obj)
        if not self._owns(ObjectKey(ref.kind, ref.namespace, ref.name)):
            return False
        message = f"No rule is evaluated for this object, since it cannot be decoded: {reason}. Expected {EXPECTED}."
        content, now = Content("Warning", "ObjectLeftOut", message, {}), datetime.fromtimestamp(self._clock.time(), UTC)
        try:
            await self._actor.perform(event(Cause("rulepack", "decode", obj, ref, version), obj, content, now), dry_run=False)
        except (ApiError, NotLeading) as error:
            log.debug("no Event about %s: %s", ref, error)
            return False
        return True
