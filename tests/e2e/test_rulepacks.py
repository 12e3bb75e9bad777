"""RulePacks through Argo CD: what is in git is in force as it is written there, or the Application says why not."""

from __future__ import annotations

from typing import Any

import pytest

from engine.packs.crd import custom_resource_definition
from engine.packs.rbac import RULE_PACK
from tests.controlplane.plane import ControlPlane
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import Cluster
from tests.e2e.engine import Engine

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: through-git}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: 'team in (ml)'}
  rules:
    - name: gone
      event: Delete
      for: 90s
      vars: {z: "'yes'", a: vars.z}
      when: has(object.data)
      existing: CatchUp
      actions:
        - emitEvent: {type: Normal, reason: Gone, message: '${vars.a}'}
"""


@pytest.fixture
def engine(control_plane: ControlPlane, stopped_engine: Engine) -> Engine:
    """The engine, which knows the kind and may read ConfigMaps."""
    control_plane.define(custom_resource_definition())
    stopped_engine.grant("", "configmaps")
    stopped_engine.start()
    stopped_engine.ready()
    return stopped_engine


def deployed(argocd: ArgoCD, engine: Engine, namespace: str, text: str) -> Any:
    """Commit a pack and sync it into the operator's namespace; gives the operation's state."""
    repository = argocd.repository(namespace)
    repository.commit({"pack.yaml": text})
    argocd.application(namespace, repository, engine.own)
    return argocd.finished(namespace, argocd.start_sync(namespace))


def test_a_pack_in_git_is_in_force_without_drift(
    argocd: ArgoCD, control_plane: ControlPlane, engine: Engine, cluster: Cluster
) -> None:
    """Short forms stay as they are, and what the operator counts is no change of the Application."""
    state = deployed(argocd, engine, cluster.namespace, PACK)
    argocd.settled(cluster.namespace, "Synced", "Healthy")
    argocd.refresh(cluster.namespace)
    argocd.settled(cluster.namespace, "Synced", "Healthy")

    path = f"/apis/{RULE_PACK.api_version}/namespaces/{engine.own}/rulepacks/through-git"
    stored = control_plane.request("GET", path)
    assert state["phase"] == "Succeeded"
    assert stored["spec"]["rules"][0]["event"] == "Delete"
    assert stored["spec"]["watch"]["labelSelector"] == "team in (ml)"
    assert stored["status"]["generationInForce"] == 1


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("      wehn: has(object.data)", "spec.rules[0].wehn"),
        ("      on: Delete\n      when: has(object.data)", "spec.rules[0].true"),
    ],
)
def test_a_pack_that_says_something_else_is_degraded(
    argocd: ArgoCD, engine: Engine, cluster: Cluster, written: str, path: str
) -> None:
    """A misspelt key, and `on`, which Argo CD reads as true: the Application is Degraded, and nothing of the pack is in force."""
    text = PACK.replace("      when: has(object.data)", written).replace("      event: Delete\n", "")
    deployed(argocd, engine, cluster.namespace, text)

    application = argocd.settled(cluster.namespace, "Synced", "Degraded")

    (resource,) = application["status"]["resources"]
    assert "through-git" not in engine.packs()
    assert resource["health"]["status"] == "Degraded"
    assert path in str(resource["health"].get("message", "")) or path in str(application["status"])
