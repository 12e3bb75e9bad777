"""What waits, as an administrator meets it: the metric and /packs; and what 10,000 of them cost."""

from __future__ import annotations

import gc
import json
import tracemalloc
from pathlib import Path
from typing import Any

from engine.kube.faults import InjectedFault
from engine.operator.wiring import Operator
from tests.unit.operator.test_operator import CONFIG_MAP, Fixture, ask
from tests.unit.reconcile.test_rule_fields import config, rule
from tests.world import World, pod

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: sweep}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets: [{apiVersion: v1, kind: ConfigMap, verbs: [get, patch]}]
  rules:
    - name: mark
      oncePer: object.metadata.uid
      actions:
        - patch: {target: {apiVersion: v1, kind: ConfigMap, name: marks}, patch: {data: {'${object.metadata.name}': seen}}}
"""
METRIC = 'rulepack_items_waiting{pack="sweep",reason="ServerError",rule="mark"}'


async def shown(operator: Operator) -> tuple[Any, list[str]]:
    """What /packs says that the rule waits for, and the series of the metric."""
    (pack,) = json.loads((await ask(operator, "/packs"))[1])["packs"]
    lines = (await ask(operator, "/metrics"))[1].splitlines()
    return pack["rules"][0]["waiting"], [line for line in lines if line.startswith("rulepack_items_waiting{")]


async def test_the_metric_and_packs_say_what_has_waited_for_a_minute(tmp_path: Path) -> None:
    """How many, since when, and the first few objects by name; nothing once it is over."""
    fixture = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(PACK)
    operator = fixture.operator()
    async with fixture.running(operator):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "marks"}}
        await fixture.cluster.create(CONFIG_MAP, "default", body)
        fixture.cluster.faults.add(InjectedFault(503, verb="patch", kind="ConfigMap", name="marks", times=None))
        for number in range(12):
            await fixture.widget(f"w{number}")
        await fixture.clock.advance(50)
        assert await shown(operator) == ([], [])
        await fixture.clock.advance(20)

        ((waiting,), series) = await shown(operator)
        assert (waiting["reason"], waiting["items"], len(waiting["objects"])) == ("ServerError", 12, 10)
        assert waiting["objects"][0].endswith("default/w0")
        assert series == [f"{METRIC} 12.0"]

        fixture.cluster.faults.clear()
        await fixture.clock.advance(305)
        assert await shown(operator) == ([], [])


async def test_ten_thousand_waiting_items_take_less_than_50_mb() -> None:
    """By the bytes that are allocated, the progress, the metric's data, and the Events that could not be sent included."""
    text = """\
      oncePer: object.data.word
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, name: web}, labels: {word: seen}}
"""
    world = World(rule(text))
    await world.create(pod("web"), *(config("a", name=f"c{number:05}") for number in range(10_000)))
    world.engine.faults.add(InjectedFault(503, kind="Pod", times=None))
    world.engine.faults.add(InjectedFault(503, kind="Event", times=None))
    keys = await world._refresh()
    world.engine.faults.calls.clear()
    gc.collect()
    tracemalloc.start()
    for later in (0, 20, 70):
        await world.clock.advance(later)
        for key in keys:
            await world.reconciler.reconcile(key)
        world.seen.acts.clear()
        world.seen.evaluations.clear()
        world.engine.faults.calls.clear()
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert sum(world.reconciler.waits.counts().values()) == 10_000
    assert used < 50_000_000, f"{used / 1e6:.1f} MB"
