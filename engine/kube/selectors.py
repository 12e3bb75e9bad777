"""Label and field selectors, as the API server reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from engine.errors import ApiError
from engine.model.labels import selector_text
from engine.model.objects import Object, dig, labels_of

Predicate = Callable[[Object], bool]

_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?"
_REQUIREMENT = re.compile(
    rf"""\s*(?: !\s*(?P<absent>{_KEY})
              | (?P<key>{_KEY}) \s* (?: (?P<set>in|notin)\s*\((?P<values>[^()]*)\)
                                      | (?P<operator>==|=|!=|>|<)\s*(?P<value>(?:{_KEY})?) )? )\s*(?P<end>,|$)""",
    re.VERBOSE,
)
#: Fields that a selector calls by another path than the object does, or that are not '' where they are absent.
#: Source: kubernetes, pkg/registry/core/event, core/pod, core/node and batch/job: strategy.go.
_SELECTED: Mapping[tuple[str, ...], tuple[tuple[str, ...], str]] = {
    ("source",): (("source", "component"), ""),
    ("spec", "hostNetwork"): (("spec", "hostNetwork"), "false"),
    ("spec", "unschedulable"): (("spec", "unschedulable"), "false"),
    ("status", "successful"): (("status", "succeeded"), "0"),
}
_FIELD_TERM = re.compile(r"\s*(?P<path>[^=!,\s]+)\s*(?P<operator>==|!=|=)(?P<value>[^=!,]*)")


@lru_cache(maxsize=1024)
def label_selector(text: str) -> Predicate:
    """Return a predicate of an object's labels: equality, `in`, `notin`, existence (`key`, `!key`), and `>` and `<` of integers.

    Raises ApiError 400. Source: kubernetes, apimachinery/pkg/labels/selector.go; `!=` and `notin` fit objects without the key.
    """
    tests: list[Callable[[Mapping[str, str]], bool]] = []
    position, end = 0, ","
    while end == "," and (text.strip() or tests):
        found = _REQUIREMENT.match(text, position)
        if found is None:
            raise _bad(f"unable to parse requirement: found '{text[position:].strip()}', expected: a label selector requirement")
        tests.append(_label_test(found))
        position, end = found.end(), found["end"]
    return lambda obj: all(test(labels_of(obj)) for test in tests)


def required_labels(text: str) -> Iterator[tuple[str, str]]:
    """Yield the labels that a selector requires by `key=value`: an object without one of them does not fit."""
    position = 0
    while (found := _REQUIREMENT.match(text, position)) is not None and found.end() > position:
        if found["operator"] in ("=", "=="):
            yield found["key"], found["value"]
        position = found.end()


def selector_of(spec: Mapping[str, Any]) -> Predicate:
    """Return the predicate of a metav1.LabelSelector (`matchLabels`, `matchExpressions`); an empty one fits every object."""
    return label_selector(selector_text(spec))


def field_selector(text: str, supported: Collection[str]) -> Predicate:
    """Return a predicate of an object's fields: `path=value` and `path!=value` of `supported` dotted paths; a missing one is ''.

    Raises ApiError 400 for any other path: what the API server selects by is a short list for each kind.
    """
    tests: list[Predicate] = []
    for term in filter(str.strip, text.split(",")):
        found = _FIELD_TERM.fullmatch(term)
        if found is None:
            raise _bad(f"invalid selector: '{term}'; can't understand '{term}'")
        if found["path"] not in supported:
            raise _bad(f"field label not supported: {found['path']}")
        tests.append(_field_test(tuple(found["path"].split(".")), found["value"].strip(), found["operator"] != "!="))
    return lambda obj: all(test(obj) for test in tests)


def _label_test(found: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    key, operator, value = found["key"], found["operator"], found["value"]
    if found["absent"]:
        return lambda labels: found["absent"] not in labels
    if found["set"]:
        values = {part.strip() for part in found["values"].split(",")}
        wanted = found["set"] == "in"
        return lambda labels: (key in labels and labels[key] in values) == wanted
    if operator in ("=", "=="):
        return lambda labels: labels.get(key) == value
    if operator == "!=":
        return lambda labels: labels.get(key) != value
    if operator is None:
        return lambda labels: key in labels
    if not re.fullmatch(r"-?\d+", value):
        raise _bad(f"unable to parse requirement: values[0][{key}]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, "
                   "the value must be an integer")  # fmt: skip
    sign = 1 if operator == ">" else -1
    return lambda labels: bool(re.fullmatch(r"-?\d+", labels.get(key, ""))) and sign * int(labels[key]) > sign * int(value)


def _field_test(path: tuple[str, ...], value: str, wanted: bool) -> Predicate:
    path, absent = _SELECTED.get(path, (path, ""))
    return lambda obj: (_text(found if (found := dig(obj, path, None)) is not None else absent) == value) == wanted


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bad(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)
