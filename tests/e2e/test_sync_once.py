"""Scenario d: a success starts one sync of another Application, whatever happens to the engine meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from engine.model.objects import Object, annotations_of, dig, metadata
from tests.controlplane.plane import ControlPlane
from tests.e2e.argocd import NAMESPACE, ArgoCD
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.e2e.gateway import Gateway, Strike
from tests.e2e.repository import in_wave
from tests.world import APPLICATION, DONE, JOB, job, named, trigger, triggers

EXAMPLES = Path(__file__).parent.parent.parent / "examples/sync-waves"
NOTEBOOK = "predictive-analytics-kserve-validation"
RECORD = "fired.rules.mlops.dev/on-success-triggers.sync-application"
When = Literal["before", "after"]


@pytest.fixture
def serving(argocd: ArgoCD, cluster: Cluster) -> str:
    """The name of an Application that has been synced once."""
    name = cluster.namespace
    repository = argocd.repository(name)
    repository.commit({"app.yaml": [named(CONFIG_MAP, "served", cluster.namespace, data={"model": "first"})]})
    argocd.application(name, repository, cluster.namespace)
    argocd.sync(name)
    return name


def syncs(argocd: ArgoCD, name: str) -> int:
    """How many syncs of an Application have succeeded, by its own status."""
    return len(dig(argocd.get(name), ("status", "history"), []))


def recorded(cluster: Cluster) -> Callable[[], bool]:
    """Whether the engine has put on record that the trigger has been carried out."""
    return lambda: RECORD in annotations_of(cluster.get(JOB, "train"))


def key(trained: Object) -> str:
    """The firing key of a job's run."""
    return f"{metadata(trained)['uid']}/{trained['status']['completionTime']}"


def points(namespace: str, application: str) -> list[tuple[When, str]]:
    """Ten points on the way from the start of the engine to the end of its work, in order, each beyond the one before."""
    jobs = rf"/namespaces/{namespace}/notebookvalidationjobs"
    target = rf"/namespaces/{NAMESPACE}/applications/{application}\b"
    steps = (
        rf"^GET .*{jobs}\?(?!.*watch=)",
        rf"^GET .*{target}",
        rf"^PATCH .*{target}",
        r"^POST .*/events",
        rf"^PATCH .*{jobs}/train\b",
    )
    return [(when, step) for step in steps for when in ("before", "after")]


def test_a_success_starts_one_sync_though_the_engine_is_killed_at_ten_points(
    argocd: ArgoCD, cluster: Cluster, serving: str, stopped_engine: Engine, control_plane: ControlPlane
) -> None:
    """Killed before and after each of its requests, and restarted, the engine has started exactly one sync in the end."""
    cluster.create(
        job(phase="Succeeded", annotations=triggers(trigger(APPLICATION, serving, "sync")), namespace=cluster.namespace)
    )
    engine = stopped_engine
    with Gateway(control_plane) as gateway:
        through = engine.kubeconfig_through(gateway.url)
        for when, request in points(cluster.namespace, serving):
            strike = Strike(when, re.compile(request), engine.kill)
            gateway.arm(strike)
            engine.start(through)
            assert strike.done.wait(60), f"the engine never came to {request}: {engine.log()}"

        engine.start(through)
        engine.ready()
        eventually(recorded(cluster), "firing record on the job")

    argocd.settled(serving, "Synced", "Healthy")
    eventually(lambda: syncs(argocd, serving) == 2, "second sync")
    infos = dig(argocd.get(serving), ("status", "operationState", "operation", "info"), [])
    assert infos[0]["value"] == key(cluster.get(JOB, "train"))
    assert len([write for write in engine.writes() if f"/applications/{serving}" in write]) == 1
    assert [reason for reason, _ in cluster.events("train")] == ["TriggerSuccess"]


def test_a_sync_that_is_running_is_waited_for(argocd: ArgoCD, cluster: Cluster, engine: Engine) -> None:
    """While a sync of the Application runs no other is started over it; the trigger's own follows when it has ended."""
    name = cluster.namespace
    repository = argocd.repository(name)
    served = named(CONFIG_MAP, "served", cluster.namespace, data={"model": "first"})
    repository.commit({"app.yaml": [in_wave(1, job("slow", namespace=cluster.namespace)), in_wave(2, served)]})
    argocd.application(name, repository, cluster.namespace)
    mark = argocd.start_sync(name)
    eventually(lambda: "waiting for healthy state" in argocd.operation(name, mark).get("message", ""), "sync that waits")

    cluster.create(job(phase="Succeeded", annotations=triggers(trigger(APPLICATION, name, "sync")), namespace=cluster.namespace))
    about = {"pack": "on-success-triggers", "rule": "sync-application", "action": "wait", "outcome": "waiting"}
    eventually(lambda: engine.metric("rulepack_actions_total", **about), "engine that waits for the sync")
    during = argocd.operation(name, mark)
    cluster.status(JOB, "slow", {"phase": "Succeeded", "completionTime": DONE})

    assert during["phase"] == "Running"
    assert argocd.finished(name, mark)["phase"] == "Succeeded"
    eventually(recorded(cluster), "firing record on the job")
    own = argocd.finished(name, key(cluster.get(JOB, "train")))
    assert own["phase"] == "Succeeded"
    assert syncs(argocd, name) == 2


def test_the_sync_runs_the_hooks_of_the_application_again(argocd: ArgoCD, cluster: Cluster, engine: Engine) -> None:
    """A hook that an earlier sync has run is deleted, created anew and waited for, as in a sync that a user starts."""
    name = cluster.namespace
    repository = argocd.repository(name)
    repository.commit({"hook.yaml": (EXAMPLES / "rerun-per-sync.yaml").read_text()})
    argocd.application(name, repository, cluster.namespace)
    first = argocd.start_sync(name)
    old = eventually(lambda: cluster.find(JOB, NOTEBOOK), "notebook job")
    cluster.status(JOB, NOTEBOOK, {"phase": "Succeeded", "completionTime": DONE})
    argocd.finished(name, first)

    cluster.create(job(phase="Succeeded", annotations=triggers(trigger(APPLICATION, name, "sync")), namespace=cluster.namespace))
    cluster.collect(JOB, NOTEBOOK)
    new = eventually(lambda: cluster.find(JOB, NOTEBOOK), "new notebook job")
    cluster.status(JOB, NOTEBOOK, {"phase": "Succeeded", "completionTime": DONE})

    assert metadata(new)["uid"] != metadata(old)["uid"]
    assert argocd.finished(name, key(cluster.get(JOB, "train")))["phase"] == "Succeeded"
