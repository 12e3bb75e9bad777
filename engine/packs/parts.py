"""What the compiled parts of a pack hold, wherever its rules and actions keep it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from engine.model.mappings import is_mapping

T = TypeVar("T")


def instances(value: Any, kind: type[T]) -> Iterator[T]:
    """Yield every instance of a type in a value, those within another instance included."""
    if isinstance(value, kind):
        yield value
    if is_dataclass(value):
        for field in fields(value):
            yield from instances(getattr(value, field.name, None), kind)
    elif is_mapping(value):
        for each in value.values():
            yield from instances(each, kind)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from instances(each, kind)
