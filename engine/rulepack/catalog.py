"""What is in force: the packs, the modes that the feature flags give them, and their parameters. Immutable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.model.flags import Mode
from engine.model.objects import Kind
from engine.rulepack.pack import Rule, RulePack

_STRICTNESS = (Mode.ENFORCE, Mode.AUDIT, Mode.OFF)


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """Packs, their modes, and the values of their parameters, all by the pack's name."""

    packs: Mapping[str, RulePack] = field(default_factory=dict)
    modes: Mapping[str, Mode] = field(default_factory=dict)
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def mode(self, pack: RulePack, rule: Rule | None = None) -> Mode:
        """The mode of a pack, or of one of its rules: a rule's own `mode` can only hold it back further."""
        mode = self.modes.get(pack.name, pack.default_mode)
        if rule is None or rule.mode is None:
            return mode
        return max(mode, rule.mode, key=_STRICTNESS.index)

    def for_kind(self, kind: Kind) -> tuple[RulePack, ...]:
        """The packs that watch a kind, ordered by name."""
        return tuple(pack for _, pack in sorted(self.packs.items()) if pack.watch.kind == kind)
