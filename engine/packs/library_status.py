"""The status of an object of kind RuleLibrary, computed: conditions, faults, its functions, and the packs that use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import Fault
from engine.model.objects import Object
from engine.packs.conditions import CORRECT, Condition, accepted, kept, listed, observed, refused, shown, why


@dataclass(frozen=True, slots=True)
class LibraryStanding:
    """How a library stands: how each of its functions that are in force is called, and the names of the packs that call it.

    `generation` is the one in force, None where none is. `refused` says in one word why the newest is not, `faults` in detail.
    `warnings` say what may not be meant, which keeps nothing out of force. `advice` says what to do where it is refused.
    """

    generation: int | None = None
    functions: Sequence[str] = ()
    packs: Sequence[str] = ()
    refused: str = ""
    faults: Sequence[Fault] = ()
    warnings: Sequence[Fault] = ()
    advice: str = CORRECT

    @property
    def refusal(self) -> str:
        """Why it is refused, and what is in force of it, for an Event."""
        return f"{why(self.faults)}; {kept(self.generation, self.faults)}"


def library_status(obj: Object, standing: LibraryStanding, now: str) -> dict[str, Any]:
    """Return the whole status, given the object with the status that it has. `now` is an RFC 3339 time."""
    status: dict[str, Any] = {"observedGeneration": observed(obj)}
    if standing.generation is not None:
        functions = list(standing.functions)
        status |= {"generationInForce": standing.generation, "functionCount": len(functions), "functions": functions}
    if standing.generation is not None or standing.packs:
        status |= {"packCount": len(standing.packs), "packs": list(standing.packs)}
    if standing.faults:
        status |= {"faultCount": len(standing.faults), "faults": shown(standing.faults)}
    if standing.warnings:
        status |= {"warningCount": len(standing.warnings), "warnings": shown(standing.warnings)}
    return status | {"conditions": listed(_conditions(standing), obj, now)}


def _conditions(standing: LibraryStanding) -> Iterator[Condition]:
    """Yield the conditions of a library."""
    if standing.refused:
        yield from refused(standing.refused, standing.faults, kept(standing.generation, standing.faults), standing.advice)
        return
    yield accepted(standing.warnings)
    yield Condition("Ready", "True", "InForce", "packs can call its functions")
    yield Condition("Stalled", "False", "Progressing", "nothing stands in the way")
