"""What aggregates say while the kind that they count is not served."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.kube.faults import InjectedFault
from engine.model.objects import Kind, annotations_of
from tests.unit.operator.test_operator import WIDGET, Fixture

CONFIG = Kind("v1", "ConfigMap")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: totals}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets:
    - {apiVersion: v1, kind: ConfigMap, verbs: [get, list, patch]}
  rules:
    - name: count
      aggregate:
        by: "'total'"
        target: {apiVersion: v1, kind: ConfigMap, namespace: default, name: total}
        counts: {widgets: 'true'}
      actions:
        - annotate: {annotations: {example.com/widgets: '${group.widgets}'}}
"""


async def total(fixture: Fixture) -> str | None:
    """What the ConfigMap says."""
    found = await fixture.cluster.get(await fixture.cluster.discover(CONFIG), "default", "total")
    return annotations_of(found).get("example.com/widgets")


@pytest.mark.parametrize("seconds", [20, 200])
async def test_a_count_stays_until_a_list_has_succeeded(seconds: float, tmp_path: Path) -> None:
    """Whether the kind is away for a moment or for minutes, nothing reports 0; afterwards the count is of what is there."""
    fixture = Fixture(tmp_path)
    (fixture.rules / "pack.yaml").write_text(PACK)
    for name in "abc":
        await fixture.widget(name)
    resource = await fixture.cluster.discover(CONFIG)
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "total"}}
    async with fixture.running(fixture.operator()):
        await fixture.cluster.create(resource, "default", body)
        await fixture.widget("d")
        await fixture.clock.advance(5)
        before = await total(fixture)
        for verb in ("discover", "list", "watch"):
            fixture.cluster.faults.add(InjectedFault(404, verb=verb, kind="Widget", times=None))
        fixture.cluster.cut_watches()
        await fixture.clock.advance(seconds)
        meanwhile = await total(fixture)
        fixture.cluster.faults.clear()
        await fixture.cluster.delete(WIDGET, "default", "a")
        await fixture.clock.advance(30)

    assert (before, meanwhile, await total(fixture)) == ("4", "4", "3")


GAUGE = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: totals}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  metrics: {widgets: {type: gauge, help: Widgets., labels: [size]}}
  rules:
    - name: count
      aggregate: {by: string(object.spec.size), counts: {widgets: 'true'}}
      actions:
        - metric: {name: widgets, labels: {size: '${groupKey}'}, value: '${group.widgets}'}
"""


@pytest.mark.parametrize("seconds", [20, 200])
async def test_the_gauge_of_a_group_that_empties_meanwhile_goes_to_0(seconds: float, tmp_path: Path) -> None:
    """Not before a list has succeeded; what is not certain is not reported."""
    fixture = Fixture(tmp_path)
    (fixture.rules / "pack.yaml").write_text(GAUGE)
    await fixture.widget("a", 1)
    await fixture.widget("b", 2)
    operator = fixture.operator()

    def shown() -> list[str]:
        return sorted(re.findall(r"^widgets{.*", b"".join(operator.metrics.pieces()).decode(), re.MULTILINE))

    async with fixture.running(operator):
        await fixture.clock.advance(5)
        before = shown()
        for verb in ("discover", "list", "watch"):
            fixture.cluster.faults.add(InjectedFault(404, verb=verb, kind="Widget", times=None))
        fixture.cluster.cut_watches()
        await fixture.cluster.delete(WIDGET, "default", "a")
        await fixture.clock.advance(seconds)
        meanwhile = shown()
        fixture.cluster.faults.clear()
        await fixture.clock.advance(30)

        assert before == meanwhile == ['widgets{size="1"} 1.0', 'widgets{size="2"} 1.0']
        assert shown() == ['widgets{size="1"} 0.0', 'widgets{size="2"} 1.0']


HOUR = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: hour}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  rules:
    - name: r
      for: 1h
      oncePer: object.metadata.uid
      existing: Ignore
      actions:
        - annotate: {annotations: {example.com/mark: big}}
"""


@pytest.mark.parametrize("seconds", [20, 1200])
async def test_an_hour_goes_on_and_nothing_is_done_twice(seconds: float, tmp_path: Path) -> None:
    """A kind that is away in the middle of an hour, and again after it: the rule fires once, at the end of the first hour."""
    fixture = Fixture(tmp_path)
    (fixture.rules / "pack.yaml").write_text(HOUR)
    await fixture.widget("before")
    await fixture.clock.advance(60)

    async def away() -> None:
        for verb in ("discover", "list", "watch"):
            fixture.cluster.faults.add(InjectedFault(404, verb=verb, kind="Widget", times=None))
        fixture.cluster.cut_watches()
        await fixture.clock.advance(seconds)
        fixture.cluster.faults.clear()

    async with fixture.running(fixture.operator()):
        await fixture.clock.advance(60)
        await fixture.widget("after")
        await fixture.clock.advance(1800)
        await away()
        await fixture.clock.advance(1740 - seconds)
        early = await fixture.mark("after")
        await fixture.clock.advance(120)
        marks = [await fixture.mark(name) for name in ("before", "after")]
        await away()
        await fixture.clock.advance(7200)

    assert (early, marks) == (None, [None, "big"])
    writes = [write for write in fixture.writes() if write == "Widget default/after"]
    assert len(writes) == 2  # the timer, and the firing
