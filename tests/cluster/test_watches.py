"""Packs of several kinds, and namespaces by their labels, on a real kube-apiserver, with rights on one namespace's name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from secrets import token_hex

import pytest

from engine.model.objects import Kind, annotations_of
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.world import named

SECRET = Kind("v1", "Secret")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: marks}
spec:
  watch:
    - {apiVersion: v1, kind: ConfigMap, namespaceSelector: {team: ml}}
    - {apiVersion: v1, kind: Secret, namespaceSelector: {matchLabels: {team: ml}}, fields: [data]}
  rules:
    - name: mark
      actions:
        - annotate: {annotations: {example.com/mark: '${object.kind}'}}
"""


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    return Cluster(control_plane, namespace)


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    with Engine(cluster.plane, cluster.namespace) as engine:
        engine.grant("", "configmaps")
        engine.grant("", "secrets")
        pack = named(CONFIG_MAP, "marks", engine.own, data={"pack.yaml": PACK})
        pack["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
        cluster.create(pack)
        take_namespaces(cluster, engine)
        engine.start()
        engine.ready()
        yield engine


def take_namespaces(cluster: Cluster, engine: Engine) -> None:
    """Take the right on all Namespaces from the operator's own role, where shipped packs have it."""
    path = f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{engine.own}"
    rules = [rule for rule in cluster.plane.request("GET", path)["rules"] if "namespaces" not in rule["resources"]]
    cluster.plane.request("PATCH", path, {"rules": rules})


def marks(cluster: Cluster) -> list[str | None]:
    """What the rule has put down on the ConfigMap and on the Secret."""
    return [annotations_of(cluster.get(kind, "one")).get("example.com/mark") for kind in (CONFIG_MAP, SECRET)]


def label(cluster: Cluster, team: str | None) -> None:
    """Give the namespace a label, or take it away."""
    path = f"/api/v1/namespaces/{cluster.namespace}"
    cluster.plane.request("PATCH", path, {"metadata": {"labels": {"team": team}}})


def test_a_label_of_a_namespace_is_followed_with_a_right_on_its_name(cluster: Cluster, engine: Engine) -> None:
    """The operator watches one namespace, and may list and watch this Namespace only.

    Without the right the pack says what is missing. Objects of both kinds are marked once the label comes, and no more once it
    has gone.
    """
    cluster.create(named(CONFIG_MAP, "one", cluster.namespace))
    cluster.create(named(SECRET, "one", cluster.namespace))
    eventually(lambda: waits(cluster, engine), "pack that waits")

    names = [cluster.namespace, engine.own]
    rule = {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": names, "verbs": ["list", "watch"]}
    engine.bind("ClusterRole", f"{engine.own}-namespaces", [rule])
    eventually(lambda: not waits(cluster, engine), "pack that has what it needs")
    assert marks(cluster) == [None, None]

    label(cluster, "ml")
    eventually(lambda: marks(cluster) == ["ConfigMap", "Secret"], "marks of both")

    label(cluster, None)
    eventually(lambda: stays_unmarked(cluster), "objects that nobody marks any more")

    label(cluster, "ml")
    eventually(lambda: marks(cluster) == ["ConfigMap", "Secret"], "marks of both, once more")


def stays_unmarked(cluster: Cluster) -> bool:
    """Take the marks away; return whether they stay away for half a second."""
    for kind in (CONFIG_MAP, SECRET):
        cluster.patch(kind, "one", {"metadata": {"annotations": {"example.com/mark": None}}, "data": {"a": token_hex(4)}})
    time.sleep(0.5)
    return marks(cluster) == [None, None]


def waits(cluster: Cluster, engine: Engine) -> bool:
    """Whether the pack's status says that it waits for a right on Namespaces."""
    status = annotations_of(cluster.get(CONFIG_MAP, "marks", engine.own)).get("rules.mlops.dev/status", "")
    return "pack marks waits: Namespace.v1" in status and "rulepack rbac" in status
