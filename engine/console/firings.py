"""What rules did lately, for people who read the console: kept in memory, and bounded there."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from markupsafe import Markup

from engine.console.reads import RuleReads, reads_of
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.objects import SECRET, Kind, ObjectKey, Ref
from engine.model.observe import Act, ActResult, Evaluated
from engine.model.plan import Annotate, Create, Measure, Step
from engine.model.send import HIDDEN, Send
from engine.model.text import clean, cut
from engine.operator.activity import description
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.reconcile.item import RULE_FAILED

KEPT = 1_000
"""How many firings are kept."""
CHARACTERS = 4_000_000
"""How long all texts of these may be together: the oldest firings go when they are longer."""
STEPS = 20
"""How many steps of one firing are kept; the others are counted."""
LINES, TEXT = 20, 300
"""How many lines of a difference are kept, and how many characters of a line and of any other text."""
_OPEN = (ActResult.WAITING, ActResult.RETRYING)
"""A step that ended so is tried again."""
BAD = (ActResult.RETRYING, ActResult.FAILED, ActResult.REFUSED)


@dataclass(slots=True)
class StepTaken:
    """One action of a firing, for one item of a loop: what it does, to which other object, and how that ended.

    `reads` are the other objects that its texts may hold values of: what the actions of the item up to this one have read. One
    without a name stands for all of its kind and namespace.
    """

    action: str
    item: str
    what: str
    target: Ref | None
    result: ActResult
    detail: str
    diff: tuple[str, ...]
    sends: bool = False
    """Whether it goes elsewhere than to the API server, so that who may get its target cannot read it there."""
    reads: frozenset[Ref] = frozenset()
    attempts: int = 1

    def size(self) -> int:
        """Return how many characters it has."""
        return len(self.action) + len(self.item) + len(self.what) + len(self.detail) + sum(map(len, self.diff))


class Hidden(NamedTuple):
    """What a viewer may not see of a firing, by the numbers of its steps: what was done to which object, and texts of it.

    The `key` is hidden where rules read what the viewer may not get, until it is on record on the object.
    """

    steps: frozenset[int]
    texts: frozenset[int]
    key: bool


@dataclass(slots=True, eq=False)
class Firing:
    """One firing of a rule for an object or a group: times are of the clock, `version` grows with each change of any firing."""

    number: int
    pack: str
    rule: str
    object: Ref
    key: str
    mode: Mode
    began: float
    changed: float
    version: int
    looks_up: frozenset[tuple[Kind, str]] = frozenset()
    """Kinds and namespaces ('' for all) that the rule reads before it acts: values of these may be in any text."""
    steps: list[StepTaken] = field(default_factory=list)
    more: int = 0
    """Steps that are not kept."""
    rendered: dict[tuple[Hidden, bool], Markup] = field(default_factory=dict)
    """As HTML, by what the viewer may not see of it, and by whether it replaces what is shown."""

    @property
    def result(self) -> ActResult:
        """How it ended, or how it goes on: the worst of its steps."""
        results = [step.result for step in self.steps]
        order = (ActResult.FAILED, ActResult.REFUSED, ActResult.RETRYING, ActResult.WAITING, ActResult.AUDITED)
        return next((each for each in order if each in results), ActResult.DONE)

    @property
    def unwritten(self) -> bool:
        """Whether nothing of it is on the object: it is in Audit, or goes on."""
        return self.mode is Mode.AUDIT or self.under_way

    @property
    def under_way(self) -> bool:
        """Whether a step is tried again."""
        return any(step.result in _OPEN for step in self.steps)

    def size(self) -> int:
        """Return how many characters it has."""
        return sum(step.size() for step in self.steps) + len(self.key) + 200


class Firings:
    """An observer (engine.model.observe.Observer) that keeps the last firings.

    Where an object is a Secret, or a rule looks up one or acts on one, only names and results are kept: a value may be anywhere
    in the rest.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.catalog: Callable[[], Catalog] = Catalog
        self.version = 0
        self.kept: deque[Firing] = deque()
        self.audited = 0
        """The version of the last change of what is kept of firings in Audit."""
        self.looked_at = Counter[ObjectKey]()
        """By how many streams an object is followed."""
        self.evaluations: dict[ObjectKey, int] = {}
        """For each of these a number that it has had at no other time since rules were evaluated or acted for it."""
        self._numbers = count()
        self._open: dict[tuple[str, str, Ref], Firing] = {}
        self._characters = 0
        self._reads: dict[tuple[RulePack, str], RuleReads] = {}

    def newest(self) -> Iterator[Firing]:
        """Yield them, the newest first."""
        return reversed(self.kept)

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Note that another firing begins, unless the last one is under way."""
        self._count(obj)
        if result is Evaluated.FIRED and (last := self._open.get((pack, rule, obj))) and not last.under_way:
            del self._open[pack, rule, obj]

    @contextmanager
    def following(self, key: ObjectKey) -> Iterator[None]:
        """Count evaluations of an object meanwhile."""
        self.looked_at[key] += 1
        self.evaluations.setdefault(key, next(self._numbers))
        try:
            yield
        finally:
            self.looked_at[key] -= 1
            if not self.looked_at[key]:
                del self.looked_at[key]
                self.evaluations.pop(key, None)

    def _count(self, obj: Ref) -> None:
        if self.looked_at and (key := ObjectKey(*obj[:3])) in self.looked_at:
            self.evaluations[key] = next(self._numbers)

    def acted(self, act: Act) -> None:
        """Keep it as a step of its firing."""
        self._count(act.object)
        where = act.pack, act.rule, act.object
        firing = self._open.get(where)
        if isinstance(act.step, Measure) or (act.result is ActResult.UNCHANGED and firing is None):
            return  # nothing has happened that anybody would search for
        now = self._clock.time()
        self.version += 1
        if firing is None or firing.key != self._key(act):
            firing = Firing(self.version, act.pack, act.rule, act.object, self._key(act), act.mode, now, now, self.version)
            firing.looks_up = self.looks_up(act.pack, act.rule, act.object)
            self.kept.append(firing)
            self._open[where] = firing
        else:
            self._characters -= firing.size()
        firing.changed, firing.version = now, self.version
        firing.rendered.clear()
        self._add(firing, act)
        self._characters += firing.size()
        self._note_audit(firing)
        self._forget()

    def _note_audit(self, firing: Firing) -> None:
        if firing.mode is Mode.AUDIT:
            self.audited = self.version

    def measured(self, obj: Ref, metric: str, labels: Mapping[str, str], value: float) -> None:
        """Do nothing: a metric says it."""

    def suspended(self, pack: str, flow: str, obj: Ref) -> None:
        """Do nothing: `Activity` remembers it."""

    def contested(self, pack: str, rule: str, target: Ref) -> None:
        """Do nothing: the rule waits, which is shown."""

    def _key(self, act: Act) -> str:
        return HIDDEN if act.key and self.hides(act.pack, act.rule, act.object.kind) else cut(clean(act.key), TEXT)

    def _add(self, firing: Firing, act: Act) -> None:
        step = self._step(act)
        if isinstance(act.step, Create) and act.step.body.get("reason") == RULE_FAILED:  # all that says that it waits no longer
            for before in firing.steps:
                if before.result in _OPEN and before.item == step.item:
                    before.result = ActResult.FAILED
        for index, before in enumerate(firing.steps):
            if (before.action, before.item) == (step.action, step.item) and before.result in _OPEN:
                step.attempts = before.attempts + (before.result is ActResult.RETRYING)
                firing.steps[index] = step
                return
        if len(firing.steps) < STEPS:
            firing.steps.append(step)
        else:
            firing.more += 1

    def _step(self, act: Act) -> StepTaken:
        target = getattr(act.step, "target", None)
        reads = frozenset(Ref(*each[:3]) for each in act.seen) - {Ref(*act.object[:3])}
        secret = any(each.kind.kind == SECRET.kind for each in reads)
        hides = secret or self.hides(act.pack, act.rule, act.object.kind)
        item, detail = (HIDDEN if text and hides else cut(clean(text), TEXT) for text in (act.item, act.detail))
        diff = () if hides else tuple(cut(clean(line), TEXT) for line in act.diff[:LINES])
        what = _what(act.step, hides=hides)
        own = target is None or target[:3] == act.object[:3]
        return StepTaken(
            act.action, item, what, None if own else target, act.result, detail, diff, isinstance(act.step, Send), reads
        )

    def looks_up(self, pack: str, rule: str, obj: Ref) -> frozenset[tuple[Kind, str]]:
        """Return which kinds a rule reads for an object, in which namespaces ('' for all): lookups, members and params found."""
        there = self.catalog().packs.get(pack)
        if there is None:
            return frozenset()
        reads = self._reads_of(there, rule)
        places = {(kind, "" if place is None else place or obj.namespace) for kind, place in reads.places}
        return frozenset({*places, *((kind, "") for kind in reads.found)})

    def finds(self, pack: str, rule: str) -> frozenset[Kind]:
        """Return the kinds by which params are discovered that a rule reads."""
        there = self.catalog().packs.get(pack)
        return self._reads_of(there, rule).found if there else frozenset()

    def hides(self, pack: str, rule: str, kind: Kind) -> bool:
        """Return whether a value of a Secret may be in what a rule says of an object of a kind."""
        there = self.catalog().packs.get(pack)
        return kind.kind == SECRET.kind or there is None or self._reads_of(there, rule).secrets

    def _reads_of(self, pack: RulePack, rule: str) -> RuleReads:
        found = self._reads.get((pack, rule))
        if found is None:
            if len(self._reads) > KEPT:
                self._reads.clear()
            found = self._reads[pack, rule] = reads_of(pack, rule)
        return found

    def _forget(self) -> None:
        while len(self.kept) > KEPT or (self._characters > CHARACTERS and len(self.kept) > 1):
            gone = self.kept.popleft()
            self._characters -= gone.size()
            self._note_audit(gone)
            if self._open.get((gone.pack, gone.rule, gone.object)) is gone:
                del self._open[gone.pack, gone.rule, gone.object]


def _what(step: Step | None, *, hides: bool) -> str:
    if step is None:
        return ""
    if isinstance(step, Send) and hides:
        return f"{step.method} {HIDDEN}"
    if isinstance(step, Annotate):
        return "its own metadata"
    return cut(clean(description(step)), TEXT)
