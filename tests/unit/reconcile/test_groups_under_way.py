"""Groups that change while the actions for them are under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.kube.api import PatchType
from engine.kube.embedded import EmbeddedCluster
from engine.model.objects import Kind, Object, Resource
from tests.unit.packs.packs import pack, parsed
from tests.world import POD, World, named, pod

CONFIG = Kind("v1", "ConfigMap")
PODS, CONFIGS = ({"apiVersion": "v1", "kind": kind} for kind in ("Pod", "ConfigMap"))
GAUGE = {"metric": {"name": "pods", "labels": {"team": "${groupKey}"}, "value": "${group.pods}"}}
TOTAL = "${string(group.pods)}"
OWN = {**CONFIGS, "metadata": {"name": "report-${groupKey}", "namespace": "ns"}, "data": {"pods": TOTAL}}
REPORT = {"apply": {"manifest": OWN}}
TARGET = {**CONFIGS, "namespace": "ns", "name": "${groupKey}"}
ABOUT_NOTHING: dict[str, Any] = {}
ABOUT_A_TARGET = {"target": TARGET}


def counting(*actions: dict[str, Any], about: dict[str, Any] = ABOUT_NOTHING, **rule: Any) -> str:
    """A pack that counts pods by their team, has a gauge of them and applies a report."""
    aggregate = {"by": "label(object, 'team')", "counts": {"pods": "true"}, **about}
    own = {"name": "count", "aggregate": aggregate, "actions": [*actions] or [GAUGE, REPORT], **rule}
    metrics = {"pods": {"type": "gauge", "help": "Pods.", "labels": ["team"]}}
    targets = [{**CONFIGS, "verbs": ["get", "list", "watch", "create", "patch"], "consent": "true"}]
    return pack(watch=PODS, metrics=metrics, targets=targets, rules=[own])


class SlowWrites(EmbeddedCluster):
    """The engine's own access to the cluster of a world, in which something happens, once, while a ConfigMap is patched."""

    def __init__(self, engine: EmbeddedCluster) -> None:
        vars(self).update(vars(engine))
        self.meanwhile: Callable[[], Awaitable[Any]] | None = None

    async def patch(
        self, resource: Resource, namespace: str, name: str, body: Any, *,
        type: PatchType = PatchType.MERGE, subresource: str = "", dry_run: bool = False,
    ) -> Object:  # fmt: skip
        """Patch, after what happens meanwhile."""
        if (happening := self.meanwhile) is not None and resource.kind == CONFIG:
            self.meanwhile = None
            await happening()
        return await super().patch(resource, namespace, name, body, type=type, subresource=subresource, dry_run=dry_run)


async def world_of(text: str) -> tuple[World, SlowWrites]:
    """Two pods of one team that are counted, and an engine whose writes are slow."""
    world = World(parsed(text))
    slow = world.engine = SlowWrites(world.engine)
    world.restart()
    await world.create(named(CONFIG, "ml", data={"ready": "no"}), pod("m1", team="ml"), pod("m2", team="ml"))
    await world.settle()
    return world, slow


def gauge(world: World, team: str = "ml") -> float:
    """What the gauge of a team was set to last."""
    return [value for _, labels, value in world.seen.measurements if labels["team"] == team][-1]


async def report(world: World, team: str = "ml") -> str:
    """What the report of a team says."""
    return str((await world.get(CONFIG, f"report-{team}"))["data"]["pods"])


@pytest.mark.parametrize("about", [ABOUT_NOTHING, ABOUT_A_TARGET])
async def test_the_last_member_goes_while_the_first_change_is_acted_for(about: dict[str, Any]) -> None:
    """Both go at once: the empty group is acted for as soon as that is done, and never again."""
    world, slow = await world_of(counting(about=about))

    async def second() -> None:
        await world.delete(POD, "m2")
        await world.round()

    slow.meanwhile = second
    await world.delete(POD, "m1")
    await world.settle()
    found = gauge(world), await report(world)
    acts = len(world.seen.acts)
    await world.settle(60)

    assert slow.meanwhile is None
    assert (found, len(world.seen.acts)) == ((0.0, "0"), acts)


@pytest.mark.parametrize("about", [ABOUT_NOTHING, ABOUT_A_TARGET])
async def test_the_last_member_moves_while_the_first_change_is_acted_for(about: dict[str, Any]) -> None:
    """The group that it leaves is empty then, and the one that it joins has it."""
    world, slow = await world_of(counting(about=about))
    await world.create(named(CONFIG, "web"))

    async def second() -> None:
        await world.patch(POD, "m2", {"metadata": {"labels": {"team": "web"}}})
        await world.round()

    slow.meanwhile = second
    await world.delete(POD, "m1")
    await world.settle()

    assert (gauge(world), gauge(world, "web")) == (0.0, 1.0)
    assert (await report(world), await report(world, "web")) == ("0", "1")


@pytest.mark.parametrize("about", [ABOUT_NOTHING, ABOUT_A_TARGET])
async def test_a_member_comes_back_while_the_empty_group_is_acted_for(about: dict[str, Any]) -> None:
    """The group is counted on, and is empty once more when that one goes as well."""
    world, slow = await world_of(counting(about=about))

    async def again() -> None:
        await world.create(pod("m3", team="ml"))
        await world.round()

    await world.delete(POD, "m1")
    await world.settle()
    slow.meanwhile = again
    await world.delete(POD, "m2")
    await world.settle()
    back = gauge(world), await report(world)
    await world.delete(POD, "m3")
    await world.settle()

    assert (back, gauge(world), await report(world)) == ((1.0, "1"), 0.0, "0")


WAITING = {"patch": {"target": TARGET, "patch": {"data": {"seen": TOTAL}}, "guard": "target.data.ready == 'yes'"}}


@pytest.mark.parametrize("about", [ABOUT_NOTHING, ABOUT_A_TARGET])
async def test_a_group_empties_while_an_action_for_it_waits(about: dict[str, Any]) -> None:
    """What is done already is done for the empty group too, though no record is on a target yet."""
    world, _ = await world_of(counting(GAUGE, REPORT, WAITING, about=about))
    before = gauge(world), await report(world)
    await world.delete(POD, "m1")
    await world.delete(POD, "m2")
    await world.settle(120)
    waiting = gauge(world), await report(world)
    await world.patch(CONFIG, "ml", {"data": {"ready": "yes"}})
    await world.settle(120)

    assert (before, waiting) == ((2.0, "2"), (0.0, "0"))
    assert (await world.get(CONFIG, "ml"))["data"]["seen"] == "0"


async def test_what_is_done_is_not_done_again_for_a_group_that_has_not_changed() -> None:
    """A later action that is tried again and again has the earlier ones stay done."""
    world, _ = await world_of(counting(GAUGE, WAITING))
    await world.settle(120)

    assert len(world.seen.measurements) == 1


async def test_what_is_done_is_done_again_no_faster_than_the_throttle_says() -> None:
    """A group that changes each second while an action waits; the last state is acted for at the end."""
    world, _ = await world_of(counting(GAUGE, WAITING, throttle={"every": "60s"}))
    for number in range(30):
        await world.create(pod(f"more-{number}", team="ml"))
        await world.settle(1)
    within = len(world.seen.measurements)
    await world.patch(CONFIG, "ml", {"data": {"ready": "yes"}})
    await world.settle(20)
    await world.settle(120)

    assert (within, gauge(world), len(world.seen.measurements)) == (1, 32.0, 2)
    assert (await world.get(CONFIG, "ml"))["data"]["seen"] == "32"


async def test_a_group_that_changes_during_a_rescue_is_acted_for_after_it() -> None:
    """Actions that have failed are begun anew then."""
    refused = {**CONFIGS, "metadata": {"name": "Not A Name", "namespace": "ns"}}
    failing = {"when": "group.pods == 2", "apply": {"manifest": refused}}
    world, _ = await world_of(counting(failing, GAUGE, rescue=[WAITING]))
    await world.delete(POD, "m1")
    await world.settle(5)
    during = list(world.seen.measurements)
    await world.patch(CONFIG, "ml", {"data": {"ready": "yes"}})
    await world.settle(60)

    assert (during, gauge(world)) == ([], 1.0)
