"""What rules read besides their objects, so that nobody is shown a text that may quote what they may not get."""

from __future__ import annotations

from typing import NamedTuple

from engine.actions.generated import Generates
from engine.actions.lookup import Lookup
from engine.cel.queries import fields_of
from engine.model.objects import Kind
from engine.packs.pack import Discovery, RulePack
from engine.packs.parts import instances
from engine.packs.secrets import params_read


class RuleReads(NamedTuple):
    """Which kinds a rule looks up and counts, with their namespaces; None: all, '': that of the object.

    `found`: the kinds by which params are discovered that it reads. `secrets`: Secrets are among all these, or may be.
    """

    places: frozenset[tuple[Kind, str | None]]
    found: frozenset[Kind]
    secrets: bool


def reads_of(pack: RulePack, rule: str) -> RuleReads:
    """Return what a rule of a pack reads; that goes through all of its parts, which takes too long for each firing."""
    places, found = set[tuple[Kind, str | None]](), set[Kind]()
    discovered = {name for name, each in pack.discover.items() if not _by_metadata(each)}
    secrets = rule in pack.reads_secrets
    for each in (each for each in pack.rules if each.name == rule):
        lookups = list(instances(each, Lookup))
        secrets = secrets or any(lookup.kind is None for lookup in lookups)
        places |= {(at.kind, at.place) for at in lookups if at.kind and not isinstance(at, Generates)}
        places |= {(kind, None) for kind in pack.watches} if each.aggregate is not None else set()
        found |= {pack.discover[name].kind for name in discovered.intersection(params_read(each, discovered))}
    return RuleReads(frozenset(places), frozenset(found), secrets)


def _by_metadata(discovery: Discovery) -> bool:
    """Return whether only names, namespaces and labels of what a pack finds give the value of a param."""
    programs = [discovery.value, *([discovery.key] if discovery.key else [])]
    paths = (fields_of(path) for program in programs for path in program.reads if path[0] == "object")
    return all(path[1:2] == ("metadata",) and path[2:3] in (("name",), ("namespace",), ("labels",)) for path in paths)
