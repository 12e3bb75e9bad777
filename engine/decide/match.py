"""The cheap gates before any CEL: is there anything about this object that a pack has not judged yet?"""

from __future__ import annotations

from typing import Any

from engine.decide.memory import PackMemory
from engine.model.objects import Object, dig, metadata
from engine.rulepack.pack import RulePack

_IGNORED = ("resourceVersion", "managedFields")


def watched_values(pack: RulePack, obj: Object) -> tuple[Any, ...]:
    """The values that a pack's `watch.fields` name; without any, all but what changes at every write."""
    if pack.watch.fields:
        return tuple([dig(obj, path) for path in pack.watch.fields])  # a list is quicker than a generator here
    kept = {key: value for key, value in metadata(obj).items() if key not in _IGNORED}
    return (kept, *(value for key, value in sorted(obj.items()) if key != "metadata"))


def settled(memory: PackMemory, generation: int, values: tuple[Any, ...], now: float) -> bool:
    """Whether a pack has nothing to judge: the same rules, the same values, and no timer that has run out."""
    waiting = memory.due is None or now < memory.due
    return waiting and memory.generation == generation and memory.seen == values
