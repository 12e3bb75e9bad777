"""The pack on-success-triggers."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.kube.faults import Effect, InjectedFault
from engine.model.merge import merged
from engine.model.objects import Kind, Object, Resource, annotations_of, metadata
from engine.model.observe import ActResult
from engine.packs.params import Values, of_text
from tests.world import (
    APPLICATION,
    DEPLOYMENT,
    DONE,
    EVENT,
    JOB,
    NAMESPACE,
    POD,
    PROJECT,
    SERVICE,
    World,
    all_packs,
    job,
    named,
    names,
    pod,
    pulled,
    shipped,
    trigger,
    triggers,
)  # fmt: skip

RESTART = trigger(SERVICE, "model", "restart")
SYNC = trigger(APPLICATION, "consumers", "sync")
HERE = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "ns"}}
PACK = "on-success-triggers"
RULES = Path(__file__).parents[2] / "rules"
EVICT = {"restartStrategy": "Evict"}
KINDS = {
    "rollouts": Kind("argoproj.io/v1alpha1", "Rollout"),
    "kustomizations": Kind("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
    "services": Kind("serving.knative.dev/v1", "Service"),
    "rayservices": Kind("ray.io/v1", "RayService"),
}
RESTARTED = "2026-01-24T22:30:05Z"
"""What a restart is marked with: it has whatever ends within five seconds after DONE."""
STARTED = ["TriggerStarted", "TriggerStarted"]
"""On the job, and on what is restarted."""


async def world_of(*objects: Object, annotations: Mapping[str, str], **params: Any) -> World:
    """A world in which a job has just succeeded, half an hour after everything else was created."""
    world = World(shipped(PACK), params={PACK: params})
    for plural, kind in KINDS.items():
        world.cluster.register(Resource(kind, plural, True))
    await world.create(*objects, job(phase="ValidationRunning", annotations=annotations))
    await world.clock.advance(1800)
    await world.status(JOB, "train", {"phase": "Succeeded", "completionTime": DONE})
    return world


def predictor(replicas: int, namespace: str = "ns") -> Object:
    """The Deployment that KServe makes of the InferenceService `model`."""
    found = named(DEPLOYMENT, "model-predictor", namespace, spec={"replicas": replicas, "template": {}})
    found["metadata"]["labels"] = {"serving.kserve.io/inferenceservice": "model", "component": "predictor"}
    return found


async def replace_pods(world: World) -> None:
    """Play the ReplicaSet: there are always two predictor pods, and a new one is Ready at once."""
    pods = names(await world.all(POD))
    for number in itertools.count():
        if len(pods) >= 2:
            return
        if f"new-{number}" not in pods and f"old-{number}" not in pods:
            await world.create(pod(f"new-{number}"))
            pods.append(f"new-{number}")


def restarted_at(obj: Object) -> str | None:
    """The time of its last restart: of a workload, or of the predictor of an InferenceService."""
    spec = obj["spec"]
    if "predictor" in spec:
        return annotations_of({"metadata": spec["predictor"]}).get("mlops.dev/restarted-at")
    return annotations_of(spec.get("template", {})).get("kubectl.kubernetes.io/restartedAt")


async def reasons(world: World) -> list[str]:
    return [reason for _, reason, _ in await world.events()]


async def test_an_inference_service_is_rolled_out_by_its_owner() -> None:
    """Its predictor gets the time; its pods, and the Deployment that KServe renders, are left to KServe."""
    world = await world_of(
        named(SERVICE, "model", spec={"predictor": {}}), predictor(1), pod("old-0"), annotations=triggers(RESTART)
    )
    await world.settle(10)
    assert restarted_at(await world.get(SERVICE, "model")) == RESTARTED
    assert names(await world.all(POD)) == ["old-0"]
    assert [write for write in world.writes if "Event" not in write] == [
        "patch InferenceService ns/model",
        "patch NotebookValidationJob ns/train",
    ]
    assert await reasons(world) == STARTED
    (about_model,) = [each for each in await world.all(EVENT) if each["involvedObject"]["kind"] == "InferenceService"]
    assert (about_model["related"]["kind"], about_model["related"]["name"]) == ("NotebookValidationJob", "train")


async def test_older_predictor_pods_are_evicted() -> None:
    """With the strategy Evict pods from before the training go by eviction, and no time is written on the service."""
    world = await world_of(
        named(SERVICE, "model", spec={"predictor": {}}), predictor(2), pod("old-0"), pod("old-1"),
        annotations=triggers(RESTART), **EVICT,
    )  # fmt: skip
    world.simulators.append(replace_pods)
    await world.settle(20)
    assert [name for name in names(await world.all(POD)) if name.startswith("old")] == []
    assert [str(call) for call in world.engine.writes if call.subresource == "eviction"] == [
        "create Pod ns/old-0/eviction 200",
        "create Pod ns/old-1/eviction 200",
    ]
    assert restarted_at(await world.get(SERVICE, "model")) is None
    assert await reasons(world) == STARTED


async def test_newer_pods_and_pods_of_others_stay() -> None:
    """A pod that is newer than the training, of another service, or a transformer is not touched."""
    world = await world_of(
        named(SERVICE, "model"), predictor(3), pod("old-0"), pod("other", "other"), pod("transform", component="transformer"),
        annotations=triggers(RESTART), **EVICT,
    )  # fmt: skip
    await world.create(pod("new-0"), pod("new-1"))
    await world.settle(20)
    assert names(await world.all(POD)) == ["new-0", "new-1", "other", "transform"]


async def test_one_pod_at_a_time() -> None:
    """The next pod goes only when the replacement of the one before is Ready."""
    world = await world_of(
        named(SERVICE, "model"), predictor(2), pod("old-0"), pod("old-1"), annotations=triggers(RESTART), **EVICT
    )
    await world.settle(8)
    assert names(await world.all(POD)) == ["old-1"]
    await world.create(pod("new-0", ready=False))
    await world.settle(60)
    assert names(await world.all(POD)) == ["new-0", "old-1"]
    await world.status(POD, "new-0", {"conditions": [{"type": "Ready", "status": "True"}]})
    await world.settle(15)
    assert names(await world.all(POD)) == ["new-0"]


async def test_a_pod_that_is_out_of_date_and_not_ready_goes_first() -> None:
    """It serves nobody, so it is no reason to wait: a model that never started is replaced by the one that was just trained."""
    world = await world_of(
        named(SERVICE, "model"), predictor(2), pod("old-0", ready=False), pod("old-1", ready=False),
        annotations=triggers(RESTART), **EVICT,
    )  # fmt: skip
    world.simulators.append(replace_pods)
    await world.settle(20)
    assert names(await world.all(POD)) == ["new-0", "new-1"]


@pytest.mark.parametrize("times", [1, 3, 4])
async def test_a_conflict_is_no_proof_that_a_pod_has_gone(times: int) -> None:
    """Where the last eviction is refused with 409 it is evaluated again, however often that happens, until the pod has gone."""
    world = await world_of(
        named(SERVICE, "model"), predictor(2), pod("old-0"), pod("old-1"), annotations=triggers(RESTART), **EVICT
    )
    world.simulators.append(replace_pods)
    world.engine.faults.add(InjectedFault(409, verb="create", kind="Pod", after=1, times=times))
    await world.settle(40)
    assert names(await world.all(POD)) == ["new-0", "new-1"]


async def test_where_no_replacement_comes_no_second_pod_goes() -> None:
    """However long that takes: what is missing is counted against what the service wants, not against what is left of it."""
    world = await world_of(
        named(SERVICE, "model"), predictor(3), pod("old-0"), pod("old-1"), pod("old-2"), annotations=triggers(RESTART), **EVICT
    )
    await world.settle(7200, step=30)
    assert names(await world.all(POD)) == ["old-1", "old-2"]
    assert await reasons(world) == ["TriggerStarted", "RuleWaiting", "TriggerStarted"]


@pytest.mark.parametrize(("ended", "phase"), [("gone-0", "Failed"), ("gone-1", "Succeeded")])
async def test_pods_that_have_ended_count_for_nothing(ended: str, phase: str) -> None:
    """Neither as one that serves, nor as one that is missing."""
    over = pod(ended, ready=False)
    over["status"]["phase"] = phase
    world = await world_of(named(SERVICE, "model"), predictor(1), over, pod("old-0"), annotations=triggers(RESTART), **EVICT)
    await world.settle(60)
    assert names(await world.all(POD)) == [ended, "old-0"]
    assert "would take its only pod" in (await world.events())[0][2]


async def test_the_last_pod_goes_only_where_an_outage_is_allowed() -> None:
    """Parameter allowOutage says so."""
    world = await world_of(
        named(SERVICE, "model"), predictor(1), pod("old-0"), annotations=triggers(RESTART), allowOutage=True, **EVICT
    )
    await world.settle(10)
    assert await world.all(POD) == []


async def test_a_disruption_budget_is_honoured() -> None:
    """A pod that the budget protects stays until the budget allows it, and that is no failure."""
    budget = {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "model", "namespace": "ns"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"serving.kserve.io/inferenceservice": "model"}}},
    }  # fmt: skip
    world = await world_of(
        named(SERVICE, "model"), predictor(2), pod("old-0"), pod("old-1"), budget, annotations=triggers(RESTART), **EVICT
    )
    await world.settle(60)
    assert names(await world.all(POD)) == ["old-0", "old-1"]
    assert await reasons(world) == ["TriggerStarted", "RuleWaiting", "TriggerStarted"]
    await world.create(pod("new-0"))
    await world.settle(10)
    assert names(await world.all(POD)) == ["new-0", "old-1"]


async def test_the_strategy_delete_deletes() -> None:
    """With restartStrategy Delete the pods go without asking for an eviction."""
    world = await world_of(
        named(SERVICE, "model"), predictor(2), pod("old-0"), pod("old-1"), annotations=triggers(RESTART), restartStrategy="Delete"
    )
    await world.settle(8)
    assert "delete Pod ns/old-0" in world.writes


async def test_a_change_of_the_strategy_restarts_nothing_again() -> None:
    """What has been done is on record, whichever way it was done."""
    world = await world_of(
        named(SERVICE, "model", spec={"predictor": {}}), predictor(1), pod("old-0"), annotations=triggers(RESTART)
    )
    await world.settle(10)
    world.use(shipped(PACK), params={PACK: {**EVICT, "allowOutage": True}})
    world.relist()
    await world.settle(10)
    assert names(await world.all(POD)) == ["old-0"]


async def test_a_service_that_does_not_exist_is_reported_once_it_should_be_there() -> None:
    """It may come later, so a typo in the name is no warning; it is no restart of nothing either."""
    world = await world_of(annotations=triggers(RESTART))
    await world.settle(299)
    assert await world.events() == []
    await world.settle(5)
    ((about, reason, message),) = await world.events()
    assert (about, reason) == ("train", "TriggerSkipped")
    assert message.startswith("InferenceService/model is not there 5 minutes after the training.")
    assert world.seen.measurements == [("argocd_triggers_total", {"action": "restart", "status": "skipped"}, 1.0)]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_a_workload_is_restarted_as_kubectl_does_it(kind: str) -> None:
    """restartedAt stands in the pod template."""
    of = type(DEPLOYMENT)("apps/v1", kind)
    world = await world_of(named(of, "web", spec={"template": {}}), annotations=triggers(trigger(of, "web", "restart")))
    await world.settle(10)
    assert restarted_at(await world.get(of, "web")) == RESTARTED
    assert await reasons(world) == STARTED


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (KINDS["rollouts"], {"spec": {"restartAt": RESTARTED}}),
        (KINDS["kustomizations"], {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": RESTARTED}}}),
        (
            KINDS["services"],
            {"spec": {"template": {"metadata": {"annotations": {"mlops.dev/restarted-at": RESTARTED}}}}},
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Kind) else "",
)
async def test_other_kinds_are_restarted_where_they_take_it(kind: Kind, expected: Object) -> None:
    """Each by the field that its own controller reads."""
    world = await world_of(named(kind, "web", spec={}), annotations=triggers(trigger(kind, "web", "restart")))
    await world.settle(10)
    found = await world.get(kind, "web")
    assert merged(found, expected) == found
    assert await reasons(world) == STARTED


async def test_a_parameter_adds_a_kind() -> None:
    """restartFields says where its time stands."""
    kind, path = KINDS["rayservices"], 'spec.rayClusterConfig.headGroupSpec.template.metadata.annotations["a/b"]'
    world = await world_of(
        named(kind, "web", spec={}),
        annotations=triggers(trigger(kind, "web", "restart")),
        restartFields={"RayService.ray.io": path},
    )
    await world.settle(10)
    config = (await world.get(kind, "web"))["spec"]["rayClusterConfig"]
    assert config == {"headGroupSpec": {"template": {"metadata": {"annotations": {"a/b": DONE}}}}}
    assert await world.events() == [("train", "TriggerSuccess", f"Set {path} of RayService/web: its controller does the rest")]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({f"Kind{number}.example.com": "spec.at" for number in range(51)}, "too large"),
        ({"apps/v1 Deployment": "spec.at"}, "'apps/v1 Deployment'"),
        ({"Deployment": "spec.at"}, "'Deployment'"),
        ({"RayService.ray.io": ""}, "''"),
        ({"Deployment.apps": "spec.at"}, "'Deployment.apps' is not possible here"),
    ],
    ids=["too many", "no kind", "no group", "no field", "one of the pack's own"],
)
def test_a_table_of_kinds_that_cannot_be_meant_is_reported(fields: dict[str, str], fault: str) -> None:
    """What stood there last stays: more than 50 kinds, what is not Kind.group, an empty field, and a kind that the pack knows."""
    params, last = shipped(PACK).params, {"restartFields": {"RayService.ray.io": "spec.at"}}

    found = of_text(params, Values(last), last, yaml.safe_dump({"restartFields": fields}), "params")

    assert found.values["restartFields"] == last["restartFields"]
    assert fault in str(found.faults)


def test_each_kind_of_the_library_is_refused_there() -> None:
    """The two lists are one: a kind that the pack restarts by a rule of its own has no field that a parameter could change."""
    library = yaml.safe_load((RULES / "lib/workloads.yaml").read_text())
    known = re.findall(r"'([A-Z]\w+\.[a-z.]+)':", library["spec"]["functions"]["restartFields"]["expression"])

    refused = shipped(PACK).params["restartFields"].schema["propertyNames"]["not"]["enum"]

    assert sorted(refused) == sorted(known)


@pytest.mark.parametrize("later", ["2026-01-24T23:00:00Z", "2026-01-25T00:00:00+01:00"])
async def test_restarted_at_only_moves_forward(later: str) -> None:
    """A workload that was restarted after the training is left as it is, whatever its time zone."""
    template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": later}}}
    world = await world_of(named(DEPLOYMENT, "web", spec={"template": template}),
                           annotations=triggers(trigger(DEPLOYMENT, "web", "restart")))  # fmt: skip
    await world.settle(10)
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == later
    assert await reasons(world) == STARTED


@pytest.mark.parametrize("odd", ["", "yesterday", "2026"])
async def test_an_odd_restarted_at_is_replaced(odd: str) -> None:
    """What is no time does not hold a restart up."""
    template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": odd}}}
    world = await world_of(named(DEPLOYMENT, "web", spec={"template": template}),
                           annotations=triggers(trigger(DEPLOYMENT, "web", "restart")))  # fmt: skip
    await world.settle(10)
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == RESTARTED


@pytest.mark.parametrize(("action", "key"), [("restart", "mlops.dev/restarted-at"), ("refresh", "mlops.dev/refreshed-at")])
async def test_anything_else_is_marked_with_the_completion(action: str, key: str) -> None:
    """Any other kind gets an annotation, and the Event says that it has got no more than that."""
    of = type(DEPLOYMENT)("v1", "ConfigMap")
    world = await world_of(named(of, "settings"), annotations=triggers(trigger(of, "settings", action)))
    await world.settle()
    assert await world.annotations(of, "settings") == {key: DONE}
    ((_, reason, message),) = await world.events()
    assert reason == "TriggerSuccess"
    assert message.endswith("it is marked, and nothing is known here that restarts it") == (action == "restart")


async def test_refreshing_a_service_restarts_it() -> None:
    """Its pods have to load what was trained, and an annotation of the service itself would roll its transformer out as well."""
    world = await world_of(
        named(SERVICE, "model", spec={"predictor": {}}), predictor(1), pod("old-0"),
        annotations=triggers(trigger(SERVICE, "model", "refresh")),
    )  # fmt: skip
    await world.settle(10)
    assert restarted_at(await world.get(SERVICE, "model")) == RESTARTED
    assert await world.annotations(SERVICE, "model") == {}
    assert await reasons(world) == STARTED


async def test_nothing_that_ended_before_the_rule_came_into_force_is_restarted() -> None:
    """Of 200 finished jobs none restarts anything; one that ends after that does."""
    webs = [named(DEPLOYMENT, f"web-{n}", spec={"template": {}}) for n in range(50)]
    restarts = [triggers(trigger(DEPLOYMENT, f"web-{n}", "restart")) for n in range(50)]
    world = World(shipped(PACK))
    old = {"phase": "Succeeded", "completed": "2026-01-24T21:59:00Z"}
    await world.create(*webs, *(job(f"old-{n}", annotations=restarts[n % 50], **old) for n in range(200)))
    await world.settle(1800, step=600)
    assert world.writes == []

    await world.create(job("new", phase="Succeeded", annotations=restarts[0]))
    await world.settle(10)
    assert [write for write in world.writes if "Deployment" in write] == ["patch Deployment ns/web-0"]


async def test_what_ended_while_the_operator_was_down_is_restarted() -> None:
    """Of five jobs that end in an hour without it, each restarts what it names, once."""
    webs = [named(DEPLOYMENT, f"web-{n}", spec={"template": {}}) for n in range(5)]
    world = World(shipped(PACK))
    await world.create(*webs)
    await world.settle(1800, step=600)
    await world.create(*(job(f"train-{n}", phase="Succeeded", annotations=triggers(trigger(DEPLOYMENT, f"web-{n}", "restart")))
                         for n in range(5)))  # fmt: skip
    await world.clock.advance(3600)
    world.restart()
    await world.settle(60, step=10)
    assert sorted(write for write in world.writes if "Deployment" in write) == [f"patch Deployment ns/web-{n}" for n in range(5)]


async def test_a_sync_is_an_operation_with_the_applications_own_options() -> None:
    """The operation carries the firing key, and the sync options, retry and pruning of the Application's own policy."""
    policy = {"automated": {"prune": True}, "syncOptions": ["CreateNamespace=true"], "retry": {"limit": 2}}
    world = await world_of(
        named(APPLICATION, "consumers", "argocd", spec={**HERE, "syncPolicy": policy}), annotations=triggers(SYNC)
    )
    await world.settle(10)
    operation = (await world.get(APPLICATION, "consumers", "argocd"))["operation"]
    uid = metadata(await world.get(JOB, "train"))["uid"]
    assert operation == {
        "initiatedBy": {"username": "rulepack", "automated": True},
        "info": [
            {"name": "mlops.dev/on-success-trigger", "value": f"{uid}/{DONE}"},
            {"name": "mlops.dev/asked-at", "value": "2026-01-24T22:30:06Z"},
        ],
        "retry": {"limit": 2},
        "sync": {"prune": True, "syncOptions": ["CreateNamespace=true"]},
    }
    assert await world.events() == [("train", "TriggerSuccess", "Started a sync of Application/consumers")]


@pytest.mark.parametrize(
    ("says", "trigger_namespace", "params", "where"),
    [
        ([], None, {}, "argocd"),
        (["gitops"], None, {}, "gitops"),
        (["gitops", "argocd"], None, {}, "gitops"),
        (["argocd", "managed-by gitops"], None, {}, "gitops"),
        (["gitops"], None, {"argocdNamespace": "argocd"}, "argocd"),
        (["argocd", "managed-by gitops"], None, {"argocdOf": {}}, "argocd"),
        (["gitops", "managed-by gitops"], "team", {}, "team"),
    ],
)
async def test_where_an_application_is(
    says: list[str], trigger_namespace: str | None, params: Mapping[str, Any], where: str
) -> None:
    """In the trigger's namespace; else by the label of the job's namespace; else that of the oldest Argo CD."""
    applications = [named(APPLICATION, "consumers", namespace, spec=HERE) for namespace in ("argocd", "gitops", "team")]
    annotations = triggers(trigger(APPLICATION, "consumers", "sync", trigger_namespace))
    world = await world_of(*applications, annotations=annotations, **params)
    for each in says:
        if each.startswith("managed-by "):
            await world.patch(NAMESPACE, "ns", {"metadata": {"labels": {"argocd.argoproj.io/managed-by": each[11:]}}}, "")
        else:
            await world.create(named(PROJECT, "default", each))
            await world.clock.advance(1)
    await world.settle(10)
    assert [metadata(each)["namespace"] for each in await world.all(APPLICATION) if "operation" in each] == [where]


async def test_a_sync_waits_for_a_running_operation() -> None:
    """However long another operation runs, the sync comes after it, once."""
    running = {"operationState": {"phase": "Running", "operation": {}}}
    world = await world_of(named(APPLICATION, "consumers", "argocd", spec=HERE, status=running), annotations=triggers(SYNC))
    await world.settle(7200, step=60)
    assert "operation" not in await world.get(APPLICATION, "consumers", "argocd")
    assert await reasons(world) == ["TriggerFailed", "TriggerWaiting"]  # that it does not end, and before that what for it waits
    await world.status(APPLICATION, "consumers", {"operationState": {"phase": "Succeeded"}}, "argocd")
    await world.settle(10)
    assert "operation" in await world.get(APPLICATION, "consumers", "argocd")
    assert await reasons(world) == ["TriggerFailed", "TriggerSuccess", "TriggerWaiting"]


async def test_refreshing_an_application_is_argo_cds_own_refresh() -> None:
    """refresh of an Application sets Argo CD's refresh annotation."""
    world = await world_of(named(APPLICATION, "consumers", "argocd", spec=HERE),
                           annotations=triggers(trigger(APPLICATION, "consumers", "refresh")))  # fmt: skip
    await world.settle()
    found = await world.annotations(APPLICATION, "consumers", "argocd")
    assert found == {"argocd.argoproj.io/refresh": "normal", "mlops.dev/refreshed-at": DONE}


MINE = {"group": "mlops.mlops.dev", "kind": "NotebookValidationJob", "namespace": "ns", "name": "train"}
LISTED = {"resources": [MINE]}
OTHERS = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "theirs"}}


@pytest.mark.parametrize(
    ("spec", "status", "tracking", "allowed"),
    [
        (HERE, {}, "", True),
        ({"destination": {"name": "in-cluster", "namespace": "ns"}}, {}, "", True),
        ({"destination": {"server": "https://elsewhere", "namespace": "ns"}}, {}, "", False),
        ({"destination": {"namespace": "other"}}, {}, "", False),
        (OTHERS, LISTED, "consumers:mlops.mlops.dev/NotebookValidationJob:ns/train", True),
        (OTHERS, LISTED, "argocd_consumers:mlops.mlops.dev/NotebookValidationJob:ns/train", True),
        (OTHERS, LISTED, "consumers:mlops.mlops.dev/NotebookValidationJob:ns/copied", False),
        (OTHERS, {}, "consumers:mlops.mlops.dev/NotebookValidationJob:ns/train", False),
        (OTHERS, {"resources": [{}, {"kind": None}]}, "consumers:mlops.mlops.dev/NotebookValidationJob:ns/train", False),
        (OTHERS, {"resources": [{**MINE, "group": "other"}]}, "consumers:mlops.mlops.dev/NotebookValidationJob:ns/train", False),
        # On a hub an Application of another cluster may list a job of the same name there.
        ({"destination": {"server": "https://elsewhere", "namespace": "theirs"}}, LISTED,
         "consumers:mlops.mlops.dev/NotebookValidationJob:ns/train", False),
        ({"destination": {"name": "spoke", "namespace": "theirs"}}, LISTED,
         "consumers:mlops.mlops.dev/NotebookValidationJob:ns/train", False),
        ({"destination": {"server": "https://kubernetes.default.svc", "name": "spoke", "namespace": "ns"}}, {}, "", False),
        (OTHERS, {"resources": [*({**MINE, "name": f"job-{number}"} for number in range(100_000)), MINE]},
         "consumers:mlops.mlops.dev/NotebookValidationJob:ns/train", True),
    ],
)  # fmt: skip
async def test_an_application_elsewhere_must_consent(spec: Any, status: Any, tracking: str, allowed: bool) -> None:
    """It does by deploying into the job's namespace, or by listing the job that names it in its tracking id."""
    refresh = trigger(APPLICATION, "consumers", "refresh")
    annotations = {**triggers(refresh), **({"argocd.argoproj.io/tracking-id": tracking} if tracking else {})}
    world = await world_of(named(APPLICATION, "consumers", "argocd", spec=spec, status=status), annotations=annotations)
    await world.settle()
    assert ("mlops.dev/refreshed-at" in await world.annotations(APPLICATION, "consumers", "argocd")) == allowed
    assert await reasons(world) == ["TriggerSuccess" if allowed else "TriggerFailed"]


TRACKED = {"argocd.argoproj.io/tracking-id": "consumers:mlops.mlops.dev/NotebookValidationJob:ns/train"}


@pytest.mark.parametrize(
    ("status", "annotations"),
    [
        (LISTED, {}),
        ({"operationState": {"phase": "Succeeded", "syncResult": LISTED}}, {}),
        ({}, TRACKED),
        ({}, {"argocd.argoproj.io/tracking-id": "argocd_consumers:mlops.mlops.dev/NotebookValidationJob:ns/train"}),
    ],
)
async def test_an_application_is_not_synced_by_a_job_of_its_own(status: Any, annotations: dict[str, str]) -> None:
    """By its resources, by the operation that made the job, or by the tracking id: reported, and no operation."""
    world = await world_of(
        named(APPLICATION, "consumers", "argocd", spec=HERE, status=status), annotations={**triggers(SYNC), **annotations}
    )
    await world.settle(7200, step=60)
    assert "operation" not in await world.get(APPLICATION, "consumers", "argocd")
    assert await reasons(world) == ["TriggerFailed"]


THEIRS = trigger(SERVICE, "model", "restart", "theirs")


def theirs() -> list[Object]:
    """An InferenceService of two pods in another namespace."""
    pods = [pod(name, namespace="theirs") for name in ("old-0", "old-1")]
    return [named(SERVICE, "model", "theirs", spec={"predictor": {}}), predictor(2, "theirs"), *pods]


async def test_a_target_in_another_namespace_is_refused() -> None:
    """Without consent nothing of another namespace is touched, and an Event says which right is missing and how to grant it."""
    world = await world_of(named(SERVICE, "model", "theirs"), pod("old-0", namespace="theirs"), annotations=triggers(THEIRS))
    await world.settle(5)
    assert names(await world.all(POD)) == ["old-0"]
    assert await world.events() == [
        (
            "train",
            "TriggerFailed",
            "Failed to restart InferenceService/model: service account ns/default may not get and patch "
            "inferenceservices.serving.kserve.io model in namespace theirs, nor list deployments.apps and pods (any) in "
            "namespace theirs, so InferenceService theirs/model does not consent; to grant it: "
            "kubectl create role NAME-1 -n theirs --verb=get,patch --resource=inferenceservices.serving.kserve.io "
            "--resource-name=model && "
            "kubectl create rolebinding NAME-1 -n theirs --role=NAME-1 --serviceaccount=ns:default && "
            "kubectl create role NAME-2 -n theirs --verb=list --resource=deployments.apps,pods && "
            "kubectl create rolebinding NAME-2 -n theirs --role=NAME-2 --serviceaccount=ns:default",
        )
    ]


async def test_a_target_in_another_namespace_consents_by_rbac() -> None:
    """It is acted on where the object's service account may do that very thing, each verb of it."""
    asked = []

    def access(spec: Mapping[str, Any]) -> bool:
        asked.append((spec["user"], *(spec["resourceAttributes"].get(key, "") for key in ("verb", "resource", "subresource"))))
        return True

    world = await world_of(*theirs(), annotations={**triggers(THEIRS), "mlops.dev/trigger-service-account": "trainer"}, **EVICT)
    world.engine.access = access
    await world.settle(40)
    assert names(await world.all(POD)) == ["old-1"]
    assert await reasons(world) == STARTED
    user = "system:serviceaccount:ns:trainer"
    assert set(asked) == {
        (user, "get", "inferenceservices", ""),
        (user, "patch", "inferenceservices", ""),
        (user, "list", "deployments", ""),
        (user, "list", "pods", ""),
        (user, "create", "pods", "eviction"),
    }
    assert len(asked) < 10, "answers are remembered for a while"


@pytest.mark.parametrize("missing", ["get", "list", "patch", "create"])
async def test_each_verb_must_be_granted(missing: str) -> None:
    """A right that is missing among others is enough to refuse."""
    world = await world_of(*theirs(), annotations=triggers(THEIRS), **EVICT)
    world.engine.access = lambda spec: spec["resourceAttributes"]["verb"] != missing
    await world.settle(40)
    assert names(await world.all(POD)) == ["old-0", "old-1"]
    (message,) = [message for _, reason, message in await world.events() if reason == "TriggerFailed"]
    assert f"may not {missing} " in message


@pytest.mark.parametrize("kind", [SERVICE, DEPLOYMENT, Kind("apps/v1", "StatefulSet")], ids=lambda kind: kind.kind)
@pytest.mark.parametrize("params", [{}, {**EVICT, "allowOutage": True}], ids=["Rollout", "Evict"])
async def test_what_a_refusal_says_to_grant_is_enough(kind: Kind, params: dict[str, Any]) -> None:
    """Whoever grants the rights of the one message has the restart at the next run."""
    entry = trigger(kind, "web", "restart", "theirs")
    spec: Object = {"predictor": {}} if kind == SERVICE else {"template": {}}
    world = await world_of(named(kind, "web", "theirs", spec=spec), annotations=triggers(entry), **params)
    world.engine.access = lambda spec: asks(spec["resourceAttributes"]) in granted
    granted: set[tuple[str, str, str]] = set()
    await world.settle(10)
    ((_, _, message),) = await world.events()
    for verbs, resources, name in re.findall(r"--verb=(\S+) --resource=(\S+)(?: --resource-name=(\S+))?", message):
        granted |= {(verb, resource, name) for verb in verbs.split(",") for resource in resources.split(",")}

    await world.settle(40)  # an answer is remembered for half a minute
    await world.patch(JOB, "train", {"metadata": {"annotations": {"mlops.dev/retrigger": "2026-01-24T22:30:30Z"}}})
    await world.settle(60)

    assert sorted(await reasons(world)) == ["TriggerFailed", *STARTED]


def asks(attributes: Mapping[str, str]) -> tuple[str, str, str]:
    """What a review asks for, as a role grants it."""
    group, subresource = attributes.get("group", ""), attributes.get("subresource", "")
    resource = attributes["resource"] + (f".{group}" if group else "") + (f"/{subresource}" if subresource else "")
    return attributes["verb"], resource, attributes.get("name", "")


async def test_targets_in_other_namespaces_can_be_denied() -> None:
    """With otherNamespaces Deny nothing of another namespace is touched, whatever RBAC says."""
    world = await world_of(named(SERVICE, "model", "theirs"), pod("old-0", namespace="theirs"),
                           annotations=triggers(THEIRS), otherNamespaces="Deny")  # fmt: skip
    world.engine.access = lambda spec: True
    await world.settle(40)
    assert names(await world.all(POD)) == ["old-0"]
    ((_, reason, message),) = await world.events()
    assert (reason, "the parameter otherNamespaces" in message) == ("TriggerFailed", True)


async def test_a_trusted_namespace_needs_no_review() -> None:
    """A namespace that trustedNamespaces names is neither asked nor denied; all others are."""
    world = await world_of(*theirs(), annotations=triggers(THEIRS), otherNamespaces="Deny", trustedNamespaces=["theirs"])
    await world.settle(40)
    assert restarted_at(await world.get(SERVICE, "model", "theirs")) == RESTARTED
    assert await reasons(world) == STARTED


async def test_what_lives_in_no_namespace_must_consent() -> None:
    """A Namespace is not at home in the namespace of the job that names it: without a right to it nothing is written there."""
    kind = Kind("v1", "Namespace")
    world = await world_of(annotations=triggers(trigger(kind, "ns", "restart")))
    await world.settle(40)  # an answer is remembered for half a minute
    ((_, reason, message),) = await world.events()
    assert (reason, "service account ns/default may not get and patch namespaces ns" in message) == ("TriggerFailed", True)
    assert "mlops.dev/restarted-at" not in await world.annotations(kind, "ns", "")

    world.engine.access = lambda spec: "namespace" not in spec["resourceAttributes"]
    await world.patch(JOB, "train", {"metadata": {"annotations": {"mlops.dev/retrigger": "2026-01-24T22:30:30Z"}}})
    await world.settle(120)
    assert (await world.annotations(kind, "ns", ""))["mlops.dev/restarted-at"] == "2026-01-24T22:30:30Z"


async def test_a_service_account_that_is_none_is_refused() -> None:
    """The annotation must be a name."""
    world = await world_of(named(SERVICE, "model", "theirs"),
                           annotations={**triggers(THEIRS), "mlops.dev/trigger-service-account": "a:b"})  # fmt: skip
    world.engine.access = lambda spec: True
    await world.settle(5)
    ((_, reason, message),) = await world.events()
    assert reason == "TriggerFailed"
    assert "not the name of a service account" in message


async def test_one_bad_entry_does_not_stop_the_others() -> None:
    """Each trigger has its own Event; the bad one says why."""
    entries = [trigger(SERVICE, "missing", "restart"), trigger(DEPLOYMENT, "web", "sync"), trigger(DEPLOYMENT, "web", "restart")]
    world = await world_of(named(DEPLOYMENT, "web", spec={}), annotations=triggers(*entries))
    await world.settle(360, step=10)
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == RESTARTED
    assert sorted(await reasons(world)) == ["TriggerFailed", "TriggerSkipped", *STARTED]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("- apiVersion: v1\n  kind: }\n", "line 2, column 9"),
        ("kind: Pod\n", "line 1, column 1"),
        (RESTART.replace("restart", "reboot"), "line 4, column 11"),
        (RESTART.replace("kind", "knd"), "line 2, column 3"),
    ],
)
async def test_a_list_that_is_not_as_it_should_be_is_reported_once(text: str, place: str) -> None:
    """There is one Event TriggerInvalid with line, column and what was expected, and nothing is triggered."""
    world = await world_of(named(SERVICE, "model"), pod("old-0"), annotations={"mlops.dev/on-success-trigger": text})
    await world.settle(5)
    world.restart()
    await world.settle(5)
    assert names(await world.all(POD)) == ["old-0"]
    ((_, reason, message),) = await world.events()
    assert reason == "TriggerInvalid"
    assert place in message
    assert "expected" in message


async def test_a_cluster_can_have_its_own_annotation() -> None:
    """The jobs' own operator, which reads the other one, then leaves the triggers alone; so does the engine with that one."""
    own = {"example.com/triggers": RESTART, "mlops.dev/on-success-trigger": SYNC}
    world = await world_of(
        named(SERVICE, "model", spec={"predictor": {}}), predictor(1), named(APPLICATION, "consumers", "argocd", spec=HERE),
        annotations=own, triggerAnnotation="example.com/triggers",
    )  # fmt: skip
    await world.settle(10)
    assert restarted_at(await world.get(SERVICE, "model")) == RESTARTED
    assert "operation" not in await world.get(APPLICATION, "consumers", "argocd")


async def test_only_success_triggers() -> None:
    """A failed job triggers nothing."""
    world = World(shipped(PACK))
    await world.create(named(SERVICE, "model"), pod("old-0"), job(phase="Failed", annotations=triggers(RESTART)))
    await world.settle(5)
    assert names(await world.all(POD)) == ["old-0"]
    assert await world.events() == []


async def test_a_trigger_that_is_added_later_is_carried_out_alone() -> None:
    """What is on record is not done again for the sake of a new entry."""
    first, second = trigger(DEPLOYMENT, "one", "restart"), trigger(DEPLOYMENT, "two", "restart")
    world = await world_of(named(DEPLOYMENT, "one", spec={}), named(DEPLOYMENT, "two", spec={}), annotations=triggers(first))
    await world.settle(10)
    await world.patch(JOB, "train", {"metadata": {"annotations": triggers(first, second)}})
    await world.settle(10)
    patched = [write for write in world.writes if "Deployment" in write and write.startswith("patch")]
    assert patched == ["patch Deployment ns/one", "patch Deployment ns/two"]
    assert await reasons(world) == [*STARTED, *STARTED]


async def retriggered(at: str) -> World:
    """Everything has been triggered; new pods and one sync later somebody asks for it all again."""
    entries = [RESTART, SYNC, trigger(DEPLOYMENT, "web", "restart"), trigger(DEPLOYMENT, "web", "refresh")]
    world = await world_of(
        named(SERVICE, "model", spec={"predictor": {}}), predictor(1), pod("old-0"), named(DEPLOYMENT, "web", spec={}),
        named(APPLICATION, "consumers", "argocd", spec=HERE), annotations=triggers(*entries),
    )  # fmt: skip
    world.simulators.append(play_argo_cd)
    await world.settle(60)
    await world.clock.advance(3600)
    await world.patch(JOB, "train", {"metadata": {"annotations": {"mlops.dev/retrigger": at}}})
    await world.settle(60)
    return world


async def test_a_retrigger_does_it_all_again() -> None:
    """The annotation mlops.dev/retrigger is a later time than the completion: what is older than it is out of date."""
    world = await retriggered("2026-01-24T23:30:00Z")
    assert restarted_at(await world.get(SERVICE, "model")) == "2026-01-24T23:30:30Z"  # half a minute before it was done
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == "2026-01-24T23:30:30Z"
    assert annotations_of(await world.get(DEPLOYMENT, "web"))["mlops.dev/refreshed-at"] == "2026-01-24T23:30:00Z"
    assert (await world.get(APPLICATION, "consumers", "argocd"))["status"]["syncs"] == 2
    assert sorted(await reasons(world)) == ["TriggerStarted"] * 8 + ["TriggerSuccess"] * 4


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("", []),
        ("now", ["TriggerInvalid"]),
        ("2026-13-24T23:30:00Z", ["TriggerInvalid"]),
        ("2026-01-24T22:00:00Z", []),
        ("2027-01-01T00:00:00Z", ["TriggerWaiting"]),
    ],
)
async def test_a_retrigger_that_is_no_time_since_the_completion_does_nothing(at: str, said: list[str]) -> None:
    """Neither a text that is no time, nor one before the completion, nor one that is still to come; it is reported."""
    world = await retriggered(at)
    assert restarted_at(await world.get(SERVICE, "model")) == RESTARTED
    assert (await world.get(APPLICATION, "consumers", "argocd"))["status"]["syncs"] == 1
    assert sorted(await reasons(world)) == sorted(["TriggerStarted"] * 4 + ["TriggerSuccess"] * 2 + said)


async def test_a_retrigger_that_is_taken_back_syncs_nothing_again() -> None:
    """Without the annotation the completion counts again, which everything is newer than."""
    world = await retriggered("2026-01-24T23:30:00Z")
    restarted = restarted_at(await world.get(SERVICE, "model"))
    await world.patch(JOB, "train", {"metadata": {"annotations": {"mlops.dev/retrigger": None}}})
    await world.settle(60)
    assert restarted_at(await world.get(SERVICE, "model")) == restarted
    assert (await world.get(APPLICATION, "consumers", "argocd"))["status"]["syncs"] == 2


async def test_a_restart_of_the_engine_writes_nothing() -> None:
    """What is on record is done, whoever evaluates it."""
    world = await world_of(named(SERVICE, "model", spec={"predictor": {}}), predictor(1), pod("old-0"),
                           named(APPLICATION, "consumers", "argocd", spec=HERE), annotations=triggers(RESTART, SYNC))  # fmt: skip
    await world.settle(7200, step=60)
    before = len(world.writes)
    world.restart()
    await world.settle(60)
    assert world.writes[before:] == []
    assert [result for _, result, _ in world.seen.evaluations if result == "fired"] == []


async def test_a_server_that_fails_for_a_while_loses_nothing() -> None:
    """500, 429 and a cut connection are tried again with backoff until the trigger is done."""
    world = await world_of(named(DEPLOYMENT, "web", spec={}), annotations=triggers(trigger(DEPLOYMENT, "web", "restart")))
    for effect in (500, 429, Effect.CUT_BEFORE, Effect.CUT_AFTER):
        world.engine.faults.add(InjectedFault(effect, verb="patch", kind="Deployment"))
    await world.settle(120)
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == RESTARTED
    assert await reasons(world) == STARTED


async def test_a_server_that_fails_for_hours_is_reported_once_and_loses_nothing() -> None:
    """An Event says after a minute what the trigger waits for; when the server answers again, it is done, once."""
    world = await world_of(named(DEPLOYMENT, "web", spec={}), annotations=triggers(trigger(DEPLOYMENT, "web", "restart")))
    world.engine.faults.add(InjectedFault(500, verb="patch", kind="Deployment", times=None))
    await world.settle(7200, step=30)
    ((_, reason, message),) = await world.events()
    assert reason == "RuleWaiting"
    assert "500 InternalError" in message

    world.engine.faults.clear()
    await world.settle(305, step=5)

    assert restarted_at(await world.get(DEPLOYMENT, "web")) == RESTARTED
    assert sorted(await reasons(world)) == ["RuleWaiting", *STARTED]


async def test_a_missing_right_is_reported_and_waited_for() -> None:
    """Once it is granted the trigger goes on by itself."""
    world = await world_of(named(DEPLOYMENT, "web", spec={}), annotations=triggers(trigger(DEPLOYMENT, "web", "restart")))
    world.engine.faults.add(InjectedFault(403, verb="patch", kind="Deployment", times=None))
    await world.settle(90)
    ((_, reason, message),) = await world.events()
    assert reason == "RuleWaiting"
    assert "forbidden" in message

    world.engine.faults.clear()
    await world.settle(305, step=5)

    assert restarted_at(await world.get(DEPLOYMENT, "web")) == RESTARTED
    assert sorted(await reasons(world)) == ["RuleWaiting", *STARTED]


async def test_an_api_server_that_does_not_know_the_roles_yet_loses_nothing() -> None:
    """One that has just started refuses for a moment what is allowed."""
    world = await world_of(named(DEPLOYMENT, "web", spec={}), annotations=triggers(trigger(DEPLOYMENT, "web", "restart")))
    world.engine.faults.add(InjectedFault(403, verb="get", kind="Deployment", times=2))
    await world.settle(20)
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == RESTARTED
    assert await reasons(world) == STARTED


@pytest.mark.parametrize("name", ["../secrets", "UPPER", "x" * 300, "a b", "model,other=1"])
async def test_a_name_that_no_object_can_have_is_refused(name: str) -> None:
    """It never becomes part of a request."""
    entries = [trigger(SERVICE, json.dumps(name), "restart"), trigger(DEPLOYMENT, json.dumps(name), "restart")]
    world = await world_of(annotations=triggers(*entries))
    await world.settle(5)
    assert await reasons(world) == ["TriggerFailed", "TriggerFailed"]
    assert all("is not a" in message for _, _, message in await world.events())


async def outcome(world: World) -> Any:
    """What matters to users, whatever happened on the way."""
    application = await world.get(APPLICATION, "consumers", "argocd")
    syncs = application.get("status", {}).get("syncs", 0)
    model = restarted_at(await world.get(SERVICE, "model"))
    records = {key: value for key, value in annotations_of(await world.get(JOB, "train")).items() if key.startswith("fired.")}
    return model, restarted_at(await world.get(DEPLOYMENT, "web")), syncs, await world.events(), records


async def play_argo_cd(world: World) -> None:
    """Play Argo CD: an operation is taken up at once, and counted; somebody else's sync follows it."""
    application = await world.get(APPLICATION, "consumers", "argocd")
    if "operation" in application:
        syncs = application.get("status", {}).get("syncs", 0) + 1
        state = {"phase": "Succeeded", "operation": {"sync": {}, "info": [{"name": "by", "value": "somebody else"}]}}
        await world.patch(
            APPLICATION, "consumers", {"operation": None, "status": {"syncs": syncs, "operationState": state}}, "argocd"
        )


async def played(fault: InjectedFault | None) -> tuple[Any, int]:
    """What the whole scenario comes to, and how often the engine died in it."""
    objects = [
        named(SERVICE, "model", spec={"predictor": {}}), predictor(2), pod("old-0"), pod("old-1"),
        named(POD, "train-validation"), named(DEPLOYMENT, "web", spec={}), named(APPLICATION, "consumers", "argocd", spec=HERE),
    ]  # fmt: skip
    world = await world_of(*objects, annotations=triggers(RESTART, SYNC, trigger(DEPLOYMENT, "web", "restart")))
    world.simulators.append(play_argo_cd)
    if fault is not None:
        world.engine.faults.add(fault)
    await world.settle(30)
    return await outcome(world), world.crashes


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
async def test_a_crash_at_any_call_neither_loses_nor_doubles(effect: Effect) -> None:
    """Whichever call the engine dies before or after: the same restarts, one sync, one Event each, the same records."""
    expected, _ = await played(None)
    for call in itertools.count():
        found, crashes = await played(InjectedFault(effect, after=call))
        if not crashes:
            break
        assert found == expected, f"{effect} at call {call}"
    assert call > 20


async def test_waiting_and_refusals_are_seen_by_observers() -> None:
    """What is held up says why."""
    running = {"operationState": {"phase": "Running"}}
    world = await world_of(named(APPLICATION, "consumers", "argocd", spec=HERE, status=running), annotations=triggers(SYNC))
    await world.settle(10)
    waiting = [act for act in world.seen.acts if act.result is ActResult.WAITING]
    assert any("!vars.busy" in act.detail for act in waiting)


def test_one_parameter_names_the_annotation_for_all_packs() -> None:
    """Each pack that reads the triggers takes the key from a param of one schema, so that `_all` says it to all of them."""
    key = "mlops.dev/on-success-trigger"
    reading = [pack for pack in all_packs() if any(each.annotation == key for each in pack.inputs.values())]
    with_param = [pack for pack in all_packs() if "triggerAnnotation" in pack.params]
    schemas = [{**pack.params["triggerAnnotation"].schema, "description": ""} for pack in with_param]

    assert {pack.name for pack in with_param} == {"on-success-triggers", "rollouts", "model-training"}
    assert all(each.param == "triggerAnnotation" for pack in reading for each in pack.inputs.values())
    assert schemas == [{"description": "", "type": "string", "default": key}] * 3


async def busy_evictions(*entries: str) -> World:
    """A world in which a restart has evicted the first of two pods, and waits for the one that is to take its place."""
    world = await world_of(
        named(SERVICE, "model", spec={"predictor": {}}), predictor(2), pod("old-0"), pod("old-1"),
        named(DEPLOYMENT, "web", spec={"replicas": 1, "template": {}}), annotations=triggers(*entries), **EVICT,
    )  # fmt: skip
    await world.settle(10)
    assert names(await world.all(POD)) == ["old-1"]
    return world


async def test_a_job_that_is_deleted_during_its_restart_has_it_finished_and_reported_once() -> None:
    """The rule about deleted jobs goes on with it; that has been reported already."""
    world = await busy_evictions(RESTART)

    await world.delete(JOB, "train")
    world.simulators.append(replace_pods)
    await world.settle(60)

    assert names(await world.all(POD)) == ["new-0", "new-1"]
    assert await reasons(world) == STARTED


async def test_a_job_that_is_deleted_when_some_of_its_triggers_are_done_has_the_others_done() -> None:
    """What is on record as done is not done again."""
    world = await busy_evictions(RESTART, trigger(DEPLOYMENT, "web", "restart"))
    assert "Deployment/ns/web" in annotations_of(await world.get(JOB, "train"))[f"fired.rules.mlops.dev/{PACK}.restart"]

    await world.delete(JOB, "train")
    world.simulators.append(replace_pods)
    await world.settle(60)

    assert names(await world.all(POD)) == ["new-0", "new-1"]
    assert await reasons(world) == STARTED * 2


async def test_a_job_that_is_deleted_when_one_of_its_syncs_waits_has_that_one_too() -> None:
    """The other one is on record, and is not started again."""
    consumers, others = (named(APPLICATION, name, "argocd", spec=HERE) for name in ("consumers", "others"))
    busy = {**others, "status": {"operationState": {"phase": "Running"}}}
    world = await world_of(consumers, busy, annotations=triggers(SYNC, trigger(APPLICATION, "others", "sync")))
    await world.settle(20)
    assert world.writes.count("patch Application argocd/consumers") == 1

    await world.delete(JOB, "train")
    await world.status(APPLICATION, "others", {"operationState": {"phase": "Succeeded"}}, "argocd")
    await world.settle(60)

    assert world.writes.count("patch Application argocd/consumers") == 1
    assert world.writes.count("patch Application argocd/others") == 1


@pytest.mark.parametrize("replaced", [True, False])
async def test_pods_that_are_newer_are_replaced_unless_one_of_many_events_says_that_they_were(*, replaced: bool) -> None:
    """They are by less than clocks may differ; the jobs' own operator reports where it has replaced them."""
    world = World(shipped(PACK), params={PACK: EVICT})
    await world.create(named(SERVICE, "model", spec={"predictor": {}}), predictor(2))
    await world.create(*(pulled(number) for number in range(6000)), job(phase="ValidationRunning", annotations=triggers(RESTART)))
    await world.clock.advance(1810)
    await world.create(pod("old-0"), pod("old-1"))
    about = {"kind": JOB.kind, "namespace": "ns", "name": "train", "uid": metadata(await world.get(JOB, "train"))["uid"]}
    if replaced:
        reported = named(
            EVENT, "theirs", reason="TriggerSuccess", message="x", involvedObject=about, source={"component": "other"}
        )
        await world.create(reported)

    await world.status(JOB, "train", {"phase": "Succeeded", "completionTime": DONE})
    await world.settle(10)

    events = [event["reason"] for event in await world.all(EVENT) if event["reason"] != "Pulled"]
    assert events == (["TriggerSuccess"] if replaced else STARTED)


@pytest.mark.parametrize(("ended", "reported"), [("22:29:00", "TriggerSuccess"), ("22:29:40", "TriggerStarted")])
async def test_the_training_ended_when_its_container_did(ended: str, reported: str) -> None:
    """Pods from between the end of the container and the completionTime run what was trained; older ones are replaced."""
    world = World(shipped(PACK))
    await world.create(
        named(SERVICE, "model", spec={"predictor": {}}), job(phase="ValidationRunning", annotations=triggers(RESTART))
    )
    uid = metadata(await world.get(JOB, "train"))["uid"]
    trainer = pod("train-validation")
    trainer["metadata"]["labels"] = {}
    trainer["metadata"]["ownerReferences"] = [{"apiVersion": JOB.api_version, "kind": JOB.kind, "name": "train", "uid": uid}]
    finished = {"terminated": {"exitCode": 0, "finishedAt": f"2026-01-24T{ended}Z"}}
    trainer = {**trainer, "status": {"phase": "Succeeded", "containerStatuses": [{"name": "notebook", "state": finished}]}}
    await world.clock.advance(1770)  # 22:29:30
    await world.create(trainer, pod("new-0"))
    await world.clock.advance(30)

    await world.status(JOB, "train", {"phase": "Succeeded", "completionTime": DONE, "validationPodName": "train-validation"})
    await world.settle(10)

    assert set(await reasons(world)) == {reported}
    time = f"2026-01-24T{ended}Z"
    assert all(time in message for _, _, message in await world.events())
