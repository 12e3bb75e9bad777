"""Compiles `actions` and `rescue`: lists of one-key mappings, each the name of an action and its spec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from engine.actions import ACTIONS, Action, Need
from engine.actions.event import EVENT
from engine.actions.metric import MetricAction
from engine.cel import Compiler, Path
from engine.model.objects import Kind
from engine.packs.document import Document
from engine.packs.fields import IDENTIFIER
from engine.packs.notes import Notes
from engine.packs.pack import RuleAction, RulePack
from engine.packs.specfaults import spec_faults
from engine.packs.wording import found, suggestion

_SIBLINGS = ("when", "register")


def registers(entries: Sequence[dict[str, Any]]) -> list[str]:
    """The names under which a list's results are kept; '' for an entry without one."""
    return [name if isinstance(name := entry.get("register"), str) else "" for entry in entries]


class ActionList:
    """Compiles the actions of one pack, checked against what the pack declares."""

    def __init__(self, pack: RulePack, document: Document, notes: Notes) -> None:
        self._pack, self._document, self._notes = pack, document, notes

    def compile(self, entries: Sequence[dict[str, Any]], compiler: Compiler, path: Path) -> tuple[RuleAction, ...]:
        """The compiled entries of the list at a path; entries with faults are left out."""
        self._notes.unique(registers(entries), "register", path, ("register",))
        compiled = [self._entry(entry, compiler, (*path, index)) for index, entry in enumerate(entries)]
        return tuple(entry for entry in compiled if entry is not None)

    def _entry(self, entry: dict[str, Any], compiler: Compiler, path: Path) -> RuleAction | None:
        condition, register = entry.get("when"), entry.get("register", "")
        if not isinstance(register, str) or ("register" in entry and not IDENTIFIER.match(register)):
            message = f"{found(register)} cannot be named in an expression"
            self._notes.fault((*path, "register"), message, "letters, digits and '_', not a digit first")
        when = None
        if isinstance(condition, str):
            when = compiler.program(condition, (*path, "when"))
        elif "when" in entry:
            self._notes.fault((*path, "when"), f"{found(condition)} stands here", "a CEL condition")
        names = [key for key in entry if key not in _SIBLINGS]
        for key in [key for key in names if key not in ACTIONS]:
            self._notes.fault(
                (*path, key), f"unknown action {key[:60]!r}", suggestion(key, [*ACTIONS, *_SIBLINGS]), at_key=True, code="schema"
            )
        known = [key for key in names if key in ACTIONS]
        if len(known) > 1:
            message = f"{known[0]!r} and {known[1]!r} stand in one entry"
            self._notes.fault((*path, known[1]), message, "one action in each entry", at_key=True, code="schema")
        if not names:
            self._notes.fault(path, "no action stands here", "one of " + ", ".join(sorted(ACTIONS)), code="schema")
        if len(names) != 1 or not known:
            return None
        action = self._action(known[0], entry[known[0]], compiler, (*path, known[0]))
        return None if action is None else RuleAction(action, register if isinstance(register, str) else "", when)

    def _action(self, name: str, raw: Any, compiler: Compiler, path: Path) -> Action | None:
        schema = ACTIONS[name].Schema
        try:
            action: Action = ACTIONS[name].compile(schema.model_validate(raw), compiler, path)
        except ValidationError as error:
            self._notes.faults += spec_faults(error, schema, raw, self._document, path)
            return None
        if isinstance(action, MetricAction):
            self._check_metric(action, path)
        self.check_needs(action.needs(), (*path, "target"))
        return action

    def _check_metric(self, action: MetricAction, path: Path) -> None:
        metric = self._pack.metrics.get(action.metric)
        if metric is None:
            expected = suggestion(action.metric, self._pack.metrics)
            self._notes.fault((*path, "name"), f"the pack declares no metric {action.metric[:60]!r}", expected)
            return
        for label in action.label_names:
            if label not in metric.labels:
                expected = suggestion(label, metric.labels)
                self._notes.fault((*path, "labels", label), f"{metric.name} has no label {label[:60]!r}", expected, at_key=True)
        missing = [label for label in metric.labels if label not in action.label_names]
        if missing:
            message = f"{', '.join(missing)} missing"
            self._notes.fault((*path, "labels"), message, f"a value for each label of {metric.name}", at_key=True)

    def check_needs(self, needs: Sequence[Need], path: Path) -> None:
        """A verb that `targets` do not grant would be refused whenever the rule fires: say so at once."""
        missing: dict[Kind | None, list[str]] = {}
        for need in needs:
            if need.kind is None:
                granted = any(need.verb in target.verbs for target in self._pack.targets)
            else:
                granted = (need.kind, need.verb) == (EVENT, "create") or need.verb in self._verbs(need.kind)
            if not granted:
                missing.setdefault(need.kind, []).append(need.verb)
        for kind, verbs in missing.items():
            what = f"{kind.kind} ({kind.api_version})" if kind else "any kind"
            message = f"the pack's targets do not have {' and '.join(verbs)} on {what}"
            self._notes.fault(path, message, "an entry with it under targets", code="undeclared-target")

    def _verbs(self, kind: Kind) -> frozenset[str]:
        exact = [target for target in self._pack.targets if target.kind == kind]
        anything = [target for target in self._pack.targets if target.kind.kind == "*"]
        return next((target.verbs for target in exact or anything), frozenset())
