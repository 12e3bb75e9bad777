"""Who observes what the engine decides and does: metrics, logs, the demo's screen, test reports."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

from engine.model.flags import Mode
from engine.model.objects import Ref
from engine.model.plan import Create, Delete, Patch, Step


class Evaluated(StrEnum):
    """What came of the evaluation of a rule for an object."""

    FIRED = "fired"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class ActResult(StrEnum):
    """How one step, or one whole action, ended."""

    DONE = "done"
    UNCHANGED = "unchanged"
    WAITING = "waiting"
    RETRYING = "retrying"
    FAILED = "failed"
    REFUSED = "refused"
    DROPPED = "dropped"
    AUDITED = "audited"


TIMER = "timer"
"""The action of an act by which a timer was to be put on record. That it is refused is no failure of the rule, which goes on."""


class Act(NamedTuple):
    """One thing the engine did, or would have done, for a rule and an object.

    `step` is None where the action came to no step; `detail` says why, or what was answered; `diff` holds lines
    `path: old → new` of what a patch changes. `read` is what an action without a step has read. `seen` is what the actions up to
    this one have read or tried to, one without a name for all of its kind and namespace: any text may hold values of these.
    It `hides` where a Secret is among what the rule has read.
    """

    pack: str
    rule: str
    object: Ref
    key: str
    item: str
    action: str
    step: Step | None
    result: ActResult
    detail: str = ""
    diff: tuple[str, ...] = ()
    mode: Mode = Mode.ENFORCE
    read: tuple[Ref, ...] = ()
    seen: tuple[Ref, ...] = ()
    hides: bool = False

    @property
    def target(self) -> Ref:
        """What was acted on: what the step changes, or the one object that it would have changed; else the watched object."""
        if isinstance(self.step, Patch | Delete | Create):
            return self.step.target
        return self.read[0] if len(self.read) == 1 else self.object


class Observer(Protocol):
    """Called synchronously; must be quick and must not raise."""

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """A rule was evaluated for an object; `reason` is the first thing that keeps it from firing, or ''."""
        ...

    def acted(self, act: Act) -> None:
        """An action has taken a step, or has come to none."""
        ...

    def measured(self, obj: Ref, metric: str, labels: Mapping[str, str], value: float) -> None:
        """A pack's own metric has a new measurement, made for an object."""
        ...

    def suspended(self, pack: str, flow: str, obj: Ref) -> None:
        """A pack is suspended for a flow (`flow_of`), which has spent its budget; `obj` is the first one that is held back."""
        ...

    def contested(self, pack: str, rule: str, target: Ref) -> None:
        """A rule waits with a write that somebody else undoes again and again."""
        ...


class Observers:
    """Several observers as one."""

    def __init__(self, *observers: Observer) -> None:
        self._all = observers

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Pass it to all."""
        for observer in self._all:
            observer.evaluated(pack, rule, obj, result, reason)

    def acted(self, act: Act) -> None:
        """Pass it to all."""
        for observer in self._all:
            observer.acted(act)

    def measured(self, obj: Ref, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Pass it to all."""
        for observer in self._all:
            observer.measured(obj, metric, labels, value)

    def suspended(self, pack: str, flow: str, obj: Ref) -> None:
        """Pass it to all."""
        for observer in self._all:
            observer.suspended(pack, flow, obj)

    def contested(self, pack: str, rule: str, target: Ref) -> None:
        """Pass it to all."""
        for observer in self._all:
            observer.contested(pack, rule, target)
