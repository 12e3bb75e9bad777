"""Events are best effort: in nobody's way, tried again aside, one series for each cause, and only so many for one object."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from cachetools import TTLCache

from engine.errors import ApiError
from engine.kube.act import Actor
from engine.kube.clock import Clock
from engine.model.backoff import Backoff
from engine.model.names import digest
from engine.model.objects import GroupKey, ObjectKey
from engine.model.observe import ActResult
from engine.model.outcome import Obstacle
from engine.model.plan import Create, Emission
from engine.reconcile.answers import explained, obstacle_of
from engine.reconcile.hidden import named, without_secrets
from engine.reconcile.silent import logger

WINDOW, MOST = 60.0, 50
"""Seconds, and how many Events there are about one object within them."""
KNOWN, LIMIT = 3600.0, 20_000
"""Seconds for which a series is remembered (kube-apiserver keeps Events for an hour), and how many are."""
ASIDE, ASIDE_EACH = 1000, 10
"""About how many objects Events wait to be tried again, and how many for each; further ones are left out."""
PAUSES = Backoff(2.0, 300.0)
Key = ObjectKey | GroupKey
"""What is reconciled: its Events are tried again together."""
log = logger(__name__)


@dataclass(slots=True)
class _Series:
    """An Event that was emitted: its count (None: not known here), and when that was last written."""

    count: int | None
    written_at: float


@dataclass(slots=True)
class _Aside:
    """An Event that was refused, and when to try it again."""

    step: Create
    refused: int
    retry_at: float


@dataclass(slots=True)
class _Box:
    """What is still to be emitted about one object: Events that were refused, and how many were left out until then."""

    aside: list[_Aside] = field(default_factory=list)
    left_out: int = 0
    example: Create | None = None
    summary_at: float = 0.0


class Events:
    """Emits the Events of rules and of the engine itself. `retry` belongs to each reconciliation of a key."""

    def __init__(self, actor: Actor, clock: Clock) -> None:
        self._actor, self._clock = actor, clock
        self._series: TTLCache[tuple[str, str], _Series] = TTLCache(LIMIT, KNOWN, timer=clock.monotonic)
        self._sent: TTLCache[Key, list[int]] = TTLCache(LIMIT, WINDOW, timer=clock.monotonic)
        self._boxes: dict[Key, _Box] = {}

    async def emit(self, key: Key, step: Create) -> tuple[ActResult, str]:
        """Emit an Event now, or later where the API server refuses it; return what came of it, and why. Raises NotLeading."""
        if not step.body["involvedObject"]["name"]:
            log.warning("%s: %s: %s", named(step.hides, key), step.body["reason"], step.body["message"])
            return ActResult.UNCHANGED, "a group without a target is no object that an Event could be about; the log has it"
        sent = self._sent.setdefault(key, [0])
        if sent[0] >= MOST:
            self._leave_out(key, step)
            return ActResult.UNCHANGED, f"left out: there are {MOST} Events about this object within a minute"
        sent[0] += 1
        return await self._send(key, _Aside(step, 0, 0.0))

    async def retry(self, key: Key) -> None:
        """Emit what is due about a key. Raises NotLeading."""
        box, now = self._boxes.get(key), self._clock.monotonic()
        if box is None:
            return
        due = [each for each in box.aside if each.retry_at <= now]
        box.aside = [each for each in box.aside if each.retry_at > now]
        if box.left_out and box.example and box.summary_at <= now:
            due.append(_Aside(_summary(box.example, box.left_out, self._clock.time()), 0, 0.0))
            box.left_out, box.example = 0, None
        for each in due:
            await self._send(key, each)
        if not box.aside and not box.left_out:
            self._boxes.pop(key, None)

    def retry_at(self, key: Key) -> float | None:
        """Return when `retry` has something to do (seconds of the monotonic clock), None where it has not."""
        box = self._boxes.get(key)
        if box is None:
            return None
        return min([*(each.retry_at for each in box.aside), *([box.summary_at] if box.left_out else [])], default=None)

    async def _send(self, key: Key, each: _Aside) -> tuple[ActResult, str]:
        try:
            return (ActResult.DONE if await self._write(each.step) else ActResult.UNCHANGED), ""
        except ApiError as error:
            why, obstacle = without_secrets(each.step.hides, explained(error)), obstacle_of(error)
            if obstacle in (None, Obstacle.TARGET_MISSING):  # such as that its namespace is gone
                log.warning("an Event about %s is refused: %s", named(each.step.hides, key), why)
                return ActResult.FAILED, why
            self._put_aside(key, each, error.retry_after or 0.0, why)
            return ActResult.RETRYING, why

    async def _write(self, step: Create) -> bool:
        """Create an Event, or raise the count of one that is there; return whether it wrote. Raises ApiError and NotLeading."""
        name, now = (step.target.namespace, step.target.name), self._clock.monotonic()
        series = self._series.get(name)
        if series is None:
            created = (await self._actor.perform(step, dry_run=False)).changed
            series = self._series[name] = _Series(1 if created else None, now)
            if created:
                return True
        elif step.emission is Emission.REPEAT and now - series.written_at < WINDOW:
            series.count = None if series.count is None else series.count + 1
            return False
        if step.emission is Emission.ONCE:
            return False
        try:
            count = await self._actor.raise_count(step, series.count)
        except ApiError as error:
            if not error.not_found:
                raise
            await self._actor.perform(step, dry_run=False)  # it was there for its hour
            count = 1
        self._series[name] = _Series(count, now)
        return True

    def _put_aside(self, key: Key, each: _Aside, retry_after: float, why: str) -> None:
        box = self._box(key)
        if box is None or len(box.aside) >= ASIDE_EACH:
            self._leave_out(key, each.step)
            return
        if not each.refused:
            log.warning("an Event about %s is refused, and tried again: %s", named(each.step.hides, key), why)
        refused = each.refused + 1
        spread = int(digest(each.step.target.name, str(refused))[:4], 16) / 0xFFFF
        pause = max(PAUSES.pause(refused, spread / 4), min(retry_after, PAUSES.longest))
        box.aside.append(_Aside(each.step, refused, self._clock.monotonic() + pause))

    def _leave_out(self, key: Key, step: Create) -> None:
        box = self._box(key)
        if box is None:
            log.debug("an Event about %s is left out: those about %d other objects wait", named(step.hides, key), ASIDE)
            return
        if not box.left_out:
            box.summary_at = self._clock.monotonic() + WINDOW
        box.left_out, box.example = box.left_out + 1, step

    def _box(self, key: Key) -> _Box | None:
        """What is still to be emitted about an object; None where there are too many others."""
        if key not in self._boxes and len(self._boxes) >= ASIDE:
            return None
        return self._boxes.setdefault(key, _Box())


def _summary(example: Create, left_out: int, now: float) -> Create:
    """The Event that says how many were left out about the object of one of them."""
    name = f"{example.body['involvedObject']['name'][:200].rstrip('-.')}.{digest(example.target.name, 'left out')}"
    message = f"{left_out} Events about this object were left out: there are at most {MOST} within a minute"
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        **example.body, "metadata": {"name": name, "namespace": example.target.namespace}, "type": "Warning",
        "reason": "EventsLeftOut", "message": message, "firstTimestamp": stamp, "lastTimestamp": stamp,
    }  # fmt: skip
    return Create(example.target._replace(name=name), body, Emission.ANEW)
