"""How `rulepack explain` shows an explanation: to people, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from engine.model.flags import Mode
from engine.model.objects import ref_of
from engine.model.observe import Act, Evaluated
from engine.model.text import clean, cut
from engine.packs.schedule import TIME
from engine.reconcile.explain import Clause, Value
from engine.testing.describe import plain, step_text, value_text
from engine.testing.explain import Explanation, PackExplanation, RuleExplanation, Selector
from engine.testing.verdict import refusal, verdict

_COLOURS = {Evaluated.FIRED: "green", Evaluated.SKIPPED: "yellow", Evaluated.UNKNOWN: "red"}
_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}


def as_text(explanation: Explanation, *, everything: bool = True) -> Iterator[str]:
    """Yield lines for people: pack by pack, rule by rule.

    Without `everything` what is Off, or is not about this object, is named in one line for each pack.
    """
    yield click.style(str(ref_of(explanation.object)), bold=True)
    for pack in explanation.packs:
        yield ""
        yield from _pack(pack, everything)
    for question in explanation.assumed:
        yield f"  taken for granted, which a running engine asks the API server: {question}"


def _pack(pack: PackExplanation, everything: bool) -> Iterator[str]:
    yield f"{click.style(f'pack {pack.name}', bold=True)} ({pack.mode}, {pack.source})"
    for each in pack.selectors:
        yield f"  {each.of} selector {each.text}: {'picks it' if each.picks else 'does not pick it, so no rule sees it'}"
    folded = [] if everything else [rule for rule in pack.rules if rule.mode is Mode.OFF or rule.on == "Delete"]
    shown = [rule for rule in pack.rules if rule not in folded]
    if pack.fields and shown:
        yield "  evaluated when one of these changes:"
        yield from (f"    {_value(field)}" for field in pack.fields)
    for rule in shown:
        yield from _rule(rule)
    for why, rules in (("Off", [rule for rule in folded if rule.mode is Mode.OFF]),
                       ("about deleted objects", [rule for rule in folded if rule.mode is not Mode.OFF])):  # fmt: skip
        if rules:
            yield f"  {why}, which --all shows: {', '.join(rule.name for rule in rules)}"


def _rule(rule: RuleExplanation) -> Iterator[str]:
    reason = rule.skipped or refusal(rule)
    why = f": {reason}" if reason else ""
    said = click.style(verdict(rule), fg="red" if refusal(rule) else _COLOURS[rule.result])
    yield from _lines("  ", f"{click.style(rule.name, bold=True)} ({rule.mode}) {said}{why}")
    for number, clause in enumerate(rule.clauses, start=1):
        yield from _clause(number, clause)
    if rule.once_per is not None:
        yield f"    {'schedule.time' if rule.once_per.path == TIME else 'oncePer'} = {value_text(rule.once_per)}"
        yield f"    on record: {rule.record or 'nothing'}"
    if rule.loop is not None:
        yield f"    loop = {value_text(rule.loop)}"
    for line in filter(None, (*rule.timing, rule.unread)):
        yield from _lines("    ", line)
    for line in rule.waiting:
        yield from _lines("    ", f"waits, as a running engine has said at {cut(clean(line), 600)}")
    for act in rule.acts:
        yield from _act(act)


def _clause(number: int, clause: Clause) -> Iterator[str]:
    undecided = clause.holds is None and not clause.doubt
    mark, colour = ("·", "white") if undecided else _MARKS[clause.holds]
    yield f"    {click.style(mark, fg=colour)} when[{number}] {' '.join(clause.source.split())}"
    if clause.doubt:
        yield from _lines("        ", f"no answer: {clause.doubt}")
    yield from (f"        {_value(value)}" for value in clause.values if value.there or not undecided)


def _act(act: Act) -> Iterator[str]:
    item = f" [{act.item}]" if act.item else ""
    done = f"{act.action}{item}: {step_text(act.step)}" if act.step else f"{act.action}{item}: {act.result}"
    yield from _lines("    ", f"→ {done}" + (f" ({act.detail})" if act.detail else ""))
    yield from (f"        {line}" for line in act.diff)


def _lines(indent: str, text: str) -> Iterator[str]:
    """Yield the lines of a text, those after the first one below it."""
    first, *more = text.splitlines() or [""]
    yield indent + first
    yield from (f"{indent}    {line}" for line in more)


def _value(value: Value) -> str:
    return f"{value.path} = {value_text(value)}"


def as_json(explanation: Explanation) -> dict[str, Any]:
    """Return the same as one JSON object."""
    ref = ref_of(explanation.object)
    identity = {"apiVersion": ref.kind.api_version, "kind": ref.kind.kind, "namespace": ref.namespace, "name": ref.name}
    assumed = [str(each) for each in explanation.assumed]
    return {"object": identity, "packs": [_pack_json(pack) for pack in explanation.packs], "assumed": assumed}


def _pack_json(pack: PackExplanation) -> dict[str, Any]:
    return {
        "pack": pack.name, "source": pack.source, "mode": str(pack.mode),
        **_selectors_json(pack.selectors), "picked": pack.picked,
        "fields": [_value_json(field) for field in pack.fields], "rules": [_rule_json(rule) for rule in pack.rules],
    }  # fmt: skip


def _selectors_json(selectors: Sequence[Selector]) -> dict[str, Any]:
    texts = {each.of: each.text for each in selectors}
    return {"labelSelector": texts.get("label", ""), "namespaceSelector": texts.get("namespace", "")}


def _rule_json(rule: RuleExplanation) -> dict[str, Any]:
    return {
        "rule": rule.name, "mode": str(rule.mode), "result": str(rule.result), "skipped": rule.skipped, "held": rule.skipped,
        "when": [
            {"source": clause.source, "holds": clause.holds, "doubt": clause.doubt, "values": [*map(_value_json, clause.values)]}
            for clause in rule.clauses
        ],
        "oncePer": _value_json(rule.once_per) if rule.once_per else None,
        "loop": _value_json(rule.loop) if rule.loop else None,
        "record": rule.record, "timing": [*filter(None, (*rule.timing, rule.unread))], "waiting": list(rule.waiting),
        "steps": [_act_json(act) for act in rule.acts],
    }  # fmt: skip


def _value_json(value: Value) -> dict[str, Any]:
    return {"path": value.path, "value": json.loads(json.dumps(plain(value.value), default=str)), "there": value.there}


def _act_json(act: Act) -> dict[str, Any]:
    return {
        "action": act.action, "item": act.item, "step": step_text(act.step), "outcome": str(act.result), "detail": act.detail,
        "diff": list(act.diff),
    }  # fmt: skip
