"""Which rules read Secrets, so that whatever is said of them may quote one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from engine.actions.target import Target
from engine.cel import Program, fields_of
from engine.cel.uses import with_vars
from engine.model.objects import SECRET
from engine.packs.parts import instances

if TYPE_CHECKING:
    from engine.packs.pack import RulePack
    from engine.packs.rule import Rule


def reads_secrets(pack: RulePack, rule: Rule) -> bool:
    """Return whether a value of a Secret may be in what is said of a rule: keys, messages, errors and differences.

    That is where its pack watches Secrets, and where it looks one up, waits for one, acts on one, or reads a param that is
    discovered from one. What a computed kind has found is known once it has.
    """
    kinds = (*pack.watches, *(target.kind for target in instances(rule, Target)))
    if any(kind is not None and kind.kind == SECRET.kind for kind in kinds):
        return True
    params = {name for name, discovery in pack.discover.items() if discovery.kind.kind == SECRET.kind}
    return bool(params) and not params.isdisjoint(params_read(rule, params))


def params_read(rule: Rule, every: set[str]) -> Iterator[str]:
    """Yield the params that a rule reads, also by vars: `every` one where it reads `params` as a whole, or by computed names."""
    parts = [getattr(rule, field.name) for field in fields(rule) if field.name != "vars"]
    for program in with_vars(instances(parts, Program), rule.vars):
        for path in map(fields_of, program.reads):
            if path[0] == "params":
                yield from path[1:2] or every
