"""What counts as deleted: an object that is gone, and not one that only left the selector of a pack."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cel import backend
from engine.kube.faults import InjectedFault
from engine.model.objects import Kind, ObjectKey
from engine.model.observe import Evaluated
from engine.packs.parse import parse_pack
from tests.world import World, named

CONFIG = Kind("v1", "ConfigMap")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {watched: 'yes'}}
  rules:
    - name: gone
      on: Delete
      when: 'true'
      actions:
        - emitEvent: {type: Normal, reason: Gone, message: it is gone}
"""


async def fixture() -> World:
    """A world with one ConfigMap that the pack watches."""
    world = World(*parse_pack(PACK, "pack.yaml", backend()))
    await world.create(named(CONFIG, "c", metadata={"name": "c", "namespace": "ns", "labels": {"watched": "yes"}}))
    await world.settle()
    return world


def unlabelled() -> dict[str, Any]:
    return {"metadata": {"labels": {"watched": None}}}


async def test_an_object_that_leaves_the_selector_is_not_deleted() -> None:
    """Nothing fires, and it is said why; nor does it once the object is deleted, of which the pack knows nothing any more."""
    world = await fixture()

    await world.patch(CONFIG, "c", unlabelled())
    await world.settle(30)

    assert await world.events() == []
    assert [(rule, reason) for rule, result, reason in world.seen.evaluations if result is Evaluated.SKIPPED] == [
        ("p/gone", "it is not deleted: it is still there, but no longer among what the pack watches")
    ]
    await world.delete(CONFIG, "c")
    await world.settle(30)
    assert await world.events() == []


async def test_an_object_that_is_deleted_is() -> None:
    """Once, also where it left the selector before and has come back."""
    world = await fixture()
    await world.patch(CONFIG, "c", unlabelled())
    await world.settle(30)
    await world.patch(CONFIG, "c", {"metadata": {"labels": {"watched": "yes"}}})
    await world.settle(30)

    await world.delete(CONFIG, "c")
    await world.settle(30)

    assert await world.events() == [("c", "Gone", "it is gone")]


async def test_another_object_of_its_name_does_not_hide_a_deletion() -> None:
    """It has another uid, and may have no label."""
    world = await fixture()

    await world.delete(CONFIG, "c")
    await world.create(named(CONFIG, "c"))
    await world.settle(30)

    assert await world.events() == [("c", "Gone", "it is gone")]


async def test_a_server_that_does_not_answer_is_asked_again() -> None:
    """Until it says whether the object is deleted."""
    world = await fixture()
    world.engine.faults.add(InjectedFault(503, verb="list", kind="ConfigMap", times=5))

    await world.delete(CONFIG, "c")
    await world.settle(60)

    assert await world.events() == [("c", "Gone", "it is gone")]


ONCE = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  metrics:
    done_total: {type: counter, help: h, labels: [rule]}
  rules:
    - name: done
      when: 'true'
      for: 5s
      oncePer: object.metadata.uid
      actions:
        - metric: {name: done_total, labels: {rule: done}}
    - name: done-for-a-deleted-one
      on: Delete
      when: annotation(object, 'fired.rules.mlops.dev/p.done') == ''
      actions:
        - metric: {name: done_total, labels: {rule: done-for-a-deleted-one}}
"""


async def unseen(deleted: int) -> World:
    """A world in which a ConfigMap is deleted after so many seconds, and no watch shows anything of it for ten."""
    world = World(*parse_pack(ONCE, "pack.yaml", backend()))
    await world.create(named(CONFIG, "c"))
    await world.settle()
    for second in range(10):
        if second == deleted:
            await world.delete(CONFIG, "c")
        await world.clock.advance(1)
        await world.reconciler.reconcile(ObjectKey(CONFIG, "ns", "c"))
    return world


def counted(world: World) -> list[str]:
    """The rules that have counted something."""
    return [labels["rule"] for _, labels, _ in world.seen.measurements]


@pytest.mark.parametrize("deleted", [2, 7])
async def test_what_is_done_for_an_object_whose_deletion_is_not_shown_yet_is_done_once(deleted: int) -> None:
    """Whether its record cannot be written any more, or is not shown either; rules about deleted objects know of it too."""
    world = await unseen(deleted)
    assert counted(world) == ["done"]

    await world.settle(30)

    assert counted(world) == ["done"]


async def test_what_was_done_for_a_deleted_object_says_nothing_of_another_one_of_its_name() -> None:
    """That has a uid of its own."""
    world = await unseen(deleted=2)

    await world.create(named(CONFIG, "c"))
    await world.settle(30)

    assert counted(world) == ["done", "done"]
