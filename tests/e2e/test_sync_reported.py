"""What stands in the way of a sync that a trigger starts, in Argo CD's own words on the job."""

from __future__ import annotations

import time
from typing import Any

from engine.model.objects import dig
from tests.controlplane.plane import ControlPlane
from tests.controlplane.versions import ARGOCD
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import CONFIG_MAP, PROJECT, Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.world import APPLICATION, job, named, trigger, triggers

#: Seconds until what a sync waits for must have been reported: a minute, and some for a slow machine.
PATIENCE = 120.0


def deployed(argocd: ArgoCD, cluster: Cluster, **project: Any) -> None:
    """An Application of the test's name, in an AppProject of that name that allows everything but what is said."""
    name = cluster.namespace
    allowed = {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}
    cluster.create(named(PROJECT, name, argocd.namespace, spec={**allowed, **project}))
    repository = argocd.repository(name)
    repository.commit({"app.yaml": [named(CONFIG_MAP, "served", cluster.namespace, data={"model": "first"})]})
    argocd.application(name, repository, cluster.namespace, project=name)


def succeed(cluster: Cluster) -> None:
    """A job succeeds that triggers the sync."""
    time.sleep(1.1)
    asked = triggers(trigger(APPLICATION, cluster.namespace, "sync"))
    cluster.create(job("train", "Succeeded", asked, cluster.namespace, completed=now()))


def test_a_sync_that_a_window_holds_back_says_so_and_runs_when_it_opens(
    argocd: ArgoCD, cluster: Cluster, engine: Engine, control_plane: ControlPlane
) -> None:
    """After a minute the job says that a sync window blocks it; without the window the same sync runs."""
    closed = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    deployed(argocd, cluster, syncWindows=[closed])
    succeed(cluster)

    message = eventually(lambda: dict(cluster.events("train")).get("TriggerWaiting"), "word of the window", PATIENCE)
    assert "sync window" in message
    assert not cluster.find(CONFIG_MAP, "served")

    argocd.cluster.patch(PROJECT, cluster.namespace, {"spec": {"syncWindows": None}})
    argocd.refresh(cluster.namespace)
    eventually(lambda: cluster.find(CONFIG_MAP, "served"), "sync", PATIENCE)
    assert "TriggerFailed" not in dict(cluster.events("train"))


def test_a_sync_that_its_project_refuses_is_reported_with_the_reason(argocd: ArgoCD, cluster: Cluster, engine: Engine) -> None:
    """Argo CD's own words say what the AppProject does not permit; those of 3.2 only that something is not valid."""
    deployed(argocd, cluster, namespaceResourceBlacklist=[{"group": "", "kind": "ConfigMap"}])
    succeed(cluster)

    message = eventually(lambda: dict(cluster.events("train")).get("TriggerFailed"), "word of the refusal", PATIENCE)

    state = dig(argocd.get(cluster.namespace), ("status", "operationState"))
    assert state["message"] in message
    assert ("tasks are not valid" if ARGOCD.asked == "3.2" else "not permitted in project") in message
    assert not cluster.find(CONFIG_MAP, "served")
