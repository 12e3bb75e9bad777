"""What differs between two states of an object, in lines that people can read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from engine.model.objects import dig

_NOISE = {("metadata", "resourceVersion"), ("metadata", "managedFields"), ("metadata", "generation")}


def diff(before: Any, after: Any) -> tuple[str, ...]:
    """Lines `path: old → new`, in the order of the paths; `∅` stands for a value that is not there.

    What the API server changes by itself at every write (resourceVersion, generation, managedFields) is left out. Of a
    Secret only the paths are shown, since its values stand in its annotations too, where `kubectl apply` was used.
    """
    lines = _lines((), before, after) if before != after else ()
    if "Secret" in (dig(before, ("kind",)), dig(after, ("kind",))):
        return tuple(f"{path}: (hidden)" for path, _, _ in lines)
    return tuple(f"{path}: {_value(old)} → {_value(new)}" for path, old, new in lines)


def _lines(path: tuple[str, ...], before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if path in _NOISE:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            if (old := before.get(key)) != (new := after.get(key)):
                yield from _lines((*path, key), old, new)
    else:
        yield _name(path), before, after


def _name(path: tuple[str, ...]) -> str:
    return "".join(f'["{key}"]' if "." in key or "/" in key else f".{key}" for key in path).lstrip(".")


def _value(value: Any) -> str:
    return "∅" if value is None else json.dumps(value, ensure_ascii=False, default=str)
