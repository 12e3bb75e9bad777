"""Conditions and faults in the status of an object of one of the engine's own kinds, by the API conventions.

Source of the conventions: kubernetes, contributors/devel/sig-architecture/api-conventions.md; of how kstatus reads Ready,
Stalled and observedGeneration: sigs.k8s.io/cli-utils, pkg/kstatus/README.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from engine.errors import Awaited, Fault
from engine.model.objects import Object, dig, metadata
from engine.model.text import clean, cut
from engine.packs.library import could_be

FAULTS = 10
"""How many faults a status shows."""
MESSAGE = 1024
"""Characters of a message of a condition or a fault."""
INVALID, LIBRARY_MISSING, LIBRARY_REFUSED = "Invalid", "LibraryMissing", "LibraryRefused"
"""Why a spec is refused, in one word; the latter two where nothing is wrong with it but that a library is not in force."""


class Condition(NamedTuple):
    """A condition: its type, status, reason and message."""

    type: str
    status: str
    reason: str
    message: str


def observed(obj: Object) -> int:
    """Return the generation of an object's spec."""
    return int(metadata(obj).get("generation", 0))


def listed(conditions: Iterable[Condition], obj: Object, now: str) -> list[dict[str, Any]]:
    """Return conditions as `status.conditions` has them, given the object with those that it has. `now` is an RFC 3339 time."""
    before = {each.get("type"): each for each in dig(obj, ("status", "conditions"), ())}
    return [
        {
            "type": each.type, "status": each.status, "reason": each.reason, "message": cut(clean(each.message), MESSAGE),
            "observedGeneration": observed(obj),
            "lastTransitionTime": (
                before[each.type] if before.get(each.type, {}).get("status") == each.status else {"lastTransitionTime": now}
            )["lastTransitionTime"],
        }
        for each in conditions
    ]  # fmt: skip


def shown(faults: Sequence[Fault]) -> list[dict[str, str]]:
    """Return the first faults as `status.faults` has them."""
    return [{"path": place(fault), "code": fault.code, "message": cut(clean(fault.text), MESSAGE)} for fault in faults[:FAULTS]]


CORRECT = "Correct it, then it goes on"
"""What to do with a spec that is refused."""


def verdict(faults: Sequence[Fault]) -> str:
    """Return in one word why a spec with these faults is refused, '' where there are none."""
    if not faults:
        return ""
    libraries = awaited(faults)
    if not libraries:
        return INVALID
    return LIBRARY_REFUSED if all(each.refused for each in libraries) else LIBRARY_MISSING


def awaited(faults: Sequence[Fault]) -> Sequence[Awaited]:
    """Return the libraries without which there are these faults; none where there is a fault that no library takes away."""
    found = [each.awaits for each in faults if each.awaits and could_be(each.awaits.library)]
    return sorted(set(found)) if len(found) == len(faults) else ()


def awaiting(faults: Sequence[Fault]) -> str:
    """Return what is waited for, where nothing but libraries is missing; else ''."""
    libraries = awaited(faults)
    which = " and ".join(f"{name!r}, which is {'refused' if refused else 'not there'}" for name, refused in libraries)
    what, they_are = ("library", "that is") if len(libraries) == 1 else ("libraries", "they are")
    return f"it waits for {what} {which}: it is in force as soon as {they_are}" if libraries else ""


def refused(reason: str, faults: Sequence[Fault], kept: str, advice: str = CORRECT) -> Iterator[Condition]:
    """Yield the conditions of what is refused; `kept` says what is in force of it, `advice` what to do."""
    waits = awaiting(faults)
    yield Condition("Accepted", "False", reason, why(faults))
    yield Condition("Ready", "False", reason, f"{waits or 'it is not accepted'}; {kept}")
    if waits:
        yield Condition("Stalled", "False", reason, "it goes on by itself, see Ready")
    else:
        yield Condition("Stalled", "True", reason, f"it is not accepted; {kept}. {advice}")


def accepted(warnings: Sequence[Fault]) -> Condition:
    """Return the condition of a spec that has no fault."""
    text = "; ".join(map(located, warnings[:FAULTS]))
    return Condition("Accepted", "True", "Warnings" if text else "Accepted", text or "the spec has no fault")


def why(faults: Sequence[Fault]) -> str:
    """Return what is wrong, in one text."""
    left = len(faults) - FAULTS
    return "; ".join(map(located, faults[:FAULTS])) + (f"; and {left} more" if left > 0 else "")


def kept(generation: int | None, faults: Sequence[Fault], stays: str = "stays in force") -> str:
    """Return what is in force of a spec that is refused; `generation` is the last good one's, `stays` what becomes of it."""
    if generation is None:
        return "nothing is in force"
    elsewhere = any(not fault.location.path for fault in faults)  # in a ConfigMap, of which there are no generations
    return f"the last good text {stays}" if elsewhere else f"the last good text, generation {generation}, {stays}"


def located(fault: Fault) -> str:
    """Return what a fault says, after its path where it has one."""
    return f"{place(fault)}: {fault.text}"


def place(fault: Fault) -> str:
    """Return the path of a fault in the object, or where it is in the text of a ConfigMap."""
    return fault.location.inner if fault.location.path else str(fault.location)
