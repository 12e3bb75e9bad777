"""What aggregates say while the kind that they count is not served."""

from __future__ import annotations

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
    """Whether the kind is away for a moment or for minutes, nobody is told 0; afterwards the count is of what is there."""
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
