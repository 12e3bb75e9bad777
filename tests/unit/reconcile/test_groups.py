"""When a group is acted for again: its throttle runs from its last write on, and does not delay a step that waits."""

from __future__ import annotations

from engine.cel import backend
from engine.model.objects import Kind, annotations_of
from engine.packs.parse import parse_pack
from tests.world import POD, World, named, pod

CONFIG = Kind("v1", "ConfigMap")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: Pod, fields: [metadata.labels]}
  targets:
    - {apiVersion: v1, kind: ConfigMap, verbs: [get, list, patch]}
  rules:
    - name: count
      aggregate:
        by: object.metadata.labels.group
        target: {apiVersion: v1, kind: ConfigMap, namespace: ns, name: '${groupKey}'}
        counts: {pods: 'true'}
      throttle: {every: 60s}
      actions:
        - annotate: {annotations: {a/pods: '${group.pods}'}, target: {apiVersion: v1, kind: ConfigMap, name: '${groupKey}'}}
        - patch:
            target: {apiVersion: v1, kind: ConfigMap, namespace: ns, name: '${groupKey}'}
            guard: get(target, 'data.ready', '') == 'yes'
            patch: {data: {seen: 'yes'}}
"""


async def world_of(ready: str) -> World:
    """A ConfigMap that one pod is counted on, and what came of that."""
    (pack,) = parse_pack(PACK, "pack.yaml", backend())
    world = World(pack)
    await world.create(named(CONFIG, "total", data={"ready": ready}), pod("one", group="total"))
    await world.settle()
    return world


async def test_a_step_that_waits_is_tried_again_within_the_throttle() -> None:
    """The first action has written, the second waits for its guard: it goes on soon after that holds."""
    world = await world_of("no")
    await world.patch(CONFIG, "total", {"data": {"ready": "yes"}})

    await world.settle(5)

    assert (await world.get(CONFIG, "total"))["data"].get("seen") == "yes"


async def test_a_throttle_runs_from_the_last_write_on() -> None:
    """A second pod within the minute is counted at its end."""
    world = await world_of("yes")
    await world.settle(10)
    await world.create(pod("two", group="total"))

    await world.settle(45)
    early = annotations_of(await world.get(CONFIG, "total"))["a/pods"]
    await world.settle(10)

    assert (early, annotations_of(await world.get(CONFIG, "total"))["a/pods"]) == ("1", "2")
    assert len(await world.all(POD)) == 2
