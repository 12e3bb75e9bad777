"""Checks of what the API server refuses whatever the object: names and labels that are none, and writes of what is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.actions import ACTIONS
from engine.cel import Path
from engine.errors import Fault
from engine.model.names import bad_label, misnamed
from engine.model.objects import Kind, Ref
from engine.packs.lint.base import Check, Severity, Subject, raw_rules
from engine.packs.parse import ParsedPack
from engine.packs.rule import RuleAction
from engine.packs.strings import mappings

_VALID = Kind("v1", "Any")
_CHANGING = frozenset(["patch", "update", "delete", "evict"])
_KEY = "a key such as app or example.com/app: letters, digits, '-', '_' and '.', at most 63 after the '/'"
_OTHERS = re.compile(r"\$\{|\{\{")
"""What begins an expression, or one of another language, which is a fault of its own."""
_EXPRESSION = re.compile(r"(?:object|oldObject|vars|params|inputs|lookup)\.\w")
_LABELS = {"labels": "label", "annotations": "annotation", "matchLabels": "label"}


class RefusedName(Check):
    """A label, the key of an annotation, or a name is written that no object can have.

    The value of a label has at most 63 characters: letters, digits, `-`, `_` and `.`, such as `eu-west` in place of `EU West!`. A
    text that is longer or freer is an annotation. Names of objects have small letters, digits, `-` and `.`. What holds `${…}` is
    not known here.
    """

    name = "refused-name"
    severity = Severity.ERROR

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each constant that the API server refuses, of what actions write and of their targets."""
        for parsed in subject.packs:
            for path, problem in _of_lookups(parsed):
                message, _, expected = problem.partition(": ")
                yield self.fault(parsed.document.locate(path), message, expected)
            for path, action, spec in _actions(parsed):
                found = dict(_refused(action, spec))
                for below, problem in found.items():
                    message, _, expected = problem.partition(": ")
                    location = parsed.document.locate((*path, *below))
                    yield self.fault(location, message, expected or _KEY)


class GoneObject(Check):
    """A rule with `event: Delete` writes on the watched object, which is gone.

    Such a rule is evaluated with the last state of an object after its end: nothing can be written on it. Write on another
    object, by a `target`, emit an Event, or send a request.
    """

    name = "gone-object"
    severity = Severity.ERROR

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such action."""
        for parsed in subject.packs:
            for rule, raw in zip(parsed.pack.rules, raw_rules(parsed), strict=True):
                entries = [*rule.actions, *rule.rescue] if rule.on == "Delete" and rule.aggregate is None else []
                written = [*(raw.get("actions") or ()), *(raw.get("rescue") or ())]
                if len(entries) == len(written):  # an action with a fault is left out
                    for entry in (entry for entry, text in zip(entries, written, strict=True) if _writes_own(entry, text)):
                        message = f"{entry.action.name} of rule {rule.name} writes on the watched object, which is gone"
                        yield self.fault(entry.location, message, "a target, or an action that only notifies")


def _writes_own(entry: RuleAction, text: Mapping[str, Any]) -> bool:
    """Return whether an action writes on the watched object: it has no target, and needs a right to change its kind."""
    action = entry.action
    own = not (text[action.name] or {}).keys() & {"target", "targets", "manifest"}
    changes = bool({need.verb for need in action.needs()} & _CHANGING) and not action.notifies
    return action.writes_own() or (own and changes)


def _actions(parsed: ParsedPack) -> Iterator[tuple[Path, str, Mapping[str, Any]]]:
    for index, rule in enumerate(raw_rules(parsed)):
        for part in ("actions", "rescue"):
            for number, entry in enumerate(rule.get(part) or ()):
                for name in entry.keys() & ACTIONS.keys():
                    if isinstance(entry[name], Mapping):
                        yield ("spec", "rules", index, part, number, name), name, entry[name]


def _of_lookups(parsed: ParsedPack) -> Iterator[tuple[Path, str]]:
    """Yield the paths of names and namespaces in lookups that no object can have, and why."""
    for index, rule in enumerate(raw_rules(parsed)):
        for name, lookup in (rule.get("lookup") or {}).items():
            for path, problem in _of_name(("spec", "rules", index, "lookup", name), lookup):
                text, what = lookup[path[-1]], problem.partition(": ")[0]
                if text == "*":
                    yield path, f"{what}: namespaceSelector: {{}} with labelSelector: {{}}, for all objects of all namespaces"
                else:
                    yield path, f"{what}: ${{{text}}}" if _EXPRESSION.match(text) else problem


def _refused(action: str, spec: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield the paths below the spec of an action at which something stands that no object can have, and why."""
    for write in ACTIONS[action].metadata(spec):
        if write.part in _LABELS:
            yield from _of_labels(write.part, write.path, write.entries)
    for body in ACTIONS[action].bodies(spec):
        for path, mapping in mappings(body.value, body.path):
            if len(path) > 1 and path[-1] in _LABELS and (path[-2] == "metadata" or path[-1] == "matchLabels"):
                yield from _of_labels(str(path[-1]), path, mapping)
        if "apiVersion" in body.value and isinstance(body.value.get("metadata"), Mapping):
            yield from _of_name((*body.path, "metadata"), body.value["metadata"])
    if isinstance(spec.get("target"), Mapping):
        yield from _of_name(("target",), spec["target"])


def _of_labels(part: str, path: Path, entries: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for key, value in entries.items():
        constant = part != "annotations" and isinstance(value, str) and not _OTHERS.search(value)
        if "${" not in key and (problem := bad_label(key, value if constant else "")):
            what, of_key, _ = problem.partition(" is not a label key")
            yield (*path, key), f"{what.replace('label', _LABELS[part], 1)} is none" if of_key else problem


def _of_name(path: Path, metadata: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for key in ("name", "namespace"):
        text = metadata.get(key)
        if isinstance(text, str) and text and not _OTHERS.search(text):
            ref = Ref(_VALID, "", text) if key == "name" else Ref(_VALID, text, "x")
            if problem := misnamed(ref):
                yield (*path, key), problem
