"""Restarts of what owns pods and is no InferenceService: by the real controllers, and by the real schemas of others."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from engine.model.objects import Kind, Object, dig, metadata
from tests.capacity import Capacity, serves
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.e2e.kserve.job import PATIENCE, succeed, told
from tests.simulators.behavior import Behavior
from tests.simulators.kubelet import Kubelet
from tests.simulators.objects import CONTAINERS, DAEMON_SET, LABELS, STATEFUL_SET, workload
from tests.world import DEPLOYMENT, POD, named


def serving(cluster: Cluster, count: int) -> set[str]:
    """The uids of the pods of the namespace, once so many serve and no others are there."""

    def uids() -> set[str]:
        pods = cluster.all(POD)
        return {str(metadata(one)["uid"]) for one in pods} if len(pods) == count and all(map(serves, pods)) else set()

    return eventually(uids, f"{count} Ready pods")


@pytest.mark.parametrize(
    ("kind", "replicas", "lowest", "drops"),
    [(DEPLOYMENT, 2, 2, ""), (STATEFUL_SET, 2, 1, "1 of 2 pods be missing"), (DAEMON_SET, 1, 0, "1 pods be missing")],
    ids=lambda value: value.kind if isinstance(value, Kind) else "",
)
def test_a_workload_is_rolled_out_by_its_own_controller(
    cluster: Cluster, engine: Engine, kubelet: Kubelet, kind: Kind, replicas: int, lowest: int, drops: str
) -> None:
    """All pods are new, never fewer served than the strategy says, which is told first; success is told once all are Ready."""
    kubelet.use(Behavior(load=0.5, stop=0.1), cluster.namespace)
    workload(cluster, kind, **({} if kind == DAEMON_SET else {"replicas": replicas}))
    before = serving(cluster, replicas)

    with Capacity(cluster.plane, cluster.namespace, ",".join(f"{key}={value}" for key, value in LABELS.items())) as capacity:
        succeed(cluster, kind=kind, name="web")
        eventually(lambda: told(cluster), "Event about the restart", PATIENCE)
        after = serving(cluster, replicas)

    messages = dict(cluster.events("train"))
    assert not before & after
    assert capacity.lowest >= lowest
    assert (drops in messages["TriggerStarted"]) and ("be missing" in messages["TriggerStarted"]) == bool(drops)
    assert messages["TriggerSuccess"].startswith(f"Restarted {kind.kind}/web in ")


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
)  # fmt: skip


@pytest.mark.parametrize("owner", OWNERS, ids=lambda owner: owner.kind.kind)
def test_the_schema_of_another_owner_takes_the_time(cluster: Cluster, engine: Engine, owner: Owner) -> None:
    """The API server keeps the time in the field that the owner reads; once its status says that it is done, that is told."""
    kind = owner.kind
    engine.grant(kind.group, owner.plural)
    cluster.create(named(kind, "web", cluster.namespace, spec=owner.spec))
    succeed(cluster, kind=kind, name="web")
    at = eventually(lambda: dig(cluster.get(kind, "web"), owner.field), "time in the owner's field", PATIENCE)
    assert told(cluster) == []

    cluster.status(kind, "web", carried_out(cluster.get(kind, "web"), str(at), owner.handled))

    eventually(lambda: told(cluster) == ["TriggerSuccess"], "word that it is done", PATIENCE)
    assert dict(cluster.events("train"))["TriggerSuccess"].startswith(f"Restarted {kind.kind}/web in ")
    assert dig(cluster.get(kind, "web"), owner.field) == at


def carried_out(found: Object, at: str, handled: tuple[str, ...]) -> dict[str, Any]:
    """The status with which the owner says that it has carried out a restart."""
    if handled:
        return dict.fromkeys(handled, at)
    revision = {"latestReadyRevisionName": "web-00002", "latestCreatedRevisionName": "web-00002"}
    return {"observedGeneration": metadata(found)["generation"], **revision}
