"""The status of an object of kind RulePack, computed: conditions, faults, and what its rules did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from engine.errors import Fault
from engine.model.flags import DISABLED, STRICTNESS, Mode
from engine.model.objects import Object, dig, metadata
from engine.model.text import clean, cut
from engine.packs.conditions import CORRECT, MESSAGE, Condition, accepted, kept, listed, observed, refused, shown, why
from engine.packs.pack import RulePack

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
    may not be meant, which keeps nothing out of force. `advice` says what to do where it is refused.
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
    advice: str = CORRECT


def computed(obj: Object, standing: Standing, shard: int, now: str) -> dict[str, Any]:
    """Return the whole status, given the object with the status that it has. `now` is an RFC 3339 time."""
    status: dict[str, Any] = {"observedGeneration": observed(obj)}
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
        status |= {"faultCount": len(standing.faults), "faults": shown(standing.faults)}
    if standing.warnings:
        status |= {"warningCount": len(standing.warnings), "warnings": shown(standing.warnings)}
    status["conditions"] = listed(_conditions(standing, rules), obj, now)
    return status


def part(standing: Standing, shard: int) -> dict[str, Any]:
    """Return what one shard counts, as an item of `status.parts`, with the mode of each rule that has another than the pack."""
    counts = standing.counts
    rules = [
        counts.get(name, RuleCounts()).data(name) | ({} if mode is standing.mode else {"mode": mode.word})
        for name, mode in _modes(standing).items()
    ]
    return {"shard": shard, "rules": rules}


def _modes(standing: Standing) -> Mapping[str, Mode]:
    """Return the mode of each rule, by its name: that of the pack, or its own where that is stricter."""
    rules = standing.pack.rules if standing.pack else ()
    return {rule.name: max(standing.mode, rule.mode or standing.mode, key=STRICTNESS.index) for rule in rules}


def holds(obj: Object, status: Mapping[str, object], shard: int) -> bool:
    """Return whether an object's status says all of this already, and nothing else of what this replica writes."""
    there = dict(dig(obj, ("status",), {}))
    own = [each for each in there.pop("parts", ()) if each.get("shard") == shard]
    wanted = dict(status)
    parts = wanted.pop("parts", [])
    return own == parts and (not wanted or there == wanted)


def left(gone: Mapping[str, Any]) -> dict[str, Any]:
    """Return what remains of an item of `status.parts` when its shard is gone: what its rules did, and nothing that waits."""
    passing = ("waitingSince", "waitingFor", "suspended", "mode")
    rules = [{key: value for key, value in rule.items() if key not in passing} | {"waiting": 0} for rule in gone.get("rules", ())]
    return {"shard": gone["shard"], "rules": rules}


def was_ready(obj: Object, standing: Standing) -> bool:
    """Return whether an object's status says that it is in force as it is now."""
    status = dig(obj, ("status",), {})
    ready = [each["status"] for each in status.get("conditions", ()) if each.get("type") == "Ready"]
    same = (status.get("observedGeneration"), status.get("mode")) == (metadata(obj).get("generation"), standing.mode.word)
    return same and ready == ["True"]


def _conditions(standing: Standing, rules: Sequence[Mapping[str, Any]]) -> Iterator[Condition]:
    """Yield the conditions of a pack; `rules` have what each shard counts."""
    if standing.refused:
        yield from refused(standing.refused, standing.faults, _kept(standing), standing.advice)
        return
    yield accepted(standing.warnings)
    reason, message = standing.unready
    note = f"; {standing.note}" if standing.note else ""
    if elsewhere := sum(rule.get("waiting", 0) for rule in rules) - sum(each.waiting for each in standing.counts.values()):
        note += f"; {elsewhere} items wait in other shards, see status.parts"
    if standing.warnings:
        note += f"; {_counted(len(standing.warnings))} in it may not be meant, see status.warnings"
    if reason:
        yield Condition("Ready", "False", reason, message)
    elif standing.mode is Mode.OFF:
        yield Condition("Ready", "True", DISABLED, f"the pack is disabled, and does nothing{note}")
    else:
        audited = sum(rule.get("audited", 0) for rule in rules)
        yield Condition("Ready", "True", "InForce", f"the pack is in force, and {_does(standing, audited)}{note}")
    if reason == SUSPENDED:
        yield Condition("Stalled", "False", SUSPENDED, "it goes on when somebody has it go on, see Ready")
    else:
        by_itself = "it is tried again by itself, see Ready"
        yield Condition("Stalled", "False", "Progressing", by_itself if reason else "nothing stands in the way")


def _does(standing: Standing, audited: int) -> str:
    """Return what a pack in force does by the modes of its rules, and which of them have another than the pack."""
    modes = _modes(standing)
    least = min(modes.values(), default=standing.mode, key=STRICTNESS.index)
    would = "says what it would do" + (f" ({audited} so far)" if audited else "")
    does = {Mode.ENFORCE: "acts", Mode.AUDIT: would, Mode.OFF: "does nothing"}[least]
    others = [f"{name} ({mode.word})" for name, mode in modes.items() if mode is not standing.mode]
    return f"{does}; rules with a stricter mode of their own: {', '.join(others)}" if others else does


def _counted(things: int) -> str:
    return "one thing" if things == 1 else f"{things} things"


def refusal(standing: Standing) -> str:
    """Return why a pack is refused, and what is in force of it, for an Event."""
    return f"{why(standing.faults)}; {_kept(standing)}"


def _kept(standing: Standing) -> str:
    stays = "stays in force"
    if standing.mode is Mode.OFF:
        stays = f"counts meanwhile, and is {DISABLED}" + (f": {standing.note}" if standing.note else "")
    return kept(standing.generation if standing.pack else None, standing.faults, stays)
