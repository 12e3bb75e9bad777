"""The packs model-training and model-freshness, which belong together."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest

from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Object, annotations_of, labels_of
from tests.world import APPLICATION, DONE, JOB, POD, SERVICE, World, job, named, pod, shipped, trigger, triggers

PACKS = ("model-training", "model-freshness")
HERE = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "ns"}}
AT, BY, FRESHNESS = "mlops.dev/model-trained-at", "mlops.dev/model-trained-by", "mlops.dev/model-freshness"
STATUS, SUMMARY = "mlops.dev/model-status", "mlops.dev/model-summary"
RESTART, REFRESH = trigger(SERVICE, "model", "restart"), trigger(SERVICE, "model", "refresh")


def service(name: str = "model", trained: str | None = None, **labels: str) -> Object:
    """An InferenceService, with a training noted on it."""
    obj = named(SERVICE, name)
    obj["metadata"]["annotations"] = {AT: trained} if trained else {}
    obj["metadata"]["labels"] = labels
    return obj


def world_of(mode: Mode = Mode.ENFORCE, **params: Any) -> World:
    packs = [shipped(name) for name in PACKS]
    return World(*packs, modes=dict.fromkeys(PACKS, mode), params={"model-freshness": params})


async def seen(*objects: Object, later: float = 3600, newer: tuple[Object, ...] = (), **params: Any) -> World:
    """What is seen of objects, and of others that are created some time later: an hour is after DONE."""
    world = world_of(**params)
    await world.create(*objects)
    await world.clock.advance(later)
    await world.create(*newer)
    await world.settle(61, step=61)
    return world


async def freshness(world: World, name: str = "model") -> str | None:
    return (await world.annotations(SERVICE, name)).get(FRESHNESS)


def test_both_are_off_by_default_and_share_a_flag() -> None:
    """KServe has to be configured first not to copy what they write."""
    packs = [shipped(name) for name in PACKS]
    assert {(pack.default_mode, pack.feature_flag) for pack in packs} == {(Mode.OFF, "model-freshness")}


@pytest.mark.parametrize("entry", [RESTART, REFRESH])
async def test_a_training_is_noted_on_what_the_job_names(entry: str) -> None:
    """When and by which job, whatever the trigger's action is; others stay as they are."""
    world = await seen(service(), service("other"), job(phase="Succeeded", annotations=triggers(entry)))
    found = await world.annotations(SERVICE, "model")
    assert (found[AT], found[BY]) == (DONE, "train")
    assert await world.annotations(SERVICE, "other") == {}


async def test_times_only_move_forward() -> None:
    """An older training does not replace a newer one."""
    world = await seen(service(trained="2026-01-24T23:00:00Z"), job(phase="Succeeded", annotations=triggers(RESTART)))
    assert (await world.annotations(SERVICE, "model"))[AT] == "2026-01-24T23:00:00Z"


@pytest.mark.parametrize("phase", ["Failed", "ValidationRunning", None])
async def test_only_success_is_a_training(phase: str | None) -> None:
    """A job that has not succeeded has trained nothing."""
    world = await seen(service(), job(phase=phase, annotations=triggers(RESTART)))
    assert await world.annotations(SERVICE, "model") == {}


async def test_a_service_that_is_not_there_is_reported() -> None:
    """One Event on the job."""
    world = await seen(job(phase="Succeeded", annotations=triggers(RESTART)))
    ((_, reason, message),) = await world.events()
    assert (reason, message.endswith("InferenceService ns/model not found")) == ("TrainingNotNoted", True)


@pytest.mark.parametrize("text", ["}", "kind: InferenceService", "- {kind: 7, name: model}"])
async def test_a_list_that_does_not_parse_notes_nothing(text: str) -> None:
    """The pack on-success-triggers reports it; here nothing happens."""
    world = await seen(service(), job(phase="Succeeded", annotations={"mlops.dev/on-success-trigger": text}))
    assert (await world.annotations(SERVICE, "model"), await world.events()) == ({}, [])


@pytest.mark.parametrize(
    ("old", "new", "state"),
    [
        ([pod("a"), pod("b")], [], "Stale"),
        ([pod("a")], [pod("b")], "Reloading"),
        ([], [pod("a"), pod("b")], "Fresh"),
        ([], [pod("a", ready=False)], "Reloading"),
        ([pod("a", ready=False)], [], "Reloading"),
        ([], [], "Fresh"),
        ([pod("t", component="transformer")], [pod("a")], "Fresh"),
        ([pod("o", "other")], [pod("a")], "Fresh"),
        ([{**pod("a"), "status": {"phase": "Failed"}}], [pod("b")], "Fresh"),
        ([], [{**pod("a"), "status": None}], "Reloading"),
    ],
)
async def test_freshness(old: list[Object], new: list[Object], state: str) -> None:
    """Stale where all predictor pods are older than the training, Fresh where none is and all are Ready, else Reloading."""
    world = await seen(service(trained=DONE), *old, newer=tuple(new))
    assert await freshness(world) == state


@pytest.mark.parametrize("trained", [None, "", "soon", "2026-13-24T22:30:00Z"])
async def test_without_a_training_nothing_is_looked_at(trained: str | None) -> None:
    """No pod is listed for a service that no job has trained."""
    world = await seen(service(trained=trained), pod("a"))
    assert await freshness(world) is None
    assert [str(call) for call in world.engine.calls if "Pod" in str(call)] == []


async def test_a_service_follows_its_pods() -> None:
    """Stale, then Reloading, then Fresh, within a minute each, also where the service itself does not change."""
    world = await seen(service(trained=DONE), pod("old"))
    found = [await freshness(world)]
    await world.create(pod("new", ready=False))
    await world.settle(60, step=60)
    found.append(await freshness(world))
    await world.delete(POD, "old")
    await world.status(POD, "new", {"conditions": [{"type": "Ready", "status": "True"}]})
    await world.settle(60, step=60)
    assert [*found, await freshness(world)] == ["Stale", "Reloading", "Fresh"]


async def test_nothing_is_written_where_nothing_has_changed() -> None:
    """Neither another evaluation nor a restart writes anything."""
    world = await seen(service(trained=DONE, **{"app.kubernetes.io/part-of": "platform"}), pod("old"),
                       named(APPLICATION, "platform", "argocd", spec=HERE))  # fmt: skip
    await world.settle(120, step=60)
    before = len(world.writes)
    await world.settle(600, step=60)
    world.restart()
    await world.settle(600, step=60)
    assert world.writes[before:] == []


async def test_the_label_is_written_where_asked_for() -> None:
    """Argo CD shows labels, not annotations, on a node."""
    plain, labelled = [await seen(service(trained=DONE), pod("old"), nodeLabel=wanted) for wanted in (False, True)]
    assert labels_of(await plain.get(SERVICE, "model")) == {}
    assert labels_of(await labelled.get(SERVICE, "model")) == {FRESHNESS: "Stale"}


def copying(kept: str) -> Any:
    """Play a KServe that copies annotations or labels: a change of them replaces the pod."""

    async def replace(world: World) -> None:
        found = await world.get(SERVICE, "model")
        wanted = annotations_of(found) if kept == "annotations" else labels_of(found)
        copied = {key: value for key, value in wanted.items() if key.startswith("mlops.dev/")}
        (present,) = await world.all(POD)
        have = annotations_of(present) if kept == "annotations" else labels_of(present)
        if any(have.get(key) != value for key, value in copied.items()):
            name = f"pod-{int(present['metadata']['name'].rpartition('-')[2]) + 1}"
            await world.delete(POD, present["metadata"]["name"])
            new = pod(name)
            new["metadata"].setdefault(kept, {}).update(copied)
            await world.create(new)

    return replace


@pytest.mark.parametrize("kept", ["annotations", "labels"])
async def test_a_kserve_that_copies_costs_one_rollout_and_is_reported(kept: str) -> None:
    """There is no circle: where a pod carries what was written, that is written no more, and an Event says what to do."""
    world = world_of(nodeLabel=True)
    world.simulators.append(copying(kept))
    await world.create(service(), pod("pod-0"), job(phase="Succeeded", annotations=triggers(RESTART)))
    await world.settle(1800, step=60)
    (left,) = await world.all(POD)
    assert left["metadata"]["name"] == "pod-1"
    assert [(name, reason) for name, reason, _ in await world.events()] == [("model", "AnnotationsCopied")]
    assert not [key for key in annotations_of(await world.get(SERVICE, "model")) if key.startswith("fired.")]


async def test_an_application_says_which_of_its_models_are_stale() -> None:
    """Number and names, in one write, and only of its own."""
    mine: Mapping[str, str] = {"app.kubernetes.io/part-of": "platform"}
    world = await seen(
        named(APPLICATION, "platform", "argocd", spec=HERE), pod("a", "one"), pod("b", "two"), pod("c", "theirs"),
        service("one", DONE, **mine), service("two", DONE, **mine), service("three", DONE, **mine), service("four", **mine),
        service("theirs", DONE),
    )  # fmt: skip
    await world.settle(180, step=60)
    found = await world.annotations(APPLICATION, "platform", "argocd")
    assert json.loads(found[STATUS]) == {"total": 3, "fresh": 1, "stale": 2, "reloading": 0, "staleModels": ["one", "two"]}
    assert found[SUMMARY] == "1/3 models fresh, 2 stale"
    for name in ("one", "two", "three"):
        await world.delete(SERVICE, name)
    await world.settle(120, step=60)
    assert await world.annotations(APPLICATION, "platform", "argocd") == {}


async def test_an_application_is_found_by_its_tracking_id() -> None:
    """In both forms; an id that names another object is ignored."""
    objects = []
    for name, owner in (("one", "platform"), ("two", "team-a_platform"), ("three", "platform")):
        obj = service(name, DONE)
        named_in_id = "else" if name == "three" else name
        obj["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = (
            f"{owner}:serving.kserve.io/InferenceService:ns/{named_in_id}"
        )
        objects.append(obj)
    places = ("argocd", "team-a")
    world = await seen(*objects, *(named(APPLICATION, "platform", place, spec=HERE) for place in places))
    await world.settle(180, step=60)
    found = [(await world.annotations(APPLICATION, "platform", place))[SUMMARY] for place in places]
    assert found == ["1/1 models fresh, 0 stale"] * 2


@pytest.mark.parametrize("mode", [Mode.AUDIT, Mode.OFF])
async def test_audit_and_off_write_nothing(mode: Mode) -> None:
    """Neither a training nor a freshness is written."""
    world = world_of(mode)
    await world.create(service(), service("other", DONE), pod("a"), job(phase="Succeeded", annotations=triggers(RESTART)))
    await world.settle(120, step=60)
    assert world.writes == []


async def played(fault: InjectedFault | None) -> tuple[Any, int]:
    world = world_of()
    await world.create(
        named(APPLICATION, "platform", "argocd", spec=HERE), service(**{"app.kubernetes.io/part-of": "platform"}), pod("old"),
        job(phase="Succeeded", annotations=triggers(RESTART)),
    )  # fmt: skip
    if fault is not None:
        world.engine.faults.add(fault)
    await world.settle(240, step=60)
    application = await world.annotations(APPLICATION, "platform", "argocd")
    return (await world.annotations(SERVICE, "model"), application, annotations_of(await world.get(JOB, "train"))), world.crashes


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
async def test_a_crash_at_any_call_neither_loses_nor_doubles(effect: Effect) -> None:
    """Whichever call the engine dies before or after, everything is reported in the end."""
    expected, _ = await played(None)
    assert expected[0][FRESHNESS] == "Stale"
    for call in itertools.count():
        found, crashes = await played(InjectedFault(effect, after=call))
        if not crashes:
            break
        assert found == expected, f"{effect} at call {call}"
    assert call > 5
