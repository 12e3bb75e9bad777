"""Fights and incidents on a real kube-apiserver: it knows who owns a field, and what rights raising a count takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.model.objects import Object, annotations_of, labels_of
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually, path
from tests.e2e.engine import Engine
from tests.world import EVENT, named

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: labels}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {fights: 'yes'}}
  targets: [{apiVersion: v1, kind: ConfigMap, verbs: [get, patch]}]
  rules:
    - name: own
      when: "label(object, 'team') != 'ours'"
      actions:
        - label: {labels: {team: ours}}
    - name: other
      when: object.metadata.name == 'source'
      resync: 1s
      actions:
        - label: {target: {apiVersion: v1, kind: ConfigMap, name: target}, labels: {team: ours}}
    - name: tell
      when: has(object.data) && object.data.word == 'bad'
      actions:
        - emitEvent: {type: Warning, reason: Bad, message: it is bad}
    - name: seen
      when: object.metadata.name == 'c'
      actions:
        - annotate: {annotations: {seen: '${object.data.word}'}}
"""


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    return Cluster(control_plane, namespace)


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    with Engine(cluster.plane, cluster.namespace) as engine:
        engine.grant("", "configmaps")
        cluster.create(labelled("labels", engine.own, {"rules.mlops.dev/rule-pack": "true"}, {"pack.yaml": PACK}))
        engine.start()
        engine.ready()
        eventually(lambda: "labels" in engine.packs(), "pack")
        yield engine


def labelled(name: str, namespace: str, labels: dict[str, str], data: dict[str, str] | None = None) -> Object:
    """A ConfigMap."""
    found = named(CONFIG_MAP, name, namespace, data=data or {"word": "good"})
    return {**found, "metadata": {**found["metadata"], "labels": labels}}


@contextmanager
def undoing(cluster: Cluster, name: str) -> Iterator[None]:
    """Another controller, by its field manager, that puts a label back as soon as it sees it changed."""
    over = threading.Event()

    def undo() -> None:
        where = path(CONFIG_MAP, cluster.namespace, name)
        while not over.wait(0.02):
            if labels_of(cluster.find(CONFIG_MAP, name) or {}).get("team") == "ours":  # it may not be there yet
                body = {"metadata": {"labels": {"team": "theirs"}}}
                cluster.plane.request("PATCH", f"{where}?fieldManager=team-controller", body)

    thread = threading.Thread(target=undo)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(("name", "about", "rule"), [("own", "own", "own"), ("target", "source", "other")])
def test_a_fight_slows_down_and_names_the_other_manager(
    cluster: Cluster, engine: Engine, name: str, about: str, rule: str
) -> None:
    """Over a label of the watched object, and over one of another object: few writes, and an Event that says who it is."""
    with undoing(cluster, name):
        cluster.create(labelled(name, cluster.namespace, {"fights": "yes" if name == "own" else "no", "team": "theirs"}))
        if about != name:
            cluster.create(labelled(about, cluster.namespace, {"fights": "yes", "team": "ours"}))
        message = eventually(lambda: dict(cluster.events(about)).get("WriteContested"), "Event about the fight")
        eventually(lambda: engine.metric("rulepack_contested_writes_total", pack="labels", rule=rule) >= 2, "second pause")
        written = [write for write in engine.writes() if f"/configmaps/{name}" in write]

    assert f"Rule labels/{rule} writes the same on ConfigMap {cluster.namespace}/{name} again and again" in message
    assert "undone by field manager team-controller" in message
    assert len(written) <= 12, written
    eventually(lambda: labels_of(cluster.get(CONFIG_MAP, name)).get("team") == "ours", "label, once nobody undoes it")


def test_each_incident_raises_the_count_of_one_series(cluster: Cluster, engine: Engine) -> None:
    """With the rights of config/rbac; a restart in an incident raises nothing."""
    cluster.create(labelled("c", cluster.namespace, {"fights": "yes", "team": "ours"}, {"word": "bad"}))

    def counts() -> list[int]:
        return [event["count"] for event in cluster.all(EVENT) if event["reason"] == "Bad"]

    def say(word: str) -> None:
        cluster.patch(CONFIG_MAP, "c", {"data": {"word": word}})
        eventually(lambda: annotations_of(cluster.get(CONFIG_MAP, "c")).get("seen") == word, f"sign that {word} was evaluated")

    eventually(lambda: counts() == [1], "Event")
    for _ in range(3):
        say("good")
        say("bad")
    eventually(lambda: counts() == [4], "four incidents")
    engine.kill()
    engine.start()
    engine.ready()
    eventually(engine.idle, "engine with nothing left to do")
    assert counts() == [4]
