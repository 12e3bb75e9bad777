"""What is in force: the packs, the modes that the feature flags give them, and their parameters. Immutable."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from engine.model.flags import STRICTNESS, Mode
from engine.model.objects import Kind
from engine.packs.in_force import InForce, updated
from engine.packs.pack import RulePack
from engine.packs.params import defaults
from engine.packs.rule import Rule


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """Packs, their modes, and the values of their parameters, all by the pack's identity.

    `undecided` names, by the pack's identity, the params whose values are the cluster's to say (`discover`): nobody has set them.
    `resume` is what people last said to have what is suspended go on. `times` says of each rule since when it is in force, by
    the name of its record. `unsure` names the packs of which nobody can read what mode they have: as long as they were Off when
    one last could, they stay so.
    """

    packs: Mapping[str, RulePack] = field(default_factory=dict)
    modes: Mapping[str, Mode] = field(default_factory=dict)
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    resume: str = ""
    undecided: Mapping[str, Set[str]] = field(default_factory=dict)
    times: Mapping[str, InForce] = field(default_factory=dict)
    unsure: Set[str] = frozenset()
    flags: Mapping[str, str] = field(init=False)
    """The modes as expressions see them."""
    _watching: Mapping[Kind, tuple[RulePack, ...]] = field(init=False)
    _in_force: Mapping[Kind, tuple[RulePack, ...]] = field(init=False)

    def __post_init__(self) -> None:
        watching: dict[Kind, list[RulePack]] = {}
        for _, pack in sorted(self.packs.items()):
            for kind in pack.watches:
                watching.setdefault(kind, []).append(pack)
        object.__setattr__(self, "flags", {name: str(mode) for name, mode in self.modes.items()})
        object.__setattr__(self, "_watching", {kind: tuple(packs) for kind, packs in watching.items()})
        in_force = {kind: tuple(each for each in packs if self.mode(each) is not Mode.OFF) for kind, packs in watching.items()}
        object.__setattr__(self, "_in_force", in_force)

    @classmethod
    def of(
        cls, packs: Mapping[str, RulePack], modes: Mapping[str, Mode], params: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Catalog:
        """Return a catalog in which some params are set, by the pack's identity, and the others have their defaults."""
        given = {name: (params or {}).get(name, {}) for name in packs}
        values = {name: {**defaults(pack.params).values, **given[name]} for name, pack in packs.items()}
        undecided = {name: pack.discover.keys() - given[name].keys() for name, pack in packs.items()}
        return cls(dict(packs), dict(modes), values, undecided=undecided)

    @property
    def feature_flags(self) -> frozenset[str]:
        """The flags that the packs have."""
        return frozenset(pack.feature_flag for pack in self.packs.values())

    def in_force(self, kind: Kind) -> tuple[RulePack, ...]:
        """Return the packs that watch a kind and are not Off, ordered by name."""
        return self._in_force.get(kind, ())

    def mode(self, pack: RulePack, rule: Rule | None = None) -> Mode:
        """Return the mode of a pack, or of one of its rules, whose own `mode` can only be stricter."""
        mode = self.modes.get(pack.identity, pack.default_mode)
        if rule is None or rule.mode is None:
            return mode
        return max(mode, rule.mode, key=STRICTNESS.index)

    def origins(self, pack: RulePack, rule: Rule) -> tuple[tuple[str, str], ...]:
        """Return under which packs and names a rule has generated what is its own: not those that another rule has now."""
        now, *earlier = pack.origins(rule)
        if not earlier:
            return (now,)
        taken = {(each.identity, name) for each in self.packs.values() for name in each.numbers}
        return now, *(origin for origin in dict.fromkeys(earlier) if origin not in taken)

    def since(self, pack: RulePack, rule: Rule) -> datetime | None:
        """Return when a rule came into force, None where that is not known."""
        time = self.times.get(pack.record_names[rule.name][0])
        return None if time is None else time.since

    def dated(self, known: Mapping[str, InForce], now: datetime) -> Catalog:
        """Return the catalog with the times that are known of its rules; those of which none is known come into force now."""
        off = {name: Mode.OFF for name in self.unsure if self._was_off(self.packs[name], known)}
        if off.items() - self.modes.items():
            return replace(self, modes={**self.modes, **off}).dated(known, now)
        rules = [(pack, rule, pack.record_names[rule.name]) for pack in self.packs.values() for rule in pack.rules]
        in_force = {names[0]: (names, mode) for pack, rule, names in rules if (mode := self.mode(pack, rule)) is not Mode.OFF}
        present = {name for _, _, names in rules for name in names}
        return replace(self, times=updated(known, in_force, present, now))

    def _was_off(self, pack: RulePack, known: Mapping[str, InForce]) -> bool:
        """Return whether each rule of a pack is known to have been Off last."""
        times = [known.get(names[0]) for names in pack.record_names.values()]
        return all(time is not None and time.gone is None and time.mode is Mode.OFF for time in times)

    def for_kind(self, kind: Kind) -> tuple[RulePack, ...]:
        """Return the packs that watch a kind, ordered by name."""
        return self._watching.get(kind, ())
