"""Distinguishing mappings from other values, on the hot path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

#: What most values are that are no mapping.
_PLAIN = frozenset([str, int, float, bool, list, type(None)])


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value is a mapping. Decoded JSON is made of dicts, and asking the abstract class costs five times as much."""
    return type(value) is dict or (type(value) not in _PLAIN and isinstance(value, Mapping))
