"""What a running engine knows of an object and no manifest says, in an explanation: timers, what waits, what is suspended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from engine.testing.explain import Explanation, PackExplanation, RuleExplanation


def joined(explanation: Explanation, known: Mapping[str, Any]) -> Explanation:
    """Return an explanation with what a running engine knows."""
    return replace(explanation, packs=tuple(_pack(pack, known.get("packs", {}).get(pack.name, {})) for pack in explanation.packs))


def _pack(pack: PackExplanation, known: Mapping[str, Any]) -> PackExplanation:
    suspended = [f"suspended: the budget is spent for {known['suspended']}"] if known.get("suspended") else []
    rules = known.get("rules", {})
    return replace(pack, rules=tuple(_rule(rule, rules.get(rule.name, {}), suspended) for rule in pack.rules))


def _rule(rule: RuleExplanation, known: Mapping[str, Any], suspended: list[str]) -> RuleExplanation:
    return replace(rule, timing=(*rule.timing, *suspended, *_timers(known)))


def _timers(known: Mapping[str, Any]) -> Iterator[str]:
    if since := known.get("trueSince"):
        yield f"running: its conditions have held since {since}"
    if at := known.get("firedAt"):
        refused = f", and an action was {known['ended']}: its Events and the log say why" if known.get("ended") else ""
        yield f"running: its last firing began at {at}{refused}"
    for wait in known.get("waiting", ()):
        items = f" with {wait['items']} items" if wait["items"] > 1 else ""
        yield f"running: it waits{items} since {wait['since']} ({wait['reason']}), and is tried again at {wait['retryAt']}"
