"""`schedule`: the times of a cron expression at which a rule is evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim
from pydantic import AfterValidator

from engine.model.spec import Spec
from engine.model.text import found
from engine.packs import cron, timezones
from engine.packs.fields import Period, Text, refusal

TIME = "string(schedule.time)"
"""What names the occasion of a rule with a schedule, as CEL."""
NOT_BESIDE = {
    "hold": "a comparison of now with a time of the object, in when",
    "once_per": "only schedule: the rule fires once for each object and time",
    "existing": "only schedule: what was due before the rule came into force is never done",
    "throttle": "only schedule: cron says how often",
    "resync": "only schedule: cron says when",
}
"""The fields of a rule that say otherwise than its schedule when it fires, and what is expected instead."""
_COMPARED = 500
"""How many times of two schedules are compared: those of most of a year, where both are due once a day."""


def _cron(text: str) -> str:
    if wrong := cron.fault(text):
        raise refusal(wrong.message, wrong.expected)
    return text


def _zone(name: str) -> str:
    if name not in timezones.zones():
        raise refusal(f"{found(name)} is no time zone", timezones.expected(name))
    return name


class ScheduleSpec(Spec):
    """The times at which a rule is evaluated, for each object once. Expressions read the time as `schedule.time`."""

    cron: Annotated[Text, AfterValidator(_cron)]
    """The times, as Debian's cron reads them: minute, hour, day of the month, month, day of the week.

    What the change to summer time leaves out is due right after it; what the change back repeats is due once. That does not
    hold where the minute or the hour begins with `*`.
    """
    time_zone: Annotated[Text, AfterValidator(_zone)] = "UTC"
    """The time zone by its name in the IANA database, such as `Europe/Berlin`."""
    starting_deadline: Period = 600.0
    """How late the rule may still begin where no operator was there at the time. Of several such times only the last counts.

    That is asked when an operator first evaluates an object: it has started or taken over, packs have changed, or a selector of
    `watch` picks the object newly. So let it be no longer than a late beginning is right.
    """


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a rule is evaluated; `starting_deadline` in seconds."""

    cron: str
    time_zone: str
    starting_deadline: float

    @classmethod
    def of(cls, spec: ScheduleSpec | None) -> Schedule | None:
        """Return what a spec says, None where there is none."""
        return None if spec is None else cls(spec.cron, spec.time_zone, spec.starting_deadline)

    def around(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Return the last time that is not after now, and the next one that is, in UTC; None where there is none in 50 years."""
        return _around(self.cron, self.time_zone, now.astimezone(UTC).replace(second=0, microsecond=0))

    def late(self, time: datetime, now: datetime) -> bool:
        """Return whether it is too late now to begin what was due at a time."""
        return now - time > timedelta(seconds=self.starting_deadline)

    def nearest(self, now: datetime) -> datetime | None:
        """Return the time that counts now: the last one, as long as it is not too late for it, else the next one."""
        last, coming = self.around(now)
        return coming if last is None or self.late(last, now) else last

    def meets(self, other: Schedule) -> bool:
        """Return whether both are due at the same time, as far as the next of their times show, one after the other's."""
        one, two, time = self, other, datetime(2024, 1, 1, tzinfo=UTC)
        for _ in range(_COMPARED):
            _, coming = one.around(time)
            if coming is None:
                return False
            if two.around(coming)[0] == coming:
                return True
            one, two, time = two, one, coming
        return False

    def local(self, time: datetime) -> str:
        """Return a time as people of the time zone write it, with its offset from UTC and the zone's name."""
        return f"{time.astimezone(ZoneInfo(self.time_zone)).isoformat(timespec='minutes')} ({self.time_zone})"

    def describe(self) -> str:
        """Return the schedule in words."""
        return f"{CronSim(self.cron, datetime(2000, 1, 1, tzinfo=UTC)).explain()} ({self.cron} in {self.time_zone})"


@lru_cache(maxsize=4096)
def _around(cron: str, time_zone: str, minute: datetime) -> tuple[datetime | None, datetime | None]:
    """Return the times around a minute; rules ask for the same ones for each object.

    At the end of summer time the hour that is repeated has one name: going back from its second half, cronsim misses what was
    due in the first. So it goes back two times, and then on from there.
    """
    zone = ZoneInfo(time_zone)
    last = None
    start = minute
    back = CronSim(cron, (minute + timedelta(minutes=1)).astimezone(zone), reverse=True)
    for time in (next(back, None), next(back, None)):
        start = min(start, time.astimezone(UTC)) if time is not None else start
    forward = CronSim(cron, (start - timedelta(minutes=1)).astimezone(zone))
    while (time := next(forward, None)) is not None:
        if (utc := time.astimezone(UTC)) > minute:
            return last, utc
        last = utc
    return last, None
