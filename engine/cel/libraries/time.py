"""Parts of times and durations; a time's in UTC, or in a zone such as `Europe/Berlin` or `+01:00`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.cel.declarations import CEL, Function, function
from engine.cel.values import Mismatch, nanoseconds

_OFFSET = re.compile(r"([+-]?)(\d{1,2}):(\d\d)", re.ASCII)
_SECOND = 10**9


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    """The time zone of a name of the IANA database, or of an offset from UTC. Raises Mismatch."""
    if name in ("", "UTC"):
        return UTC
    if match := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3])) * (-1 if match[1] == "-" else 1)
        if abs(offset) < timedelta(days=1):
            return timezone(offset)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Mismatch(f"{name!r:.50} is not a time zone such as Europe/Berlin or +01:00") from None


def _part(name: str, text: str, example: str, part: Callable[[datetime], int], unit: int = 0, rest: int = 0) -> Function:
    """A part of a time; with a `unit` of nanoseconds, also the whole ones of a duration, from 0 up to `rest` of them."""

    def of_time(value: datetime) -> int:
        return part(value)

    def in_zone(value: datetime, zone: str) -> int:
        try:
            return part(value.astimezone(_zone(zone)))
        except OverflowError:
            raise Mismatch(f"the time has no date in the time zone {zone!r:.50}") from None

    def of_duration(value: timedelta) -> int:
        nanos = nanoseconds(value)
        whole = abs(nanos) // unit * (1 if nanos >= 0 else -1)
        return whole if not rest else (abs(whole) % rest) * (1 if nanos >= 0 else -1)

    overloads: dict[str, Callable[..., int]] = {
        f"timestamp.{name}() -> int": of_time, f"timestamp.{name}(string) -> int": in_zone,
    }  # fmt: skip
    if unit:
        overloads[f"duration.{name}() -> int"] = of_duration
    return function(name, text, example, CEL, overloads)


_AT = "timestamp('2026-01-24T22:30:05.250Z')"
FUNCTIONS = (
    _part("getFullYear", "The year of a time.", f"{_AT}.getFullYear() == 2026", lambda time: time.year),
    _part("getMonth", "The month of a time, from 0.", f"{_AT}.getMonth() == 0", lambda time: time.month - 1),
    _part("getDate", "The day of the month of a time, from 1.", f"{_AT}.getDate() == 24", lambda time: time.day),
    _part("getDayOfMonth", "The day of the month of a time, from 0.", f"{_AT}.getDayOfMonth() == 23", lambda time: time.day - 1),
    _part("getDayOfWeek", "The day of the week of a time, from 0 for Sunday.", f"{_AT}.getDayOfWeek() == 6",
          lambda time: time.isoweekday() % 7),
    _part("getDayOfYear", "The day of the year of a time, from 0.", f"{_AT}.getDayOfYear() == 23",
          lambda time: time.timetuple().tm_yday - 1),
    _part("getHours", "The hour of a time, or the whole hours of a duration.", f"{_AT}.getHours('Europe/Berlin') == 23",
          lambda time: time.hour, 3600 * _SECOND),
    _part("getMinutes", "The minute of a time, or the whole minutes of a duration.", "duration('1h5m').getMinutes() == 65",
          lambda time: time.minute, 60 * _SECOND),
    _part("getSeconds", "The second of a time, or the whole seconds of a duration.", f"{_AT}.getSeconds() == 5",
          lambda time: time.second, _SECOND),
    _part("getMilliseconds", "The millisecond of a time, or those of a duration beyond its whole seconds.",
          f"{_AT}.getMilliseconds() == 250", lambda time: time.microsecond // 1000, 10**6, 1000),
)  # fmt: skip
