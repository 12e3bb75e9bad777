"""Other operators in the cluster that act by the same rules: noticed by what they put on record, reported, and not competed with.

Each firing record names the operator that wrote it. Of two operators the one whose name sorts first goes on as ever; the other
one leaves each firing to it for a minute, and does then what is not on record yet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from cachetools import TTLCache

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.kube.clock import Clock
from engine.model.flags import Mode
from engine.model.objects import GroupKey, Object, ObjectKey, annotations_of, flow_of, ref_of
from engine.model.outcome import Done, Outcome, Skipped
from engine.packs.catalog import Catalog
from engine.packs.rule import Rule
from engine.reconcile.budgets import described
from engine.reconcile.events import Events
from engine.reconcile.matching import Evaluation
from engine.reconcile.record import PREFIX, written_by
from engine.reconcile.silent import logger
from engine.reconcile.state import RuleState

GRACE = 60.0
"""Seconds for which a firing is left to another operator that goes first."""
KNOWN, LIMIT = 600.0, 1000
"""Seconds for which another operator counts after its last record, and of how many packs and flows that is remembered."""
_NAME = re.compile(r"[a-z0-9][-a-z0-9]{0,62}/[a-z0-9][-.a-z0-9]{0,252}")
"""A namespace and the name of a Lease. Whoever may write annotations may write any text there."""
log = logger(__name__)


class _Noticed(NamedTuple):
    """A record by another operator, on an object: of which pack and rule."""

    operator: str
    pack: str
    rule: str
    object: Object


class Others:
    """The other operators, by pack and flow (`flow_of`). `name` is this one's, the same for all its replicas and shards."""

    def __init__(self, name: str, events: Events, clock: Clock) -> None:
        self._name, self._events, self._clock = name, events, clock
        self._rules: dict[str, tuple[str, str]] = {}
        self._seen: TTLCache[tuple[str, str], str] = TTLCache(LIMIT, KNOWN, timer=clock.monotonic)
        self._unreported: dict[ObjectKey | GroupKey, _Noticed] = {}

    def use(self, catalog: Catalog) -> None:
        """Take in which rules act; others are nobody's competitors."""
        acting = [
            (pack, rule) for pack in catalog.packs.values() for rule in pack.rules if catalog.mode(pack, rule) is Mode.ENFORCE
        ]
        self._rules = {PREFIX + pack.record_names[rule.name][0]: (pack.identity, rule.name) for pack, rule in acting}
        packs = {pack.identity for pack, _ in acting}
        for pack, flow in [seen for seen in self._seen if seen[0] not in packs]:
            self._seen.pop((pack, flow), None)
        self._unreported = {key: each for key, each in self._unreported.items() if each.pack in packs}

    def notice(self, old: Object, new: Object) -> None:
        """Take in a change of an object: a record that came with it, and that another operator has written.

        Records that an object had before may be those of an operator that is gone.
        """
        before, after = annotations_of(old), annotations_of(new)
        if before == after:
            return
        for key, text in after.items():
            if (acting := self._rules.get(key)) is not None and before.get(key) != text:
                ref = ref_of(new)
                operator = written_by(text, ref.uid)
                if operator != self._name and _NAME.fullmatch(operator):
                    self._note(_Noticed(operator, *acting, new))

    def _note(self, noticed: _Noticed) -> None:
        ref = ref_of(noticed.object)
        flow = noticed.pack, flow_of(ref)
        if self._seen.get(flow) != noticed.operator:
            log.warning("%s", self._message(noticed))
            if len(self._unreported) < LIMIT:
                self._unreported[ObjectKey(ref.kind, ref.namespace, ref.name)] = noticed
        self._seen[flow] = noticed.operator

    async def report(self, key: ObjectKey | GroupKey) -> None:
        """Emit the Event that an operator was noticed by this object, once for each pack and flow. Raises NotLeading."""
        noticed = self._unreported.pop(key, None)
        if noticed is not None and (noticed.pack, flow_of(key)) in self._seen:  # this replica may not have led for hours
            content = Content("Warning", "AnotherOperator", self._message(noticed), {})
            cause = Cause(noticed.pack, noticed.rule, noticed.object, ref_of(noticed.object), f"also {noticed.operator}")
            step = event(cause, noticed.object, content, datetime.fromtimestamp(self._clock.time(), UTC))
            await self._events.emit(key, step)

    def leave(
        self, evaluation: Evaluation, rule: Rule, outcome: Outcome, state: RuleState, catalog: Catalog
    ) -> tuple[Outcome, RuleState]:
        """Return Skipped in place of a firing that is left to another operator, with when to see whether that has done it.

        What has begun goes on. What an object that is gone gives cause to is on record nowhere, so all of it is left.
        """
        if not isinstance(outcome, Done):
            over = state.left is not None and isinstance(outcome, Skipped) and not outcome.unknown
            return outcome, state._replace(left=None) if over else state
        pack, now = evaluation.pack, evaluation.now
        operator = self._seen.get((pack.identity, flow_of(evaluation.ref)), "")
        waits = bool(operator) and self._stands_by(operator) and not state.under_way(outcome.result.key)
        if not waits or catalog.mode(pack, rule) is not Mode.ENFORCE:
            return outcome, state if state.left is None else state._replace(left=None)
        if evaluation.on == "Delete":
            return Skipped(f"left to operator {operator}"), state
        if state.left is None or state.left[0] != outcome.result.key:
            state = state._replace(left=(outcome.result.key, now))
        until = state.left[1] + GRACE if state.left else now
        if now < until:
            return Skipped(f"left for {GRACE:g} s to operator {operator}, which acts by the same rule", until), state
        return outcome, state._replace(left=None)

    def counts(self) -> Mapping[tuple[str, ...], float]:
        """Return for how many flows each operator was noticed within ten minutes, by pack and operator."""
        counts: dict[tuple[str, ...], float] = {}
        for (pack, _), operator in [*self._seen.items()]:
            counts[pack, operator] = counts.get((pack, operator), 0.0) + 1.0
        return counts

    def _stands_by(self, operator: str) -> bool:
        return operator < self._name

    def _message(self, noticed: _Noticed) -> str:
        flow = described(flow_of(ref_of(noticed.object)))
        here = (
            f"this one, {self._name}, leaves each firing to it for {GRACE:g} s" if self._stands_by(noticed.operator)
            else f"it leaves each firing to this one, {self._name}, for {GRACE:g} s"
        )  # fmt: skip
        return (
            f"Operator {noticed.operator} acts by pack {noticed.pack} in {flow} too, as its record of rule {noticed.rule} shows; "
            f"{here}. Uninstall one of them, or give each namespaces (WATCH_NAMESPACE) or packs of its own."
        )
