"""What a rule with `prune` must not have: only its conditions and its loop say what is to be there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.actions.generated import Generates
from engine.actions.lookup import Lookup
from engine.packs.pack import RulePack
from engine.packs.parts import instances
from engine.packs.rule import RuleAction
from engine.packs.rule_schema import RuleSpec

_NEVER = ("hold", "schedule", "once_per", "existing", "throttle", "aggregate")
_WHY = "prune needs to know at any time what is to be there"
Say = Callable[..., None]
"""Takes the path of a fault below the rule, what is wrong, what is expected, and `at_key`."""


def check(
    spec: RuleSpec, pack: RulePack, lookups: Mapping[str, Lookup], actions: tuple[Sequence[RuleAction], Sequence[RuleAction]],
    say: Say,
) -> None:  # fmt: skip
    """Add a fault for each thing that keeps a rule from knowing what is to be there; `actions` are those, and its rescue."""
    own, rescue = actions
    if any(map(_generates, rescue)):
        say(("rescue",), "prune in rescue: nothing says when its reason is gone", "it under actions", at_key=True)
    if not any(map(_generates, own)):
        return
    names = [name for name in _NEVER if name in spec.model_fields_set]
    names += [name for name in ("on", "event") if getattr(spec, name) == "Delete"]
    for name in names:
        alias = str(RuleSpec.model_fields[name].alias)
        say((alias,), f"{alias} together with prune: {_WHY}", "one of the two", at_key=True)
    for index, entry in enumerate(spec.actions):
        if "when" in entry and isinstance(entry.get("apply"), dict) and entry["apply"].get("prune"):
            say(("actions", index, "when"), f"when beside prune: {_WHY}", "it under the rule's when", at_key=True)
    for name, lookup in lookups.items():
        if lookup.live or not pack.follows(lookup.watch, across=lookup.selects_namespaces):
            expected = "list and watch on its kind under targets, and no live"
            say(("lookup", name), f"lookup.{name} is not followed: {_WHY}", expected, at_key=True)
    if pack.discover:
        message = f"prune in a pack with discover, whose params are others without a right: {_WHY}"
        say(("actions",), message, "one of the two", at_key=True)


def _generates(entry: RuleAction) -> bool:
    return any(True for _ in instances(entry.action, Generates))
