"""The pack on-success-triggers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest

from engine.kube.faults import Effect, InjectedFault
from engine.model.objects import Kind, Object, annotations_of, metadata
from engine.model.observe import ActResult
from tests.world import (
    APPLICATION,
    DEPLOYMENT,
    DONE,
    JOB,
    POD,
    SERVICE,
    World,
    job,
    named,
    names,
    pod,
    shipped,
    trigger,
    triggers,
)  # fmt: skip

RESTART = trigger(SERVICE, "model", "restart")
SYNC = trigger(APPLICATION, "consumers", "sync")
HERE = {"destination": {"server": "https://kubernetes.default.svc", "namespace": "ns"}}
PACK = "on-success-triggers"


async def world_of(*objects: Object, annotations: Mapping[str, str], **params: Any) -> World:
    """A world in which a job has just succeeded, half an hour after everything else was created."""
    world = World(shipped(PACK), params={PACK: params})
    await world.create(*objects, job(phase="ValidationRunning", annotations=annotations))
    await world.clock.advance(1800)
    await world.status(JOB, "train", {"phase": "Succeeded", "completionTime": DONE})
    return world


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
    found: dict[str, str] = obj["spec"].get("template", {}).get("metadata", {}).get("annotations", {})
    return found.get("kubectl.kubernetes.io/restartedAt")


async def reasons(world: World) -> list[str]:
    return [reason for _, reason, _ in await world.events()]


async def test_older_predictor_pods_are_evicted() -> None:
    """Pods from before the completion go by eviction, the job gets TriggerSuccess, and the trigger is counted."""
    world = await world_of(named(SERVICE, "model"), pod("old-0"), pod("old-1"), annotations=triggers(RESTART))
    world.stagehands.append(replace_pods)
    await world.settle(10)
    assert [name for name in names(await world.all(POD)) if name.startswith("old")] == []
    assert [str(call) for call in world.engine.writes if call.subresource == "eviction"] == [
        "create Pod ns/old-0/eviction 200",
        "create Pod ns/old-1/eviction 200",
    ]
    assert await world.events() == [("train", "TriggerSuccess", "Restarted InferenceService/model")]
    assert world.seen.measurements == [("argocd_triggers_total", {"action": "restart", "status": "success"}, 1.0)]


async def test_newer_pods_and_pods_of_others_stay() -> None:
    """A pod that is newer than the completion, of another service, or a transformer is not touched."""
    world = await world_of(named(SERVICE, "model"), pod("other", "other"), pod("transform", component="transformer"),
                           annotations=triggers(RESTART))  # fmt: skip
    await world.create(pod("new"))
    await world.settle(10)
    assert names(await world.all(POD)) == ["new", "other", "transform"]
    assert await reasons(world) == ["TriggerSuccess"]


async def test_one_pod_at_a_time() -> None:
    """The next pod goes only when the replacement of the one before is Ready."""
    world = await world_of(named(SERVICE, "model"), pod("old-0"), pod("old-1"), annotations=triggers(RESTART))
    await world.settle(3)
    assert names(await world.all(POD)) == ["old-1"]
    await world.create(pod("new-0", ready=False))
    await world.settle(60)
    assert names(await world.all(POD)) == ["new-0", "old-1"]
    assert await world.events() == []
    await world.status(POD, "new-0", {"conditions": [{"type": "Ready", "status": "True"}]})
    await world.settle(3)
    assert names(await world.all(POD)) == ["new-0"]
    assert await reasons(world) == ["TriggerSuccess"]


async def test_a_pod_that_is_out_of_date_and_not_ready_goes_first() -> None:
    """It serves nobody, so it is no reason to wait: a model that never started is replaced by the one that was just trained."""
    world = await world_of(
        named(SERVICE, "model"), pod("old-0", ready=False), pod("old-1", ready=False), annotations=triggers(RESTART)
    )
    world.stagehands.append(replace_pods)
    await world.settle(10)
    assert names(await world.all(POD)) == ["new-0", "new-1"]
    assert await reasons(world) == ["TriggerSuccess"]


@pytest.mark.parametrize("times", [1, 3, 4])
async def test_a_conflict_is_no_proof_that_a_pod_has_gone(times: int) -> None:
    """Where the last eviction is refused with 409 it is looked at again, however often that happens, until the pod has gone."""
    world = await world_of(named(SERVICE, "model"), pod("old-0"), pod("old-1"), annotations=triggers(RESTART))
    world.stagehands.append(replace_pods)
    world.engine.faults.add(InjectedFault(409, verb="create", kind="Pod", after=1, times=times))
    await world.settle(30)
    assert names(await world.all(POD)) == ["new-0", "new-1"]
    assert await reasons(world) == ["TriggerSuccess"]


async def test_a_service_that_was_scaled_down_meanwhile_is_not_waited_for() -> None:
    """Where nobody replaces an evicted pod, what is there counts as all there should be after half a minute."""
    world = await world_of(named(SERVICE, "model"), pod("old-0"), pod("old-1"), annotations=triggers(RESTART))
    await world.settle(40)
    assert await world.all(POD) == []
    assert await reasons(world) == ["TriggerSuccess"]


async def test_a_replacement_that_never_becomes_ready_is_told() -> None:
    """After half an hour of waiting the trigger has failed, with the pod that is to blame."""
    world = await world_of(named(SERVICE, "model"), pod("old-0"), pod("old-1"), annotations=triggers(RESTART))
    await world.settle(2)
    await world.create(pod("new-0", ready=False))
    await world.settle(1900, step=30)
    assert names(await world.all(POD)) == ["new-0", "old-1"]
    assert await world.events() == [
        (
            "train",
            "TriggerFailed",
            "Failed to restart InferenceService/model: timed out waiting: 1 of 2 unavailable: new-0 not Ready",
        )
    ]


async def test_a_pod_that_never_goes_is_told() -> None:
    """A pod that somebody's finalizer keeps, say, is missing all the same: the other one stays, and the Event names the first."""
    kept = pod("old-0")
    kept["metadata"]["finalizers"] = ["example.com/hold"]
    world = await world_of(named(SERVICE, "model"), kept, pod("old-1"), annotations=triggers(RESTART))
    await world.settle(1900, step=30)
    assert names(await world.all(POD)) == ["old-0", "old-1"]
    assert [message for _, _, message in await world.events()] == [
        "Failed to restart InferenceService/model: timed out waiting: 1 of 2 unavailable: old-0 is terminating"
    ]


async def test_a_disruption_budget_is_honoured() -> None:
    """A pod that the budget protects stays until the budget allows it, and that is no failure."""
    budget = {
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "model", "namespace": "ns"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"serving.kserve.io/inferenceservice": "model"}}},
    }  # fmt: skip
    world = await world_of(named(SERVICE, "model"), pod("old-0"), budget, annotations=triggers(RESTART))
    await world.settle(60)
    assert names(await world.all(POD)) == ["old-0"]
    assert await world.events() == []
    await world.create(pod("new-0"))
    await world.settle(10)
    assert names(await world.all(POD)) == ["new-0"]
    assert await reasons(world) == ["TriggerSuccess"]


async def test_the_strategy_delete_deletes() -> None:
    """With restartStrategy Delete the pods go without asking for an eviction."""
    world = await world_of(named(SERVICE, "model"), pod("old-0"), annotations=triggers(RESTART), restartStrategy="Delete")
    await world.settle(5)
    assert "delete Pod ns/old-0" in world.writes
    assert await reasons(world) == ["TriggerSuccess"]


async def test_the_strategy_rollout_restarts_the_deployments_of_the_service() -> None:
    """With restartStrategy Rollout the pods stay, and the Deployment rolls out as kubectl would do it."""
    deployment = named(DEPLOYMENT, "model-predictor", spec={"template": {}})
    deployment["metadata"]["labels"] = {"serving.kserve.io/inferenceservice": "model"}
    world = await world_of(
        named(SERVICE, "model"), pod("old-0"), deployment, annotations=triggers(RESTART), restartStrategy="Rollout"
    )
    await world.settle(5)
    assert names(await world.all(POD)) == ["old-0"]
    assert restarted_at(await world.get(DEPLOYMENT, "model-predictor")) == DONE


async def test_a_change_of_the_strategy_restarts_nothing_again() -> None:
    """What has been done is on record, whichever way it was done."""
    deployment = named(DEPLOYMENT, "model-predictor", spec={"template": {}})
    deployment["metadata"]["labels"] = {"serving.kserve.io/inferenceservice": "model"}
    world = await world_of(named(SERVICE, "model"), deployment, annotations=triggers(RESTART))
    await world.settle(5)
    pack = shipped(PACK)
    world.use(pack, params={PACK: {"restartStrategy": "Rollout"}})
    world.relist()
    await world.settle(5)
    assert restarted_at(await world.get(DEPLOYMENT, "model-predictor")) is None


async def test_a_service_that_does_not_exist_is_a_failure() -> None:
    """A typo in the name is told, not reported as a restart of nothing."""
    world = await world_of(annotations=triggers(RESTART))
    await world.settle(5)
    assert await world.events() == [
        ("train", "TriggerFailed", "Failed to restart InferenceService/model: InferenceService ns/model not found")
    ]
    assert world.seen.measurements == [("argocd_triggers_total", {"action": "restart", "status": "failed"}, 1.0)]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_a_workload_is_restarted_at_the_completion(kind: str) -> None:
    """restartedAt in the pod template is the completion time."""
    of = type(DEPLOYMENT)("apps/v1", kind)
    world = await world_of(named(of, "web", spec={"template": {}}), annotations=triggers(trigger(of, "web", "restart")))
    await world.settle()
    assert restarted_at(await world.get(of, "web")) == DONE
    assert await world.events() == [("train", "TriggerSuccess", f"Restarted {kind}/web")]


@pytest.mark.parametrize("later", ["2026-01-24T23:00:00Z", "2026-01-25T00:00:00+01:00"])
async def test_restarted_at_only_moves_forward(later: str) -> None:
    """A workload that was restarted after the completion is left as it is, whatever its time zone."""
    template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": later}}}
    world = await world_of(named(DEPLOYMENT, "web", spec={"template": template}),
                           annotations=triggers(trigger(DEPLOYMENT, "web", "restart")))  # fmt: skip
    await world.settle()
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == later
    assert await reasons(world) == ["TriggerSuccess"]


@pytest.mark.parametrize("odd", ["", "yesterday", "2026"])
async def test_an_odd_restarted_at_is_replaced(odd: str) -> None:
    """What is no time does not hold a restart up."""
    template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": odd}}}
    world = await world_of(named(DEPLOYMENT, "web", spec={"template": template}),
                           annotations=triggers(trigger(DEPLOYMENT, "web", "restart")))  # fmt: skip
    await world.settle()
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == DONE


@pytest.mark.parametrize(("action", "key"), [("restart", "mlops.dev/restarted-at"), ("refresh", "mlops.dev/refreshed-at")])
async def test_anything_else_is_marked_with_the_completion(action: str, key: str) -> None:
    """Any other kind gets an annotation."""
    of = type(DEPLOYMENT)("v1", "ConfigMap")
    world = await world_of(named(of, "settings"), annotations=triggers(trigger(of, "settings", action)))
    await world.settle()
    assert await world.annotations(of, "settings") == {key: DONE}


async def test_refreshing_a_service_marks_it() -> None:
    """refresh of an InferenceService sets mlops.dev/refreshed-at."""
    world = await world_of(named(SERVICE, "model"), pod("old-0"), annotations=triggers(trigger(SERVICE, "model", "refresh")))
    await world.settle()
    assert await world.annotations(SERVICE, "model") == {"mlops.dev/refreshed-at": DONE}
    assert names(await world.all(POD)) == ["old-0"]
    assert await world.events() == [("train", "TriggerSuccess", "Refreshed InferenceService/model")]


async def test_a_sync_is_an_operation_with_the_applications_own_options() -> None:
    """The operation carries the firing key, and the sync options, retry and pruning of the Application's own policy."""
    policy = {"automated": {"prune": True}, "syncOptions": ["CreateNamespace=true"], "retry": {"limit": 2}}
    world = await world_of(
        named(APPLICATION, "consumers", "argocd", spec={**HERE, "syncPolicy": policy}), annotations=triggers(SYNC)
    )
    await world.settle()
    operation = (await world.get(APPLICATION, "consumers", "argocd"))["operation"]
    uid = metadata(await world.get(JOB, "train"))["uid"]
    assert operation == {
        "initiatedBy": {"username": "rulepack", "automated": True},
        "info": [{"name": "mlops.dev/on-success-trigger", "value": f"{uid}/{DONE}"}],
        "retry": {"limit": 2},
        "sync": {"prune": True, "syncOptions": ["CreateNamespace=true"]},
    }
    assert await world.events() == [("train", "TriggerSuccess", "Started a sync of Application/consumers")]


async def test_a_sync_waits_for_a_running_operation() -> None:
    """However long another operation runs, the sync comes after it, once."""
    running = {"operationState": {"phase": "Running", "operation": {}}}
    world = await world_of(named(APPLICATION, "consumers", "argocd", spec=HERE, status=running), annotations=triggers(SYNC))
    await world.settle(7200, step=60)
    assert "operation" not in await world.get(APPLICATION, "consumers", "argocd")
    assert await reasons(world) == ["TriggerFailed", "TriggerWaiting"]  # that it does not end, and before that what for it waits
    await world.status(APPLICATION, "consumers", {"operationState": {"phase": "Succeeded"}}, "argocd")
    await world.settle(5)
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
    """By its resources, by the operation that made the job, or by the tracking id: told, and no operation."""
    world = await world_of(
        named(APPLICATION, "consumers", "argocd", spec=HERE, status=status), annotations={**triggers(SYNC), **annotations}
    )
    await world.settle(7200, step=60)
    assert "operation" not in await world.get(APPLICATION, "consumers", "argocd")
    assert await reasons(world) == ["TriggerFailed"]


THEIRS = trigger(SERVICE, "model", "restart", "theirs")


async def test_a_target_in_another_namespace_is_refused() -> None:
    """Without consent nothing of another namespace is touched, and an Event says which right is missing and how to grant it."""
    world = await world_of(named(SERVICE, "model", "theirs"), pod("old-0", namespace="theirs"), annotations=triggers(THEIRS))
    await world.settle(5)
    assert names(await world.all(POD)) == ["old-0"]
    assert await world.events() == [
        (
            "train",
            "TriggerFailed",
            "Failed to restart InferenceService/model: service account ns/default may not get "
            "inferenceservices.serving.kserve.io model in namespace theirs, so InferenceService theirs/model does not consent; "
            "to grant it: kubectl create role NAME -n theirs --verb=get --resource=inferenceservices.serving.kserve.io "
            "--resource-name=model && kubectl create rolebinding NAME -n theirs --role=NAME --serviceaccount=ns:default",
        )
    ]


async def test_a_target_in_another_namespace_consents_by_rbac() -> None:
    """It is acted on where the object's service account may do that very thing, each verb of it."""
    asked = []

    def access(spec: Mapping[str, Any]) -> bool:
        asked.append((spec["user"], *(spec["resourceAttributes"].get(key, "") for key in ("verb", "resource", "subresource"))))
        return True

    world = await world_of(named(SERVICE, "model", "theirs"), pod("old-0", namespace="theirs"),
                           annotations={**triggers(THEIRS), "mlops.dev/trigger-service-account": "trainer"})  # fmt: skip
    world.engine.access = access
    await world.settle(40)
    assert await world.all(POD) == []
    assert await reasons(world) == ["TriggerSuccess"]
    user = "system:serviceaccount:ns:trainer"
    assert set(asked) == {
        (user, "get", "inferenceservices", ""),
        (user, "list", "pods", ""),
        (user, "create", "pods", "eviction"),
    }
    assert len(asked) < 10, "answers are remembered for a while"


@pytest.mark.parametrize("missing", ["get", "list", "create"])
async def test_each_verb_must_be_granted(missing: str) -> None:
    """A right that is missing among others is enough to refuse."""
    world = await world_of(named(SERVICE, "model", "theirs"), pod("old-0", namespace="theirs"), annotations=triggers(THEIRS))
    world.engine.access = lambda spec: spec["resourceAttributes"]["verb"] != missing
    await world.settle(40)
    assert names(await world.all(POD)) == ["old-0"]
    ((_, reason, message),) = await world.events()
    assert reason == "TriggerFailed"
    assert f"may not {missing} " in message


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
    world = await world_of(named(SERVICE, "model", "theirs"), pod("old-0", namespace="theirs"),
                           annotations=triggers(THEIRS), otherNamespaces="Deny", trustedNamespaces=["theirs"])  # fmt: skip
    await world.settle(40)
    assert await world.all(POD) == []
    assert await reasons(world) == ["TriggerSuccess"]


async def test_what_lives_in_no_namespace_must_consent() -> None:
    """A Namespace is not at home in the namespace of the job that names it: without a right to it nothing is written there."""
    kind = Kind("v1", "Namespace")
    world = await world_of(annotations=triggers(trigger(kind, "ns", "restart")))
    await world.settle(40)  # an answer is remembered for half a minute
    ((_, reason, message),) = await world.events()
    assert (reason, "service account ns/default may not get namespaces ns" in message) == ("TriggerFailed", True)
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
    await world.settle(5)
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == DONE
    assert sorted(await reasons(world)) == ["TriggerFailed", "TriggerFailed", "TriggerSuccess"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("- apiVersion: v1\n  kind: }\n", "line 2, column 9"),
        ("kind: Pod\n", "line 1, column 1"),
        (RESTART.replace("restart", "reboot"), "line 4, column 11"),
        (RESTART.replace("kind", "knd"), "line 2, column 3"),
    ],
)
async def test_a_list_that_is_not_as_it_should_be_is_told_once(text: str, place: str) -> None:
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
    await world.settle()
    await world.patch(JOB, "train", {"metadata": {"annotations": triggers(first, second)}})
    await world.settle()
    patched = [write for write in world.writes if "Deployment" in write and write.startswith("patch")]
    assert patched == ["patch Deployment ns/one", "patch Deployment ns/two"]
    assert await reasons(world) == ["TriggerSuccess", "TriggerSuccess"]


async def retriggered(at: str) -> World:
    """Everything has been triggered; new pods and one sync later somebody asks for it all again."""
    entries = [RESTART, SYNC, trigger(DEPLOYMENT, "web", "restart"), trigger(DEPLOYMENT, "web", "refresh")]
    world = await world_of(named(SERVICE, "model"), pod("old-0"), named(DEPLOYMENT, "web", spec={}),
                           named(APPLICATION, "consumers", "argocd", spec=HERE), annotations=triggers(*entries))  # fmt: skip
    world.stagehands.append(play_argo_cd)
    await world.settle(60)
    await world.create(pod("new-0"))
    await world.clock.advance(3600)
    await world.patch(JOB, "train", {"metadata": {"annotations": {"mlops.dev/retrigger": at}}})
    await world.settle(60)
    return world


async def test_a_retrigger_does_it_all_again() -> None:
    """The annotation mlops.dev/retrigger is a later time than the completion: what is older than it is out of date."""
    world = await retriggered("2026-01-24T23:30:00Z")
    assert names(await world.all(POD)) == []
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == "2026-01-24T23:30:00Z"
    assert annotations_of(await world.get(DEPLOYMENT, "web"))["mlops.dev/refreshed-at"] == "2026-01-24T23:30:00Z"
    assert (await world.get(APPLICATION, "consumers", "argocd"))["status"]["syncs"] == 2
    assert await reasons(world) == ["TriggerSuccess"] * 8


@pytest.mark.parametrize("at", ["", "now", "2026-13-24T23:30:00Z", "2026-01-24T22:00:00Z", "2027-01-01T00:00:00Z"])
async def test_a_retrigger_that_is_no_time_since_the_completion_does_nothing(at: str) -> None:
    """Neither a text that is no time, nor one before the completion, nor one that is still to come."""
    world = await retriggered(at)
    assert names(await world.all(POD)) == ["new-0"]
    assert (await world.get(APPLICATION, "consumers", "argocd"))["status"]["syncs"] == 1
    assert await reasons(world) == ["TriggerSuccess"] * 4


async def test_a_retrigger_that_is_taken_back_syncs_nothing_again() -> None:
    """Without the annotation the completion counts again, which everything is newer than."""
    world = await retriggered("2026-01-24T23:30:00Z")
    await world.create(pod("newer-0"))
    await world.patch(JOB, "train", {"metadata": {"annotations": {"mlops.dev/retrigger": None}}})
    await world.settle(60)
    assert names(await world.all(POD)) == ["newer-0"]
    assert (await world.get(APPLICATION, "consumers", "argocd"))["status"]["syncs"] == 2


async def test_a_restart_of_the_engine_writes_nothing() -> None:
    """What is on record is done, whoever looks."""
    world = await world_of(named(SERVICE, "model"), pod("old-0"), named(APPLICATION, "consumers", "argocd", spec=HERE),
                           annotations=triggers(RESTART, SYNC))  # fmt: skip
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
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == DONE
    assert await reasons(world) == ["TriggerSuccess"]


async def test_a_server_that_keeps_failing_ends_in_an_event() -> None:
    """When the retries are used up the trigger has failed, and that is told, counted and on record."""
    world = await world_of(named(DEPLOYMENT, "web", spec={}), annotations=triggers(trigger(DEPLOYMENT, "web", "restart")))
    world.engine.faults.add(InjectedFault(500, verb="patch", kind="Deployment", times=None))
    await world.settle(600, step=5)
    ((_, reason, message),) = await world.events()
    assert reason == "TriggerFailed"
    assert "500 InternalError" in message
    record = annotations_of(await world.get(JOB, "train"))[f"fired.rules.mlops.dev/{PACK}.restart-workload"]
    assert json.loads(record)["outcome"] == "Failed"


async def test_a_missing_right_is_final_and_told() -> None:
    """403 is tried again only to confirm it."""
    world = await world_of(named(DEPLOYMENT, "web", spec={}), annotations=triggers(trigger(DEPLOYMENT, "web", "restart")))
    world.engine.faults.add(InjectedFault(403, verb="patch", kind="Deployment", times=None))
    await world.settle(20)
    ((_, reason, message),) = await world.events()
    assert reason == "TriggerFailed"
    assert "forbidden" in message
    assert len([call for call in world.engine.calls if call.verb == "patch" and call.ref.kind == DEPLOYMENT]) == 3


async def test_an_api_server_that_does_not_know_the_roles_yet_loses_nothing() -> None:
    """One that has just started refuses for a moment what is allowed."""
    world = await world_of(named(DEPLOYMENT, "web", spec={}), annotations=triggers(trigger(DEPLOYMENT, "web", "restart")))
    world.engine.faults.add(InjectedFault(403, verb="get", kind="Deployment", times=2))
    await world.settle(20)
    assert restarted_at(await world.get(DEPLOYMENT, "web")) == DONE
    assert await reasons(world) == ["TriggerSuccess"]


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
    pods = [name for name in names(await world.all(POD)) if name.startswith("old")]
    records = {key: value for key, value in annotations_of(await world.get(JOB, "train")).items() if key.startswith("fired.")}
    return pods, restarted_at(await world.get(DEPLOYMENT, "web")), syncs, await world.events(), records


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
        named(SERVICE, "model"), pod("old-0"), pod("old-1"), named(DEPLOYMENT, "web", spec={}),
        named(APPLICATION, "consumers", "argocd", spec=HERE),
    ]  # fmt: skip
    world = await world_of(*objects, annotations=triggers(RESTART, SYNC, trigger(DEPLOYMENT, "web", "restart")))
    world.stagehands += [replace_pods, play_argo_cd]
    if fault is not None:
        world.engine.faults.add(fault)
    await world.settle(30)
    return await outcome(world), world.crashes


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
async def test_a_crash_at_any_call_neither_loses_nor_doubles(effect: Effect) -> None:
    """Whichever call the engine dies before or after: the same pods, one sync, one Event each, the same records."""
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
    await world.settle()
    waiting = [act for act in world.seen.acts if act.result is ActResult.WAITING]
    assert waiting
    assert "does not meet the guard yet" in waiting[0].detail
