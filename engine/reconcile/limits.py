"""What bounds the actions of one firing: `limits`, `retry` and its backoff."""

from __future__ import annotations

from engine.actions import Cause
from engine.errors import Refused
from engine.model.names import digest
from engine.model.plan import Decision
from engine.packs.pack import Limits, Retry
from engine.reconcile.memory import ItemMemory


def limited(decision: Decision, limits: Limits, before: int) -> Decision:
    """The decision with no more steps than `limits` leaves, where `before` were taken already.

    Raises Refused where it has more targets than that, and `onExceed` is Fail.
    """
    most = limits.max_targets
    if most is None:
        return decision
    if before + decision.targets > most and limits.on_exceed == "Fail":
        raise Refused(f"{before + decision.targets} targets, and limits.maxTargets is {most}: none was touched")
    steps = decision.steps[: most - before]
    ended = before + len(steps) >= most
    return Decision(steps, None if ended else decision.wait, decision.reason, result=decision.result)


def timed_out(retry: Retry, memory: ItemMemory, now: float) -> bool:
    """Whether an item has waited for longer than it may; the first time that it is asked, the wait begins."""
    if memory.waiting_since is None:
        memory.waiting_since = now
    return retry.timeout is not None and now - memory.waiting_since >= retry.timeout


def backoff(retry: Retry, cause: Cause, attempts: int) -> float:
    """Seconds: doubling, with a jitter of up to a quarter that comes from the cause, so that a replay waits the same."""
    pause = min(retry.backoff * 2.0**attempts, retry.max_backoff)
    spread = int(digest(cause.ref.uid, cause.rule, cause.item, str(attempts))[:4], 16) / 0xFFFF
    return pause * (1 - spread / 4)
