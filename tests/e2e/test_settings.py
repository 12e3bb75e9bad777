"""What the settings of Applications do on a real Argo CD: each beside an Application without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from engine.model.objects import Object, annotations_of, dig, metadata
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.settings import REPLACE, SELF_HEAL, SERVER_SIDE_APPLY, SERVER_SIDE_DIFF, Setting
from tests.world import named

MARK = {"metadata": {"annotations": {"mlops.dev/restarted-at": "2026-01-24T22:30:00Z"}}}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
Deploy = Callable[[Sequence[Setting], Object], str]


@pytest.fixture
def deploy(argocd: ArgoCD, cluster: Cluster) -> Deploy:
    """Commit an object, and have it deployed by an Application with some settings; the Application's name."""

    def deploy(settings: Sequence[Setting], obj: Object) -> str:
        repository = argocd.repository(cluster.namespace)
        repository.commit({"object.yaml": [obj]})
        argocd.application(cluster.namespace, repository, cluster.namespace, *settings)
        if SELF_HEAL not in settings:
            argocd.sync(cluster.namespace)
        return cluster.namespace

    return deploy


def served(cluster: Cluster) -> Object:
    """A ConfigMap to deploy."""
    return named(CONFIG_MAP, "served", cluster.namespace, data={"model": "first"})


def compared(argocd: ArgoCD, name: str) -> str:
    """What Argo CD says of an Application once it has compared it again, with what is there now: Synced or OutOfSync."""
    for _ in range(2):  # the first one may have begun before
        argocd.refresh(name)
        eventually(lambda: "argocd.argoproj.io/refresh" not in annotations_of(argocd.get(name)), "new comparison")
    return str(dig(argocd.get(name), ("status", "sync", "status"), ""))


def model(cluster: Cluster) -> str:
    """What the deployed ConfigMap says."""
    found = cluster.find(CONFIG_MAP, "served")
    return str(dig(found or {}, ("data", "model"), ""))


def test_with_self_heal_a_change_on_the_cluster_is_put_back(argocd: ArgoCD, cluster: Cluster, deploy: Deploy) -> None:
    """Nobody starts a sync: neither the first one, nor the one that puts the value back."""
    name = deploy([SELF_HEAL], served(cluster))
    eventually(lambda: model(cluster) == "first", "object that is deployed")

    cluster.patch(CONFIG_MAP, "served", {"data": {"model": "changed"}})

    eventually(lambda: model(cluster) == "first", "value of the commit")
    assert dig(argocd.get(name), ("status", "operationState", "operation", "initiatedBy", "automated"), False)


def test_without_self_heal_it_stays(argocd: ArgoCD, cluster: Cluster, deploy: Deploy) -> None:
    """Argo CD says that they differ, and leaves it at that."""
    name = deploy([], served(cluster))

    cluster.patch(CONFIG_MAP, "served", {"data": {"model": "changed"}})

    assert compared(argocd, name) == "OutOfSync"
    assert model(cluster) == "changed"


@pytest.mark.parametrize(("settings", "kept"), [([], True), ([SERVER_SIDE_APPLY], True), ([REPLACE], False)])
def test_what_others_write_is_lost_by_replace_alone(
    argocd: ArgoCD, cluster: Cluster, deploy: Deploy, settings: list[Setting], kept: bool
) -> None:
    """An annotation that only the cluster has is no difference; a sync keeps it, but where it replaces the object."""
    name = deploy(settings, served(cluster))
    cluster.patch(CONFIG_MAP, "served", MARK)
    found = compared(argocd, name)

    argocd.sync(name)

    assert found == "Synced"
    assert ("mlops.dev/restarted-at" in annotations_of(cluster.get(CONFIG_MAP, "served"))) is kept


@pytest.mark.parametrize(("settings", "operation"), [([], "Update"), ([SERVER_SIDE_APPLY], "Apply")])
def test_server_side_apply_manages_the_fields_of_the_commit(
    cluster: Cluster, deploy: Deploy, settings: list[Setting], operation: str
) -> None:
    """It is the manager of the fields by Apply, and keeps no copy of the manifest in an annotation."""
    deploy(settings, served(cluster))

    found = cluster.get(CONFIG_MAP, "served")
    managed: list[dict[str, Any]] = metadata(found)["managedFields"]
    operations = {entry["operation"] for entry in managed if "f:data" in entry["fieldsV1"]}
    assert operations == {operation}
    assert (LAST_APPLIED in annotations_of(found)) is (operation == "Update")


@pytest.mark.parametrize(("settings", "asked"), [([], False), ([SERVER_SIDE_DIFF], True)])
def test_server_side_diff_asks_the_server_what_it_would_make_of_the_commit(
    argocd: ArgoCD, cluster: Cluster, deploy: Deploy, settings: list[Setting], asked: bool
) -> None:
    """A comparison applies the manifest in a dry run, where it would otherwise only read; what others write is no difference."""
    name = deploy(settings, served(cluster))
    inside = f"/namespaces/{cluster.namespace}/configmaps/served"
    before = [run for run in cluster.plane.dry_runs() if inside in run]
    cluster.patch(CONFIG_MAP, "served", MARK)

    assert compared(argocd, name) == "Synced"
    assert ([run for run in cluster.plane.dry_runs() if inside in run] != before) is asked
