"""Aggregates without a target, gauges of groups that empty, and what groups look up."""

from __future__ import annotations

from typing import Any

import pytest

from engine.model.objects import Kind, Object, annotations_of
from engine.model.observe import ActResult
from tests.unit.packs.packs import faults, pack, parsed
from tests.world import POD, World, named, pod

CONFIG = Kind("v1", "ConfigMap")
PODS, CONFIGS = ({"apiVersion": "v1", "kind": kind} for kind in ("Pod", "ConfigMap"))
GAUGE = {"metric": {"name": "pods", "labels": {"team": "${groupKey}"}, "value": "${group.pods}"}}
METRICS = {"pods": {"type": "gauge", "help": "Pods.", "labels": ["team"]}}
BY = {"by": "label(object, 'team')", "counts": {"pods": "true"}}
TARGET = {**CONFIGS, "namespace": "ns", "name": "${groupKey}"}


def counting(*actions: dict[str, Any], aggregate: Any = BY, verbs: Any = (), **rule: Any) -> str:
    """A pack with one rule that counts pods by their team."""
    own = {"name": "count", "aggregate": aggregate, "actions": [*actions] or [GAUGE], **rule}
    targets = [{**CONFIGS, "verbs": [*verbs], "consent": "true"}] if verbs else []
    return pack(watch=PODS, metrics=METRICS, targets=targets, rules=[own])


def measured(world: World) -> list[tuple[str, float]]:
    """What the gauge was set to, by team, since this was last asked."""
    found = [(labels["team"], value) for _, labels, value in world.seen.measurements]
    world.seen.measurements.clear()
    return found


def config(name: str, namespace: str = "ns", **data: str) -> Object:
    """A ConfigMap."""
    return named(CONFIG, name, namespace, data=data)


async def test_a_group_without_a_target_is_measured() -> None:
    """No object stands for it: nothing is read, and nothing is written."""
    world = World(parsed(counting()))
    await world.create(pod("a", team="ml"), pod("b", team="ml"), pod("c", team="web"))
    await world.settle()

    assert sorted(measured(world)) == [("ml", 2.0), ("web", 1.0)]
    assert world.writes == []
    assert {call.verb for call in world.engine.calls} <= {"discover"}


async def test_the_gauge_of_a_group_that_empties_is_set_to_0_once() -> None:
    """Its last member goes, or moves to another group; a new member has it go up again."""
    world = World(parsed(counting()))
    await world.create(pod("a", team="ml"), pod("b", team="web"))
    await world.settle()
    measured(world)

    await world.delete(POD, "a")
    await world.settle(60)
    gone = measured(world)
    await world.patch(POD, "b", {"metadata": {"labels": {"team": "ml"}}})
    await world.settle(60)

    assert (gone, sorted(measured(world))) == ([("ml", 0.0)], [("ml", 1.0), ("web", 0.0)])


async def test_sums_minima_and_maxima_of_an_empty_group() -> None:
    """A sum is 0 and has a gauge of its own; a minimum and a maximum are null, so an action can be left out."""
    aggregate = {**BY, "sum": {"total": "size(object.metadata.name)"}, "min": {"least": "size(object.metadata.name)"},
                 "max": {"most": "size(object.metadata.name)"}}  # fmt: skip
    shown = {"metric": {"name": "pods", "labels": {"team": "${groupKey}"}, "value": "${group.total}"}}
    span = {"when": "group.most != null", "metric": {"name": "pods", "labels": {"team": "span"},
            "value": "${group.most - group.least}"}}  # fmt: skip
    world = World(parsed(counting(shown, span, aggregate=aggregate)))
    await world.create(pod("a", team="ml"), pod("abc", team="ml"))
    await world.settle()
    first = measured(world)
    await world.delete(POD, "a")
    await world.delete(POD, "abc")
    await world.settle()

    assert (first[-2:], measured(world)[-1]) == ([("ml", 4.0), ("span", 2.0)], ("ml", 0.0))


async def test_the_group_with_a_target_goes_to_0_too() -> None:
    """By the record on its target, also where the engine was down when the last member went."""
    world = World(parsed(counting(aggregate={**BY, "target": TARGET}, verbs=["get", "list", "patch"])))
    await world.create(config("ml"), pod("a", team="ml"))
    await world.settle()
    world.restart()
    await world.delete(POD, "a")
    await world.create(pod("other", team=""))
    await world.settle(5)

    assert measured(world)[-1] == ("ml", 0.0)


async def test_other_actions_name_what_they_are_about() -> None:
    """They may patch an object, and emit an Event about one."""
    patch = {"patch": {"target": TARGET, "patch": {"data": {"pods": "${string(group.pods)}"}}}}
    event = {"emitEvent": {"type": "Normal", "reason": "Counted", "message": "${group.pods} pods", "regarding": TARGET}}
    world = World(parsed(counting(patch, event, verbs=["get", "patch"])))
    await world.create(config("ml"), pod("a", team="ml"))
    await world.settle(5)

    assert (await world.get(CONFIG, "ml"))["data"] == {"pods": "1"}
    assert await world.events() == [("ml", "Counted", "1 pods")]


async def test_a_throttle_holds_up_a_group_without_a_target() -> None:
    """The last state lands at the end of the interval."""
    world = World(parsed(counting(throttle={"every": "60s"})))
    await world.create(pod("a", team="ml"))
    await world.settle(10)
    for name in ("b", "c"):
        await world.create(pod(name, team="ml"))
        await world.settle(10)
    before = measured(world)
    await world.settle(40)

    assert (before, measured(world)) == ([("ml", 1.0)], [("ml", 3.0)])


async def test_what_waits_without_a_target_is_tried_again() -> None:
    """A ConfigMap that is not ready; the log has it, for there is nothing that an Event could be about."""
    patch = {
        "patch": {"target": TARGET, "patch": {"data": {"pods": "${string(group.pods)}"}}, "guard": "target.data.ready == 'yes'"}
    }
    world = World(parsed(counting(patch, verbs=["get", "patch"])))
    await world.create(config("ml", ready="no"), pod("a", team="ml"))
    await world.settle(90)
    waiting = dict(world.reconciler.waits.counts())
    await world.patch(CONFIG, "ml", {"data": {"ready": "yes"}})
    await world.settle(60)

    assert (await world.get(CONFIG, "ml"))["data"] == {"ready": "yes", "pods": "1"}
    assert [*waiting.values()] == [1.0]
    assert await world.events() == []


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        ({"annotate": {"annotations": {"a": "b"}}}, "annotate writes on the target, and the aggregate has none"),
        ({"patch": {"patch": {"data": {"a": "b"}}}}, "patch without target, and the aggregate has no target"),
        (
            {"emitEvent": {"type": "Normal", "reason": "X", "message": "x"}},
            "emitEvent without regarding, and the aggregate has no",
        ),
        ({"metric": {"name": "pods", "labels": {"team": "${object.metadata.name}"}}}, "object"),
        ({"metric": {"name": "pods", "labels": {"team": "${target.metadata.name}"}}}, "target"),
    ],
)
def test_an_action_that_needs_a_target_is_a_fault(action: dict[str, Any], fault: str) -> None:
    """Without one, there is no object that it could be about."""
    (found, *more) = faults(counting(action, verbs=["get", "patch"]))

    assert (fault in found, more) == (True, [])


LOOKUP = {"quota": {**CONFIGS, "namespace": "ns", "name": "quota-${groupKey}"}}
FREE = {"metric": {"name": "pods", "labels": {"team": "${groupKey}"}, "value": "${int(lookup.quota.data.pods) - group.pods}"}}


async def test_a_group_looks_up_what_it_needs() -> None:
    """Once for each group, not for each member; a change of it has that group acted for again, and no other."""
    world = World(parsed(counting(FREE, lookup=LOOKUP, verbs=["get", "list", "watch"])))
    await world.create(config("quota-ml", pods="5"), config("quota-web", pods="3"))
    await world.create(pod("a", team="ml"), pod("b", team="ml"), pod("c", team="web"))
    await world.settle()
    first = sorted(set(measured(world)))

    await world.patch(CONFIG, "quota-ml", {"data": {"pods": "9"}})
    await world.settle()

    assert first == [("ml", 3.0), ("web", 2.0)]
    assert measured(world) == [("ml", 7.0)]


async def test_a_group_with_a_target_looks_up_too() -> None:
    """Its templates see the target; vars and what is urgent see what was looked up."""
    aggregate = {**BY, "target": TARGET, "vars": {"free": "int(lookup.quota.data.pods) - group.pods"}}
    lookup = {"quota": {**CONFIGS, "name": "${target.data.quota}"}}
    action = {"annotate": {"annotations": {"a/free": "${vars.free}"}}}
    throttle = {"every": "60s", "urgent": {"when": "vars.free < 0", "every": "1s"}}
    verbs = ["get", "list", "watch", "patch"]
    world = World(parsed(counting(action, aggregate=aggregate, lookup=lookup, throttle=throttle, verbs=verbs)))
    await world.create(config("ml", quota="q"), config("q", pods="2"), pod("a", team="ml"))
    await world.settle(5)
    first = annotations_of(await world.get(CONFIG, "ml"))["a/free"]
    await world.patch(CONFIG, "q", {"data": {"pods": "0"}})
    await world.settle(5)

    assert (first, annotations_of(await world.get(CONFIG, "ml"))["a/free"]) == ("1", "-1")


async def test_what_a_group_looked_up_is_forgotten_with_it() -> None:
    """A group that has emptied depends on nothing."""
    world = World(parsed(counting(FREE, lookup=LOOKUP, verbs=["get", "list", "watch"])))
    await world.create(config("quota-ml", pods="5"), pod("a", team="ml"))
    await world.settle()
    held = len(world.reconciler.related.dependents)
    await world.delete(POD, "a")
    await world.settle(5)

    assert (held, measured(world)[-1], world.reconciler.related.dependents.is_empty()) == (1, ("ml", 5.0), True)


async def test_a_lookup_that_is_not_there_is_null() -> None:
    """The actions are not carried out where they cannot do without, and are once it is there."""
    world = World(parsed(counting({"when": "lookup.quota != null", **FREE}, lookup=LOOKUP, verbs=["get", "list", "watch"])))
    await world.create(pod("a", team="ml"))
    await world.settle()
    before = measured(world)
    await world.create(config("quota-ml", pods="5"))
    await world.settle()

    assert (before, measured(world)) == ([], [("ml", 4.0)])


async def test_the_status_names_a_lookup_that_has_no_answer_for_a_group() -> None:
    """No Event could be about the group; once there is an answer, nothing is said any more."""
    lookup = {**LOOKUP, "more": {**CONFIGS, "namespace": "ns", "name": "${lookup.quota.data.next}"}}
    world = World(parsed(counting(lookup=lookup, verbs=["get", "list", "watch"])))
    await world.create(config("quota-ml", pods="5"), pod("a", team="ml"))
    await world.settle()
    (before,) = world.reconciler.waits.refusals("example")
    await world.patch(CONFIG, "quota-ml", {"data": {"next": "other"}})
    await world.settle()

    assert before.startswith(
        "rule count has no answer for some groups, such as group 'ml' of example/count: lookup has no answer"
    )
    assert (world.reconciler.waits.refusals("example"), measured(world)) == ([], [("ml", 1.0)])


async def test_an_action_whose_condition_has_no_answer_counts_as_failed() -> None:
    """It is in the log, the metrics and the status, as any action that fails."""
    world = World(parsed(counting({"when": "int(groupKey) > 0", **GAUGE})))
    await world.create(pod("a", team="ml"))
    await world.settle(5)

    failed = [act for act in world.seen.acts if act.result is ActResult.FAILED]
    assert [(act.rule, act.action) for act in failed] == [("count", "metric")]
    assert failed[0].detail.startswith("when of metric has no answer")


def test_an_object_of_a_group_looks_up_nothing() -> None:
    """`when` and `by` are about single objects, and what is looked up is of their group."""
    (found,) = faults(counting(FREE, lookup=LOOKUP, verbs=["get", "list", "watch"], when="lookup.quota != null"))

    assert "lookup" in found
