"""Large values of watched objects, which no cache holds: read when a rule that may fire needs them."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import ApiError
from engine.kube.act import Actor
from engine.reconcile.matching import Evaluation
from engine.reconcile.prune import pruner, touch
from engine.reconcile.reads import reads_of
from engine.reconcile.silent import logger

PAUSE = 5.0
"""Seconds until an object is read again that could not be read."""
log = logger(__name__)


class LargeValues:
    """Reads what caches do not hold of the objects of evaluations."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    async def read(self, evaluations: Sequence[Evaluation]) -> None:
        """Read an object once for all evaluations of it whose rules need more than was cached; none is made where it fails."""
        lacking = [each for each in evaluations if each.omitted]
        reads = {path for each in lacking for rule in each.rules for path in reads_of(rule)}
        wanting = [each for each in lacking if any(touch(path, reads) for path in each.omitted)]
        if not wanting:
            return
        try:
            current = await self._actor.current(wanting[0].ref)
        except ApiError as error:
            log.warning("%s cannot be read, and what rules read of it is too large to be cached: %s", wanting[0].ref, error)
            for evaluation in wanting:
                evaluation.again(evaluation.now + PAUSE)
                evaluation.rules = ()
            return
        whole = None if current is None else pruner(None if () in reads else reads)(current)
        for evaluation in wanting:
            evaluation.whole = whole
            if whole is None:  # gone meanwhile, as the watch will report
                evaluation.rules = ()
