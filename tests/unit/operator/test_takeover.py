"""What another replica goes on with, when it takes the Lease of one that has lost the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from pathlib import Path

import pytest

from engine.cel import backend
from engine.kube.faults import Effect, Faults, InjectedFault
from engine.kube.leases import LEASE
from engine.model.objects import annotations_of
from engine.operator.settings import Settings
from engine.operator.wiring import Operator
from tests.unit.operator.test_operator import CONFIG_MAP, OPEN, Fixture

HEAD = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets:
    - {apiVersion: v1, kind: ConfigMap, verbs: [get, list, patch]}
  rules:
    - name: r
"""
HOUR = """\
      when: object.spec.size > 10
      for: 1h
      oncePer: object.metadata.uid
      actions:
        - annotate: {annotations: {example.com/mark: big}}
"""
NEW = """\
      oncePer: object.metadata.uid
      existing: Ignore
      actions:
        - annotate: {annotations: {example.com/mark: new}}
"""
WAITS = """\
      oncePer: object.metadata.uid
      loop: "['open', 'shut']"
      loopKey: item
      retry: {timeout: 1h}
      actions:
        - patch:
            target: {apiVersion: v1, kind: ConfigMap, namespace: default, name: '${item}'}
            guard: target.data.word == 'open'
            patch: {data: {seen: 'yes'}}
      rescue:
        - emitEvent: {type: Warning, reason: GaveUp, message: '${item}'}
"""
TOTALS = """\
      aggregate:
        by: "'total'"
        target: {apiVersion: v1, kind: ConfigMap, namespace: default, name: '${groupKey}'}
        counts: {widgets: 'true'}
      throttle: {every: 1h}
      actions:
        - annotate: {annotations: {example.com/widgets: '${string(group.widgets)}'}}
"""
MINUTE = 60.0


class Replicas:
    """Two replicas of one engine, of which the first leads until it is cut off."""

    def __init__(self, fixture: Fixture) -> None:
        self.fixture, self._clusters = fixture, [copy(fixture.cluster) for _ in range(2)]
        self.replicas = []
        for number, cluster in enumerate(self._clusters):
            cluster.faults = Faults(fixture.clock.time)
            settings = Settings(
                operator_namespace="system", rules=(fixture.rules,), address="127.0.0.1", identity=f"replica-{number}", **OPEN
            )
            self.replicas.append(Operator(cluster, settings, fixture.clock, backend()))

    def writes(self) -> list[str]:
        """What both have written, without Leases."""
        calls = [call for cluster in self._clusters for call in cluster.writes if call.status and call.ref.kind != LEASE.kind]
        return [f"{call.verb} {call.ref}" for call in calls]

    def cut_off(self) -> None:
        """Cut the connections of the leader."""
        first, second = self.replicas
        assert (first.may_act(), second.may_act()) == (True, False)
        self._clusters[0].faults.add(InjectedFault(Effect.CUT_BEFORE, times=None))

    async def takeover(self) -> None:
        """Cut the leader off, and wait until the other one leads."""
        first, second = self.replicas
        self.cut_off()
        await self.fixture.clock.advance(MINUTE)
        assert (first.may_act(), second.may_act()) == (False, True)


@asynccontextmanager
async def replicas(folder: Path, rule: str) -> AsyncIterator[Replicas]:
    """Two replicas with one rule, and two ConfigMaps."""
    fixture = Fixture(folder)
    (folder / "pack.yaml").write_text(HEAD + rule)
    both = Replicas(fixture)
    async with fixture.running(*both.replicas):
        for name, word in (("open", "open"), ("shut", "shut"), ("total", "")):
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"word": word}}
            await fixture.cluster.create(CONFIG_MAP, "default", body)
        yield both


async def test_an_hour_does_not_begin_anew(tmp_path: Path) -> None:
    """A `for: 1h` of which the first replica has seen 40 minutes fires in the second one after 20 more."""
    async with replicas(tmp_path, HOUR) as both:
        fixture = both.fixture
        await fixture.widget("a")
        await fixture.clock.advance(40 * MINUTE)
        await both.takeover()
        await fixture.clock.advance(18 * MINUTE)
        early = await fixture.mark("a")
        await fixture.clock.advance(2 * MINUTE)
        assert (early, await fixture.mark("a")) == (None, "big")
        assert both.writes() == ["patch Widget default/a"] * 2  # the timer, and the firing


async def test_what_happened_before_the_rule_stays_so_and_what_happens_meanwhile_is_caught_up(tmp_path: Path) -> None:
    """With `existing: Ignore`: of three objects, those that came after the rule, whoever led then."""
    fixture = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(HEAD + NEW)
    await fixture.widget("before")
    await fixture.clock.advance(MINUTE)
    both = Replicas(fixture)
    async with fixture.running(*both.replicas):
        await fixture.clock.advance(MINUTE)
        await fixture.widget("while-the-first-leads")
        await fixture.clock.advance(MINUTE)
        both.cut_off()
        await fixture.widget("while-nobody-leads")
        await fixture.clock.advance(MINUTE)
        assert both.replicas[1].may_act()
        marks = {name: await fixture.mark(name) for name in ("before", "while-the-first-leads", "while-nobody-leads")}
        assert marks == {"before": None, "while-the-first-leads": "new", "while-nobody-leads": "new"}
        assert both.writes() == ["patch Widget default/while-the-first-leads", "patch Widget default/while-nobody-leads"]


async def test_what_waits_times_out_when_it_would_have(tmp_path: Path) -> None:
    """An item that has waited for 40 minutes of an hour gives up after 20 more; what had ended is not done again."""
    async with replicas(tmp_path, WAITS) as both:
        fixture = both.fixture
        await fixture.widget("a")
        await fixture.clock.advance(40 * MINUTE)
        await both.takeover()
        await fixture.clock.advance(16 * MINUTE)
        early = await fixture.events("default")
        await fixture.clock.advance(8 * MINUTE)
        (event,) = [event for event in await fixture.events("default") if event["reason"] == "GaveUp"]
        assert (early, event["message"]) == ([], "shut")
        assert [write for write in both.writes() if "ConfigMap" in write] == ["patch ConfigMap default/open"]


async def test_a_group_is_written_when_its_hour_is_over(tmp_path: Path) -> None:
    """A throttle of an hour that began under the first replica ends under the second."""

    async def total() -> str | None:
        found = await fixture.cluster.get(CONFIG_MAP, "default", "total")
        return annotations_of(found).get("example.com/widgets")

    async with replicas(tmp_path, TOTALS) as both:
        fixture = both.fixture
        await fixture.widget("a")
        await fixture.clock.advance(40 * MINUTE)
        await fixture.widget("b")
        await both.takeover()
        await fixture.clock.advance(17 * MINUTE)
        early = await total()
        await fixture.clock.advance(3 * MINUTE)
        assert (early, await total()) == ("1", "2")


@pytest.mark.parametrize("rule", [HOUR, NEW, WAITS, TOTALS])
async def test_a_takeover_with_nothing_to_do_writes_nothing(rule: str, tmp_path: Path) -> None:
    """Whatever is remembered is read, not written again."""
    async with replicas(tmp_path, rule) as both:
        fixture = both.fixture
        await fixture.widget("a")
        await fixture.clock.advance(120 * MINUTE)
        before = both.writes()
        await both.takeover()
        await fixture.clock.advance(120 * MINUTE)
        assert both.writes() == before
