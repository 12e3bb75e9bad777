"""Steps of a test below which nothing stands, since what belongs to them is indented as they are."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from engine.packs.fields import refusal

_HOLDING = ("apply", "delete", "expect")
"""Keys of steps that have objects below them."""
_NO_STEP: dict[str, Any] = {"expect": {}}


@dataclass(frozen=True, slots=True)
class Misindented:
    """A step whose `key` has nothing below it, while what follows is no step."""

    key: str


def refuse_misindented(step: Any) -> Any:
    """Return what is a step. Raise PydanticCustomError where nothing stands below it."""
    if isinstance(step, Misindented):
        raise refusal(f"{step.key!r} has nothing below it", f"what follows indented deeper: it belongs to {step.key!r}")
    return step


def with_misindented(steps: Any, known: Collection[str]) -> Any:
    """Return steps with a Misindented for each such one; what belongs to it is left out, so that one fault is found once.

    `known` are the keys of steps.
    """
    if not isinstance(steps, list):
        return steps
    found: list[Any] = []
    above = False
    for number, step in enumerate(steps):
        if above and _no_step(step, known):
            found.append(_NO_STEP)
            continue
        key = _without_value(step)
        above = bool(key) and (len(step) > 1 or _no_step(steps[number + 1] if number + 1 < len(steps) else step, known))
        found.append(Misindented(key) if above else step)
    return found


def _without_value(step: Any) -> str:
    return next((key for key in _HOLDING if key in step and step[key] is None), "") if isinstance(step, dict) else ""


def _no_step(step: Any, known: Collection[str]) -> bool:
    return isinstance(step, str) or (isinstance(step, dict) and bool(step) and step.keys().isdisjoint(known))
