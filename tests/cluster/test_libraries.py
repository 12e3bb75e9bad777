"""Libraries in ConfigMaps beside packs, on a real kube-apiserver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.model.objects import Object, annotations_of
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.unit.packs.test_libraries import function, library
from tests.world import named

STATUS = "rules.mlops.dev/status"
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: mark}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {role: source}}
  rules:
    - name: mark
      actions:
        - annotate: {annotations: {example.com/mark: '${texts.mark(object)}'}}
"""
ONE = library(mark=function("'one ' + object.metadata.name", "object"))
TWO = library(mark=function("'two ' + texts.called(object)", "object"), called=function("object.metadata.name", "object"))
BROKEN = library(mark=function("'three ' + texts.nam(object)", "object"))


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    return Cluster(control_plane, namespace)


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    with Engine(cluster.plane, cluster.namespace) as engine:
        engine.grant("", "configmaps")
        cluster.create(rules(engine, "mark", PACK))
        engine.start()
        engine.ready()
        yield engine


def rules(engine: Engine, name: str, text: str) -> Object:
    """A ConfigMap that the operator reads."""
    obj = named(CONFIG_MAP, name, engine.own, data={"text.yaml": text})
    return {**obj, "metadata": {**obj["metadata"], "labels": {"rules.mlops.dev/rule-pack": "true"}}}


def source(cluster: Cluster, name: str) -> None:
    """Create an object that the pack watches."""
    obj = named(CONFIG_MAP, name, cluster.namespace)
    cluster.create({**obj, "metadata": {**obj["metadata"], "labels": {"role": "source"}}})


def change(cluster: Cluster, engine: Engine, text: str) -> None:
    """Put another text into the library's ConfigMap."""
    cluster.patch(CONFIG_MAP, "library", {"data": {"text.yaml": text}}, engine.own)


def mark(cluster: Cluster, name: str) -> str | None:
    """What the rule has written on an object."""
    return annotations_of(cluster.get(CONFIG_MAP, name)).get("example.com/mark")


def status(cluster: Cluster, engine: Engine, name: str) -> str:
    """What the operator says of a ConfigMap of its namespace."""
    found = cluster.plane.request("GET", f"/api/v1/namespaces/{engine.own}/configmaps/{name}")
    return annotations_of(found).get(STATUS, "")


def test_packs_follow_a_library_through_its_life(cluster: Cluster, engine: Engine) -> None:
    """Missing, there, changed, broken, with a restart in between, and corrected; nobody touches the pack."""
    eventually(lambda: "a library 'texts' (kind: RuleLibrary), which is not here" in status(cluster, engine, "mark"), "refusal")

    cluster.create(rules(engine, "library", ONE))
    source(cluster, "a")
    eventually(lambda: mark(cluster, "a") == "one a", "first function")
    assert "refused" not in status(cluster, engine, "mark")

    change(cluster, engine, TWO)
    eventually(lambda: mark(cluster, "a") == "two a", "second function")

    change(cluster, engine, BROKEN)
    eventually(lambda: "unknown function 'texts.nam'" in status(cluster, engine, "library"), "fault of the library")
    source(cluster, "c")
    eventually(lambda: mark(cluster, "c") == "two c", "last good function")

    engine.kill()
    engine.start()
    engine.ready()
    eventually(lambda: "library 'texts' without faults" in status(cluster, engine, "mark"), "refusal after the restart")
    source(cluster, "d")

    change(cluster, engine, ONE)
    eventually(lambda: mark(cluster, "d") == "one d", "corrected function")
