"""Which rules read Secrets, so that whatever is said of them may quote one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from engine.actions.lookup import Lookup
from engine.actions.target import Target
from engine.cel import Program, fields_of
from engine.cel.uses import with_vars
from engine.model.objects import SECRET, Kind
from engine.packs.parts import instances

if TYPE_CHECKING:
    from engine.packs.pack import RulePack
    from engine.packs.rule import Rule


def reads_secrets(pack: RulePack, rule: Rule) -> bool:
    """Return whether a value of a Secret may be in what is said of a rule: keys, messages, errors and differences.

    That is where its pack watches Secrets, and where it looks one up, waits for one, acts on one, or reads a param that is
    discovered from one. What is looked up by a computed kind may be anything that the pack declares; what an action on a computed
    kind has read is known once it has.
    """
    declared = any(_is_secret(target.kind) for target in pack.targets)
    if any(map(_is_secret, pack.watches)) or any(_may_be_secret(target, declared) for target in instances(rule, Target)):
        return True
    params = {name for name, discovery in pack.discover.items() if _is_secret(discovery.kind)}
    return bool(params) and not params.isdisjoint(_params(rule, params))


def _may_be_secret(target: Target, declared: bool) -> bool:
    return _is_secret(target.kind) if target.kind is not None else declared and isinstance(target, Lookup)


def _is_secret(kind: Kind) -> bool:
    return kind.kind in (SECRET.kind, "*")


def _params(rule: Rule, every: set[str]) -> Iterator[str]:
    """Yield the params that a rule reads, also by vars: `every` one where it reads `params` as a whole, or by computed names."""
    parts = [getattr(rule, field.name) for field in fields(rule) if field.name != "vars"]
    for program in with_vars(instances(parts, Program), rule.vars):
        for path in map(fields_of, program.reads):
            if path[0] == "params":
                yield from path[1:2] or every
