"""Makes values that a schema takes, with the texts and numbers of a rule among them, so that the rule is true of some of them."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

#: How many items, keys and characters a value has at most; schemas that allow more make a rule too costly for kube-apiserver.
ITEMS, LENGTH = 4, 200
_TEXTS = ("", "a", "abc", "a-b", "A", "example.com", "10.0.0.1", "10.0.0.0/8", "https://example.com/x", "1Gi", "5m", "1", "é")
#: Values of the formats that give a text another type in the rules of a definition; other formats are not kept.
_FORMATS = {
    "date-time": ("2026-01-24T22:30:00Z", "2020-02-29T00:00:00Z"), "date": ("2026-01-24", "2020-02-29"),
    "duration": ("1h30m", "30s"), "byte": ("YQ==", "YWJj"),
}  # fmt: skip
_LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_NUMBER = re.compile(r"(?<![\w.])\d{1,9}(?![\w.])")
_SAME = ("type", "nullable", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")
_KEY = "x-kubernetes-list-map-keys"


def relaxed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A structural schema with the types of another, and without what else would refuse a value before its rules are asked."""
    found: dict[str, Any] = {key: schema[key] for key in _SAME if key in schema}
    if schema.get("x-kubernetes-embedded-resource"):
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if "properties" in schema:
        found["properties"] = {name: relaxed(each) for name, each in schema["properties"].items()}
    elif isinstance(schema.get("additionalProperties"), Mapping):
        found |= {"additionalProperties": relaxed(schema["additionalProperties"]), "maxProperties": ITEMS}
    match schema.get("type"):
        case "array":
            found |= {"items": relaxed(schema["items"]), "maxItems": ITEMS} | _list_type(schema)
            if _KEY in found:
                found["items"]["required"] = found[_KEY]
        case "string":
            found["maxLength"] = LENGTH
            if schema.get("format") in _FORMATS:
                found["format"] = schema["format"]
    return found


def _list_type(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: schema[key] for key in ("x-kubernetes-list-type", _KEY) if key in schema}


class Values:
    """Values of schemas, the same in every run."""

    def __init__(self, rule: str, seed: int) -> None:
        self._random = random.Random(f"{rule}{seed}")
        found = ["".join(pair).replace("\\\\", "\\") for pair in _LITERAL.findall(rule)]
        self._texts = [*[text[:LENGTH] for text in found], *[f"{text}x"[:LENGTH] for text in found]] or list(_TEXTS)
        self._numbers = [int(text) + more for text in _NUMBER.findall(rule) for more in (-1, 0, 1)] or [0, 1, 2]

    def of(self, schema: Mapping[str, Any]) -> Any:
        """A value of a relaxed schema."""
        chance = self._random.random()
        if schema.get("nullable") and chance < 0.05:
            return None
        if schema.get("x-kubernetes-int-or-string"):
            return self._number() if chance < 0.5 else self._text()
        match schema.get("type"):
            case "string":
                return self._random.choice(_FORMATS[schema["format"]]) if "format" in schema else self._text()
            case "integer":
                return self._number()
            case "number":
                return self._number() + 0.5
            case "boolean":
                return chance < 0.5
            case "array":
                return self._list(schema)
        return self._object(schema)

    def _text(self) -> str:
        return self._random.choice(self._texts if self._random.random() < 0.7 else _TEXTS)

    def _number(self) -> int:
        return self._random.choice(self._numbers)

    def _list(self, schema: Mapping[str, Any]) -> list[Any]:
        items = [self.of(schema["items"]) for _ in range(self._random.randint(0, ITEMS - 1))]
        if schema.get("x-kubernetes-list-type") not in ("set", "map"):
            return items
        keys = schema.get(_KEY, ())
        return list({repr([item[key] for key in keys] if keys else item): item for item in items}.values())

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        if "additionalProperties" in schema:
            keys = {self._text() for _ in range(self._random.randint(0, ITEMS - 1))}
            return {key: self.of(schema["additionalProperties"]) for key in sorted(keys)}
        often = self._random.choice((0.3, 0.7, 0.95))
        return {
            name: self.of(each)
            for name, each in schema.get("properties", {}).items()
            if self._random.random() < often or name in schema.get("required", ())
        }
