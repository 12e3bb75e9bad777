"""What the pages say of a running operator, as plain data, and only what one viewer may see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from engine.console.firings import BAD, Firing, Firings, Hidden
from engine.console.viewer import Viewer
from engine.errors import Fault
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.objects import GROUP, GroupKey, Kind, ObjectKey, Ref
from engine.operator.standing import counts, standing
from engine.operator.wiring import Operator
from engine.packs.catalog import Catalog
from engine.packs.excerpts import excerpt, lines_at
from engine.packs.pack import RulePack
from engine.packs.sources import Text
from engine.packs.versions import Report
from engine.reconcile.budgets import described
from engine.reconcile.state import Stall

T = TypeVar("T")

SLICE, PER_TURN = 500, 50
"""How many objects, and how many rules, are handled before others have their turn."""
SECRET_READ = "(hidden: the rule reads a Secret, or a kind that it computes)"
UNSEEN = "(hidden: you may not get all that the rule reads)"
SHOWN = 50
"""How many firings a page shows."""
LATELY = 5
"""How many failures the overview names."""
FAULTS = 50
"""How many faults of a source are shown."""


class Filter(NamedTuple):
    """Which firings are shown: those in whose names each text is, and that ended so; '' for any."""

    pack: str = ""
    rule: str = ""
    object: str = ""
    result: str = ""

    def fits(self, firing: Firing) -> bool:
        """Return whether a firing is shown."""
        if not any(self):
            return True
        ended = not self.result or firing.result in (BAD if self.result == "problem" else (self.result,))
        names = (self.pack, firing.pack), (self.rule, firing.rule), (self.object, firing.object)
        return ended and all(not part or part.lower() in str(name).lower() for part, name in names)


@dataclass(slots=True)
class Waiting:
    """What waits of one rule for the same: how many items, since when, an example that the viewer may see, and why in words."""

    pack: str
    rule: str
    obstacle: str
    items: int
    since: float
    example: str
    reason: str


class Content:
    """Says what a running operator does."""

    def __init__(self, operator: Operator, firings: Firings, clock: Clock) -> None:
        self._operator, self._firings, self._clock = operator, firings, clock

    @property
    def version(self) -> int:
        """The version of the last change of a firing."""
        return self._firings.version

    @property
    def audited(self) -> int:
        """The version of the last change of what there is of firings in Audit."""
        return self._firings.audited

    def leading(self) -> Mapping[str, Any]:
        """Return whether this replica acts, and what is missing before it can."""
        operator = self._operator
        return {
            "leads": operator.may_act(), "leader": operator.leader.holder or "", "problems": list(operator.health.unready()),
        }  # fmt: skip

    async def overview(self, viewer: Viewer) -> dict[str, Any]:
        """Return what the overview says."""
        failed = [firing async for firing in self.visible(viewer, Filter(result="problem"), LATELY)]
        packs = await viewer.sees_packs()
        return {
            "leading": self.leading(), "waiting": await self.waiting(viewer), "failed": failed, "sees_packs": packs,
            "suspended": self._suspended() if packs else [],
            "faults": [report for report in self._operator.packs.reports if report.faults] if packs else [],
            "unready": [each for each in self._packs() if each["state"] not in ("Ready", "Disabled")] if packs else [],
            "count": len(self._operator.reconciler.catalog.packs),
        }  # fmt: skip

    def _suspended(self) -> list[tuple[str, str, float, bool]]:
        """Return pack, for whom, since when, and whether the budget is spent; else it is a removal that is held back."""
        activity = self._operator.activity
        return [
            (pack, described(flow), since, flow in activity.spent.get(pack, ()))
            for pack, flows in sorted(activity.suspensions.items())
            for flow, since in sorted(flows.items())
        ]

    async def waiting(self, viewer: Viewer, pack: str = "") -> list[Waiting]:
        """Return what has waited for a minute, of one pack or of all, as far as the viewer may see the objects."""
        started = self._clock.time() - self._clock.monotonic()
        found: dict[tuple[str, str, str], Waiting] = {}
        keys: dict[tuple[str, str, str], ObjectKey | GroupKey] = {}
        async for key, wait in _in_slices(list(self._operator.reconciler.waits.overdue())):
            if (pack and wait.pack != pack) or not await viewer.sees(_ref(key)):
                continue
            where, since = (wait.pack, wait.rule, wait.obstacle.value), started + wait.since
            each = found.setdefault(where, Waiting(*where, 0, since, "", ""))
            each.items += wait.items
            if not each.example or since < each.since:
                each.since, each.example, keys[where] = since, str(key), key
        for where, key in keys.items():
            if isinstance(key, GroupKey):
                if not await self._may_look_up(viewer, self._firings.looks_up(key.pack, key.rule, key.ref)):
                    found[where].example = f"a group of {key.pack}/{key.rule}"  # its key may be from any of its members
            else:
                reasons = await self.reasons(viewer, key, *where[:2])
                found[where].reason = next((reason for why, reason in reasons if why == where[2]), "")
        return [each for _, each in sorted(found.items())]

    async def reasons(self, viewer: Viewer, key: ObjectKey, pack: str, rule: str) -> list[tuple[str, str]]:
        """Return what an object waits for, in a word and in words as the Event on it; a missing right comes with the command.

        The words may quote what the rule reads: for people who may not get all of that they say so instead.
        """
        hides = self._firings.hides(pack, rule, key.kind)
        blind = not await self._may_look_up(viewer, self._firings.looks_up(pack, rule, _ref(key)))
        reasons = []
        for stall, seen in self._stalls(key, pack, rule):
            unseen = blind or await self._unseen(viewer, {Ref(*each[:3]) for each in seen} - {_ref(key)})
            reasons.append((stall.obstacle.value, SECRET_READ if hides else UNSEEN if unseen else stall.reason))
        return reasons

    def _stalls(self, key: ObjectKey, pack: str, rule: str) -> Iterator[tuple[Stall, Iterable[Ref]]]:
        """Yield what a rule waits for, with what its actions have read."""
        for state in self._operator.reconciler.states(key):
            if state.pack.identity == pack and (found := state.rules.get(rule)):
                items = found.firing.items.values() if found.firing else ()
                yield from ((item.stall, item.seen) for item in items if item.ended is None and item.stall is not None)
                if found.stall:
                    yield found.stall, ()

    async def visible(
        self, viewer: Viewer, only: Filter, limit: int, *, after: int = -1, mode: Mode | None = None
    ) -> AsyncIterator[Firing]:
        """Yield the newest firings that the viewer may see, the newest first: of a mode, changed after a version."""
        shown = 0
        async for firing in _in_slices([each for each in self._firings.newest() if mode in (None, each.mode)]):
            if firing.version > after and only.fits(firing) and await self._sees(viewer, firing):
                yield firing
                shown += 1
                if shown == limit:
                    return

    async def _sees(self, viewer: Viewer, firing: Firing) -> bool:
        """Return whether a viewer may see that a rule fired; of a group, whose key may be from any member, all of these."""
        sees = await viewer.sees(firing.object)
        return sees and (firing.object.kind != GROUP or await self._may_look_up(viewer, firing.looks_up))

    async def hidden(self, viewer: Viewer, firing: Firing) -> Hidden:
        """Return what a viewer may not see of a firing: steps on what they may not get, and texts that may quote such."""
        blind = not await self._may_look_up(viewer, firing.looks_up)
        unseen = await self._unseen(viewer, {ref for step in firing.steps for ref in (*step.reads, step.target) if ref})
        steps = {number for number, each in enumerate(firing.steps) if each.target in unseen}
        texts = {number for number, each in enumerate(firing.steps) if blind or not unseen.isdisjoint(each.reads)}
        return Hidden(frozenset(steps), frozenset(steps | texts), key=blind and firing.unwritten)

    @staticmethod
    async def _unseen(viewer: Viewer, refs: Iterable[Ref]) -> set[Ref]:
        return {ref for ref in refs if not await viewer.sees(ref)}

    @staticmethod
    async def _may_look_up(viewer: Viewer, kinds: Iterable[tuple[Kind, str]]) -> bool:
        for kind, namespace in kinds:
            if not await viewer.may("get", kind, namespace):
                return False
        return True

    def packs(self) -> dict[str, Any]:
        """Return what the list of packs says."""
        return {"packs": self._packs(), "refused": [self._source(each) for each in self._operator.packs.reports if each.faults]}

    def _packs(self) -> list[dict[str, Any]]:
        waiting: dict[str, int] = {}
        for _, wait in self._operator.reconciler.waits.overdue():
            waiting[wait.pack] = waiting.get(wait.pack, 0) + wait.items
        return [self._pack(pack, waiting.get(name, 0)) for name, pack in sorted(self._catalog.packs.items())]

    @property
    def _catalog(self) -> Catalog:
        return self._operator.reconciler.catalog

    def _pack(self, pack: RulePack, waiting: int) -> dict[str, Any]:
        activity, name = self._operator.activity, pack.identity
        did = [counts(activity, name, rule.name) for rule in pack.rules]
        state, why = self._state(pack)
        return {
            "name": name, "description": pack.description, "mode": self._catalog.mode(pack).word, "source": pack.source,
            "kinds": ", ".join(kind.kind for kind in pack.watches), "state": state, "why": why, "rules": len(pack.rules),
            "fired": sum(each.fired for each in did), "failed": sum(each.failed for each in did), "waiting": waiting,
        }  # fmt: skip

    def _state(self, pack: RulePack) -> tuple[str, Sequence[str]]:
        """Return in a word how a pack in force stands, and why in sentences; see `Operator.fare`, which counts as well."""
        if self._catalog.mode(pack) is Mode.OFF:
            return "Disabled", ()
        reason, why = standing(self._operator.activity, pack, self._operator.caches, self._operator.resume)
        return reason or "Ready", why

    async def pack(self, name: str, viewer: Viewer) -> dict[str, Any] | None:
        """Return what the page of one pack says, None where there is none of that name."""
        pack = self._catalog.packs.get(name)
        if pack is None:
            return None
        waiting = await self.waiting(viewer, name)
        rows = []
        for index, rule in enumerate(pack.rules):
            did = counts(self._operator.activity, name, rule.name)
            last = self._operator.activity.rules.get((name, rule.name))
            ref = last.fired[1].object if last and last.fired else None
            seen = ref is not None and await viewer.sees(ref)
            rows.append({
                "name": rule.name, "description": rule.description, "mode": self._catalog.mode(pack, rule).word,
                "counts": did, "object": str(ref) if seen else "",
                "waiting": [each for each in waiting if each.rule == rule.name],
            })  # fmt: skip
            if index % PER_TURN == 0:
                await asyncio.sleep(0)
        reports = [self._source(each) for each in self._operator.packs.reports if name in each.packs]
        refusals = self._operator.reconciler.waits.refusals(name)
        return {"pack": self._pack(pack, sum(each.items for each in waiting)), "rules": rows, "reports": reports,
                "refusals": len(refusals)}  # fmt: skip

    def _source(self, report: Report) -> dict[str, Any]:
        faults = [self._fault(fault) for fault in islice(report.faults, FAULTS)]
        warnings = [self._fault(fault) for fault in islice(report.warnings, FAULTS)]
        return {
            "source": report.source, "faults": faults, "warnings": warnings, "count": len(report.faults), "note": report.note,
            "packs": report.packs,
        }  # fmt: skip

    def _fault(self, fault: Fault) -> dict[str, str]:
        read = next((each for each in self._operator.packs.read if each.file == fault.location.file), None)
        lines: Sequence[str] = ()
        if read is not None:
            lines = read.text.splitlines() if isinstance(read, Text) else lines_at(read.spec, fault.location)
        there = 0 < fault.location.line <= len(lines)
        line, before = excerpt(lines[fault.location.line - 1], fault.location.column) if there else ("", "")
        return {"where": str(fault.location), "text": fault.text, "code": fault.code, "line": line, "before": before}


def _ref(key: ObjectKey | GroupKey) -> Ref:
    return key.ref if isinstance(key, GroupKey) else Ref(key.kind, key.namespace, key.name)


async def _in_slices(values: Iterable[T]) -> AsyncIterator[T]:
    """Yield values, and let others have their turn from time to time."""
    for index, value in enumerate(values):
        if index % SLICE == SLICE - 1:
            await asyncio.sleep(0)
        yield value
