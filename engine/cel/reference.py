"""What there is to say about the functions and variables of expressions, for the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.cel.analysis import usage
from engine.cel.functions import FUNCTIONS
from engine.cel.parser import MACROS

FUNCTION_TEXTS: Mapping[str, str] = {
    "size": "Characters of a string, items of a list, keys of a map.",
    "int": "A whole number: from a double (towards zero), a bool, a decimal string, or a timestamp (seconds since 1970).",
    "double": "A number with a fraction: from an int or a string.",
    "string": "Text: timestamps as RFC 3339 with Z, durations in seconds such as `90s`.",
    "bool": "true or false: from a string such as `true`, `t`, `1`, `false`, `f`, `0`.",
    "timestamp": "A time: from a string such as `2026-01-24T22:30:00Z`, or seconds since 1970.",
    "duration": "A duration: from a string such as `1h30m`, `90s`, `250ms`.",
    "join": "The strings of a list as one, with a separator between them.",
    "replace": "A string with one part replaced by another, everywhere or at most so many times.",
    "startsWith": "Whether a string begins with another.",
    "endsWith": "Whether a string ends with another.",
    "contains": "Whether a string contains another.",
    "matches": "Whether a regular expression (RE2) is found in a string; `^…$` for all of it.",
    "split": "The parts of a string between separators, at most so many.",
    "trim": "A string without white space at its ends.",
    "lowerAscii": "A string with A to Z in lower case.",
    "upperAscii": "A string with a to z in upper case.",
    "substring": "The characters of a string from one place up to another, counted from 0.",
    "indexOf": "Where a string first contains another, from a place on; -1 where it does not.",
    "lastIndexOf": "Where a string last contains another; -1 where it does not.",
    "getFullYear": "The year of a time (UTC).",
    "getMonth": "The month of a time, from 0.",
    "getDate": "The day of the month of a time, from 1.",
    "getDayOfMonth": "The day of the month of a time, from 0.",
    "getDayOfWeek": "The day of the week of a time, from 0 for Sunday.",
    "getDayOfYear": "The day of the year of a time, from 0.",
    "getHours": "The hour of a time, or the whole hours of a duration.",
    "getMinutes": "The minute of a time, or the whole minutes of a duration.",
    "getSeconds": "The second of a time, or the whole seconds of a duration.",
    "getMilliseconds": "The millisecond of a time, or those of a duration beyond its whole seconds.",
    "get": "The value at a path such as `'status.phase'` or `'metadata.annotations[\"a/b\"]'`; the default where a step of it "
           "is missing or null.",
    "annotation": "An annotation of an object; `''` where it is absent.",
    "label": "A label of an object; `''` where it is absent.",
    "jmespath": "What a JMESPath expression finds in a value; null where it finds nothing.",
    "parseYaml": "The value of a YAML text.",
    "parseJson": "The value of a JSON text.",
    "toJson": "A value as compact JSON, keys sorted.",
    "humanDuration": "Seconds or a duration as people say it, such as `1 minute 5 seconds`.",
    "isTime": "Whether a value is a text that `timestamp()` takes, such as `2026-01-24T22:30:00Z`.",
    "hash": "16 hexadecimal digits that are the same for the same string (SHA-256).",
}  # fmt: skip

MACRO_TEXTS: Mapping[str, tuple[str, str]] = {
    "has": ("has(object.status.phase)", "Whether a field is there."),
    "all": ("list.all(x, condition)", "Whether the condition is true of every item."),
    "exists": ("list.exists(x, condition)", "Whether it is true of at least one."),
    "exists_one": ("list.exists_one(x, condition)", "Whether it is true of exactly one."),
    "filter": ("list.filter(x, condition)", "The items of which it is true."),
    "map": ("list.map(x, value)", "The value for each item; `list.map(x, condition, value)` for those of which it is true."),
}

VARIABLE_TEXTS: Mapping[str, tuple[str, str]] = {
    "object": ("everywhere", "The watched object; in the actions of an `aggregate`, its target."),
    "oldObject": ("everywhere", "The object as it was when it was last judged; null at the first look."),
    "params": ("everywhere", "The pack's parameters."),
    "inputs": ("everywhere", "The pack's inputs, parsed; one that has faults has no value."),
    "inputErrors": ("everywhere", "What is wrong with each input; `''` where nothing is."),
    "vars": ("everywhere", "The named expressions of the rule and of its pack."),
    "flags": ("everywhere", "The mode of each pack, such as `flags['other-pack'] == 'Enforce'`."),
    "lookup": ("everywhere but in `vars` of packs without lookups", "What the rule's lookups found."),
    "now": ("everywhere but in what is written", "The time, the same in all of one look."),
    "item": ("`loopKey`, `actions`, `rescue`, and `vars` they use", "The loop's item, under the name that `loopVar` gives."),
    "target": ("`where`, `guard`, `doneWhen`, `that`, `patch`, `consent`", "The live target of an action."),
    "group": ("`actions` of an `aggregate`", "The group's counts, lists and maxima."),
    "groupKey": ("`target` and `actions` of an `aggregate`", "The group's key."),
    "results": ("`actions`, `rescue`", "What earlier actions registered."),
    "error": ("`rescue`", "Why the actions have failed."),
}


def functions() -> Iterator[tuple[str, str]]:
    """Each function and macro: how it is called, and what it gives, by name."""
    rows = {name: (usage(name, function), FUNCTION_TEXTS[name]) for name, function in FUNCTIONS.items()}
    rows |= {name: MACRO_TEXTS[name] for name in ("has", *MACROS)}
    for _, row in sorted(rows.items()):
        yield row
