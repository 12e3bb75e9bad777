"""Times and durations as text, as Kubernetes reads and writes them: RFC 3339, and Go's `1h30m`, both to the nanosecond."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from engine.cel.values import EPOCH, Mismatch, fits_int, nanoseconds, span_of, time_of, type_name

_TIMESTAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d?):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
#: Characters of a time that is worth remembering: nobody's clock writes longer ones.
_KEPT = 40


def to_timestamp(value: Any) -> datetime:
    """The time that a text in RFC 3339 says, or so many seconds since 1970. Raises Mismatch."""
    if type(value) not in (int, str):
        raise Mismatch(f"timestamp() does not work on {type_name(value)}")
    found = _time(value) if type(value) is int or len(value) <= _KEPT else _time.__wrapped__(value)
    if found is None:
        raise Mismatch(f"{value!r:.50} is not a time such as 2026-01-24T22:30:00Z")
    return found


@lru_cache(maxsize=4096)
def _time(value: int | str) -> datetime | None:
    """The time; the rules of a pack ask for the same few again and again."""
    try:
        if isinstance(value, int):
            return EPOCH + timedelta(seconds=value)
        if match := _TIMESTAMP.fullmatch(value):
            hours, minutes = int(match[9] or 0), int(match[10] or 0)
            if hours > 24 or minutes > 60:  # Go's time.Parse takes offsets of just that
                return None
            offset = timedelta(hours=hours, minutes=minutes) * (-1 if match[8] == "-" else 1)
            year, month, day, hour, minute, second = map(int, match.groups()[:6])
            whole = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - offset
            nanos = int((match[7] or "0")[:9].ljust(9, "0"))
            return time_of(nanoseconds(whole) + nanos) if nanos % 1000 else whole + timedelta(microseconds=nanos // 1000)
    except (ValueError, OverflowError, Mismatch):
        pass
    return None


def is_time(value: Any) -> bool:
    """Whether a value is a text that `timestamp()` takes."""
    try:
        return type(value) is str and to_timestamp(value) is not None
    except Mismatch:
        return False


def timestamp_text(value: datetime) -> str:
    """A time in RFC 3339 with Z, with as many digits below the second as it needs."""
    text = value.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "")
    nanos = value.microsecond * 1000 + getattr(value, "nanosecond", 0)
    return f"{text}{f'.{nanos:09}'.rstrip('0') if nanos else ''}Z"


def to_duration(value: Any) -> timedelta:
    """The duration that a text says, such as 1h30m, 90s, 1.5s, 250ms. Raises Mismatch."""
    text = value[1:] if value[:1] in ("+", "-") else value
    parts = _DURATION.findall(text)
    if text == "0":
        return timedelta(0)
    if len(text) > 100 or not parts or "".join(number + unit for number, unit in parts) != text:
        raise Mismatch(f"{value!r:.50} is not a duration such as 1h30m or 90s")
    nanos = int(sum((Decimal(number) * _UNITS[unit] for number, unit in parts), Decimal(0)))
    nanos = -nanos if value[0] == "-" else nanos
    if not fits_int(nanos):
        raise Mismatch(f"{value!r:.50} is longer than 292 years")
    return span_of(nanos)


def duration_text(value: timedelta) -> str:
    """A duration in seconds, with as many digits below the second as it needs, and an `s`."""
    nanos = nanoseconds(value)
    seconds, rest = divmod(abs(nanos), 10**9)
    return f"{'-' if nanos < 0 else ''}{seconds}{f'.{rest:09}'.rstrip('0') if rest else ''}s"
