"""Label and field selectors, as the API server reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from engine.errors import ApiError
from engine.model.fieldselectors import FieldTerm, field_terms
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
#: Fields that a selector calls by another path than the object does, the first that is not empty, or that are not '' where they
#: are absent. Source: kubernetes, pkg/registry/core/event, core/pod, core/node and batch/job: strategy.go.
_SELECTED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "source": (("source.component", "reportingComponent"), ""),
    "spec.hostNetwork": (("spec.hostNetwork",), "false"),
    "spec.unschedulable": (("spec.unschedulable",), "false"),
    "status.podIPs": ((), ""),
    "status.successful": (("status.succeeded",), "0"),
}
FIELD = "."
"""What the key of a field begins with, where labels and fields are keys of one index; no label does."""


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


def required(labels: str, fields: str = "") -> Iterator[tuple[str, str]]:
    """Yield what selectors require by equality, each as a key (see `required_value`) and the value that it must have."""
    position = 0
    while (found := _REQUIREMENT.match(labels, position)) is not None and found.end() > position:
        if found["operator"] in ("=", "=="):
            yield found["key"], found["value"]
        position = found.end()
    yield from ((FIELD + term.field, term.value) for term in field_terms(fields) if term.equal)


def required_value(obj: Object, key: str) -> str | None:
    """Return what an object has for a key of `required`: a label, or the text of a field; None where it has no such label."""
    return selected_text(obj, key.removeprefix(FIELD)) if key.startswith(FIELD) else labels_of(obj).get(key)


def selector_of(spec: Mapping[str, Any]) -> Predicate:
    """Return the predicate of a metav1.LabelSelector (`matchLabels`, `matchExpressions`); an empty one fits every object."""
    return label_selector(selector_text(spec))


def field_selector(text: str, supported: Collection[str]) -> Predicate:
    """Return a predicate of an object's fields: `path=value` and `path!=value` of `supported` dotted paths; a missing one is ''.

    Raises ApiError 400 for any other path: what the API server selects by is a short list for each kind.
    """
    try:
        terms = list(field_terms(text))
    except ValueError as problem:
        raise _bad(f"invalid selector: '{text}'; can't understand '{problem}'") from None
    for term in terms:
        if term.field not in supported:
            raise _bad(f"field label not supported: {term.field}")
    return _fields_test(terms)


@lru_cache(maxsize=1024)
def selects(labels: str, fields: str) -> Predicate:
    """Return a predicate of an object by a label selector, and by a field selector that may name any field."""
    labelled = label_selector(labels)
    if not fields:
        return labelled
    test = _fields_test(list(field_terms(fields)))
    return lambda obj: labelled(obj) and test(obj)


@lru_cache(maxsize=1024)
def field_paths(field: str) -> Sequence[tuple[str, ...]]:
    """Return where an object has what a field selector calls `field`."""
    paths, _ = _SELECTED.get(field, ((field,), ""))
    return [tuple(path.split(".")) for path in paths]


def selected_text(obj: Object, field: str) -> str:
    """Return a field of an object as a field selector compares it."""
    for path in field_paths(field):
        value = dig(obj, path)
        if value is not None and value != "":
            return str(value).lower() if isinstance(value, bool) else str(value)
    _, absent = _SELECTED.get(field, ((), ""))
    return absent


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


def _fields_test(terms: Collection[FieldTerm]) -> Predicate:
    return lambda obj: all((selected_text(obj, term.field) == term.value) == term.equal for term in terms)


def _bad(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)
