"""What the actions of a rule need beside the one that is refused, so that one message names all that is missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from engine.actions import Effect
from engine.cel import Scope
from engine.errors import ApiError, EvaluationError
from engine.kube.act import Actor
from engine.model.objects import Object, api_verb
from engine.model.plan import Read
from engine.packs.rule import RuleAction
from engine.reconcile.answers import explained, missing_right

READING = frozenset({"get", "list", "watch"})
"""What an action is permitted for each object that it reads, by how it reads it."""

Wanted = tuple[Read, frozenset[str]]
"""What is read, and the verbs that are then wanted on it."""


def verbs_on(action: Effect, read: Read) -> frozenset[str]:
    """Return what an action may want to do to what it reads."""
    return frozenset(need.verb for need in action.needs() if need.kind in (None, read.ref.kind)) - READING


def wanted(entries: Iterable[RuleAction], scope: Scope) -> Iterator[Wanted]:
    """Yield what actions read and want to do, as far as that is known before they are carried out, and nothing is found.

    One whose `when` depends on what an action before it gives is taken to be carried out.
    """
    for entry in entries:
        nothing: dict[Read, Sequence[Object]] = defaultdict(tuple)
        try:
            if entry.when is not None and not entry.when.condition(scope):
                continue
        except EvaluationError:
            pass
        try:
            for read in entry.action.reads(scope, nothing):
                yield read, verbs_on(entry.action, read)
        except EvaluationError:
            continue


async def explained_with(error: ApiError, needed: Iterable[Wanted], actor: Actor) -> str:
    """Return an error for people; a missing right with the command that grants all verbs that are needed on that resource."""
    lacks = missing_right(error)
    if lacks is None:
        return explained(error)
    verbs = set()
    for read, on_it in needed:
        if read.ref.kind.group == lacks.group and await actor.plural(read.ref.kind) == lacks.resource:
            asked = {"get" if read.label_selector is None else "list", *on_it}
            asked |= {"list", "watch"} if read.watch is not None else set()  # a grant without it would be refused next
            verbs |= {verb for verb, subresource in map(api_verb, asked) if subresource == lacks.subresource}
    return explained(error, verbs)
