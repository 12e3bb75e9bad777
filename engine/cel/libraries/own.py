"""The engine's own functions: texts inside objects, fields that may be missing, and words for people."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from engine.cel import documents
from engine.cel.budget import by_document, by_length, weigh
from engine.cel.declarations import ENGINE, function
from engine.cel.times import is_time
from engine.cel.values import Mismatch
from engine.model.mappings import is_mapping
from engine.model.text import clean

#: From how many items on a list is indexed, and of how many lists the indexes are kept.
INDEXED, INDEXES = 64, 4
#: How much larger a JMESPath query may make its input by multi-selects, before that counts.
_GROWTH = 4


def human_duration(value: float | timedelta) -> str:
    """A duration, or a number of seconds, as people say it: its two largest units, such as '1 minute 5 seconds'."""
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


def digest(value: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a string."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def get(value: Any, path: str, default: Any) -> Any:
    """The value at a path; the default where a step of it is missing, null or not in a mapping."""
    found = documents.find(value, path)
    return default if found is None else found


class _Indexes:
    """The items of the last few long lists by the field in which they differ most, so that many questions cost one pass."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, tuple[str, ...]], tuple[list[Any], str, dict[Any, list[Any]]]] = {}

    def candidates(self, items: list[Any], fields: Mapping[str, str]) -> list[Any]:
        """The items that may have these fields."""
        if len(items) < INDEXED or not fields:
            return items
        key = id(items), tuple(fields)
        if key not in self._found:  # the list is kept with it, so that no other one can have its id
            self._found = dict(list(self._found.items())[1 - INDEXES :])
            self._found[key] = items, *self._indexed(items, fields)
        _, field, by_value = self._found[key]
        return by_value.get(fields[field], [])

    @staticmethod
    def _indexed(items: list[Any], fields: Mapping[str, str]) -> tuple[str, dict[Any, list[Any]]]:
        sample = [item for item in items[:INDEXED] if is_mapping(item)]
        field = max(fields, key=lambda each: len({value for item in sample if type(value := item.get(each)) is str}))
        by_value: dict[Any, list[Any]] = {}
        for item in items:
            if is_mapping(item) and type(value := item.get(field)) is str:
                by_value.setdefault(value, []).append(item)
        return field, by_value


_indexes = _Indexes()


def has_item(items: list[Any], fields: Mapping[str, str]) -> bool:
    """Whether an item of a list is a map in which all these fields have these values; one that is missing counts as ''."""
    return any(
        is_mapping(item) and all((item.get(name) or "") == value for name, value in fields.items())
        for item in _indexes.candidates(items, {name: value for name, value in fields.items() if value})
    )


def nest(path: str, value: Any) -> Any:
    """The smallest map that has a value at a path."""
    for step in reversed(documents.path_steps(path)):
        value = {step: value}
    return value


def _query(value: Any, expression: str) -> int:
    growth = documents.growth(expression)
    return weigh(value) // 3 * (growth if growth > _GROWTH else 1) + len(expression) // 10


FUNCTIONS = (
    function("get", "The value at a path such as `'status.phase'` or `'metadata.annotations[\"a/b\"]'`; the default where a step "
             "of it is missing or null.", "get({'a': {'b': 1}}, 'a.c', 2) == 2", ENGINE, {"get(dyn, string, dyn) -> dyn": get}),
    function("nest", "The smallest map that has a value at a path, as `get` reads it.", "nest('a.b', 1) == {'a': {'b': 1}}",
             ENGINE, {"nest(string, dyn) -> dyn": nest}, by_length(400)),
    function("annotation", "An annotation of an object; `''` where it is absent.",
             "annotation({'metadata': {'annotations': {'a/b': 'c'}}}, 'a/b') == 'c'", ENGINE,
             {"annotation(dyn, string) -> string": documents.annotation}),
    function("label", "A label of an object; `''` where it is absent, and where it is empty: "
             "`'app' in get(object, 'metadata.labels', {})` says whether it is there.",
             "label({'metadata': {}}, 'app') == ''", ENGINE,
             {"label(dyn, string) -> string": documents.label}),
    function("jmespath", "What a JMESPath expression finds in a value; null where it finds nothing.",
             "jmespath({'a': [{'b': 1}]}, 'a[*].b') == [1]", ENGINE, {"jmespath(dyn, string) -> dyn": documents.search}, _query),
    function("parseYaml", "The value of a YAML text.", "parseYaml('a: 1').a == 1", ENGINE,
             {"parseYaml(string) -> dyn": documents.parse_yaml}, by_document(2)),
    function("parseJson", "The value of a JSON text.", "parseJson('[1]') == [1]", ENGINE,
             {"parseJson(string) -> dyn": documents.parse_json}, by_document(15)),
    function("toJson", "A value as compact JSON, keys sorted.", "toJson({'b': 1, 'a': null}) == '{\"a\":null,\"b\":1}'", ENGINE,
             {"toJson(dyn) -> string": documents.to_json}, lambda value: weigh(value) // 2),
    function("humanDuration", "Seconds or a duration as people say it, such as `1 minute 5 seconds`.",
             "humanDuration(65) == '1 minute 5 seconds'", ENGINE,
             {f"humanDuration({kind}) -> string": human_duration for kind in ("int", "double", "duration")}),
    function("hasItem", "Whether a list has an item in which all these fields have these values; a missing field is `''`. "
             "Quick on long lists.", "[{'a': 'b', 'c': 1}].hasItem({'a': 'b'})", ENGINE,
             {"list(dyn).hasItem(map(string, string)) -> bool": has_item}, lambda items, _: len(items) // 8),
    function("isTime", "Whether a value is a text that `timestamp()` takes, such as `2026-01-24T22:30:00Z`.",
             "!isTime('tomorrow')", ENGINE, {"isTime(dyn) -> bool": is_time}),
    function("hash", "16 hexadecimal digits that are the same for the same string (SHA-256).", "hash('a') == 'ca978112ca1bbdca'",
             ENGINE, {"hash(string) -> string": digest}, by_length(400)),
    function("clean", "A text without escape sequences, control characters and marks of direction; tabs and newlines stay. What "
             "Events and logs say has that done to it already.", "clean('a\\u202Eb') == 'ab'", ENGINE,
             {"clean(string) -> string": clean}, by_length(400)),
)  # fmt: skip
