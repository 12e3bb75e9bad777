"""The status of an object of kind RulePack, computed: conditions, faults, and what its rules did."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
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

    `audited` counts the items for which it would act, were it not in Audit. `last_failure` is when its actions last
    failed for good, `failure` which one did, for which object. `failing` counts the items that fail now.
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
    last_failure: str = ""
    failure: str = ""
    failing: int = 0

    def data(self, name: str) -> dict[str, Any]:
        """Return it as an item of `status.parts[].rules`."""
        texts = {
            "waitingSince": self.waiting_since, "waitingFor": self.waiting_for,
            "lastFiring": self.last_firing, "lastObject": self.last_object,
            "lastFailure": self.last_failure, "failure": self.failure,
        }  # fmt: skip
        return {
            "name": name, "fired": self.fired, "failed": self.failed, "waiting": self.waiting,
            **({"failing": self.failing} if self.failing else {}),
            **({"audited": self.audited} if self.audited else {}),
            **({"suspended": list(self.suspended)} if self.suspended else {}),
            **{key: cut(clean(text), MESSAGE) for key, text in texts.items() if text},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """How a pack stands: what is in force of it, and why it cannot work, if so.

    `pack` is None where nothing is in force; `generation` is the one that is. `refused` says in one word why the newest is not
    (`Invalid`, `LibraryMissing`, `LibraryRefused`, `NotAnOperatorNamespace`), `faults` in detail. `unready` gives for what
    stands in the way of a pack in force a word and a sentence, '' where nothing does. `note` is added to what Ready says.
    `warnings` say what may not be meant, which keeps nothing out of force. `advice` says what to do where it is refused.
    `unheeded` says that the mode of a refused spec, which is stricter, does not count, `deleting` that a deletion has begun.
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
    unheeded: str = ""
    deleting: str = ""


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
            "failed": sum(rule.get("failed", 0) for rule in rules),
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
    passing = ("waitingSince", "waitingFor", "suspended", "mode", "failing", "audited")
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
        accepts, ready, stalled = refused(standing.refused, standing.faults, _kept(standing), standing.advice)
        also = filter(None, (standing.unheeded, standing.unready[1], standing.deleting))
        yield from (accepts, ready._replace(message="; ".join([ready.message, *also])), stalled)
        return
    yield accepted(standing.warnings)
    reason, message = standing.unready
    failing = _failing(standing, rules)
    note = "".join(f"; {each}" for each in _notes(standing, rules, failing))
    if reason:
        yield Condition("Ready", "False", reason, message)
    elif standing.mode is Mode.OFF:
        yield Condition("Ready", "True", DISABLED, f"the pack is disabled, and does nothing{note}")
    else:
        yield Condition("Ready", "True", "InForce", f"the pack is in force, {_does(standing, rules, failing)}{note}")
    if reason == SUSPENDED:
        yield Condition("Stalled", "False", SUSPENDED, "it goes on when somebody has it go on, see Ready")
    else:
        by_itself = "it is tried again by itself, see Ready"
        yield Condition("Stalled", "False", "Progressing", by_itself if reason else "nothing stands in the way")


def _notes(standing: Standing, rules: Sequence[Mapping[str, Any]], failing: Mapping[str, str]) -> Iterator[str]:
    """Yield what there is to say of a pack that is in force."""
    yield from failing.values()
    yield from filter(None, (standing.note, standing.deleting))
    if elsewhere := sum(rule.get("waiting", 0) for rule in rules) - sum(each.waiting for each in standing.counts.values()):
        yield f"{elsewhere} items wait in other shards, see status.parts"
    if standing.warnings:
        yield f"{_counted(len(standing.warnings))} in it may not be meant, see status.warnings"


def _failing(standing: Standing, rules: Sequence[Mapping[str, Any]]) -> Mapping[str, str]:
    """Return of each rule that acts for how many items it fails now, and what its last failure for good was."""
    found: dict[str, str] = {}
    for name in [name for name, mode in _modes(standing).items() if mode is Mode.ENFORCE]:
        parts = [rule for rule in rules if rule["name"] == name]
        failing, failed, fired = (sum(part.get(key, 0) for part in parts) for key in ("failing", "failed", "fired"))
        if not failing:
            continue
        now = f"rule {name} fails for {_counted(failing, 'item')} now"
        last = max(parts, key=lambda part: str(part.get("lastFailure", "")))
        done = max(str(part.get("lastFiring", "")) for part in parts)
        beside = f", beside {_counted(fired, 'firing')}, the last at {done}" if fired else ""
        times = f"{_counted(failed, 'failure')} so far, the last at {last.get('lastFailure')}{beside}"
        found[name] = f"{now}: {times}: {last['failure']}" if "failure" in last else f"{now}; its Events say why"
    return found


def _does(standing: Standing, rules: Sequence[Mapping[str, Any]], failing: Collection[str]) -> str:
    """Return what a pack in force does by the modes of its rules, and which of them have another than the pack.

    All that it does fails only where nothing that it does has ever succeeded.
    """
    modes, audited = _modes(standing), sum(rule.get("audited", 0) for rule in rules)
    fired = any(rule.get("fired", 0) for rule in rules)
    least = min(modes.values(), default=standing.mode, key=STRICTNESS.index)
    would = "and says what it would do" + (f" (for {_counted(audited, 'item')})" if audited else "")
    does = {Mode.ENFORCE: "and acts", Mode.AUDIT: would, Mode.OFF: "and does nothing"}[least]
    if failing:
        items = sum(rule.get("failing", 0) for rule in rules if rule["name"] in failing)
        does += f", but {_counted(items, 'item')} {'fails' if items == 1 else 'fail'}"
    if failing and not fired and all(name in failing for name, mode in modes.items() if mode is Mode.ENFORCE):
        does = "but all that it does fails"
    others = [f"{name} ({mode.word})" for name, mode in modes.items() if mode is not standing.mode]
    return f"{does}; rules with a stricter mode of their own: {', '.join(others)}" if others else does


def _counted(number: int, noun: str = "thing") -> str:
    return f"one {noun}" if number == 1 else f"{number} {noun}s"


def refusal(standing: Standing) -> str:
    """Return why a pack is refused, and what is in force of it, for an Event."""
    return "; ".join(filter(None, (why(standing.faults), _kept(standing), standing.unheeded)))


def _kept(standing: Standing) -> str:
    stays = "stays in force"
    if standing.mode is Mode.OFF:
        stays = f"counts meanwhile, and is {DISABLED}" + (f": {standing.note}" if standing.note else "")
    text = kept(standing.generation if standing.pack else None, standing.faults, stays)
    return f"{text}; {standing.note}" if standing.pack is None and standing.note else text
