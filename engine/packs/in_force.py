"""When each rule came into force: what was so before that is no news to it, however often the engine restarts.

A rule comes into force when it is first there and not Off, and anew whenever its mode becomes less strict: what it only said
in Audit, it is not to do a week later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from engine.model.flags import STRICTNESS, Mode

RECORDS_KEPT = timedelta(days=7)
"""How long after a rule has gone its firing records still count, for it may come back."""
FORGOTTEN = timedelta(days=90)
"""How long after a rule has gone its records are removed from objects that are written anyway."""


class InForce(NamedTuple):
    """Since when a rule has been in force, since when it is gone from its pack, if it is, and its mode, now or when it went."""

    since: datetime
    gone: datetime | None = None
    mode: Mode = Mode.ENFORCE

    @property
    def text(self) -> str:
        """What is written down: a time, or an interval, as ISO 8601 has them; and the mode, where it is not Enforce."""
        interval = "/".join(f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in (self.since, self.gone) if time is not None)
        return interval if self.mode is Mode.ENFORCE else f"{interval} {self.mode.value}"

    @classmethod
    def parse(cls, text: str) -> InForce | None:
        """Return what was written down, None where that is no such text."""
        interval, _, mode = text.partition(" ")
        try:
            times = [datetime.fromisoformat(time).astimezone(UTC) for time in interval.split("/", 1)]
            return cls(times[0], times[1] if times[1:] else None, Mode(mode or Mode.ENFORCE))
        except (ValueError, TypeError, OverflowError):
            return None

    def ended(self, now: datetime) -> bool:
        """Return whether the rule is gone for so long that its records can go too."""
        return self.gone is not None and now - self.gone >= RECORDS_KEPT


def updated(
    known: Mapping[str, InForce], in_force: Mapping[str, tuple[Sequence[str], Mode]], present: Collection[str], now: datetime
) -> dict[str, InForce]:
    """Return the times once these rules are in force.

    `in_force` gives for the name of each (`<pack>.<rule>`) all names that it has had, and its mode; `present` are the names of
    all rules that there are, those that are Off included.
    """
    times: dict[str, InForce] = {}
    for name, (names, mode) in in_force.items():
        before = min((known[each] for each in names if each in known), default=None, key=lambda time: time.since)
        kept = before is not None and STRICTNESS.index(mode) >= STRICTNESS.index(before.mode)
        times[name] = InForce(before.since if before and kept else now, mode=mode)
        for earlier in names[1:]:  # it may get that name back
            if earlier in known and earlier not in in_force:
                times[earlier] = times[name]
    for name, time in known.items():
        if name in times:
            continue
        if name in present:
            times[name] = InForce(time.since, mode=Mode.OFF)
        elif now - (time.gone or now) < FORGOTTEN:
            times[name] = time._replace(gone=time.gone or now)
    return times
