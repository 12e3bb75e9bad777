"""Functions that read and write text inside values: YAML, JSON, JMESPath, dotted paths, regular expressions.

They take and give plain JSON values, and raise Mismatch where there is no answer.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jmespath
import re2
import yaml

from engine.cel.conversions import to_string
from engine.cel.operators import bounded
from engine.cel.values import Mismatch, type_name
from engine.model.mappings import is_mapping

#: Characters of a YAML or JSON text: the bytes that all annotations of an object may have together
#: (kubernetes: apimachinery/pkg/api/validation/objectmeta.go).
MAX_DOCUMENT = 262_144
#: How deep a YAML or JSON text may nest.
MAX_DOCUMENT_DEPTH = 50

MAX_GROWTH = 10**6

_STEP = re.compile(r"""(?:^|\.)([^.\[\]"']+)|\[(?:"([^"]*)"|'([^']*)')\]""")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML, in which a time stays the string that JSON would have."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


@lru_cache(maxsize=1024)
def path_steps(path: str) -> tuple[str, ...]:
    """The keys of a path such as `metadata.annotations["a/b.c"]`. Raises Mismatch where it is not one."""
    steps: list[str] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise Mismatch(f"""{path!r:.100} is not a path such as status.message or metadata.annotations["a/b.c"]""")
        steps.append(next(group for group in match.groups() if group is not None))
        at = match.end()
    if not steps:
        raise Mismatch("the path is empty")
    return tuple(steps)


def find(value: Any, path: Any) -> Any:
    """The value at a path; None where a step is missing, null or not in a mapping."""
    return below(value, path_steps(text(path, "the path of get()")))


def below(value: Any, steps: tuple[str, ...]) -> Any:
    """The value that these keys lead to; None where one is missing, null or not in a mapping."""
    for step in steps:
        if type(value) is not dict and not is_mapping(value):
            return None
        value = value.get(step)
    return value


def text(value: Any, what: str) -> str:
    """The value, which must be a string. Raises Mismatch naming what it is."""
    if not isinstance(value, str):
        raise Mismatch(f"{what} is of type {type_name(value)}, not a string")
    return value


def annotation(value: Any, key: Any) -> str:
    """An annotation of an object; '' where it is absent or not a string."""
    return _metadata(value, "annotations", text(key, "the key of annotation()"))


def label(value: Any, key: Any) -> str:
    """A label of an object; '' where it is absent or not a string."""
    return _metadata(value, "labels", text(key, "the key of label()"))


def _metadata(value: Any, field: str, key: str) -> str:
    for step in ("metadata", field, key):
        value = value.get(step) if type(value) is dict or is_mapping(value) else None
    return value if isinstance(value, str) else ""


@lru_cache(maxsize=256)
def query(expression: str) -> Any:
    """A compiled JMESPath expression. Raises Mismatch where it is not one."""
    try:
        with warnings.catch_warnings():
            # JMESPath warns of `text` for '"text"', which its own documentation and everybody's queries use.
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            return jmespath.compile(expression)
    except Exception as fault:  # jmespath has several bases, and RecursionError is none of them
        raise Mismatch(
            f"{expression!r:.100} is not JMESPath: {str(fault).splitlines()[0] if str(fault) else type(fault).__name__}"
        ) from None


@lru_cache(maxsize=256)
def growth(expression: str) -> int:
    """How many times larger than its input the answer of a JMESPath expression may be: its multi-selects, multiplied."""
    try:
        rest, factor = [query(expression).parsed], 1
    except Mismatch:
        return 1
    while rest:
        node = rest.pop()
        if node["type"] in ("multi_select_list", "multi_select_dict"):
            factor = min(factor * max(1, len(node["children"])), MAX_GROWTH)
        rest.extend(child for child in node["children"] if isinstance(child, dict))
    return factor


def search(value: Any, expression: Any) -> Any:
    """What a JMESPath expression finds in a value; null where it finds nothing."""
    compiled = query(text(expression, "the expression of jmespath()"))
    try:
        return _plain_json(compiled.search(value), 0)
    except Mismatch:
        raise
    except Exception as fault:
        raise Mismatch(f"jmespath() found no answer: {fault}") from None


def parse_yaml(document: Any) -> Any:
    """The value of one YAML document without aliases; times stay strings, keys are strings."""
    document = _document(document, "parseYaml()")
    try:
        depth = 0
        for event in yaml.parse(document, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                raise Mismatch("the YAML text uses an alias (*), which is not accepted")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DOCUMENT_DEPTH:
                raise Mismatch(f"the YAML text nests more than {MAX_DOCUMENT_DEPTH} levels deep")
        return _plain_json(yaml.load(document, Loader=_Loader), 0)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Mismatch(f"the text is not YAML: {at}{fault.problem or fault.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as fault:
        raise Mismatch(f"the text is not YAML: {str(fault).splitlines()[0]}") from None


def parse_json(document: Any) -> Any:
    """The value of a JSON text."""
    document = _document(document, "parseJson()")
    try:
        return _plain_json(json.loads(document, parse_constant=_refuse_constant), 0)
    except json.JSONDecodeError as fault:
        raise Mismatch(f"the text is not JSON: line {fault.lineno}, column {fault.colno}: {fault.msg}") from None
    except (ValueError, RecursionError) as fault:
        raise Mismatch(f"the text is not JSON: {fault}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _document(value: Any, function: str) -> str:
    document = text(value, f"the argument of {function}")
    if len(document) > MAX_DOCUMENT:
        raise Mismatch(f"the argument of {function} has {len(document)} characters, more than {MAX_DOCUMENT}")
    return document


def _plain_json(value: Any, depth: int) -> Any:
    if depth > MAX_DOCUMENT_DEPTH:
        raise Mismatch(f"the value nests more than {MAX_DOCUMENT_DEPTH} levels deep")
    match value:
        case str():
            if not value.isascii() and any("\ud800" <= character < "\ue000" for character in value):
                raise Mismatch("the value holds half a surrogate pair, which is no Unicode text")
            return value
        case None | bool() | int() | float():
            return value
        case list():
            return [_plain_json(item, depth + 1) for item in value]
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise Mismatch("the value has a key that is not a string")
            return {key: _plain_json(item, depth + 1) for key, item in value.items()}
    raise Mismatch(f"a value of type {type_name(value)} has no place in JSON")


def _encode(value: Any) -> Any:
    return dict(value) if is_mapping(value) else to_string(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False, default=_encode)


def to_json(value: Any) -> str:
    """A value as compact JSON: no spaces, keys sorted, non-ASCII as it is, times and durations as `string()` writes them."""
    try:
        return bounded(_ENCODER.encode(value))
    except (ValueError, TypeError, RecursionError) as fault:
        raise Mismatch(f"the value cannot be written as JSON: {fault}") from None


_QUIET = re2.Options()
_QUIET.log_errors = False


_SMALL = re2.Options()
_SMALL.log_errors = False
_SMALL.max_mem = 1 << 17
MAX_PATTERN = 500


@lru_cache(maxsize=256)
def pattern_of_data(pattern: str) -> Any:
    """A compiled RE2 pattern that does not stand in an expression, compiled in about 5 ms at most. Raises Mismatch."""
    if len(pattern) > MAX_PATTERN:
        raise Mismatch(f"{pattern!r:.100} is too long for a regular expression: {len(pattern)} of {MAX_PATTERN} characters")
    return _compiled(pattern, _SMALL)


@lru_cache(maxsize=256)
def regular_expression(pattern: str) -> Any:
    """A compiled RE2 pattern of an expression's own text. Raises Mismatch where it is not one."""
    return _compiled(pattern, _QUIET)


def _compiled(pattern: str, options: Any) -> Any:
    try:
        return re2.compile(pattern, options)
    except re2.error as fault:
        raise Mismatch(f"{pattern!r:.100} is not a regular expression of RE2: {_reason(fault)}") from None


def _reason(fault: Exception) -> str:
    reason = fault.args[0] if fault.args else fault
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
