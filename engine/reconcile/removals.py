"""How much of what a rule has generated may be removed at once: no more than half of it, unless somebody says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from engine.model.objects import ObjectKey

WINDOW = 60.0
"""Seconds within which removals count as at once."""
FEW = 5
"""So many objects may go at once, whatever part of all of them they are."""


class Wanted(NamedTuple):
    """What a source wants removed, of all that its rule has generated: uids, and those of them whose source is not known."""

    source: ObjectKey
    objects: frozenset[str]
    present: frozenset[str]
    orphans: frozenset[str] = frozenset()


class Removals(NamedTuple):
    """What a rule has to remove, and has removed lately: a value, of which each question gives the next one. Objects go by uid.

    `due` is what is to be removed, by source; `removed` has the times (of the monotonic clock) of what was allowed to go.
    `suspended` is what waits for somebody to confirm it, by another word to resume than `word`; `confirmed` is what somebody has.
    """

    due: Mapping[ObjectKey, frozenset[str]] = {}
    removed: Mapping[str, float] = {}
    suspended: frozenset[str] = frozenset()
    word: str = ""
    confirmed: frozenset[str] = frozenset()

    def ask(self, wanted: Wanted, resume: str, now: float) -> Removals:
        """Return it after a source wants objects removed; `allows` then says whether they may go.

        `resume` is what people last said to have go on what is suspended.
        """
        removals, present = self._at(now, resume), wanted.present
        due = {key: still for key, uids in removals.due.items() if (still := uids & present)} | {wanted.source: wanted.objects}
        removals = removals._replace(due=due, confirmed=removals.confirmed & present)
        at_once = frozenset(removals.removed).union(wanted.orphans, *due.values()) - removals.confirmed
        whole = present.union(removals.removed)
        unconfirmed = wanted.objects - removals.confirmed
        if unconfirmed and (removals.suspended or (len(at_once) > FEW and 2 * len(at_once) > len(whole))):
            word = removals.word if removals.suspended else resume
            return removals._replace(suspended=removals.suspended | unconfirmed, word=word)
        return removals._replace(removed={**removals.removed, **dict.fromkeys(unconfirmed, now)})

    def without(self, source: ObjectKey) -> Removals:
        """Return it where a source wants nothing removed."""
        return self._replace(due={key: uids for key, uids in self.due.items() if key != source}) if source in self.due else self

    def allows(self, objects: Collection[str]) -> bool:
        """Return whether these may be removed now."""
        return not self.suspended.intersection(objects)

    def _at(self, now: float, resume: str) -> Removals:
        removed = {uid: time for uid, time in self.removed.items() if time > now - WINDOW}
        if self.suspended and resume not in ("", self.word):
            return self._replace(removed=removed, suspended=frozenset(), confirmed=self.confirmed | self.suspended)
        return self._replace(removed=removed)
