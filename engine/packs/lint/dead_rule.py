"""A rule can never fire: a condition is false whatever the object, or two of them exclude one another.

Such as `when: [object.status.phase == 'Succeeded', object.status.phase == 'Failed']`, where one of both was meant: a list
is "and"; write `object.status.phase in ['Succeeded', 'Failed']`. A rule that is to rest has `mode: Off`.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.cel import Program, Scope
from engine.errors import Fault, Unanswered
from engine.packs.lint.base import Code, Severity, Subject
from engine.packs.lint.conditions import Fact, excluding, facts


def check(subject: Subject) -> Iterator[Fault]:
    """The first such condition of each rule."""
    for parsed in subject.packs:
        for index, rule in enumerate(parsed.pack.rules):
            before: list[Fact] = []
            for number, clause in enumerate(rule.when):
                place = parsed.document.locate(("spec", "rules", index, "when", number))
                own = list(facts(clause.source))
                both = excluding(before + own, own)
                if _false(clause):
                    yield Fault(place, f"rule {rule.name} can never fire: this is false of any object", "a condition", CODE.name)
                    break
                if both is not None:
                    message = f"rule {rule.name} can never fire: {both[0].source} and {both[1].source} exclude one another"
                    yield Fault(place, message, "conditions that can be true together", CODE.name)
                    break
                before += own


def _false(clause: Program) -> bool:
    if clause.variables:
        return any(fact.source == "false" for fact in facts(clause.source))
    try:
        return clause.evaluate(Scope({})) is False
    except Unanswered:
        return False


CODE = Code("dead-rule", Severity.WARNING, __doc__, check)
