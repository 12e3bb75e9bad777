"""What `lookup` of a rule reads before the rule is judged."""

from __future__ import annotations

from typing import Any

from engine.cel import Scope
from engine.errors import ApiError, Refused, Unanswered
from engine.packs.pack import Rule, RulePack
from engine.reconcile.evaluate import Held
from engine.reconcile.reading import Reader

BACKOFF = 5.0


async def look_up(reader: Reader, pack: RulePack, rule: Rule, scope: Scope) -> dict[str, Any] | Held:
    """The value of the variable `lookup`; each lookup may use those above it. Held where one cannot be read."""
    found: dict[str, Any] = {}
    try:
        for name, target in rule.lookups.items():
            read = target.read(scope.child(lookup=dict(found)))
            objects = await reader.read(pack, read, (), scope, cached=True)
            found[name] = list(objects) if target.by_selector else next(iter(objects), None)
    except Refused as refused:
        return Held(f"lookup is refused: {refused}", unknown=True)
    except Unanswered as unanswered:
        return Held(f"lookup has no answer: {unanswered}", unknown=True)
    except ApiError as error:
        return Held(f"lookup failed: {error}", until=scope.value("now").timestamp() + BACKOFF, unknown=True)
    return found
