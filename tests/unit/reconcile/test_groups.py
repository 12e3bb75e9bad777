"""When a group is acted for again: its throttle runs from its last write on, and does not delay a step that waits."""

from __future__ import annotations

import json

import pytest

from engine.cel import backend
from engine.errors import InvalidText
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


URGENT = """\
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
        lists: {odd: {where: "label(object, 'odd') != ''", value: object.metadata.name, keepFor: 30s}}
        vars:
          untold: group.odd.filter(name, annotation(target, 'a/' + name) == '')
      throttle: {every: 60s, urgent: {when: size(vars.untold) > 0, every: 5s}}
      actions:
        - annotate: {annotations: {a/pods: '${group.pods}'}}
        - when: size(vars.untold) > 0
          annotate: {annotations: {'a/${vars.untold[0]}': told}}
"""


async def urgent_world() -> World:
    """A ConfigMap on which a pod has just been counted."""
    (pack,) = parse_pack(URGENT, "pack.yaml", backend())
    world = World(pack)
    await world.create(named(CONFIG, "total"), pod("one", group="total"))
    await world.settle()
    return world


async def written(world: World) -> dict[str, str]:
    found = annotations_of(await world.get(CONFIG, "total"))
    return {key.removeprefix("a/"): value for key, value in found.items() if key.startswith("a/")}


async def test_what_is_urgent_does_not_wait_for_the_throttle() -> None:
    """It fires after the interval of its own, again and again while it is urgent; what is not urgent waits."""
    world = await urgent_world()
    await world.create(pod("two", group="total"))
    await world.settle(10)
    assert await written(world) == {"pods": "1"}
    await world.create(pod("three", group="total", odd="x"), pod("four", group="total", odd="x"))
    await world.settle(1)
    assert await written(world) == {"pods": "4", "four": "told"}
    await world.settle(6)
    assert await written(world) == {"pods": "4", "four": "told", "three": "told"}


async def test_what_is_not_urgent_is_read_no_more_than_so_often() -> None:
    """A hundred changes within ten seconds cost two or three reads of the target."""
    world = await urgent_world()
    before = len([call for call in world.engine.calls if "total" in str(call)])
    for number in range(100):
        await world.create(pod(f"pod-{number}", group="total"))
        await world.settle(0.1)
    assert len([call for call in world.engine.calls if "total" in str(call)]) - before <= 3


async def test_what_a_list_keeps_is_seen_although_its_member_has_gone() -> None:
    """A pod that came and was counted, changed, and went within the interval is reported all the same."""
    world = await urgent_world()
    await world.settle(61)
    await world.create(pod("three", group="total"))
    await world.settle(0)
    await world.patch(POD, "three", {"metadata": {"labels": {"odd": "x"}}})
    await world.settle(0)
    await world.delete(POD, "three")
    await world.settle(10)
    assert (await written(world))["three"] == "told"


def test_urgent_belongs_to_an_aggregate() -> None:
    """Elsewhere it is a fault."""
    text = (
        PACK.partition("      aggregate:")[0]
        + "      throttle: {every: 60s, urgent: {when: 'true'}}\n      actions: [{annotate: {annotations: {a: b}}}]\n"
    )
    with pytest.raises(InvalidText, match="urgent without an aggregate"):
        parse_pack(text, "pack.yaml", backend())


READER, WRITER = (
    f"""\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: {name}}}
spec:
  watch: {{apiVersion: v1, kind: Pod, fields: [metadata.labels, 'metadata.annotations["{watched}"]']}}
  rules:
    - name: note
      actions: [{{annotate: {{annotations: {{{annotation}: "${{{value}}}"}}}}}}]
"""
    for name, watched, annotation, value in (
        ("a-reader", "b/written", "a/read", "annotation(object, 'b/written')"),
        ("b-writer", "c/other", "b/written", "label(object, 'group')"),
    )
)


async def test_what_one_pack_writes_is_news_for_another_that_has_just_evaluated() -> None:
    """Both evaluate the same change; the one that watches what the other writes then evaluates once more."""
    world = World(*(parse_pack(text, "pack.yaml", backend())[0] for text in (READER, WRITER)))
    await world.create(pod("one", group="x"))
    await world.settle()
    assert annotations_of(await world.get(POD, "one"))["a/read"] == "x"


HOURLY = f"""\
{PACK.partition("        - annotate:")[0].replace("60s", "1h")}\
        - annotate: {{annotations: {{a/pods: '${{group.pods}}'}}}}
"""


async def counted(world: World) -> str:
    """What is written about the group."""
    return annotations_of(await world.get(CONFIG, "total"))["a/pods"]


async def hourly(text: str = HOURLY) -> World:
    """A group that was written once and may be written again in an hour."""
    (pack,) = parse_pack(text, "pack.yaml", backend())
    world = World(pack)
    await world.create(named(CONFIG, "total"), pod("one", group="total"))
    await world.settle()
    return world


async def test_a_long_throttle_goes_on_after_a_restart() -> None:
    """The last write is on record on the target: what changed meanwhile is written when the hour is over."""
    world = await hourly()
    await world.settle(1200, step=60)
    world.restart()
    await world.create(pod("two", group="total"))
    await world.settle(2340, step=60)
    early = await counted(world)
    await world.settle(120, step=60)
    assert (early, await counted(world), len(world.writes)) == ("1", "2", 2)


async def test_a_short_throttle_begins_anew() -> None:
    """Under five minutes nothing is put on record for it."""
    world = await hourly(HOURLY.replace("1h", "299s"))
    (record,) = (text for name, text in annotations_of(await world.get(CONFIG, "total")).items() if name.startswith("fired."))
    assert "firedAt" not in json.loads(record)
    world.restart()
    await world.create(pod("two", group="total"))
    await world.settle()
    assert await counted(world) == "2"


@pytest.mark.parametrize("seconds", [60, 7200])
async def test_a_restart_writes_nothing_for_a_throttle(seconds: float) -> None:
    """Where nothing has changed, whether the throttle has run out or not."""
    world = await hourly()
    for _ in range(3):
        await world.settle(seconds, step=60)
        world.restart()
        await world.settle()
    assert len(world.writes) == 1


async def test_a_throttle_on_a_copy_of_the_target_does_not_count() -> None:
    """A target that is made anew with the annotations of the old one is written at once."""
    world = await hourly()
    annotations = dict(annotations_of(await world.get(CONFIG, "total")))
    await world.delete(CONFIG, "total")
    copied = named(CONFIG, "total")
    await world.create({**copied, "metadata": {**copied["metadata"], "annotations": annotations}})
    world.restart()
    await world.create(pod("two", group="total"))
    await world.settle()
    assert await counted(world) == "2"


@pytest.mark.parametrize("jump", [86400.0, -86400.0])
async def test_a_time_that_is_set_prolongs_no_throttle(jump: float) -> None:
    """A time on record that is in the future counts as now; within a process the hour is an hour."""
    world = await hourly()
    world.clock.set_on(jump)
    if jump < 0:
        world.restart()
    await world.create(pod("two", group="total"))
    await world.settle(3540, step=60)
    early = await counted(world)
    await world.settle(120, step=60)
    assert (early, await counted(world)) == ("1", "2")
