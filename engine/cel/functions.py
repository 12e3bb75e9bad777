"""The functions of rule expressions: one table of signatures and implementations, the same on every backend.

Standard functions follow cel-cpp and its strings extension (github.com/google/cel-cpp, extensions/strings.cc).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.cel import documents
from engine.cel.conversions import is_time, to_bool, to_double, to_duration, to_int, to_string, to_timestamp
from engine.cel.operators import MAX_TEXT, Mismatch, type_name  # fmt: skip

#: Unicode's White_Space, which trim() takes away; Python's str.strip() takes more.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_ANY = object


@dataclass(frozen=True, slots=True)
class Function:
    """A function: how it is computed, the types it takes and gives (`object`: any), and how it may be called.

    `parameters` counts a method's receiver in. `own` functions are the engine's: a backend has no other version of them.
    """

    compute: Callable[..., Any]
    parameters: tuple[type | tuple[type, ...], ...]
    result: type = _ANY
    optional: int = 0
    function: bool = True
    method: bool = False
    own: bool = False


def _size(value: Any) -> int:
    if isinstance(value, (str, list, Mapping)):
        return len(value)
    raise Mismatch(f"size() does not work on {type_name(value)}")


def _string_method(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
    def call(receiver: Any, *arguments: Any) -> Any:
        if type(receiver) is not str:
            raise Mismatch(f"{name}() works on a string, not on {type_name(receiver)}")
        try:
            return compute(receiver, *arguments)
        except (TypeError, AttributeError):
            given = ", ".join(map(type_name, arguments))
            raise Mismatch(f"{name}() does not take ({given})") from None

    return call


def _strings(value: Any) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _split(value: str, separator: Any, limit: Any = -1) -> list[str]:
    if _whole(limit) == 0:
        return []
    if _strings(separator) == "":
        pieces = list(value) if limit < 0 or limit >= len(value) else [*value[: limit - 1], value[limit - 1 :]]
        return pieces or [""]
    return value.split(separator, limit - 1 if limit > 0 else -1)


def _join(value: Any, separator: Any = "") -> str:
    if not isinstance(value, list) or not all(type(item) is str for item in value) or type(separator) is not str:
        raise Mismatch("join() works on a list of strings")
    if sum(map(len, value)) + len(separator) * len(value) > MAX_TEXT:
        raise Mismatch(f"the result has more than {MAX_TEXT} characters")
    return separator.join(value)


def _replace(value: str, old: Any, new: Any, limit: Any = -1) -> str:
    count = value.count(_strings(old))
    count = count if _whole(limit) < 0 else min(count, limit)
    if len(value) + count * (len(_strings(new)) - len(old)) > MAX_TEXT:
        raise Mismatch(f"the result has more than {MAX_TEXT} characters")
    return value.replace(old, new, limit)


def _substring(value: str, start: Any, end: Any = None) -> str:
    end = len(value) if end is None else _whole(end)
    if not 0 <= _whole(start) <= end <= len(value):
        raise Mismatch(f"substring() is out of range: {start} to {end} of {len(value)} characters")
    return value[start:end]


def _index_of(value: str, part: Any, start: Any = 0) -> int:
    if not 0 <= _whole(start) <= len(value):
        raise Mismatch(f"indexOf() is out of range: {start} of {len(value)} characters")
    return value.find(_strings(part), start)


def _last_index_of(value: str, part: Any) -> int:
    return value.rfind(_strings(part))


def _ascii(table: Mapping[int, int]) -> Callable[[str], str]:
    return lambda value: value.translate(table)


_LOWER = {code: code + 32 for code in range(65, 91)}
_UPPER = {code: code - 32 for code in range(97, 123)}


def _matches(value: str, pattern: Any) -> bool:
    return documents.regular_expression(_strings(pattern)).search(value) is not None


def _part(
    name: str, of_time: Callable[[datetime], int], of_duration: Callable[[timedelta], int] | None = None
) -> Callable[[Any], int]:
    def part(value: Any) -> int:
        if isinstance(value, datetime):
            return of_time(value.astimezone(UTC))
        if of_duration is not None and isinstance(value, timedelta):
            return of_duration(value)
        raise Mismatch(f"{name}() does not work on {type_name(value)}")

    return part


def _truncated(value: timedelta, unit: timedelta) -> int:
    whole = abs(value) // unit
    return whole if value >= timedelta(0) else -whole


_PARTS: Mapping[str, tuple[Callable[[datetime], int], Callable[[timedelta], int] | None]] = {
    "getFullYear": (lambda t: t.year, None),
    "getMonth": (lambda t: t.month - 1, None),
    "getDate": (lambda t: t.day, None),
    "getDayOfMonth": (lambda t: t.day - 1, None),
    "getDayOfWeek": (lambda t: t.isoweekday() % 7, None),
    "getDayOfYear": (lambda t: t.timetuple().tm_yday - 1, None),
    "getHours": (lambda t: t.hour, lambda d: _truncated(d, timedelta(hours=1))),
    "getMinutes": (lambda t: t.minute, lambda d: _truncated(d, timedelta(minutes=1))),
    "getSeconds": (lambda t: t.second, lambda d: _truncated(d, timedelta(seconds=1))),
    "getMilliseconds": (
        lambda t: t.microsecond // 1000,
        lambda d: _truncated(d, timedelta(milliseconds=1)) - 1000 * _truncated(d, timedelta(seconds=1)),
    ),
}


def human_duration(value: Any) -> str:
    """A duration, or a number of seconds, as people say it: its two largest units, such as '1 minute 5 seconds'."""
    if type(value) not in (int, float, timedelta):
        raise Mismatch(f"humanDuration() takes seconds or a duration, not {type_name(value)}")
    number = value.total_seconds() if isinstance(value, timedelta) else value
    if not 0 <= number < 10**12:
        raise Mismatch(f"humanDuration() takes no {'negative' if number < 0 else 'endless'} duration")
    parts = []
    rest = int(number)
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(rest, seconds)
        parts.append(f"{count} {unit}{'' if count == 1 else 's'}" if count else "")
    first = next((index for index, part in enumerate(parts) if part), None)
    return "0 seconds" if first is None else " ".join(part for part in parts[first : first + 2] if part)


def digest(value: Any) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a string."""
    return hashlib.sha256(documents.text(value, "the argument of hash()").encode("utf-8", "surrogatepass")).hexdigest()[:16]


def domain(value: Any) -> list[Any]:
    """What a comprehension runs over: a list's items, or a map's keys in sorted order, since JSON gives them none."""
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping):
        return sorted(value)
    raise Mismatch(f"there is nothing to go through in a value of type {type_name(value)}")


def get(value: Any, path: Any, default: Any) -> Any:
    """The value at a path; the default where a step of it is missing, null or not in a mapping."""
    found = documents.find(value, path)
    return default if found is None else found


def _methods(*rows: tuple[str, Callable[..., Any], tuple[type, ...], type, int]) -> dict[str, Function]:
    return {
        name: Function(
            _string_method(name, compute), (str, *parameters), result, optional, function=name == "matches", method=True
        )
        for name, compute, parameters, result, optional in rows
    }


_SECONDS = (int, float, timedelta)
FUNCTIONS: Mapping[str, Function] = {
    "size": Function(_size, ((str, list, dict),), int, method=True),
    "int": Function(to_int, ((int, bool, float, str, datetime),), int),
    "double": Function(to_double, ((float, int, str),), float),
    "string": Function(to_string, ((str, bool, int, float, datetime, timedelta),), str),
    "bool": Function(to_bool, ((bool, str),), bool),
    "timestamp": Function(to_timestamp, ((str, int, datetime),), datetime),
    "duration": Function(to_duration, ((str, timedelta),), timedelta),
    "join": Function(_join, (list, str), str, optional=1, function=False, method=True, own=True),
    "replace": Function(
        _string_method("replace", _replace), (str, str, str, int), str, optional=1, function=False, method=True, own=True
    ),
    **_methods(
        ("startsWith", lambda value, part: value.startswith(_strings(part)), (str,), bool, 0),
        ("endsWith", lambda value, part: value.endswith(_strings(part)), (str,), bool, 0),
        ("contains", lambda value, part: _strings(part) in value, (str,), bool, 0),
        ("matches", _matches, (str,), bool, 0),
        ("split", _split, (str, int), list, 1),
        ("trim", lambda value: value.strip(_WHITE_SPACE), (), str, 0),
        ("lowerAscii", _ascii(_LOWER), (), str, 0),
        ("upperAscii", _ascii(_UPPER), (), str, 0),
        ("substring", _substring, (int, int), str, 1),
        ("indexOf", _index_of, (str, int), int, 1),
        ("lastIndexOf", _last_index_of, (str,), int, 0),
    ),
    **{
        name: Function(
            _part(name, *part), (datetime if part[1] is None else (datetime, timedelta),), int, function=False, method=True
        )
        for name, part in _PARTS.items()
    },
    "get": Function(get, (_ANY, str, _ANY), own=True),
    "annotation": Function(documents.annotation, (_ANY, str), str, own=True),
    "label": Function(documents.label, (_ANY, str), str, own=True),
    "jmespath": Function(documents.search, (_ANY, str), own=True),
    "parseYaml": Function(documents.parse_yaml, (str,), own=True),
    "parseJson": Function(documents.parse_json, (str,), own=True),
    "toJson": Function(documents.to_json, (_ANY,), str, own=True),
    "humanDuration": Function(human_duration, (_SECONDS,), str, own=True),
    "isTime": Function(is_time, (_ANY,), bool, own=True),
    "hash": Function(digest, (str,), str, own=True),
}
