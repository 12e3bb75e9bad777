"""What was read last of each source of rule packs, what was good of it last, and what is to be reported of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.cel import Backend
from engine.errors import Awaited, Fault, InvalidText, Location
from engine.packs.conditions import awaited
from engine.packs.libraries import Libraries
from engine.packs.pack import RulePack
from engine.packs.parse import parse_object, parse_pack, parse_reference
from engine.packs.schema import ReferenceSpec
from engine.packs.sources import PackObject, Text


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one source: the packs of it that are in force, its faults, and what is odd but no fault.

    Where there are faults, the packs in force are those of its last good version. `generation` is that version's, of an object
    of kind RulePack; None where none is in force. `note` says why another mode is in force than is written there. `text` is the
    text of the pack that a reference stands for, or the ConfigMap that should hold it: its faults are those of the reference too.
    """

    source: str
    packs: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    generation: int | None = None
    note: str = ""
    text: str = ""


class Reference(NamedTuple):
    """An object that stands for a pack, and what its spec says; None where no spec of it was ever accepted."""

    obj: PackObject
    said: ReferenceSpec | None = None


@dataclass(slots=True)
class Version:
    """The last version that was read of a text or an object, and what its last good one held.

    `reference` is what the newest spec of a reference says, None where it cannot be read; `accepted` is the last that was.
    `initial` says that it was there when the process began. `lost` warns of each rule that had a condition in the text before
    this one, and has none now. `good` is the last good one.
    """

    read: Text | PackObject | None = None
    packs: Sequence[RulePack] = ()
    reference: ReferenceSpec | None = None
    accepted: Reference | None = None
    faults: Sequence[Fault] = ()
    generation: int | None = None
    initial: bool = False
    lost: Sequence[Fault] = ()
    good: Text | PackObject | None = None

    @property
    def awaits(self) -> Awaited | None:
        """A library without which it is refused, None where it has faults of its own, or none."""
        return next(iter(awaited(self.faults)), None)

    def take(self, given: Text | PackObject, cel: Backend, libraries: Libraries, changed: Collection[str]) -> None:
        """Read what is given, unless it is what was read last, and names none of the libraries that have changed."""
        written = given.text if isinstance(given, Text) else str(given.spec)
        if self.read == given and not any(f"{name}." in written for name in changed):
            return
        if isinstance(given, PackObject) and isinstance(self.read, PackObject):
            self.lost = _lost(self.read, given, self.lost)
        self.read, self.reference = given, None
        try:
            if isinstance(given, Text):
                if given.faults:
                    raise InvalidText(given.faults)
                self.packs = parse_pack(given.text, given.file, cel, libraries=libraries)
            elif given.reference:
                self.reference, self.packs = parse_reference(given), ()
                self.generation = self.generation if self.accepted else None
            else:
                self.accepted, self.packs, self.generation = None, [parse_object(given, cel, libraries)], given.generation
            self.faults, self.good = (), given
        except InvalidText as invalid:
            self.faults = invalid.faults


def _lost(before: PackObject, now: PackObject, known: Sequence[Fault]) -> Sequence[Fault]:
    """Return a warning for each rule that had a condition, be it null, and has none now; those `known` while none comes or goes.

    A merge patch, as of `kubectl edit`, takes a key away whose value is null: who left `when:` empty may not have meant that.
    """
    if [*_rules(before)] == [*_rules(now)]:
        return known
    had = {name for _, name, conditional in _rules(before) if conditional}
    expected = "a condition, if it is not meant to act on everything; `kubectl edit` takes an empty `when:` away"
    return [
        Fault(Location(now.file, 1, 1, f"spec.rules[{index}]"), f"rule {name!r} had a condition, and has none now", expected)
        for index, name, conditional in _rules(now)
        if name in had and not conditional
    ]


def _rules(obj: PackObject) -> Iterator[tuple[int, str, bool]]:
    """Yield the number of each rule that has a name, the name, and whether it has a condition, be it null."""
    rules = (obj.whole or obj.spec).get("rules")
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict) and isinstance(rule.get("name"), str):
            yield index, rule["name"], "when" in rule


def source_of(pack: RulePack, versions: Mapping[str, Version]) -> str:
    """Return the source that a pack is of."""
    read = versions[pack.source].read
    return read.source if read else ""


class Reports:
    """What is to be reported of each source."""

    def __init__(self) -> None:
        self.packs: defaultdict[str, list[str]] = defaultdict(list)
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.warnings: defaultdict[str, list[Fault]] = defaultdict(list)
        self.generations: dict[str, int | None] = {}
        self.notes: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.read: dict[str, Sequence[Fault]] = {}
        """By text, its own faults: not those of others of its source, nor of a name in it that another has."""

    def of(self, source: str) -> Report:
        text = self.texts.get(source, "")
        faults = [*self.faults[source], *(self.read.get(text, self.faults[text]) if text else ())]
        return Report(
            source, tuple(self.packs[source]), tuple(faults), tuple(self.warnings[source]), self.generations.get(source),
            self.notes.get(source, ""), text,
        )  # fmt: skip
