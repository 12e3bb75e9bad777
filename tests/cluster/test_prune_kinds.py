"""`apply` with `prune` on a real kube-apiserver that does not serve the generated kind for a while."""

from __future__ import annotations

import time
import urllib.error
from collections.abc import Iterator
from typing import Any

import pytest

from engine.model.objects import Object, metadata
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.world import named

WIDGETS = "/apis/example.com/v1/namespaces/generated/widgets"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEFINITION = "widgets.example.com"
LABELS = {"labels": {"role": "source"}}
QUIET = 8.0
"""Seconds in which something would have been removed: each removal of this test takes less than one."""
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: generate}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {role: source}}
  targets:
    - {apiVersion: example.com/v1, kind: Widget, verbs: [get, list, watch, create, patch, delete]}
  rules:
    - name: generate
      actions:
        - apply:
            prune: true
            manifest: {apiVersion: example.com/v1, kind: Widget, metadata: {name: '${object.metadata.name}'}, spec: {size: 1}}
"""


def definition(*, served: bool) -> dict[str, Any]:
    """The definition of the generated kind: where it is not served, what there is of it stays in etcd."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": served, "storage": True, "schema": {"openAPIV3Schema": schema}}
    # A kind has one served version at least, or the API server has none of it to say 404 of.
    other = {"name": "v1alpha1", "served": True, "storage": False, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "singular": "widget"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version, other]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": DEFINITION},
        "spec": spec,
    }


@pytest.fixture
def cluster(own_plane: ControlPlane) -> Cluster:
    own_plane.ensure("/api/v1/namespaces", {"metadata": {"name": "generated"}})
    own_plane.define(definition(served=True))
    return Cluster(own_plane, "generated")


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    with Engine(cluster.plane, cluster.namespace) as engine:
        engine.grant("", "configmaps")
        verbs = ["get", "list", "watch", "create", "patch", "delete"]
        engine.bind("ClusterRole", "generate", [{"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": verbs}])
        text = named(CONFIG_MAP, "generate", engine.own, data={"pack.yaml": PACK})
        text = {**text, "metadata": {**text["metadata"], "labels": {"rules.mlops.dev/rule-pack": "true"}}}
        cluster.plane.ensure(f"/api/v1/namespaces/{engine.own}/configmaps", text)
        yield engine


def source(cluster: Cluster, name: str) -> Object:
    obj = named(CONFIG_MAP, name, cluster.namespace)
    return {**obj, "metadata": {**obj["metadata"], **LABELS}}


def generated(cluster: Cluster) -> dict[str, str]:
    """The uid of each generated object, by its name."""
    return {metadata(each)["name"]: metadata(each)["uid"] for each in cluster.plane.request("GET", WIDGETS)["items"]}


def serve(cluster: Cluster, *, served: bool) -> None:
    """Have the API server serve the generated kind, or answer 404 for it."""
    body = {"spec": definition(served=served)["spec"]}
    cluster.plane.request("PATCH", f"{DEFINITIONS}/{DEFINITION}", body)
    expected = 200 if served else 404
    eventually(lambda: answer(cluster) == expected, f"API server that answers {expected}", 60)


def answer(cluster: Cluster) -> int:
    """The status of a list; 429 while the API server initializes the storage of a version that it serves again."""
    try:
        generated(cluster)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_a_kind_that_answers_404_loses_nothing_but_what_has_no_reason(restarted: bool, cluster: Cluster, engine: Engine) -> None:
    """What lost its reason meanwhile goes once the kind is served again; what has one is the same object as before."""
    stays, goes = (f"{name}-{'restarted' if restarted else 'running'}" for name in ("stays", "goes"))
    cluster.create(source(cluster, stays), source(cluster, goes))
    engine.start()
    engine.ready()
    eventually(lambda: generated(cluster).keys() == {stays, goes}, "generated objects")
    before = generated(cluster)

    serve(cluster, served=False)
    if restarted:
        engine.kill()
        engine.start()
        engine.ready()
    cluster.delete(CONFIG_MAP, goes)
    time.sleep(QUIET)
    engine.ready()
    serve(cluster, served=True)

    eventually(lambda: generated(cluster) == {stays: before[stays]}, "removal of what has no reason", 120)
    time.sleep(QUIET)
    assert generated(cluster) == {stays: before[stays]}
    assert [write for write in engine.writes() if write.startswith("delete") and write.endswith(f"/widgets/{stays}")] == []
    cluster.delete(CONFIG_MAP, stays)
    eventually(lambda: generated(cluster) == {}, "removal of the rest", 120)
