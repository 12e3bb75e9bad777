"""Whether an object that is gone from what a pack watches is deleted, for rules with `on: Delete`."""

from __future__ import annotations

from engine.errors import ApiError
from engine.kube.act import Actor
from engine.model.observe import Evaluated, Observer
from engine.reconcile.matching import Evaluation
from engine.reconcile.silent import logger

PAUSE = 5.0
"""Seconds until an API server is asked again that did not say whether an object is there."""
log = logger(__name__)


async def confirm(actor: Actor, observer: Observer, evaluation: Evaluation) -> None:
    """Evaluate nothing where the object is still there: a server reports one that leaves a selector as if it were deleted."""
    try:
        there = await actor.is_there(evaluation.ref)
    except ApiError as error:
        if error.status == 404:  # the kind is gone too
            return
        log.info("%s: cannot say yet whether it is deleted: %s", evaluation.ref, error)
        evaluation.again(evaluation.now + PAUSE)
        evaluation.rules = ()
        return
    if there:
        reason = "it is not deleted: it is still there, but no longer among what the pack watches"
        log.info("%s: %s: %s", evaluation.pack.identity, evaluation.ref, reason)
        for rule in evaluation.rules:
            observer.evaluated(evaluation.pack.identity, rule.name, evaluation.ref, Evaluated.SKIPPED, reason)
        evaluation.rules = ()
