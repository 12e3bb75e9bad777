"""The check of `watch.fields`: no change of what they leave out evaluates a rule."""

from __future__ import annotations

from collections.abc import Iterator

from engine.actions import ACTIONS
from engine.cel import Compiled
from engine.errors import Fault
from engine.model.text import field_text
from engine.packs.lint.base import Check, Severity, Subject, location_of
from engine.packs.lint.fields import missing_of
from engine.packs.lint.scope import kind_type
from engine.packs.pack import RulePack
from engine.packs.parse import ParsedPack
from engine.packs.rule import Rule
from engine.packs.unwatched import unwatched

_MEMBERS = frozenset(["by", "counts", "lists", "sum", "min", "max"])


class UnwatchedField(Check):
    """A rule goes by a field of the watched object that `watch.fields` leaves out.

    An object is evaluated only when one of the `fields` has changed. With `fields: [spec.volumeName]`, a rule
    `when: object.status.phase == 'Pending'` does not notice that the phase has changed. Add the field that it reads, here
    `status.phase`, or what that lies in; without `fields` every change counts. Conditions, `oncePer`, `loop`, lookups, what an
    `aggregate` counts, and what is written without `oncePer` are compared. An expression that reads one of the fields, or only
    metadata, is left alone, and so is a rule with `resync`, `schedule` or `oldObject`.
    """

    name = "unwatched-field"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such field of each rule, at the first expression that reads it."""
        for parsed in subject.packs:
            reported: set[tuple[str, tuple[str, ...]]] = set()
            for expression, rule in _deciding(parsed):
                paths = unwatched(parsed.pack, rule, [expression.program])
                new = [path for path in paths if (rule.name, path) not in reported and _there(subject, parsed.pack, rule, path)]
                reported |= {(rule.name, path) for path in new}
                if new:
                    fields = " and ".join(map(field_text, new))
                    kinds = " and ".join(kind.kind for kind in parsed.pack.kinds(rule))
                    message = f"rule {rule.name} reads {fields}, which watch.fields of {kinds} leaves out: no change is noticed"
                    yield self.fault(location_of(parsed, expression, 0), message, f"{fields} among the fields")


def _deciding(parsed: ParsedPack) -> Iterator[tuple[Compiled, Rule]]:
    """Yield the expressions whose value decides what a rule does, each with its rule."""
    for expression in parsed.expressions:
        match expression.path:
            case ("spec", "rules", int(index), *below) if _decides(parsed.pack.rules[index], below):
                yield expression, parsed.pack.rules[index]


def _there(subject: Subject, pack: RulePack, rule: Rule, path: tuple[str, ...]) -> bool:
    """Return whether a kind that a rule is about has a field, as far as is known; `unknown-field` names the others."""
    return not all(missing_of(kind_type(subject, kind), path) for kind in pack.kinds(rule))


def _decides(rule: Rule, below: list[str | int]) -> bool:
    """Return whether an expression at a path below a rule does: of what is written, where the rule keeps that as it is."""
    match below:
        case ("when" | "oncePer" | "loop" | "lookup", *_):
            return True
        case ("aggregate", part, *_):
            return part in _MEMBERS
        case ("actions", _, str(action), str(part), *_) if action in ACTIONS and not ACTIONS[action].notifies:
            return rule.once_per is None and rule.aggregate is None and part in ACTIONS[action].written
    return False
