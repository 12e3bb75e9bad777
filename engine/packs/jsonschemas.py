"""JSON Schema (draft 2020-12) for what users write: regular expressions by RE2, no references, faults in plain words.

RE2 (https://github.com/google/re2) matches in linear time, so that no pattern and no text can stop the engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from typing import Any

import re2
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from engine.cel import Path
from engine.model.text import cut, found, one_of, shown, suggestion

_KEYWORDS = (
    "type", "enum", "const", "title", "description", "default", "examples", "deprecated",
    "properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties", "maxProperties",
    "dependentRequired", "items", "prefixItems", "contains", "minContains", "maxContains", "minItems", "maxItems", "uniqueItems",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
    "allOf", "anyOf", "oneOf", "not", "if", "then", "else",
)  # fmt: skip
_SCHEMA_IN = frozenset(["additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else"])
_SCHEMAS_IN_LIST = frozenset(["prefixItems", "allOf", "anyOf", "oneOf"])
_SCHEMAS_IN_MAPPING = frozenset(["properties", "patternProperties"])


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """What is wrong at a path of a value or of a schema; with `at_key` it is the path's last key itself."""

    path: Path
    message: str
    expected: str = ""
    at_key: bool = False


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _regex(pattern).search(instance):
        yield ValidationError("pattern")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        for pattern, subschema in patterns.items():
            for key, value in instance.items():
                if _regex(pattern).search(key):
                    yield from validator.descend(value, subschema, path=key, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    patterns = [_regex(pattern) for pattern in schema.get("patternProperties", {})]
    for key, value in instance.items():
        if key in schema.get("properties", {}) or any(pattern.search(key) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError("additional", path=[key])
        else:
            yield from validator.descend(value, allowed, path=key)


def _unique_items(validator: Any, wanted: bool, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Check `uniqueItems` in linear time, unlike the library."""
    if wanted and isinstance(instance, list) and len({json.dumps(item, sort_keys=True) for item in instance}) < len(instance):
        yield ValidationError("unique")


_Validator: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
})  # fmt: skip


class Checker:
    """Checks values against one schema, which must have no `schema_faults`."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._validator = _Validator(schema)

    def faults(self, value: Any) -> list[SchemaFault]:
        """Return what is wrong in a value: where, what, and what was expected."""
        return [_described(error) for error in self._validator.iter_errors(value)]

    def typed(self, value: Any) -> Any:
        """Return a value without faults in which numbers have the types that the schema names: 1 is 1.0 where it says `number`.

        JSON has one type for both, and kubectl writes 1 for 1.0; CEL has two, and Kubernetes' takes that of the schema.
        """
        return _typed(self._validator.schema, value)


def _typed(schema: Any, value: Any) -> Any:
    if not isinstance(schema, dict):
        return value
    for part in _applied(schema, value):
        value = _typed(part, value)
    if isinstance(value, dict):
        return {key: _typed(_schema_of_key(schema, key), item) for key, item in value.items()}
    if isinstance(value, list):
        first = schema.get("prefixItems", ())
        return [_typed(first[n] if n < len(first) else schema.get("items"), item) for n, item in enumerate(value)]
    kinds = _kinds(schema.get("type"))
    if type(value) is int and "number" in kinds and "integer" not in kinds:
        return float(value)
    if type(value) is float and "integer" in kinds and "number" not in kinds:
        return int(value)
    return value


def _applied(schema: Mapping[str, Any], value: Any) -> Iterator[Any]:
    """Yield the further schemas that a value has to fit: all of `allOf`, and of alternatives the first that it fits."""
    yield from schema.get("allOf", ())
    for keyword in ("anyOf", "oneOf"):
        yield from islice((part for part in schema.get(keyword, ()) if _Validator(part).is_valid(value)), 1)


def _schema_of_key(schema: Mapping[str, Any], key: str) -> Any:
    """Return the schema of what a mapping has under a key, None where there is none."""
    if key in schema.get("properties", {}):
        return schema["properties"][key]
    patterns = schema.get("patternProperties", {})
    return next((part for pattern, part in patterns.items() if _regex(pattern).search(key)), schema.get("additionalProperties"))


def _instead(kind: Any) -> str:
    """Return what to write instead of a type that JSON does not have: a text, where it is one of CEL."""
    function = "timestamp" if kind in ("time", "datetime", "date") else str(kind)
    if function in ("duration", "timestamp", "quantity"):
        return f"string, and {function}(params.NAME) where it is read"
    return one_of(_OTHER_TYPES.get(str(kind).lower(), kind), _TYPES)


def schema_faults(schema: Any, path: Path = ()) -> list[SchemaFault]:
    """Return what is wrong in a schema: keywords that are unknown or not supported, values that do not fit, bad patterns."""
    if isinstance(schema, bool):
        return []
    if not isinstance(schema, dict):
        return [SchemaFault(path, f"{found(schema)} is not a JSON Schema", "a mapping of JSON Schema keywords")]
    faults: list[SchemaFault] = []
    for key, value in schema.items():
        here = (*path, key)
        if key not in _KEYWORDS:
            close = get_close_matches(key[:60], _KEYWORDS, n=1)
            expected = f"{close[0]!r} (did you mean that?)" if close else "a keyword of JSON Schema 2020-12 without references"
            faults.append(SchemaFault(here, f"{shown(key, 60)} is unknown or not supported", expected, at_key=True))
        elif key == "type" and (unknown := [kind for kind in _kinds(value) if kind not in _TYPES]):
            faults.append(SchemaFault(here, f"{found(unknown[0])} is not a type of JSON", _instead(unknown[0])))
        elif key in _SCHEMA_IN:
            faults += schema_faults(value, here)
        elif key in _SCHEMAS_IN_LIST and isinstance(value, list):
            faults += [fault for index, item in enumerate(value) for fault in schema_faults(item, (*here, index))]
        elif key in _SCHEMAS_IN_MAPPING and isinstance(value, dict):
            faults += [fault for name, item in value.items() for fault in schema_faults(item, (*here, name))]
        else:
            faults += [_described(error, here) for error in _shallow(key, value)]
        if key in ("pattern", "patternProperties"):
            patterns = [value] if isinstance(value, str) else value if isinstance(value, dict) else ()
            faults += [SchemaFault(here, bad, "a regular expression of RE2") for bad in map(_bad_regex, patterns) if bad]
    return faults


def _shallow(key: str, value: Any) -> Iterator[ValidationError]:
    """Yield what the draft's own schema says of one keyword that holds no further schema."""
    for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors({key: value}):
        relative = list(error.path)[1:]
        error.path.clear()
        error.path.extend(relative)
        yield error


def _kinds(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _bad_regex(pattern: str) -> str:
    try:
        _regex(pattern)
    except re2.error as fault:
        reason = fault.args[0] if fault.args else "it does not compile"
        return f"the pattern {shown(pattern, 60)} is not valid: {reason.decode() if isinstance(reason, bytes) else reason}"
    return ""


def _described(error: ValidationError, base: Path = ()) -> SchemaFault:
    """Return an error in plain words; of alternatives the one that comes closest."""
    error = best_match(iter([error])) or error
    path = (*base, *error.absolute_path)
    wanted: Any = error.validator_value
    value: Any = error.instance
    name, schema = str(error.validator), error.schema
    match name:
        case "type":
            kinds = " or ".join(_TYPES[kind] for kind in _kinds(wanted))
            return SchemaFault(path, f"{found(value)} stands here", kinds)
        case "enum" | "const":
            choices = wanted if name == "enum" else [wanted]
            return SchemaFault(path, f"{found(value)} is not possible here", one_of(value, choices))
        case "required":
            missing = [key for key in wanted if key not in value]
            return SchemaFault(path, f"{', '.join(map(repr, missing))} missing", ", ".join(map(repr, wanted)))
        case "additionalProperties":
            key = str(path[-1]) if path else ""
            known = schema.get("properties", {}) if isinstance(schema, dict) else {}
            return SchemaFault(path, f"unknown key {shown(key, 60)}", suggestion(key, known), at_key=True)
        case "not" if isinstance(wanted, dict) and "enum" in wanted:
            return SchemaFault(path, f"{found(value)} is not possible here", f"none of {', '.join(map(str, wanted['enum']))}")
        case "pattern":
            return SchemaFault(path, f"{found(value)} does not match", f"a text that matches {wanted}")
        case "uniqueItems":
            return SchemaFault(path, "an item stands twice", "each item once")
    if name in _RANGES:
        message, expected = _RANGES[name]
        return SchemaFault(path, f"{found(value)} {message}", expected.format(wanted))
    return SchemaFault(path, f"{found(value)} does not fit the schema", f"{name}: {cut(json.dumps(wanted, default=str), 120)}")


_TYPES = {
    "string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "a mapping", "null": "null",
}  # fmt: skip
#: A type of another language -> that of JSON.
_OTHER_TYPES = {"float": "number", "double": "number", "list": "array", "map": "object", "dict": "object", "text": "string"}
_RANGES = {
    "minimum": ("is too small", "at least {}"),
    "maximum": ("is too large", "at most {}"),
    "exclusiveMinimum": ("is too small", "more than {}"),
    "exclusiveMaximum": ("is too large", "less than {}"),
    "multipleOf": ("is not possible here", "a multiple of {}"),
    "minLength": ("is too short", "at least {} characters"),
    "maxLength": ("is too long", "at most {} characters"),
    "minItems": ("is too short", "at least {} items"),
    "maxItems": ("is too long", "at most {} items"),
    "minProperties": ("is too small", "at least {} keys"),
    "maxProperties": ("is too large", "at most {} keys"),
}
