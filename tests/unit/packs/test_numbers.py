"""Numbers have the type that a JSON Schema names, however they were written."""

from __future__ import annotations

from typing import Any

import pytest

from engine.packs.jsonschemas import Checker

NUMBER, INTEGER = {"type": "number"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (NUMBER, 1, 1.0),
        (NUMBER, 1.5, 1.5),
        (INTEGER, 1.0, 1),
        (INTEGER, 7, 7),
        ({"type": ["number", "null"]}, 1, 1.0),
        ({"type": ["number", "null"]}, None, None),
        ({"type": ["integer", "number"]}, 1, 1),
        ({"type": ["integer", "number"]}, 1.0, 1.0),
        ({}, 1, 1),
        ({"type": "boolean"}, True, True),
        ({"items": NUMBER}, [1, 2.5], [1.0, 2.5]),
        ({"prefixItems": [INTEGER, NUMBER], "items": NUMBER}, [1.0, 1, 1], [1, 1.0, 1.0]),
        ({"properties": {"a": NUMBER}}, {"a": 1, "b": 1}, {"a": 1.0, "b": 1}),
        ({"properties": {"a": {}}, "additionalProperties": NUMBER}, {"a": 1, "b": 1}, {"a": 1, "b": 1.0}),
        ({"patternProperties": {"^x": NUMBER}, "additionalProperties": INTEGER}, {"xa": 1, "b": 1.0}, {"xa": 1.0, "b": 1}),
        ({"allOf": [{"items": NUMBER}]}, [1], [1.0]),
        ({"anyOf": [{"type": "string"}, NUMBER]}, 1, 1.0),
        ({"oneOf": [{"enum": ["auto"]}, {"items": NUMBER, "type": "array"}]}, [1], [1.0]),
        ({"items": NUMBER}, "text", "text"),
    ],
)
def test_a_value_has_the_types_of_its_schema(schema: dict[str, Any], value: Any, expected: Any) -> None:
    typed = Checker(schema).typed(value)

    assert repr(typed) == repr(expected)
