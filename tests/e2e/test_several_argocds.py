"""Two real Argo CDs in one cluster, of which one is where OpenShift GitOps puts it; nothing says where they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from engine.model.objects import annotations_of, dig
from tests.controlplane import argocd as build
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.plane import ControlPlane
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.world import APPLICATION, job, named, trigger, triggers

OPENSHIFT, OTHER = "openshift-gitops", "team-gitops"


@pytest.fixture(scope="module")
def argocds(own_plane: ControlPlane, say: Say) -> Iterator[dict[str, ArgoCD]]:
    """Both by namespace, that of OpenShift GitOps being the older one."""
    try:
        with ExitStack() as stack:
            programs, source = build.programs(say), build.source()
            yield {name: stack.enter_context(ArgoCD(own_plane, programs, source, name)) for name in (OPENSHIFT, OTHER)}
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture(scope="module")
def operator(own_plane: ControlPlane, argocds: dict[str, ArgoCD]) -> Iterator[Engine]:
    """The engine for the whole cluster, with no param set."""
    with Engine(own_plane, "", "operator") as engine:
        engine.start()
        engine.ready()
        yield engine


@pytest.mark.argocd
@pytest.mark.parametrize(("namespace", "managed_by"), [("unlabelled", OPENSHIFT), ("ours", OPENSHIFT), ("theirs", OTHER)])
def test_a_trigger_without_a_namespace_reaches_the_argo_cd_of_its_job(
    own_plane: ControlPlane, argocds: dict[str, ArgoCD], operator: Engine, namespace: str, managed_by: str
) -> None:
    """The sync runs in the Argo CD that a label of the job's namespace names, else in the oldest; there its jobs are counted too.

    Both Argo CDs have an Application of this name that deploys there.
    """
    labels = {} if namespace == "unlabelled" else {"argocd.argoproj.io/managed-by": managed_by}
    own_plane.ensure("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
    cluster = Cluster(own_plane, namespace)
    for place, argocd in argocds.items():
        repository = argocd.repository(f"{namespace}-{place}")
        repository.commit({"app.yaml": [named(CONFIG_MAP, f"of-{place}", namespace, data={"a": "b"})]})
        argocd.application(namespace, repository, namespace)

    asked = {**triggers(trigger(APPLICATION, namespace, "sync"))}
    time.sleep(1.1)  # times are in whole seconds, and what ended before the engine came triggers nothing
    made = job("train", "Succeeded", asked, namespace, completed=now())
    made["metadata"]["labels"] = {"app.kubernetes.io/part-of": namespace}
    cluster.create(made)

    argocd, other = argocds[managed_by], next(each for place, each in argocds.items() if place != managed_by)
    eventually(lambda: dig(argocd.get(namespace), ("status", "operationState", "phase"), "") == "Succeeded", "sync", 90)
    assert cluster.get(CONFIG_MAP, f"of-{managed_by}")["data"] == {"a": "b"}
    assert [reason for reason, _ in cluster.events("train")] == ["TriggerSuccess"]
    eventually(lambda: annotations_of(argocd.get(namespace)).get("mlops.dev/notebook-state") == "Succeeded", "count", 90)
    assert "operationState" not in other.get(namespace).get("status", {})
    assert not [key for key in annotations_of(other.get(namespace)) if key.startswith("mlops.dev/")]
