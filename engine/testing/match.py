"""Whether what was found is what was expected, and if not, where they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.cel import Path
from engine.cel.documents import regular_expression
from engine.cel.values import Mismatch

ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where what was found is not what was expected: its path, and both in words."""

    path: Path
    expected: str
    found: str

    def lines(self) -> tuple[str, ...]:
        """The difference as people read it."""
        return (f"{name(self.path)}:" if self.path else "it:", f"  - expected {self.expected}", f"  + found    {self.found}")


def differences(expected: Any, found: Any, path: Path = ()) -> Iterator[Difference]:
    """Where `found` does not have what `expected` names: mappings by subset, lists item by item, null for what is absent."""
    match expected:
        case {"$matches": str(pattern)} if len(expected) == 1:
            if not isinstance(found, str) or not _matches(pattern, found):
                yield Difference(path, f"a text that matches {pattern}", shown(found))
        case Mapping():
            if not isinstance(found, Mapping | None):
                yield Difference(path, shown(expected), shown(found))
                return
            for key, value in expected.items():
                yield from differences(value, (found or {}).get(key), (*path, key))
        case list():
            if not isinstance(found, list) or len(found) != len(expected):
                yield Difference(path, shown(expected), shown(found))
                return
            for index, (value, other) in enumerate(zip(expected, found, strict=True)):
                yield from differences(value, other, (*path, index))
        case _:
            if expected != found or isinstance(expected, bool) != isinstance(found, bool):
                yield Difference(path, shown(expected), shown(found))


def unmatched(patterns: Sequence[Any], found: Sequence[Any]) -> tuple[list[int], list[Any]]:
    """The indexes of patterns that nothing matches, and what no pattern matches; each pattern takes the first that fits."""
    left = list(found)
    missing = []
    for index, pattern in enumerate(patterns):
        fits = next((number for number, each in enumerate(left) if not any(differences(pattern, each))), None)
        if fits is None:
            missing.append(index)
        else:
            del left[fits]
    return missing, left


def shown(value: Any) -> str:
    """A value on one line, shortened."""
    if value is None:
        return ABSENT
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else f"{text[:197]}..."


def name(path: Path) -> str:
    """A path as it would be written in an expression."""
    parts = [
        f"[{step}]" if isinstance(step, int) else f'["{step}"]' if not str(step).isidentifier() else f".{step}" for step in path
    ]
    return "".join(parts).removeprefix(".")


def _matches(pattern: str, text: str) -> bool:
    try:
        return regular_expression(pattern).search(text) is not None
    except Mismatch:
        return False
