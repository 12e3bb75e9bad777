"""The status of an object of kind RulePack, computed: conditions by the API conventions, faults, and what its rules did.

Source of the conventions: kubernetes, contributors/devel/sig-architecture/api-conventions.md; of how kstatus reads Ready,
Stalled and observedGeneration: sigs.k8s.io/cli-utils, pkg/kstatus/README.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from engine.errors import Fault
from engine.model.flags import DISABLED, Mode
from engine.model.objects import Object, dig, metadata
from engine.model.text import clean, cut
from engine.packs.pack import RulePack

FAULTS = 10
"""How many faults a status shows."""
MESSAGE = 1024
"""Characters of a message of a condition or a fault."""


SUSPENDED = "Suspended"
"""The reason of a pack that has spent its budget: only a person has it go on."""


class RuleCounts(NamedTuple):
    """What one rule did: counts, and when (RFC 3339) it last acted and on which object ('' where it has not).

    `audited` counts what it would have done while it was in Audit, which is no firing.
    """

    fired: int = 0
    failed: int = 0
    waiting: int = 0
    waiting_since: str = ""
    waiting_for: str = ""
    suspended: Sequence[str] = ()
    last_firing: str = ""
    last_object: str = ""
    audited: int = 0

    def data(self, name: str) -> dict[str, Any]:
        """Return it as an item of `status.parts[].rules`."""
        texts = {
            "waitingSince": self.waiting_since, "waitingFor": self.waiting_for,
            "lastFiring": self.last_firing, "lastObject": self.last_object,
        }  # fmt: skip
        return {
            "name": name, "fired": self.fired, "failed": self.failed, "waiting": self.waiting,
            **({"audited": self.audited} if self.audited else {}),
            **({"suspended": list(self.suspended)} if self.suspended else {}),
            **{key: cut(clean(text), MESSAGE) for key, text in texts.items() if text},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """How a pack stands: what is in force of it, and why it cannot work, if so.

    `pack` is None where nothing is in force; `generation` is the one that is. `refused` says in one word why the newest is not
    (`Invalid`, `NameTaken`, `NotAnOperatorNamespace`), `faults` in detail. `unready` gives for what stands in the way of a
    pack in force a word and a sentence, '' where nothing does. `note` is added to what Ready says. `warnings` say what
    may not be meant, which keeps nothing out of force.
    """

    pack: RulePack | None = None
    generation: int | None = None
    mode: Mode = Mode.ENFORCE
    refused: str = ""
    faults: Sequence[Fault] = ()
    unready: tuple[str, str] = ("", "")
    note: str = ""
    counts: Mapping[str, RuleCounts] = field(default_factory=dict)
    warnings: Sequence[Fault] = ()


def computed(obj: Object, standing: Standing, shard: int, now: str) -> dict[str, Any]:
    """Return the whole status, given the object with the status that it has. `now` is an RFC 3339 time."""
    status: dict[str, Any] = {"observedGeneration": int(metadata(obj).get("generation", 0))}
    rules: list[Mapping[str, Any]] = []
    if standing.pack is not None:
        own = part(standing, shard)
        others = [each for each in dig(obj, ("status", "parts"), ()) if each.get("shard") != shard]
        rules = [rule for each in (own, *others) for rule in each.get("rules", ())]
        status |= {
            "mode": standing.mode.word,
            "ruleCount": len(standing.pack.rules),
            "fired": sum(rule.get("fired", 0) for rule in rules),
            "waiting": sum(rule.get("waiting", 0) for rule in rules),
            "parts": [own],
        }
        if standing.generation is not None:
            status["generationInForce"] = standing.generation
    if standing.faults:
        status |= {"faultCount": len(standing.faults), "faults": _shown(standing.faults)}
    if standing.warnings:
        status |= {"warningCount": len(standing.warnings), "warnings": _shown(standing.warnings)}
    before = {each.get("type"): each for each in dig(obj, ("status", "conditions"), ())}
    status["conditions"] = [
        {
            "type": name, "status": value, "reason": reason, "message": cut(clean(message), MESSAGE),
            "observedGeneration": status["observedGeneration"],
            "lastTransitionTime": (before[name] if before.get(name, {}).get("status") == value else {"lastTransitionTime": now})[
                "lastTransitionTime"
            ],
        }
        for name, value, reason, message in _conditions(standing, rules)
    ]  # fmt: skip
    return status


def _shown(faults: Sequence[Fault]) -> list[dict[str, str]]:
    return [{"path": _place(fault), "code": fault.code, "message": cut(clean(fault.text), MESSAGE)} for fault in faults[:FAULTS]]


def part(standing: Standing, shard: int) -> dict[str, Any]:
    """Return what one shard counts, as an item of `status.parts`."""
    rules = standing.pack.rules if standing.pack else ()
    return {"shard": shard, "rules": [standing.counts.get(rule.name, RuleCounts()).data(rule.name) for rule in rules]}


def holds(obj: Object, status: Mapping[str, object], shard: int) -> bool:
    """Return whether an object's status says all of this already, and nothing else of what this replica writes."""
    there = dict(dig(obj, ("status",), {}))
    own = [each for each in there.pop("parts", ()) if each.get("shard") == shard]
    wanted = dict(status)
    parts = wanted.pop("parts", [])
    return own == parts and (not wanted or there == wanted)


def left(gone: Mapping[str, Any]) -> dict[str, Any]:
    """Return what remains of an item of `status.parts` when its shard is gone: what its rules did, and nothing that waits."""
    passing = ("waitingSince", "waitingFor", "suspended")
    rules = [{key: value for key, value in rule.items() if key not in passing} | {"waiting": 0} for rule in gone.get("rules", ())]
    return {"shard": gone["shard"], "rules": rules}


def was_ready(obj: Object, standing: Standing) -> bool:
    """Return whether an object's status says that it is in force as it is now."""
    status = dig(obj, ("status",), {})
    ready = [each["status"] for each in status.get("conditions", ()) if each.get("type") == "Ready"]
    same = (status.get("observedGeneration"), status.get("mode")) == (metadata(obj).get("generation"), standing.mode.word)
    return same and ready == ["True"]


def _conditions(standing: Standing, rules: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield type, status, reason and message of each condition; `rules` have what each shard counts."""
    if standing.refused:
        yield "Accepted", "False", standing.refused, _why(standing)
        kept = _kept(standing)
        yield "Ready", "False", standing.refused, f"it is not accepted; {kept}"
        yield "Stalled", "True", standing.refused, f"it is not accepted; {kept}. Correct it, then it goes on"
        return
    warnings = "; ".join(map(_located, standing.warnings[:FAULTS]))
    yield "Accepted", "True", "Warnings" if warnings else "Accepted", warnings or "the spec has no fault"
    reason, message = standing.unready
    note = f"; {standing.note}" if standing.note else ""
    if elsewhere := sum(rule.get("waiting", 0) for rule in rules) - sum(each.waiting for each in standing.counts.values()):
        note += f"; {elsewhere} items wait in other shards, see status.parts"
    if standing.warnings:
        note += f"; {_counted(len(standing.warnings))} in it may not be meant, see status.warnings"
    if reason:
        yield "Ready", "False", reason, message
    elif standing.mode is Mode.OFF:
        yield "Ready", "True", DISABLED, f"the pack is disabled, and does nothing{note}"
    else:
        audited = sum(rule.get("audited", 0) for rule in rules)
        would = "says what it would do" + (f" ({audited} so far)" if audited else "")
        does = "acts" if standing.mode is Mode.ENFORCE else would
        yield "Ready", "True", "InForce", f"the pack is in force, and {does}{note}"
    if reason == SUSPENDED:
        yield "Stalled", "False", SUSPENDED, "it goes on when somebody has it go on, see Ready"
    else:
        by_itself = "it is tried again by itself, see Ready"
        yield "Stalled", "False", "Progressing", by_itself if reason else "nothing stands in the way"


def _counted(things: int) -> str:
    return "one thing" if things == 1 else f"{things} things"


def refusal(standing: Standing) -> str:
    """Return why a pack is refused, and what is in force of it, for an Event."""
    return f"{_why(standing)}; {_kept(standing)}"


def _why(standing: Standing) -> str:
    left = len(standing.faults) - FAULTS
    return "; ".join(map(_located, standing.faults[:FAULTS])) + (f"; and {left} more" if left > 0 else "")


def _kept(standing: Standing) -> str:
    """Return what is in force of a pack whose newest text is refused."""
    if standing.pack is None or standing.generation is None:
        return "nothing is in force"
    elsewhere = any(not fault.location.path for fault in standing.faults)  # in a ConfigMap, of which there are no generations
    last = "the last good text" if elsewhere else f"the last good text, generation {standing.generation},"
    if standing.mode is Mode.OFF:
        note = f": {standing.note}" if standing.note else ""
        return f"{last} counts meanwhile, and is {DISABLED}{note}"
    return f"{last} stays in force"


def _located(fault: Fault) -> str:
    """Return what a fault says, after its path where it has one."""
    return f"{_place(fault)}: {fault.text}"


def _place(fault: Fault) -> str:
    """Return the path of a fault in the object, or where it is in the text of a ConfigMap."""
    return fault.location.inner if fault.location.path else str(fault.location)
