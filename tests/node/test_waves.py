"""ADR-048's example on a node: a commit that real Argo CD syncs in waves, a notebook that trains, pods that load its model."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from engine.model.objects import Object, dig, metadata
from tests.controlplane import argocd as build
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.repository import Repository
from tests.e2e.test_end_to_end import EXAMPLE, MODEL, NOTEBOOK, PLATFORM
from tests.node.node import Node
from tests.node.notebooks import REPLICAS, Notebooks, Services, fewest_ready, predictions, servers, store
from tests.node.operator import CONFIG, Operator
from tests.world import JOB, SERVICE, named

#: Pods have to start, and a wave waits for those of the one before.
PATIENCE = 180.0


@pytest.fixture(scope="module")
def argocd(node: Node) -> Iterator[ArgoCD]:
    """Argo CD beside the operator's pods, with its own definitions of its kinds."""
    programs, source = build.programs(), build.source()
    for name in ("application", "appproject"):
        node.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(source / f"manifests/crds/{name}-crd.yaml"))
    with ArgoCD(node.plane, programs, source) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(node: Node) -> Iterator[Cluster]:
    """The example's namespace, with an empty folder of models; the operator runs, and the controllers of both kinds."""
    node.kubectl("apply", "-k", str(CONFIG / "default"))
    store(node, PLATFORM)
    cluster = Cluster(node.plane, PLATFORM)
    evict = named(CONFIG_MAP, "rulepack-params", "rulepack-system", data={"on-success-triggers": "restartStrategy: Evict\n"})
    cluster.create(evict)  # no KServe runs that would roll anything out
    Operator(node).settled()
    with Notebooks(cluster), Services(cluster):
        yield cluster


def test_each_commit_is_trained_and_served(argocd: ArgoCD, cluster: Cluster) -> None:
    """The service comes after the notebook has succeeded; a second commit trains anew, and its model is loaded, pod by pod.

    A third, whose notebook fails, fails the sync, and what is served stays.
    """
    repository = argocd.repository(PLATFORM)
    commit(repository, "main", [[0, 1], [1, 3]])
    application = yaml.safe_load((EXAMPLE / "application.yaml").read_text())
    application["spec"]["source"]["repoURL"] = repository.url
    argocd.cluster.create(application)
    argocd.settled(PLATFORM, "Synced", "Healthy", PATIENCE)
    first, service = cluster.get(JOB, NOTEBOOK), cluster.get(SERVICE, MODEL)
    assert first["status"]["completionTime"] <= metadata(service)["creationTimestamp"]
    assert predictions(cluster, 10) == [21.0] * REPLICAS

    before = {metadata(pod)["uid"] for pod in servers(cluster)}
    with fewest_ready(cluster) as ready:
        commit(repository, "v2", [[0, 0], [1, 5]])
        argocd.refresh(PLATFORM)
        eventually(lambda: predictions(cluster, 10) == [50.0] * REPLICAS, "pods that serve the new model", PATIENCE)
    assert metadata(cluster.get(JOB, NOTEBOOK))["uid"] != metadata(first)["uid"]
    assert not before & {metadata(pod)["uid"] for pod in servers(cluster)}
    assert min(ready) == REPLICAS - 1
    argocd.settled(PLATFORM, "Synced", "Healthy", PATIENCE)

    served = {metadata(pod)["uid"] for pod in servers(cluster)}
    commit(repository, "v3", [[1, 1]])
    argocd.refresh(PLATFORM)
    eventually(lambda: operation(argocd).get("phase") == "Failed", "sync that has failed", PATIENCE)
    assert dig(cluster.get(JOB, NOTEBOOK), ("status", "phase"), "") == "Failed"
    assert {metadata(pod)["uid"] for pod in servers(cluster)} == served
    assert predictions(cluster, 10) == [50.0] * REPLICAS


def commit(repository: Repository, ref: str, points: list[list[int]]) -> None:
    """Commit the example with a notebook at a ref, and the points that it fits a line through."""
    job, service = yaml.safe_load_all((EXAMPLE / "after.yaml").read_text())
    job["spec"]["notebook"]["git"]["ref"] = ref
    job["metadata"]["annotations"]["example.com/points"] = json.dumps(points)
    repository.commit({"platform/after.yaml": [job, service]}, ref)


def operation(argocd: ArgoCD) -> Object:
    """The state of the sync that came last."""
    state: Object = dig(argocd.get(PLATFORM), ("status", "operationState"), {})
    return state
