"""What a change of an object costs that others look up: by how many depend on it, not by how many there are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from engine.model.objects import Kind, Object, ObjectKey, Ref
from engine.model.plan import LookupWatch, Read
from engine.reconcile import Reconciler, Replica
from engine.reconcile.dependencies import Dependencies, Dependent
from tests.unit.packs.packs import pack, parsed
from tests.world import World, named

CONFIG = Kind("v1", "ConfigMap")
EACH = 10


def world_of() -> World:
    """A world with one rule about ConfigMaps, which looks up the settings that they name, and does nothing."""
    lookup = {"settings": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "settings", "name": "${object.data.settings}"}}
    own = {"name": "follow", "lookup": lookup, "when": "lookup.settings.data.value == 'never'"}
    rule = {**own, "actions": [{"annotate": {"annotations": {"a/b": "${lookup.settings.data.value}"}}}]}
    targets = [{"apiVersion": "v1", "kind": "ConfigMap", "verbs": ["list", "watch"], "consent": "true"}]
    watch = {"apiVersion": "v1", "kind": "ConfigMap", "labelSelector": {"role": "source"}, "fields": ["data"]}
    return World(parsed(pack(watch=watch, targets=targets, rules=[rule])))


def source(number: int, each: int) -> Object:
    """A watched object that looks up the settings of its ten."""
    obj = named(CONFIG, f"c{number}", data={"settings": f"s{number // each}"})
    return {**obj, "metadata": {**obj["metadata"], "labels": {"role": "source"}}}


async def fill(world: World, size: int, each: int) -> World:
    """Have so many objects evaluated."""
    for number in range(size // each):
        await world.create(named(CONFIG, f"s{number}", "settings", data={"value": "0"}))
    for number in range(size):
        await world.create(source(number, each))
    await world.settle()
    world.seen.evaluations.clear()
    return world


@contextmanager
def calls() -> Iterator[list[int]]:
    """Count the calls of functions of the engine; without those about time slices, since their number depends on the machine."""
    found = [0]

    def count(frame: FrameType, event: str, _: Any) -> None:
        file = frame.f_code.co_filename
        found[0] += event == "call" and "/engine/" in file and not file.endswith("/timeslice.py")

    sys.setprofile(count)
    try:
        yield found
    finally:
        sys.setprofile(None)


async def changed(world: World) -> tuple[int, int]:
    """How many calls and evaluations it costs that one object has another value."""
    before = named(CONFIG, "s0", "settings", data={"value": "0"})
    after = {**before, "data": {"value": "1"}}
    world.caches.relate(CONFIG, [after, *(obj for obj in await world.all(CONFIG) if obj["metadata"]["name"] != "s0")])
    world.reconciler.related.take(EACH)
    with calls() as found:
        world.reconciler.related.changed(CONFIG, "settings", "s0", before, after)
        while world.reconciler.wake(200):
            pass
        for number in range(EACH):
            await world.reconciler.reconcile(ObjectKey(CONFIG, "ns", f"c{number}"))
    return found[0], len(world.seen.evaluations)


async def test_ten_of_many_cost_as_much_as_ten_of_few() -> None:
    """As many evaluations, and as many calls in the engine, among 50 objects as among 2,000."""
    few, many = [await changed(await fill(world_of(), size, EACH)) for size in (50, 2_000)]

    assert few == many
    assert few[1] == EACH


def test_a_change_asks_only_those_who_select_that_value_of_a_field() -> None:
    """As many calls among 50 that each select by a node as among 2,000."""
    pods, costs = Kind("v1", "Pod"), []
    old, new = ({"metadata": {"labels": {}}, "spec": {"nodeName": f"n{number}"}} for number in range(2))
    for size in (50, 2_000):
        index = Dependencies()
        for number in range(size):
            read = Read(Ref(pods, "ns", ""), "", watch=LookupWatch(pods), fields=f"spec.nodeName=n{number // EACH}")
            index.add(Dependent("follow", ObjectKey(CONFIG, "ns", f"c{number}")), read)
        for _ in range(2):  # predicates are compiled once
            with calls() as found:
                affected = index.affected(ObjectKey(pods, "ns", "p"), old, new, lambda selector, namespace: True)
        assert len(affected) == 2 * EACH
        costs.append(found[0])

    assert costs[0] == costs[1]


@pytest.mark.parametrize("taken", [1, 200])
async def test_what_much_depends_on_is_enqueued_in_parts(taken: int) -> None:
    """Of 500 objects that depend on one, no more than asked for are enqueued at a time, and each once."""
    world, keys = world_of(), list[Any]()
    world.reconciler = Reconciler(world.engine, world.clock, world.caches, world.seen, Replica(lambda: True), keys.append)
    world.reconciler.catalog = world.catalog
    await fill(world, 500, 500)
    before = named(CONFIG, "s0", "settings", data={"value": "0"})
    world.reconciler.related.changed(CONFIG, "settings", "s0", before, {**before, "data": {"value": "1"}})

    sizes: list[int] = []
    while world.reconciler.wake(taken):
        sizes.append(len(keys) - sum(sizes))

    assert set(sizes) <= {taken}
    assert len(keys) == len(set(keys)) == 500
