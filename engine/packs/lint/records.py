"""Checks of what is remembered on objects: under whose names, and with which right."""

from __future__ import annotations

from collections.abc import Iterator

from engine.actions.base import Need
from engine.errors import Fault
from engine.packs.lint.base import Check, Severity, Subject
from engine.packs.records import shared
from engine.packs.rule import Rule


class PreviousNameInUse(Check):
    """`previousNames` names a rule that is still there, or that another rule also has for a previous name.

    What is on record under a previous name counts as the rule's own, and moves to its new name: two rules that both go by it
    would take each other's records, and act again or not at all. A rule that moves to another pack names the old one as
    `pack/rule`; it must be gone from there, and so must a pack be whose name stands in the `previousNames` of another.
    All packs that are given together are compared.
    """

    name = "previous-name-in-use"
    severity = Severity.ERROR

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each rule with a previous name that a rule of another pack has or had."""
        sound = subject.sound()
        for record, owner, other in shared([parsed.pack for parsed in sound]):
            location = sound[owner.pack].document.locate(("spec", "rules", owner.rule, "name"))
            message = f"rule {owner.name} goes by the record {record}, and so does rule {other.name}"
            yield self.fault(location, message, "previousNames that were of no other rule")


class TimerRight(Check):
    """A `for` of 5 minutes or more needs a right that its rule needs for nothing else.

    For how long its conditions have held is put on record on the object, with the right to patch its kind. A rule that has no
    `oncePer` and writes nothing on the object needs that right for the timer alone: `rulepack rbac` lists it, and without it
    a restart begins the time anew, which the log and `/packs` say then. Without `oncePer` and `throttle` such a rule also emits
    its Event again whenever it is evaluated. A `for` of less than 5 minutes needs no right, and begins anew after every restart.
    """

    name = "timer-right"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such timer."""
        for parsed in subject.packs:
            for index, rule in enumerate(parsed.pack.rules):
                kinds, needs = parsed.pack.kinds(rule), [*rule.needs()]
                patches = rule.annotates() or all({Need(kind, "patch"), Need(None, "patch")} & {*needs} for kind in kinds)
                if rule.durable_hold and rule.once_per is None and not patches:
                    kind = " and ".join(kind.kind for kind in kinds)
                    right = f"needs the right to patch {kind} for its timer alone, else a restart begins it anew"
                    yield self.fault(
                        parsed.document.locate(("spec", "rules", index, "for")),
                        f"rule {rule.name} {_repeats(rule)}{right}",
                        "oncePer",
                    )


def _repeats(rule: Rule) -> str:
    """Return that a rule emits its Events again and again, '' where it emits none, or says how often."""
    emits = rule.throttle is None and any(entry.action.notifies for entry in rule.actions)
    return "has no oncePer, so that it emits its Event again whenever it is evaluated, and " if emits else ""
