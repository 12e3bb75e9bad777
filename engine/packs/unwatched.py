"""What expressions of a rule read of its objects although `watch.fields` leaves it out: no change of that evaluates the rule."""

from __future__ import annotations

from collections.abc import Iterable

from engine.cel import Program, fields_of
from engine.cel.uses import with_vars
from engine.packs.pack import RulePack
from engine.packs.rule import Rule

_ALWAYS = frozenset(["apiVersion", "kind", "metadata"])


def unwatched(pack: RulePack, rule: Rule, programs: Iterable[Program]) -> list[tuple[str, ...]]:
    """Return the paths below the watched object that programs read, through vars as well; none where a change of one is noticed.

    The metadata does not count, since it mostly says whether an object is meant at all, and rules write it themselves; nor
    does any field where the rule is evaluated anyway (`resync`, `schedule`, `on: Delete`), or goes by
    `oldObject`, and so by one change only.
    """
    fields = [pack.watches[kind].fields for kind in pack.kinds(rule)]
    if not fields or not all(fields) or rule.on == "Delete" or rule.schedule is not None or rule.resync is not None:
        return []
    if any("oldObject" in program.variables for program in with_vars(rule.when, rule.vars)):
        return []
    read = {fields_of(path)[1:] for program in with_vars(programs, rule.vars) for path in program.reads if path[0] == "object"}
    watched = {field for each in fields for field in each}
    if any(path[: len(field)] == field[: len(path)] for path in read for field in watched):
        return []
    return sorted(path for path in read if path[0] not in _ALWAYS)
