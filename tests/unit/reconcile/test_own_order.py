"""Annotations and labels of the watched object that stand before an action which writes that object by a request of its own."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Kind, labels_of, metadata
from engine.model.observe import ActResult
from tests.unit.packs.packs import pack, parsed
from tests.world import World, named

DEPLOYMENT, CONFIG = Kind("apps/v1", "Deployment"), Kind("v1", "ConfigMap")
OWN = {"apiVersion": "apps/v1", "kind": "Deployment"}
NAMED = {**OWN, "name": "${object.metadata.name}"}
ZERO = {"spec": {"replicas": 0}}
NOTE: dict[str, Any] = {"annotate": {"annotations": {"was": "${string(object.spec.replicas)}"}}}
LABEL: dict[str, Any] = {"label": {"labels": {"asleep": "true"}}}
CARRYING: dict[str, dict[str, Any]] = {
    "scale": {"scale": {"replicas": 0}},
    "patch": {"patch": {"patch": ZERO}},
    "patch of a target that is the object": {"patch": {"target": NAMED, "patch": ZERO}},
    "patch of what a selector picks": {"patch": {"target": {**OWN, "labelSelector": {}}, "patch": ZERO}},
    "patch under a guard": {"patch": {"patch": ZERO, "guard": "target.spec.replicas > 0"}},
}
"""Requests that have room for metadata."""
APART: dict[str, dict[str, Any]] = {
    "json patch": {"patch": {"type": "json", "guard": "target.spec.replicas > 0", "doneWhen": "target.spec.replicas == 0",
                             "patch": [{"op": "replace", "path": "/spec/replicas", "value": 0}]}},
    "apply": {"apply": {"force": True, "manifest": {**OWN, "metadata": {"name": "${object.metadata.name}"}, **ZERO}}},
}  # fmt: skip
"""Requests that have none."""
AWAKE = "object.spec.replicas > 0"


def rules(*actions: dict[str, Any], when: str = AWAKE) -> str:
    """A pack with one rule about Deployments."""
    verbs = ["get", "list", "create", "patch", "patch/status", "delete"]
    targets = [{**OWN, "verbs": verbs}, {"apiVersion": "v1", "kind": "ConfigMap", "verbs": ["get", "patch", "delete"]}]
    return pack(watch=OWN, targets=targets, rules=[{"name": "sleep", "when": when, "actions": [*actions]}])


async def played(text: str, fault: InjectedFault | None = None) -> World:
    """What becomes of a Deployment with three replicas."""
    world = World(parsed(text))
    if fault is not None:
        world.engine.faults.add(fault)
    await world.create(named(CONFIG, "other"), named(DEPLOYMENT, "web", spec={"replicas": 3}))
    await world.settle(60, step=10)
    return world


async def found(world: World) -> tuple[dict[str, str], dict[str, str], Any]:
    """The annotations of the Deployment, its labels, and how many replicas it wants."""
    obj = await world.get(DEPLOYMENT, "web")
    return await world.annotations(DEPLOYMENT, "web"), dict(labels_of(obj)), obj["spec"]["replicas"]


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
@pytest.mark.parametrize("action", [*CARRYING.values(), *APART.values()], ids=[*CARRYING, *APART])
async def test_what_stands_before_is_never_lost(action: dict[str, Any], effect: Effect) -> None:
    """Whichever call the engine dies before or after, although the action itself ends what the rule is about."""
    for call in itertools.count():
        world = await played(rules(NOTE, LABEL, action), InjectedFault(effect, after=call))
        assert await found(world) == ({"was": "3"}, {"asleep": "true"}, 0), f"{effect} at call {call}"
        if not world.crashes:
            break
    assert call >= 3


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
@pytest.mark.parametrize("action", CARRYING.values(), ids=CARRYING)
async def test_both_are_done_or_neither(action: dict[str, Any], effect: Effect) -> None:
    """So that a rule may as well go by its own annotation."""
    for call in itertools.count():
        text = rules(NOTE, action, when="annotation(object, 'was') == ''")
        world = await played(text, InjectedFault(effect, after=call))
        assert await found(world) == ({"was": "3"}, {}, 0), f"{effect} at call {call}"
        if not world.crashes:
            break
    assert call >= 3


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
async def test_it_is_there_before_a_status_is_written(effect: Effect) -> None:
    """A status has a request of its own."""
    status = {"patch": {"subresource": "status", "patch": {"status": {"observedGeneration": 7}}}}
    text = rules(NOTE, status, when="get(object, 'status.observedGeneration', 0) != 7")
    for call in itertools.count():
        world = await played(text, InjectedFault(effect, after=call))
        obj = await world.get(DEPLOYMENT, "web")
        assert (await world.annotations(DEPLOYMENT, "web"), obj["status"]["observedGeneration"]) == ({"was": "3"}, 7)
        if not world.crashes:
            break
    assert call >= 3


async def test_it_is_there_before_the_object_is_deleted() -> None:
    """Whoever holds it by a finalizer reads it."""
    world = World(parsed(rules(NOTE, {"delete": {}}, when="!has(object.metadata.deletionTimestamp)")))
    world.engine.faults.add(InjectedFault(Effect.CRASH_AFTER, verb="delete"))
    held = named(DEPLOYMENT, "web", spec={"replicas": 3})
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await world.create(held)
    await world.settle(60, step=10)

    assert world.crashes == 1
    assert "deletionTimestamp" in metadata(await world.get(DEPLOYMENT, "web"))
    assert await world.annotations(DEPLOYMENT, "web") == {"was": "3"}


@pytest.mark.parametrize(
    ("actions", "requests"),
    [
        ((CARRYING["scale"],), 1),
        ((NOTE, CARRYING["scale"]), 2),  # the second one changes nothing, and shows the engine what is its own
        ((NOTE, LABEL, CARRYING["patch"], CARRYING["scale"]), 2),
        ((CARRYING["scale"], NOTE), 2),
        ((NOTE, APART["json patch"]), 3),
        ((NOTE, {"delete": {"target": {"apiVersion": "v1", "kind": "ConfigMap", "name": "none"}}}), 1),
    ],
)
async def test_only_a_request_without_room_costs_another_one(actions: tuple[dict[str, Any], ...], requests: int) -> None:
    """What stands before goes along where it can."""
    world = await played(rules(*actions))

    assert world.writes == ["patch Deployment ns/web"] * requests


async def test_what_goes_along_is_reported_with_its_own_action() -> None:
    """Once, and not as a change of the other one."""
    world = await played(rules(NOTE, CARRYING["scale"]))
    done = {act.action: "\n".join(act.diff) for act in world.seen.acts if act.result is ActResult.DONE}

    assert len([act for act in world.seen.acts if act.action == "annotate"]) == 1
    assert "was" in done["annotate"]
    assert "replicas" in done["scale"]
    assert "was" not in done["scale"]


async def test_before_an_action_on_another_object_it_is_written_with_the_record() -> None:
    """That is one request for all that a rule wants on its own object."""
    other = {"patch": {"target": {"apiVersion": "v1", "kind": "ConfigMap", "name": "other"}, "patch": {"data": {"a": "b"}}}}
    world = await played(rules(NOTE, other))

    assert world.writes == ["patch ConfigMap ns/other", "patch Deployment ns/web"]
    assert await found(world) == ({"was": "3"}, {}, 3)


SEEN: dict[str, Any] = {"settings": {"apiVersion": "v1", "kind": "ConfigMap", "name": "other"}}
WRITES: dict[str, dict[str, Any]] = {
    "patch": {"patch": {"target": {"apiVersion": "v1", "kind": "ConfigMap", "name": "other"}, "patch": {"data": {"a": "b"}}}},
    "delete": {"delete": {"target": {"apiVersion": "v1", "kind": "ConfigMap", "name": "other"}}},
}


def looking(*actions: dict[str, Any], lookup: dict[str, Any] = SEEN) -> str:
    """A pack whose rule goes by another object, which its actions change."""
    targets = [{**OWN, "verbs": ["get", "patch"]},
               {"apiVersion": "v1", "kind": "ConfigMap", "verbs": ["get", "list", "watch", "patch", "delete"]}]  # fmt: skip
    rule = {"name": "sleep", "lookup": lookup, "actions": [*actions],
            "when": "lookup.settings != null && get(lookup.settings, 'data.a', '') != 'b'"}  # fmt: skip
    return pack(watch=OWN, targets=targets, rules=[rule])


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
@pytest.mark.parametrize("action", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("live", [True, False])
async def test_what_stands_before_a_change_of_what_is_looked_up_is_never_lost(
    action: dict[str, Any], effect: Effect, live: bool
) -> None:
    """The action ends what the rule is about, and is on an object that only a lookup sees."""
    for call in itertools.count():
        text = looking(NOTE, LABEL, action, lookup={"settings": {**SEEN["settings"], "live": live}})
        world = await played(text, InjectedFault(effect, after=call))
        assert await found(world) == ({"was": "3"}, {"asleep": "true"}, 3), f"{effect} at call {call}"
        others = [obj.get("data") for obj in await world.all(CONFIG, "ns") if metadata(obj)["name"] == "other"]
        assert others in ([], [{"a": "b"}])
        if not world.crashes:
            break
    assert call >= 3


async def test_only_a_rule_that_looks_the_kind_up_costs_another_write() -> None:
    """The watched object is written before the other one, and the record has nothing more to write."""
    world = await played(looking(NOTE, WRITES["patch"]))

    assert world.writes[:2] == ["patch Deployment ns/web", "patch ConfigMap ns/other"]
    assert world.writes[2:] in ([], ["patch Deployment ns/web"])


@pytest.mark.parametrize("action", [*CARRYING.values(), *APART.values()], ids=[*CARRYING, *APART])
async def test_in_audit_nothing_goes_along(action: dict[str, Any]) -> None:
    """Each action is a dry run of its own."""
    world = World(parsed(rules(NOTE, action)), modes={"example": Mode.AUDIT})
    await world.create(named(DEPLOYMENT, "web", spec={"replicas": 3}))
    await world.settle(60, step=10)

    assert world.writes == []
    assert await found(world) == ({}, {}, 3)
    assert {act.result for act in world.seen.acts} == {ActResult.AUDITED}
