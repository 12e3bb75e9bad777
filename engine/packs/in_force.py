"""When each rule first came into force: what was so before that is no news to it, however often the engine restarts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

RECORDS_KEPT = timedelta(days=7)
"""How long after a rule has gone its firing records still count, for it may come back."""
FORGOTTEN = timedelta(days=90)
"""How long after a rule has gone its records are removed from objects that are written anyway."""


class InForce(NamedTuple):
    """Since when a rule has been in force, whatever its mode was later, and since when it is gone from its pack, if it is."""

    since: datetime
    gone: datetime | None = None

    @property
    def text(self) -> str:
        """What is written down: a time, or an interval, as ISO 8601 has them."""
        return "/".join(f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in self if time is not None)

    @classmethod
    def parse(cls, text: str) -> InForce | None:
        """Return what was written down, None where that is no such text."""
        try:
            return cls(*(datetime.fromisoformat(time).astimezone(UTC) for time in text.split("/")))
        except (ValueError, TypeError, OverflowError):
            return None

    def ended(self, now: datetime) -> bool:
        """Return whether the rule is gone for so long that its records can go too."""
        return self.gone is not None and now - self.gone >= RECORDS_KEPT


def updated(
    known: Mapping[str, InForce], in_force: Mapping[str, Sequence[str]], present: Collection[str], now: datetime
) -> dict[str, InForce]:
    """Return the times once these rules are in force.

    `in_force` gives for the name of each (`<pack>.<rule>`) all names that it has had; `present` are the names of all rules
    that there are, those that are Off included.
    """
    times = {}
    for name, names in in_force.items():
        times[name] = InForce(min((known[each].since for each in names if each in known), default=now))
    for name, time in known.items():
        if name in times:
            continue
        if name in present:
            times[name] = InForce(time.since)
        elif now - (time.gone or now) < FORGOTTEN:
            times[name] = InForce(time.since, time.gone or now)
    return times
