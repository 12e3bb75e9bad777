"""CEL's conversions between types, on plain Python values; see `operators` for whose semantics they follow."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any

from engine.cel.operators import INT64, Mismatch, type_name

_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):?(\d\d))", re.ASCII
)  # fmt: skip
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": Decimal("0.001"), "us": Decimal(1), "ms": Decimal(10**3), "s": Decimal(10**6),
          "m": Decimal(60 * 10**6), "h": Decimal(3600 * 10**6)}  # fmt: skip
#: Characters of a time that is worth remembering: nobody's clock writes longer ones.
_KEPT = 40
_DOUBLE = re.compile(r"\s*[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|inf(inity)?|nan)\s*", re.ASCII | re.IGNORECASE)


def to_int(value: Any) -> int:
    """CEL's `int()`: from int, bool, double (towards zero), string (decimal) or timestamp (seconds since 1970)."""
    if type(value) is float:
        if not -(2.0**63) < value < 2.0**63:
            raise Mismatch(f"{value} does not fit an integer of 64 bits")
        return int(value)
    if type(value) is datetime:
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    if type(value) is str:
        if not re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", value, re.ASCII):
            raise Mismatch(f"{value!r:.50} is not a whole number")
        if int(value) not in INT64:
            raise Mismatch(f"{value!r:.50} does not fit an integer of 64 bits")
        return int(value)
    if type(value) in (int, bool):
        return int(value)
    raise Mismatch(f"int() does not work on {type_name(value)}")


def to_double(value: Any) -> float:
    """CEL's `double()`: from double, int or string."""
    if type(value) is str:
        if not _DOUBLE.fullmatch(value):
            raise Mismatch(f"{value!r:.50} is not a number")
        return float(value)
    if type(value) in (int, float):
        return float(value)
    raise Mismatch(f"double() does not work on {type_name(value)}")


def to_bool(value: Any) -> bool:
    """CEL's `bool()`: from bool, or a string such as "true", "t", "1", "false", "f", "0"."""
    if type(value) is bool:
        return value
    if type(value) is str:
        if value in ("true", "TRUE", "True", "t", "1"):
            return True
        if value in ("false", "FALSE", "False", "f", "0"):
            return False
        raise Mismatch(f"{value!r:.50} is not a bool")
    raise Mismatch(f"bool() does not work on {type_name(value)}")


def to_string(value: Any) -> str:
    """CEL's `string()`: timestamps as RFC 3339 with Z, durations as seconds with `s`, doubles in their shortest form."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _double_text(value)
        case datetime():
            fraction = "seconds" if not value.microsecond else "milliseconds" if value.microsecond % 1000 == 0 else "microseconds"
            return value.astimezone(UTC).isoformat(timespec=fraction).replace("+00:00", "Z")
        case timedelta():
            micros = abs(value) // timedelta(microseconds=1)
            seconds, rest = divmod(micros, 1_000_000)
            fraction = "" if not rest else f".{rest // 1000:03}" if rest % 1000 == 0 else f".{rest:06}"
            return f"{'-' if value < timedelta(0) else ''}{seconds}{fraction}s"
    raise Mismatch(f"string() does not work on {type_name(value)}")


def _double_text(value: float) -> str:
    """As cel-cpp writes a double: the shortest digits that name it, with an exponent below 1e-4 and from 1e6 on."""
    if not math.isfinite(value):
        return str(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    power = len(text) - 1 + int(exponent)
    if value == 0 or -4 <= power < 6:
        return f"{'-' if sign else ''}{abs(value):.{max(0, -int(exponent))}f}"
    return f"{'-' if sign else ''}{text[0]}{'.' + text[1:] if text[1:] else ''}e{'-' if power < 0 else '+'}{abs(power):02}"


def to_timestamp(value: Any) -> datetime:
    """CEL's `timestamp()`: from timestamp, a string as in RFC 3339, or seconds since 1970."""
    if type(value) is datetime:
        return value
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
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
        if (match := _TIMESTAMP.fullmatch(value)) and int(match[6]) <= 60:
            offset = timedelta(0)
            if match[8]:
                offset = timedelta(hours=int(match[9]), minutes=int(match[10])) * (-1 if match[8] == "-" else 1)
            year, month, day, hour, minute = map(int, match.groups()[:5])
            whole = datetime(year, month, day, hour, minute, tzinfo=timezone(offset))
            micros = int((match[7] or "0")[:6].ljust(6, "0"))
            return (whole + timedelta(seconds=int(match[6]), microseconds=micros)).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    return None


def is_time(value: Any) -> bool:
    """Whether a value is a text that `timestamp()` takes."""
    try:
        return type(value) is str and to_timestamp(value) is not None
    except Mismatch:
        return False


def to_duration(value: Any) -> timedelta:
    """CEL's `duration()`: from duration, or a string such as 1h30m, 90s, 1.5s, 250ms."""
    if type(value) is timedelta:
        return value
    if type(value) is not str:
        raise Mismatch(f"duration() does not work on {type_name(value)}")
    text = value[1:] if value[:1] in ("+", "-") else value
    parts = _DURATION.findall(text)
    if text == "0":
        return timedelta(0)
    if len(text) > 100 or not parts or "".join(number + unit for number, unit in parts) != text:
        raise Mismatch(f"{value!r:.50} is not a duration such as 1h30m or 90s")
    micros = sum((Decimal(number) * _UNITS[unit] for number, unit in parts), Decimal(0))
    if micros > 315_576_000_000 * 10**6:
        raise Mismatch(f"{value!r:.50} is longer than 10,000 years")
    return timedelta(microseconds=int(micros)) * (-1 if value[0] == "-" else 1)
