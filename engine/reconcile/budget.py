"""The disruption budget of one pack: how many disruptive steps it may take, whose turn it is, and what is suspended."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple

WINDOW = 60.0
"""Seconds in which a budget that is spent fills again."""
PAUSE = 30.0
"""The longest pause until what is held back asks again, so that it goes on soon after somebody resumes it."""
GRACE = 5.0
"""Seconds for which a turn is kept for a flow that does not ask when it is due."""
MANY = 3
"""How many suspended flows suspend the whole pack."""
_ROUNDING = 1e-6


class Terms(NamedTuple):
    """What people have said of a pack's budget: disruptive steps a minute (0: any number), and the last word to resume.

    `share` is the part of it that this replica may spend, as one of several shards.
    """

    limit: int = 0
    resume: str = ""
    share: float = 1.0

    @property
    def pace(self) -> float:
        """Steps a minute here."""
        return self.limit * self.share


class Admission(Enum):
    """Whether a step may be taken: yes; not before its turn; not until somebody resumes its flow, or its pack."""

    GRANTED = auto()
    PACED = auto()
    SUSPENDED = auto()
    PACK_SUSPENDED = auto()


def resumed(old: Terms, new: Terms) -> bool:
    """Return whether these changes say that what was suspended goes on: a higher limit, or a new word."""
    return new.limit == 0 or new.limit > old.limit > 0 or new.resume not in ("", old.resume)


class Budget(NamedTuple):
    """What one pack has done lately: a value, of which each question gives the next one.

    It is a token bucket: so many steps at once as the pack may take in a minute, then no faster than it fills again. A flow
    (`flow_of`: a namespace) that finds nothing left is suspended where no other one has taken more within a minute, and also
    where it has taken a whole budget within a minute. The others wait, and those that wait are served in turn. Of a pack of
    which something was resumed nothing is suspended, until for a minute nothing had to wait.

    `spent` is how much is missing in the bucket at the time `at`, `taken` has the times of the steps of each flow within the
    last minute, `slots` until when objects of each flow that waits are to ask again, those whose turn is next first, `suspended`
    the terms at that time.
    All times are in seconds of the monotonic clock.
    """

    spent: float = 0.0
    at: float = 0.0
    taken: Mapping[str, tuple[float, ...]] = {}
    slots: Mapping[str, float] = {}
    suspended: Mapping[str, Terms] = {}
    paced_at: float = float("-inf")

    def begin(self, flow: str, terms: Terms, now: float) -> tuple[Admission, Budget]:
        """Return whether a rule may begin with an object of a flow."""
        budget = self._at(terms, now)
        if len(budget.suspended) >= MANY:
            return Admission.PACK_SUSPENDED, budget
        if flow in budget.suspended:
            return Admission.SUSPENDED, budget
        if now - budget.paced_at > WINDOW or budget._missing(flow, terms) <= _ROUNDING:
            return Admission.GRANTED, budget
        return Admission.PACED, budget._waiting(flow, terms)._replace(paced_at=now)

    def take(self, flow: str, terms: Terms, now: float) -> tuple[Admission, Budget]:
        """Return whether one disruptive step may be taken for an object of a flow; it is then counted."""
        admission, budget = self.begin(flow, terms, now)
        if admission is not Admission.GRANTED or terms.limit == 0:
            return admission, budget
        own = budget.taken.get(flow, ())
        most = max((len(times) for name, times in budget.taken.items() if name != flow), default=0)
        left = budget._missing(flow, terms) <= _ROUNDING
        pacing = now - budget.paced_at <= WINDOW
        if not pacing and own and (len(own) >= max(1.0, terms.pace) or (not left and len(own) >= most)):
            slots = {name: time for name, time in budget.slots.items() if name != flow}
            budget = budget._replace(suspended={**budget.suspended, flow: terms}, slots=slots)
            return Admission.PACK_SUSPENDED if len(budget.suspended) >= MANY else Admission.SUSPENDED, budget
        if not left:
            return Admission.PACED, budget._waiting(flow, terms)
        slots = {name: time for name, time in budget.slots.items() if name != flow}
        if budget.slots.get(flow, now) > now + _ROUNDING:  # more of it waits, now behind the others
            slots[flow] = budget.slots[flow]
        return Admission.GRANTED, budget._replace(
            spent=budget.spent + 1.0, taken={**budget.taken, flow: (*own, now)}, slots=slots
        )

    def given_back(self, flow: str) -> Budget:
        """Return the budget without the last step of a flow, of which nothing was done."""
        own = self.taken.get(flow)
        if not own:
            return self
        return self._replace(spent=self.spent - 1.0, taken={**self.taken, flow: own[:-1]})

    def _at(self, terms: Terms, now: float) -> Budget:
        """The budget as it is now, under these terms."""
        last = {flow: tuple(time for time in times if time > now - WINDOW) for flow, times in self.taken.items()}
        slots = {flow: time for flow, time in self.slots.items() if time > now - GRACE}
        suspended = {flow: before for flow, before in self.suspended.items() if not resumed(before, terms)}
        # Turns that are kept may need more than a small bucket holds.
        overflow = max(0.0, 1.0 + len(slots) - max(1.0, terms.pace)) if slots else 0.0
        filled = (now - self.at) * terms.pace / WINDOW
        return Budget(
            max(self.spent - filled, -overflow), now, {flow: times for flow, times in last.items() if times}, slots, suspended,
            now if len(suspended) < len(self.suspended) else self.paced_at,
        )  # fmt: skip

    def _missing(self, flow: str, terms: Terms) -> float:
        """How many steps have to come free before the turn of a flow: its own, and one for each before it."""
        if terms.limit == 0:
            return 0.0
        order = [*self.slots]
        before = order.index(flow) if flow in self.slots else len(order)
        return 1.0 + before - (max(1.0, terms.pace) - self.spent)

    def _waiting(self, flow: str, terms: Terms) -> Budget:
        """The budget in which one more object of a flow waits: until its turn, or that of the ones of its flow before it."""
        turn = (1 + len(self.slots.keys() - {flow})) * WINDOW / terms.pace
        first = self.at + max(0.0, self._missing(flow, terms)) * WINDOW / terms.pace
        slot = max(first, self.slots.get(flow, 0.0) + turn) if flow in self.slots else first
        return self._replace(slots={**self.slots, flow: min(slot, self.at + PAUSE)})
