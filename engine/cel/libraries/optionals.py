"""Optionals: a value, or none (github.com/google/cel-spec/wiki/proposal-246). `optMap` and `optFlatMap` are macros."""

from __future__ import annotations

from typing import Any

from engine.cel.declarations import OPTIONALS, function
from engine.cel.values import NONE, Mismatch, Optional, UInt, to_key, type_name
from engine.model.mappings import is_mapping


def optional_key(value: Any, key: str) -> Optional:
    """The field of a map, or of the map that an optional holds; none where it is not there.

    As in cel-go, null and scalars have none either; to ask a list for a field has no answer.
    """
    if type(value) is Optional:
        if not value.present:
            return NONE
        value = value.value
    if is_mapping(value):
        return Optional(value[key]) if key in value else NONE
    if type(value) is list:
        raise Mismatch(f"a value of type {type_name(value)} has no fields")
    return NONE


def field_of_optional(value: Optional, key: str) -> Optional:
    """`.` on an optional: the field of the map that it holds. Raises Mismatch where it holds something else."""
    if value.present and not is_mapping(value.value):
        raise Mismatch(f"a value of type {type_name(value.value)} has no fields")
    return optional_key(value, key)


def optional_index(value: Any, key: Any) -> Optional:
    """The item of a list or the value of a map's key, also of those that an optional holds; none where it is not there.

    As in cel-go, null and scalars have none either.
    """
    if type(value) is Optional:
        if not value.present:
            return NONE
        value = value.value
    if type(value) is list:
        index = int(key) if type(key) is UInt or (type(key) is float and key.is_integer()) else key
        if type(index) is not int:
            raise Mismatch(f"a list has no index of type {type_name(key)}")
        return Optional(value[index]) if 0 <= index < len(value) else NONE
    found = to_key(key)
    return Optional(value[found]) if is_mapping(value) and found in value else NONE


def index_of_optional(value: Optional, key: Any) -> Optional:
    """`[]` on an optional: what `[?]` gives. Raises Mismatch where it holds neither a list nor a map."""
    if value.present and type(value.value) is not list and not is_mapping(value.value):
        raise Mismatch(f"a value of type {type_name(value.value)} has no elements")
    return optional_index(value, key)


def value_of(value: Optional) -> Any:
    """What an optional holds. Raises Mismatch where that is none."""
    if not value.present:
        raise Mismatch("the optional holds no value")
    return value.value


def is_zero(value: Any) -> bool:
    """Whether a value is the zero of its type: null, false, 0, or empty."""
    return (
        value is None or (isinstance(value, int | float | str | bytes | list) and not value) or (is_mapping(value) and not value)
    )


def unwrapped(values: list[Any]) -> list[Any]:
    """What the optionals of a list hold."""
    if not all(type(each) is Optional for each in values):
        raise Mismatch("the list holds what is no optional")
    return [each.value for each in values if each.present]


FUNCTIONS = (
    function("optional.of", "An optional that holds a value.", "optional.of(1).value() == 1", OPTIONALS,
             {"optional.of(A) -> optional(A)": Optional}),
    function("optional.none", "An optional that holds none.", "!optional.none().hasValue()", OPTIONALS,
             {"optional.none() -> optional(A)": lambda: NONE}),
    function("optional.ofNonZeroValue", "An optional that holds a value, or none where that is empty, 0, false or null.",
             "!optional.ofNonZeroValue('').hasValue()", OPTIONALS,
             {"optional.ofNonZeroValue(A) -> optional(A)": lambda value: NONE if is_zero(value) else Optional(value)}),
    function("hasValue", "Whether an optional holds a value.", "{'a': 1}.?a.hasValue()", OPTIONALS,
             {"optional(A).hasValue() -> bool": lambda value: value.present}),
    function("value", "What an optional holds; no answer where that is none.", "{'a': 1}.?a.value() == 1", OPTIONALS,
             {"optional(A).value() -> A": value_of}),
    function("or", "The first of two optionals that holds a value.", "optional.none().or(optional.of(2)).value() == 2", OPTIONALS,
             {"optional(A).or(optional(A)) -> optional(A)": lambda value, other: value if value.present else other}),
    function("orValue", "What an optional holds, or another value where that is none.", "{'a': 1}.?b.orValue(2) == 2", OPTIONALS,
             {"optional(A).orValue(A) -> A": lambda value, other: value.value if value.present else other}),
    function("optional.unwrap", "The values that a list of optionals holds.",
             "optional.unwrap([optional.of(1), optional.none()]) == [1]", OPTIONALS,
             {"optional.unwrap(list(optional(A))) -> list(A)": unwrapped}),
    function("unwrapOpt", "The values that a list of optionals holds.", "[optional.of(1), optional.none()].unwrapOpt() == [1]",
             OPTIONALS, {"list(optional(A)).unwrapOpt() -> list(A)": unwrapped}),
)  # fmt: skip
