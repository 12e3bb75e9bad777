"""A pack that would do too much, through the whole pipeline: what is left undone, what is reported, how it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cel import backend
from engine.kube.faults import InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Kind, annotations_of, metadata
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from tests.world import EVENT, POD, World, named, names, pod

CONFIG = Kind("v1", "ConfigMap")
STALE = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: Pod}
  targets:
    - {apiVersion: v1, kind: Pod, verbs: [get, delete]}
  rules:
    - name: stale
      when: label(object, 'stale') == 'yes'
      actions:
        - delete: {target: {apiVersion: v1, kind: Pod, name: '${object.metadata.name}'}}
"""
RESTART = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  targets:
    - {apiVersion: v1, kind: Pod, verbs: [get, list, delete, evict, patch]}
  rules:
    - name: restart
      when: object.data.word == 'go'
      oncePer: object.metadata.uid
"""
TOTALS = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: Pod}
  targets:
    - {apiVersion: v1, kind: ConfigMap, verbs: [get, list, patch]}
  rules:
    - name: totals
      aggregate:
        by: label(object, 'team')
        target: {apiVersion: v1, kind: ConfigMap, namespace: ns, name: '${groupKey}'}
        counts: {pods: 'true'}
      actions:
        - annotate: {annotations: {example.com/pods: '${string(group.pods)}'}}
"""
ALL = """\
      actions:
        - delete: {target: {apiVersion: v1, kind: Pod, labelSelector: {app: web}}}
        - emitEvent: {type: Normal, reason: Restarted, message: done}
"""


def pack(text: str) -> RulePack:
    (found,) = parse_pack(text, "pack.yaml", backend())
    return found


def at_most(number: int) -> dict[str, dict[str, Any]]:
    return {"p": {"disruptionsPerMinute": number}}


async def events(world: World, reason: str) -> list[Any]:
    return [event for event in await world.all(EVENT) if event["reason"] == reason]


async def web(world: World, number: int) -> None:
    await world.create(*(pod(f"web-{index}", app="web") for index in range(number)))


async def test_somebody_relabels_all_pods() -> None:
    """Of 5,000 objects that a rule suddenly matches 100 are deleted; each other one says so, and goes on when people say so."""
    stale = pack(STALE)
    world = World(stale)
    await world.create(*(pod(f"web-{number}", stale="yes") for number in range(5000)))

    await world.settle(seconds=600, step=300)
    assert len(await world.all(POD)) == 4900
    assert world.seen.suspensions == ["p of ns"]
    reported = await events(world, "NamespaceSuspended")
    assert {event["involvedObject"]["name"] for event in reported} == set(names(await world.all(POD)))
    assert {(event["type"], event["involvedObject"]["kind"]) for event in reported} == {("Warning", "Pod")}
    assert "Pack p is suspended for namespace ns" in reported[0]["message"]
    assert "rules.mlops.dev/resume" in reported[0]["message"]
    assert not await events(world, "RuleFailed")

    world.use(stale, resume="the new labels are meant")
    await world.settle(seconds=60, step=30)
    assert 4695 <= len(await world.all(POD)) <= 4705  # a whole bucket at once, and one in the minute since
    await world.settle(seconds=60, step=30)
    assert 4595 <= len(await world.all(POD)) <= 4605
    assert world.seen.suspensions == ["p of ns"]

    world.use(stale, params=at_most(0))
    await world.settle(seconds=30, step=30)
    assert await world.all(POD) == []
    assert len(await events(world, "NamespaceSuspended")) == 4900


async def test_a_team_with_one_restart_does_not_wait_for_a_team_with_2000() -> None:
    """It goes on in less than 5 s, while the other one, which was resumed, has 1,800 to go."""
    stale = pack(STALE)
    world = World(stale)
    await world.create(*(pod(f"web-{number}", namespace="team-a", stale="yes") for number in range(2000)))
    await world.settle(seconds=10)
    assert world.seen.suspensions == ["p of team-a"]
    world.use(stale, resume="the new labels are meant")
    await world.settle(seconds=60, step=30)

    await world.create(pod("api", namespace="team-b", stale="yes"))
    await world.settle(seconds=5)

    left = await world.all(POD)
    assert {metadata(found)["namespace"] for found in left} == {"team-a"}
    assert 1750 < len(left) < 1850


async def test_a_suspended_namespace_holds_up_no_other_one_until_three_are() -> None:
    """Of four with too much to do three are suspended, one after the other, and then the pack is."""
    stale = pack(STALE)
    world = World(stale, params=at_most(6))
    await world.create(*(pod(f"web-{number}", namespace="team-a", stale="yes") for number in range(20)))
    await world.settle(seconds=120)
    await world.create(pod("api", namespace="calm", stale="yes"))
    await world.settle(seconds=20)
    assert world.seen.suspensions == ["p of team-a"]
    assert {metadata(found)["namespace"] for found in await world.all(POD)} == {"team-a"}

    for team in ("team-b", "team-c"):
        await world.create(*(pod(f"web-{number}", namespace=team, stale="yes") for number in range(20)))
        await world.settle(seconds=120)
    await world.create(pod("api", namespace="calm", stale="yes"))
    await world.settle(seconds=600, step=30)

    assert world.seen.suspensions == ["p of team-a", "p of team-b", "p of team-c"]
    assert "api" in names(await world.all(POD))
    (reported,) = [event for event in await events(world, "PackSuspended") if event["involvedObject"]["name"] == "api"]
    assert "Pack p is suspended, since 3 namespaces" in reported["message"]


@pytest.mark.parametrize("status", [409, 403, 422, 429])
async def test_a_step_that_was_refused_is_not_counted(status: int) -> None:
    """However often the API server refuses it, nothing is suspended for what was not done."""
    world = World(pack(STALE), params=at_most(2))
    world.engine.faults.add(InjectedFault(status, verb="delete", kind="Pod", times=20))
    await world.create(*(pod(f"web-{number}", stale="yes") for number in range(2)))

    await world.settle(seconds=3600, step=10)

    assert world.seen.suspensions == []


async def test_a_firing_that_was_stopped_in_the_middle_is_finished() -> None:
    """What was held back is done once, after all the steps before it; what follows it waits for it."""
    restart = pack(RESTART + ALL)
    world = World(restart, params=at_most(4))
    await web(world, 6)
    await world.create(named(CONFIG, "c", data={"word": "go"}))

    await world.settle(seconds=3600, step=30)
    assert len(await world.all(POD)) == 2
    assert not await events(world, "Restarted")

    world.use(restart, params=at_most(4), resume="1")
    await world.settle(seconds=60, step=30)
    assert await world.all(POD) == []
    assert len(await events(world, "Restarted")) == 1
    writes = len(world.writes)
    await world.settle(seconds=600, step=30)
    assert len(world.writes) == writes


async def test_being_suspended_is_no_failure() -> None:
    """However long it takes until somebody resumes it, neither `retry.timeout` nor the number of attempts runs out."""
    text = RESTART + "      retry: {limit: 0, timeout: 1m}\n" + ALL
    world = World(pack(text), params=at_most(1))
    await web(world, 2)
    await world.create(named(CONFIG, "c", data={"word": "go"}))

    await world.settle(seconds=86_400, step=600)
    assert len(await world.all(POD)) == 1
    assert not await events(world, "RuleFailed")

    world.use(*world.catalog.packs.values(), params=at_most(1), resume="1")
    await world.settle(seconds=60, step=30)
    assert await world.all(POD) == []
    assert not await events(world, "RuleFailed")


async def test_a_restart_gives_one_more_budget_and_no_more() -> None:
    """The count is kept in memory: each engine stops after a budget of its own, and says so again."""
    world = World(pack(STALE), params=at_most(10))
    await world.create(*(pod(f"web-{number:02}", stale="yes") for number in range(50)))

    await world.settle(seconds=120, step=30)
    assert len(await world.all(POD)) == 40
    world.restart()
    await world.settle(seconds=3600, step=60)

    assert len(await world.all(POD)) == 30
    assert world.seen.suspensions == ["p of ns"]


async def test_what_is_not_disruptive_is_not_counted() -> None:
    """Events and the watched object's own annotations go on, whatever the budget; so does a dry run."""
    rule = """\
      actions:
        - annotate: {annotations: {mark: seen}}
        - emitEvent: {type: Normal, reason: Seen, message: seen}
"""
    world = World(pack(RESTART + rule), params=at_most(1))
    await world.create(*(named(CONFIG, f"c{number}", data={"word": "go"}) for number in range(20)))
    await world.settle()
    assert len(await events(world, "Seen")) == 20
    assert all(annotations_of(found)["mark"] == "seen" for found in await world.all(CONFIG))

    world.use(pack(RESTART + ALL), params=at_most(1), modes={"p": Mode.AUDIT})
    await web(world, 5)
    await world.settle(seconds=60)
    assert world.seen.suspensions == []
    assert len(await world.all(POD)) == 5


async def test_patches_of_others_are_counted() -> None:
    """A label on somebody else's object can move its traffic."""
    rule = """\
      actions:
        - label: {target: {apiVersion: v1, kind: Pod, labelSelector: {app: web}}, labels: {route: none}}
"""
    world = World(pack(RESTART + rule), params=at_most(3))
    await web(world, 9)
    await world.create(named(CONFIG, "c", data={"word": "go"}))

    await world.settle(seconds=600, step=30)

    labelled = [found for found in await world.all(POD) if metadata(found)["labels"].get("route") == "none"]
    assert len(labelled) == 3


async def test_what_aggregates_write_is_not_counted() -> None:
    """A rule that says of each group how it is writes of all of them, whatever the budget: it does so once for each."""
    world = World(pack(TOTALS), params=at_most(1))
    await world.create(*(named(CONFIG, f"team-{number}") for number in range(3)))
    await world.create(*(pod(f"web-{number}", team=f"team-{number % 3}") for number in range(9)))

    await world.settle(seconds=10)

    totals = [annotations_of(found).get("example.com/pods") for found in await world.all(CONFIG)]
    assert totals == ["3", "3", "3"]
    assert world.seen.suspensions == []


async def test_the_event_is_reported_again_where_it_could_not_be() -> None:
    """An API server that refuses the Event gets it at the next evaluation; still one for each object that is held back."""
    world = World(pack(STALE), params=at_most(1))
    await world.create(*(pod(f"web-{number}", stale="yes") for number in range(3)))
    world.engine.faults.add(InjectedFault(503, verb="create", kind="Event"))

    await world.settle(seconds=120, step=30)

    assert len(await events(world, "NamespaceSuspended")) == 2


@pytest.mark.parametrize("on_exceed", ["Fail", "Truncate"])
async def test_max_targets_counts_what_was_touched(on_exceed: str) -> None:
    """A firing that has to wait between two of its targets counts each of them once."""
    limits = f"      limits: {{maxTargets: 3, onExceed: {on_exceed}}}\n"
    world = World(pack(RESTART + limits + ALL), params=at_most(2))
    await web(world, 3)
    await world.create(named(CONFIG, "c", data={"word": "go"}))
    await world.settle(seconds=60, step=30)
    assert names(await world.all(POD)) == ["web-2"]

    world.use(*world.catalog.packs.values(), params=at_most(2), resume="1")
    await world.settle(seconds=60, step=30)

    assert await world.all(POD) == []
    assert not await events(world, "RuleFailed")
