"""What is wrong with a cron expression, and what to write in its place. The parser itself names only a field that is bad."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cronsim import CronSim, CronSimError
from pydantic_core import PydanticCustomError

from engine.model.text import found, nearest, shown
from engine.packs.fields import seconds

LONGEST = 200
"""Characters that an expression may have."""
_FIVE = "five: minute, hour, day of the month, month and day of the week, such as '30 18 * * MON-FRI'"
_MACROS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_EVERY = re.compile(r"@every\s+(\S+)\Z", re.IGNORECASE)
_ZONE = re.compile(r"(?:CRON_)?TZ=(\S*)\s*(.*)\Z", re.DOTALL)
_TERM = re.compile(r"(\*|[0-9A-Z]+)(?:-([0-9A-Z]+))?(?:/([0-9]+))?\Z")
_LAST_DAY, _LAST, _NTH = re.compile(r"LW?(/[1-9][0-9]*)?\Z"), re.compile(r"[0-7]L\Z"), re.compile(r"([0-9A-Z]+)#[1-5]\Z")


class _Field(NamedTuple):
    """One of the five fields, and which numbers and words it may have; the first word stands for the first number."""

    name: str
    plural: str
    first: int
    last: int
    words: tuple[str, ...] = ()

    def number(self, text: str) -> int | None:
        """Return the number that a text stands for, None where it stands for none of this field."""
        if text in self.words:
            return self.words.index(text) + self.first
        value = int(text) if text.isdecimal() else -1
        return value if self.first <= value <= self.last else None

    @property
    def end(self) -> int:
        """Return the last number before the field begins anew; of the days of the week 6, as both 0 and 7 are Sunday."""
        return 6 if self.last == 7 else self.last

    @property
    def values(self) -> str:
        """Return what it may have, in words."""
        words = f", or {self.words[0]} to {self.words[-1]}" if self.words else ""
        return f"{self.plural} from {self.first} to {self.last}{words}"


_FIELDS = (
    _Field("minute", "minutes", 0, 59),
    _Field("hour", "hours", 0, 23),
    _Field("day of the month", "days of the month", 1, 31),
    _Field("month", "months", 1, 12, ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")),
    _Field("day of the week", "days of the week", 0, 7, ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")),
)
_DAY, _WEEKDAY = _FIELDS[2], _FIELDS[4]


class Wrong(NamedTuple):
    """What is wrong, what is expected, and the term that may be meant, '' where none suggests itself."""

    message: str
    expected: str
    meant: str = ""


def fault(text: str) -> Wrong | None:
    """Return what is wrong with a cron expression, None where it is due some day."""
    if text.lstrip().startswith("@"):
        return _word(text.strip())
    if match := _ZONE.match(text.strip()):
        return Wrong("a time zone stands in the cron expression", f"timeZone: {match[1]} beside cron: {match[2]!r}")
    if len(text) > LONGEST:
        return Wrong(f"the cron expression has {len(text)} characters", f"at most {LONGEST}")
    parts = text.split()
    if len(parts) != len(_FIELDS):
        return _fields(text, parts)
    wrong = [[_term(field, term) for term in part.split(",")] for field, part in zip(_FIELDS, parts, strict=True)]
    first = next((each for terms in wrong for each in terms if each is not None), None)
    if first is None:
        return _never(text, parts)
    return Wrong(f"{found(text)} has {first.message}", first.expected + _meant(_corrected(parts, wrong)))


def _meant(text: str) -> str:
    return f" (did you mean {text!r}?)" if text and fault(text) is None else ""


def _corrected(parts: Sequence[str], wrong: Sequence[Sequence[Wrong | None]]) -> str:
    """Return the expression with what may be meant in place of what is wrong, '' where nothing suggests itself."""
    if any(each is not None and not each.meant for terms in wrong for each in terms):
        return ""
    return " ".join(
        ",".join(term if each is None else each.meant for term, each in zip(part.split(","), terms, strict=True))
        for part, terms in zip(parts, wrong, strict=True)
    )


def _word(text: str) -> Wrong:
    """Return what to write in place of a word of cron's."""
    if match := _EVERY.match(text):
        return Wrong(f"{found(text)} is a pace, and a schedule has times of the clock", _every(match[1]))
    macro = text.lower()
    if macro in _MACROS:
        return Wrong(f"{found(text)} is a short word for a cron expression", repr(_MACROS[macro]))
    close = nearest(macro, _MACROS)
    return Wrong(f"{found(text)} is no cron expression", f"five fields: {_FIVE[6:]}{_meant(_MACROS.get(close, ''))}")


def _every(pace: str) -> str:
    try:
        minutes = seconds(pace) / 60
    except PydanticCustomError:
        return f"five fields: {_FIVE[6:]}"
    resync = f"resync: {pace} in place of schedule"
    if minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30):
        return f"'{'*' if minutes == 1 else f'*/{minutes:g}'} * * * *', or {resync}"
    if (hours := minutes / 60) in (1, 2, 3, 4, 6, 8, 12, 24):
        which = "*" if hours == 1 else "0" if hours == 24 else f"*/{hours:g}"
        return f"'0 {which} * * *', or {resync}"
    return resync


def _fields(text: str, parts: Sequence[str]) -> Wrong:
    """Return what is wrong with a number of fields: of more than five the first often has seconds, the seventh years."""
    message = f"{found(text)} has {len(parts)} fields"
    if len(parts) in (6, 7):
        for rest in (parts[1:6], parts[:5]):
            meant = _meant(" ".join("*" if part == "?" else part for part in rest))
            if meant:
                return Wrong(f"{message}; there are no seconds and no years", _FIVE + meant)
    return Wrong(message, _FIVE)


def _term(field: _Field, written: str) -> Wrong | None:
    """Return what is wrong with one term of a field, in words that follow the expression and `has`."""
    term = written.upper()
    if term == "?":
        return Wrong(f"'?' as {field.name}", "'*' for any", "*")
    if (field is _DAY and _LAST_DAY.match(term)) or (field is _WEEKDAY and _LAST.match(term)):
        return None
    if field is _WEEKDAY and (nth := _NTH.match(term)):
        return _value(field, nth[1])
    match = _TERM.match(term)
    if match is None or (match[1] == "*" and match[2]):
        return Wrong(f"{shown(written, 40)} as {field.name}", field.values)
    return _range(field, written, *match.groups())


def _range(field: _Field, written: str, one: str, other: str | None, step: str | None) -> Wrong | None:
    """Return what is wrong with a value or a range, and its step."""
    if one == "*":
        return _step(field, field.first, field.end, step)
    wrong = _value(field, one, alone=not (other or step)) or (_value(field, other) if other else None)
    if wrong is not None:
        return wrong
    first, last = field.number(one) or 0, field.last if other is None else field.number(other) or 0
    if last < first:
        message = f"the range {written!r}, which ends before it begins"
        return Wrong(message, "the lower one first", _around(field, one, other, step))
    return _step(field, first, last, step)


def _value(field: _Field, text: str, *, alone: bool = False) -> Wrong | None:
    """Return what is wrong with a value. One that stands alone, and is one too many, is meant as the first of the next round."""
    if field.number(text) is not None:
        return None
    if not text.isdecimal():
        return Wrong(f"{shown(text, 40)} as {field.name}", field.values, text[:3] if text[:3] in field.words else "")
    over = alone and field.first == 0 and int(text) == field.last + 1 and field is not _WEEKDAY
    return Wrong(f"the {field.name} {text[:40]}", field.values, "0" if over else "")


def _step(field: _Field, first: int, last: int, step: str | None) -> Wrong | None:
    """Return what is wrong with a step in a range of a field: a step begins anew with each range."""
    if step is None or (0 < int(step[:9]) <= last - first):
        return None
    steps = f"a step from 1 to {last - first}" if last > first else "no step"
    if int(step[:9]) == 0:
        return Wrong(f"the step 0 as {field.name}", steps)
    message = f"the step {step[:40]} as {field.name}: it begins anew after {last}, so that only {first} is left"
    return Wrong(message, steps, str(first))


def _around(field: _Field, one: str, other: str | None, step: str | None) -> str:
    """Return the two ranges that one over the end of a field stands for: 22-6 is 22-23,0-6."""
    if step is not None or other is None:
        return ""
    named = field.words and not (one.isdecimal() and other.isdecimal())
    end, first = (field.words[-1], field.words[0]) if named else (str(field.end), str(field.first))
    ranges = ((one, end), (first, other))
    return ",".join(low if field.number(low) == field.number(high) else f"{low}-{high}" for low, high in ranges)


def _never(text: str, parts: Sequence[str]) -> Wrong | None:
    """Return why an expression whose fields are right is never due, None where it is."""
    try:
        next(CronSim(text, datetime(2000, 1, 1, tzinfo=UTC)))
    except CronSimError:
        meant = "" if parts[2] == "L" else _meant(" ".join([*parts[:2], "L", *parts[3:]]))
        return Wrong(f"{found(text)} is never due: its months have no such day", f"a day that there is, L for the last{meant}")
    except StopIteration:
        return Wrong(f"{found(text)} is not due within 50 years", "a day that there is")
    return None
