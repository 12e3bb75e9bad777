"""What rules have generated that are not in force: it is kept, and the log and the status of the pack say how to list it."""

from __future__ import annotations

from collections.abc import Collection

from engine.model.flags import Mode
from engine.model.generated import listing, made_by
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.rule import Rule
from engine.reconcile.silent import logger

log = logger(__name__)


class Kept:
    """The rules that generate, with the arguments of `kubectl get` that list what each has generated."""

    def __init__(self) -> None:
        self._in_force: dict[tuple[str, str], str] = {}
        self._off: dict[tuple[str, str], str] = {}

    def use(self, catalog: Catalog) -> Collection[tuple[str, str]]:
        """Take in which rules are in force, and log of the others that what they have generated is kept.

        Return the rules in force that generate, by the identity of their pack and their name.
        """
        generating = [(pack, rule) for pack in catalog.packs.values() for rule in pack.rules if rule.generates]
        acting = [(pack, rule) for pack, rule in generating if Mode.OFF not in (catalog.mode(pack), rule.mode)]
        in_force = {(pack.identity, rule.name): _listing(pack, rule) for pack, rule in acting}
        renamed = {origin for pack, rule in acting for origin in catalog.origins(pack, rule)}
        for key in self._in_force.keys() - in_force.keys() - renamed:
            message = "rule %s/%s is not in force any more; what it has generated is kept: kubectl get %s"
            log.warning(message, *key, self._in_force[key])
        off = {key: _listing(pack, rule) for pack, rule in generating if (key := (pack.identity, rule.name)) not in in_force}
        for key in off.keys() - self._off.keys() - self._in_force.keys():  # as after a restart
            log.warning("rule %s/%s is not in force; anything it has generated is kept: kubectl get %s", *key, off[key])
        self._off, self._in_force = off, in_force
        return in_force.keys()

    def notes(self, pack: RulePack) -> list[str]:
        """Return a sentence for each rule of a pack that is not in force, on what it may have generated."""
        off = [(rule.name, self._off.get((pack.identity, rule.name))) for rule in pack.rules]
        return [f"anything that rule {name} has generated is kept: kubectl get {which}" for name, which in off if which]


def _listing(pack: RulePack, rule: Rule) -> str:
    """Return the arguments of `kubectl get` that list what a rule generates; of a kind that is an expression, KIND."""
    return listing((each.kind for each in rule.generates), made_by(pack.identity, rule.name))
