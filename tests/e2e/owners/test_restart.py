"""Restarts of what owns pods and is no InferenceService: by the real controllers, and by the real schemas of others."""

from __future__ import annotations

import re
import shlex
import time
from typing import Any, NamedTuple

import pytest

from engine.model.objects import Kind, Object, dig, metadata
from tests.capacity import Capacity, serves
from tests.controlplane.kubectl import Kubectl
from tests.e2e.cluster import Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.e2e.kserve.job import PATIENCE, reported, succeed
from tests.simulators.behavior import Behavior
from tests.simulators.kubelet import Kubelet
from tests.simulators.objects import CONTAINERS, DAEMON_SET, LABELS, STATEFUL_SET, workload
from tests.world import DEPLOYMENT, JOB, POD, job, named, trigger, triggers


def serving(cluster: Cluster, count: int) -> set[str]:
    """The uids of the pods of the namespace, once so many serve and no others are there."""

    def uids() -> set[str]:
        pods = cluster.all(POD)
        return {str(metadata(one)["uid"]) for one in pods} if len(pods) == count and all(map(serves, pods)) else set()

    return eventually(uids, f"{count} Ready pods")


@pytest.mark.parametrize(
    ("kind", "replicas", "lowest", "drops"),
    [(DEPLOYMENT, 2, 2, ""), (STATEFUL_SET, 2, 1, "1 of 2 pods be missing"), (DAEMON_SET, 1, 0, "lets 1 pod be missing")],
    ids=lambda value: value.kind if isinstance(value, Kind) else "",
)
def test_a_workload_is_rolled_out_by_its_own_controller(
    cluster: Cluster, engine: Engine, kubelet: Kubelet, kind: Kind, replicas: int, lowest: int, drops: str
) -> None:
    """All pods are new, never fewer served than the strategy says, as an Event says first; success comes once all are Ready."""
    kubelet.use(Behavior(load=0.5, stop=0.1), cluster.namespace)
    workload(cluster, kind, **({} if kind == DAEMON_SET else {"replicas": replicas}))
    before = serving(cluster, replicas)

    with Capacity(cluster.plane, cluster.namespace, ",".join(f"{key}={value}" for key, value in LABELS.items())) as capacity:
        succeed(cluster, kind=kind, name="web")
        eventually(lambda: reported(cluster), "Event about the restart", PATIENCE)
        after = serving(cluster, replicas)

    messages = dict(cluster.events("train"))
    assert not before & after
    assert capacity.lowest >= lowest
    assert (drops in messages["TriggerStarted"]) and ("be missing" in messages["TriggerStarted"]) == bool(drops)
    assert re.fullmatch(f"Restarted {kind.kind}/web in [1-9][0-9]* seconds?", messages["TriggerSuccess"])


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        (DEPLOYMENT, {"paused": True}, "it is paused"),
        (
            STATEFUL_SET,
            {"updateStrategy": {"rollingUpdate": {"partition": 1}}},
            "its partition of 1 leaves the pods before web-1",
        ),
    ],
    ids=lambda value: value.kind if isinstance(value, Kind) else "",
)
def test_what_keeps_an_owner_from_rolling_out_is_reported_with_the_command_that_ends_it(
    cluster: Cluster, engine: Engine, kubelet: Kubelet, kubectl: Kubectl, kind: Kind, spec: Object, said: str
) -> None:
    """It is reported at once; once somebody has run the command of the message, all pods are new."""
    kubelet.use(Behavior(load=0.5, stop=0.1), cluster.namespace)
    workload(cluster, kind, replicas=2)
    before = serving(cluster, 2)
    cluster.patch(kind, "web", {"spec": spec})
    succeed(cluster, kind=kind, name="web")
    eventually(lambda: reported(cluster) == ["TriggerWaiting"], "word of what keeps it", 30.0)
    message = dict(cluster.events("train"))["TriggerWaiting"]
    assert said in message

    kubectl.plain(*shlex.split(message[message.index("kubectl") :].partition("; ")[0])[1:])

    eventually(lambda: "TriggerSuccess" in reported(cluster), "success", PATIENCE)
    assert not before & serving(cluster, 2)


def test_a_strategy_that_replaces_no_pod_is_refused_with_the_command_that_does(
    cluster: Cluster, engine: Engine, kubelet: Kubelet, kubectl: Kubectl
) -> None:
    """Nothing is written; the command replaces the pod that it names."""
    kubelet.use(Behavior(load=0.5, stop=0.1), cluster.namespace)
    workload(cluster, STATEFUL_SET, replicas=1, updateStrategy={"type": "OnDelete"})
    before = serving(cluster, 1)
    succeed(cluster, kind=STATEFUL_SET, name="web")
    eventually(lambda: reported(cluster) == ["TriggerFailed"], "refusal", 30.0)
    message = dict(cluster.events("train"))["TriggerFailed"]

    kubectl.plain(*shlex.split(message[message.index("kubectl") :])[1:])

    eventually(lambda: not before & serving(cluster, 1), "another pod")


def test_of_a_training_that_ended_before_a_restart_that_is_over_the_event_says_that_all_is_newer(
    cluster: Cluster, engine: Engine, kubelet: Kubelet
) -> None:
    """A job of before that restart that comes to be known later restarts nothing, and claims no restart."""
    kubelet.use(Behavior(load=0.5, stop=0.1), cluster.namespace)
    workload(cluster, DEPLOYMENT, replicas=2)
    serving(cluster, 2)
    succeed(cluster, kind=DEPLOYMENT, name="web")
    eventually(lambda: reported(cluster) == ["TriggerSuccess"], "success", PATIENCE)
    pods = serving(cluster, 2)
    completed = str(cluster.get(JOB, "train")["status"]["completionTime"])

    asked = triggers(trigger(DEPLOYMENT, "web", "restart"))
    cluster.create(job("late", "Succeeded", asked, cluster.namespace, completed=completed))

    eventually(lambda: cluster.events("late"), "word of it", 30.0)
    ((reason, message),) = cluster.events("late")
    assert reason == "TriggerSuccess"
    assert message.startswith("Deployment/web is already newer than the training")
    assert serving(cluster, 2) == pods


def test_what_is_missing_in_another_namespace_is_reported_once_and_the_commands_grant_it(
    cluster: Cluster, engine: Engine, kubelet: Kubelet, kubectl: Kubectl
) -> None:
    """After the commands of the one message the next run restarts what it names there."""
    there = Cluster(cluster.plane, engine.own)
    kubelet.use(Behavior(load=0.5, stop=0.1), there.namespace)
    workload(there, DEPLOYMENT, replicas=1)
    serving(there, 1)
    asked = triggers(trigger(DEPLOYMENT, "web", "restart", there.namespace))
    time.sleep(1.1)
    cluster.create(job("train", "Succeeded", asked, cluster.namespace, completed=now()))
    eventually(lambda: reported(cluster) == ["TriggerFailed"], "refusal", 30.0)
    message = dict(cluster.events("train"))["TriggerFailed"]

    for command in message.partition("to grant it: ")[2].split(" && "):
        kubectl.plain(*shlex.split(command)[1:])
    time.sleep(30.0)  # an answer is remembered for so long
    cluster.create(job("again", "Succeeded", asked, cluster.namespace, completed=now()))

    reasons = eventually(lambda: [reason for reason, _ in cluster.events("again")], "word of the next run", 60.0)
    assert reasons[0] == "TriggerStarted"
    at = ("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
    assert dig(there.get(DEPLOYMENT, "web"), at)


class Owner(NamedTuple):
    """A kind of another project, an object of it, the field that takes the time, and those of its status that then name it."""

    kind: Kind
    plural: str
    spec: Object
    field: tuple[str, ...]
    handled: tuple[str, ...] = ()


OWNERS = (
    Owner(
        Kind("argoproj.io/v1alpha1", "Rollout"), "rollouts",
        {"selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}, "spec": CONTAINERS}},
        ("spec", "restartAt"), ("restartedAt",),
    ),
    Owner(
        Kind("serving.knative.dev/v1", "Service"), "services", {"template": {"spec": CONTAINERS}},
        ("spec", "template", "metadata", "annotations", "mlops.dev/restarted-at"),
    ),
    Owner(
        Kind("helm.toolkit.fluxcd.io/v2", "HelmRelease"), "helmreleases",
        {"interval": "1m", "chart": {"spec": {"chart": "web", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}},
        ("metadata", "annotations", "reconcile.fluxcd.io/requestedAt"), ("lastHandledReconcileAt",),
    ),
    Owner(
        Kind("kustomize.toolkit.fluxcd.io/v1", "Kustomization"), "kustomizations",
        {"interval": "1m", "prune": True, "sourceRef": {"kind": "GitRepository", "name": "web"}},
        ("metadata", "annotations", "reconcile.fluxcd.io/requestedAt"), ("lastHandledReconcileAt",),
    ),
)  # fmt: skip


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.kind.kind)
def test_the_schema_of_another_owner_takes_the_time(cluster: Cluster, engine: Engine, owner: Owner) -> None:
    """The API server keeps the time in the field that the owner reads; once its status says that it is done, that is reported."""
    kind = owner.kind
    cluster.create(named(kind, "web", cluster.namespace, spec=owner.spec))
    succeed(cluster, kind=kind, name="web")
    at = eventually(lambda: dig(cluster.get(kind, "web"), owner.field), "time in the owner's field", PATIENCE)
    assert reported(cluster) == []

    cluster.status(kind, "web", carried_out(cluster.get(kind, "web"), str(at), owner.handled))

    eventually(lambda: reported(cluster) == ["TriggerSuccess"], "word that it is done", PATIENCE)
    assert dict(cluster.events("train"))["TriggerSuccess"] == f"Restarted {kind.kind}/web"
    assert dig(cluster.get(kind, "web"), owner.field) == at


def carried_out(found: Object, at: str, handled: tuple[str, ...]) -> dict[str, Any]:
    """The status with which the owner says that it has carried out a restart."""
    if handled:
        return dict.fromkeys(handled, at)
    revision = {"latestReadyRevisionName": "web-00002", "latestCreatedRevisionName": "web-00002"}
    return {"observedGeneration": metadata(found)["generation"], **revision}
