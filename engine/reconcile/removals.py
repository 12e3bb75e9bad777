"""How much of what a rule has generated may be removed at once: no more than half of it, unless somebody says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from engine.model.objects import ObjectKey, flow_of

WINDOW = 60.0
"""Seconds within which removals count as at once."""
FEW = 5
"""So many objects may go at once, whatever part of all of them they are."""


class Held(NamedTuple):
    """What a rule of a pack does not remove until somebody confirms it: how many objects, and since when (monotonic clock).

    `gone` had been removed just before, of `whole`; `flows` are those (`flow_of`) of the watched objects.
    """

    pack: str
    rule: str
    objects: int
    gone: int
    whole: int
    flows: frozenset[str]
    since: float

    def __str__(self) -> str:
        would = f"rule {self.rule} would remove {self.objects + self.gone} of the {self.whole} objects it has generated"
        if self.gone:
            return f"{would}: it has just removed {self.gone}, and holds back {self.objects} more"
        return f"{would}, and removes none of them"


class Wanted(NamedTuple):
    """What a source wants removed, of all that its rule has generated: uids, and those of them whose source is not known.

    `names` has the name of each object that is present, by its uid.
    """

    source: ObjectKey
    objects: frozenset[str]
    present: frozenset[str]
    orphans: frozenset[str] = frozenset()
    names: Mapping[str, str] = {}


class Removals(NamedTuple):
    """What a rule has to remove, and has removed lately: a value, of which each question gives the next one. Objects go by uid.

    `due` is what is to be removed, by source; `removed` has the times (of the monotonic clock) of what was allowed to go.
    `suspended` is what waits for somebody to confirm it, by another word to resume than `word`; `confirmed` is what somebody has.
    Both hold only what is due: what is not due any more is asked about anew when it is due again. Of the last suspension,
    `gone` says how many had been removed just before, of `whole`; `since` is when it began, and `number` counts them.
    `names` has those of `removed` by uid: what is made again since is removed lately, and yet not gone.
    """

    due: Mapping[ObjectKey, frozenset[str]] = {}
    removed: Mapping[str, float] = {}
    suspended: frozenset[str] = frozenset()
    word: str = ""
    confirmed: frozenset[str] = frozenset()
    gone: int = 0
    whole: int = 0
    since: float = 0.0
    number: int = 0
    names: Mapping[str, str] = {}

    def ask(self, wanted: Wanted, resume: str, now: float) -> Removals:
        """Return it after a source wants objects removed; `allows` then says whether they may go.

        `resume` is what people last said to have go on what is suspended.
        """
        removed = {uid: time for uid, time in self.removed.items() if time > now - WINDOW}
        present = wanted.present
        due = {key: still for key, uids in self.due.items() if (still := uids & present)} | {wanted.source: wanted.objects}
        removals = self.resumed(resume)._replace(removed=removed)._due(due)
        at_once = frozenset(removed).union(wanted.orphans, *due.values()) - removals.confirmed
        whole = present.union(removed)
        unconfirmed = wanted.objects - removals.confirmed
        if not unconfirmed:
            return removals
        if removals.suspended:
            return removals._replace(suspended=removals.suspended | unconfirmed)
        if len(at_once) > FEW and 2 * len(at_once) > len(whole):
            again = set(wanted.names.values())
            back = {uid for uid in removed.keys() - present if self.names.get(uid) in again}
            return removals._replace(
                suspended=unconfirmed, word=resume, gone=len(removed.keys() - unconfirmed - back), whole=len(whole - back),
                since=now, number=removals.number + 1,
            )  # fmt: skip
        names = {uid: name for uid, name in {**self.names, **wanted.names}.items() if uid in removed or uid in unconfirmed}
        return removals._replace(removed={**removed, **dict.fromkeys(unconfirmed, now)}, names=names)

    def without(self, source: ObjectKey) -> Removals:
        """Return it where a source wants nothing removed."""
        return self._due({key: uids for key, uids in self.due.items() if key != source}) if source in self.due else self

    def resumed(self, resume: str) -> Removals:
        """Return it after people last said this to have go on what is suspended."""
        if not self.suspended or resume in ("", self.word):
            return self
        return self._replace(suspended=frozenset(), confirmed=self.confirmed | self.suspended)

    def held(self, pack: str, rule: str) -> Held | None:
        """Return what is suspended, None where nothing is."""
        if not self.suspended:
            return None
        flows = frozenset(flow_of(source) for source, uids in self.due.items() if uids & self.suspended)
        return Held(pack, rule, len(self.suspended), self.gone, self.whole, flows, self.since)

    def allows(self, objects: Collection[str]) -> bool:
        """Return whether these may be removed now."""
        return not self.suspended.intersection(objects)

    def _due(self, due: Mapping[ObjectKey, frozenset[str]]) -> Removals:
        every = frozenset[str]().union(*due.values())
        return self._replace(due=due, suspended=self.suspended & every, confirmed=self.confirmed & every)
