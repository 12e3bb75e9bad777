"""The raw texts of a pack, each with its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.cel import Path


def mappings(value: Any, path: Path = ()) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield every mapping at and below a value, with its path."""
    if isinstance(value, Mapping):
        yield path, value
        for key, below in value.items():
            yield from mappings(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from mappings(below, (*path, index))


def texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield every text at and below a value, with its path; keys are none."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from texts(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from texts(below, (*path, index))
