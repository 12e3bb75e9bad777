"""What the rules of packs did, counted on from what the status of their RulePacks says."""

from __future__ import annotations

from collections.abc import Mapping

from engine.model.objects import Object, dig
from engine.packs.pack import RulePack
from engine.packs.status import RuleCounts


class Counted:
    """Adds what others have done, or this replica when it led before, to what the rules have done since the process began.

    `shard` is the number of the part of a status in which that stands.
    """

    def __init__(self, shard: int) -> None:
        self._shard = shard
        self._seeds: dict[tuple[str, str], RuleCounts] = {}  # what others did, by pack and rule
        self._seeded: set[str] = set()
        self._written: dict[tuple[str, str], tuple[int, int]] = {}  # own firings and failures that are in a status

    def took_over(self) -> None:
        """Go on from the counts that are in the statuses now, since another replica may have counted on."""
        self._seeded.clear()

    def seed(self, name: str, obj: Object) -> None:
        """Note what the status counts when this replica first sees it.

        Also where the pack is refused, and loses its counts in the status: they go on once it is mended. What holds now, such as
        the items that fail, is no such count.
        """
        if name in self._seeded:
            return
        self._seeded.add(name)
        parts = {each.get("shard"): each for each in dig(obj, ("status", "parts"), ())}
        for rule in parts.get(self._shard, {}).get("rules", ()):
            fired, failed = self._written.get((name, rule["name"]), (0, 0))
            self._seeds[name, rule["name"]] = RuleCounts(
                rule.get("fired", 0) - fired, rule.get("failed", 0) - failed,
                last_firing=rule.get("lastFiring", ""), last_object=rule.get("lastObject", ""),
                last_failure=rule.get("lastFailure", ""), failure=rule.get("failure", ""),
            )  # fmt: skip

    def added(self, name: str, pack: RulePack, counts: Mapping[str, RuleCounts]) -> Mapping[str, RuleCounts]:
        """Return what the rules of a pack did, with what others did before; note that it is written."""
        added = {}
        for rule in pack.rules:
            own, seed = counts.get(rule.name, RuleCounts()), self._seeds.get((name, rule.name), RuleCounts())
            self._written[name, rule.name] = own.fired, own.failed
            last = max(own, seed, key=lambda each: each.last_firing)  # RFC 3339 in UTC, so the order of texts is that of times
            failed = max(own, seed, key=lambda each: each.last_failure)
            added[rule.name] = own._replace(
                fired=own.fired + seed.fired, failed=own.failed + seed.failed,
                last_firing=last.last_firing, last_object=last.last_object,
                last_failure=failed.last_failure, failure=failed.failure,
            )  # fmt: skip
        return added
