"""Rules that go by the record of another one, by their previous names: what one has done counts for the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from engine.errors import Fault
from engine.packs.identity import identity
from engine.packs.pack import RulePack


class Owner(NamedTuple):
    """A rule that goes by a record, as `pack/rule`: the numbers of its pack and of itself, and whether it is called so now."""

    name: str
    pack: int
    rule: int
    current: bool


class Shared(NamedTuple):
    """A record by which a rule goes for a previous name of its own, and another rule that goes by it too."""

    record: str
    owner: Owner
    other: Owner


def shared(packs: Sequence[RulePack]) -> Iterator[Shared]:
    """Yield each previous name of a rule that another rule of these packs has, or had."""
    owners: dict[str, list[Owner]] = {}
    for number, pack in enumerate(packs):
        for index, rule in enumerate(pack.rules):
            for record in pack.record_names[rule.name]:
                current = record == pack.record_names[rule.name][0]
                owners.setdefault(record, []).append(Owner(f"{pack.identity}/{rule.name}", number, index, current))
    for record, found in owners.items():
        for owner in found:
            other = next((each for each in found if each.name != owner.name), None)
            if other is not None and not owner.current:
                yield Shared(record, owner, other)


def warnings(packs: Mapping[str, RulePack]) -> Iterator[tuple[RulePack, Fault]]:
    """Yield each pack with a rule that goes by the record of another one, and the warning of it.

    Where one of both packs has the other among its previous names, that is warned of instead. Yield also each pack, or rule, that
    has its own name among its previous names.
    """
    listed = [*packs.values()]
    for pack in listed:
        yield from ((pack, fault) for fault in _own_names(pack))
    for _, owner, other in shared(listed):
        pack, another = listed[owner.pack], listed[other.pack]
        if another.identity in _previous(pack) or pack.identity in _previous(another):
            continue
        has = "is still there" if other.current else "has one of these names too"
        where = replace(pack.location, path=f"spec.rules[{owner.rule}].previousNames")
        expected = "that rule deleted, or its name not among previousNames"
        yield pack, Fault(where, f"rule {other.name!r} {has}: what is on record counts for both", expected)


def _previous(pack: RulePack) -> list[str]:
    return [identity(pack.namespace, name) for name in pack.previous_names]


def _own_names(pack: RulePack) -> Iterator[Fault]:
    """Yield a warning for a pack, and for each of its rules, that has its own name among its previous names."""
    names = [("spec.previousNames", pack.name, pack.previous_names)]
    names += [(f"spec.rules[{index}].previousNames", rule.name, rule.previous_names) for index, rule in enumerate(pack.rules)]
    for path, name, previous in names:
        if name in previous:
            where, message = replace(pack.location, path=path), f"{name!r} is its name now, so it does nothing here"
            yield Fault(where, message, "earlier names")
