"""The rights that the rules of a pack use, beyond looking at the watched objects."""

from __future__ import annotations

from collections.abc import Iterator

from engine.actions import Need
from engine.actions.annotate import AnnotateAction, LabelAction
from engine.packs.pack import Rule


def needs_of(rule: Rule) -> Iterator[Need]:
    """The rights on targets that a rule uses: by its actions, its rescue, its lookups and its aggregate."""
    for entry in (*rule.actions, *rule.rescue):
        yield from entry.action.needs()
    for lookup in rule.lookups.values():
        yield from lookup.needs()
    if rule.aggregate is not None:
        yield from rule.aggregate.target.needs("patch")
        yield from rule.aggregate.target.listing()


def writes_own(rule: Rule) -> bool:
    """Whether a rule writes metadata of the watched objects: annotations, labels, or its firing record."""
    if rule.aggregate is not None or rule.on == "Delete":
        return False
    own = [entry.action for entry in (*rule.actions, *rule.rescue) if isinstance(entry.action, AnnotateAction | LabelAction)]
    return rule.once_per is not None or any(action.target is None for action in own)
