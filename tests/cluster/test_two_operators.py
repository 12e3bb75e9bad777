"""Two installations of the operator on a real API server, with the same rules for the same objects."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.cluster.test_waiting_packs import ALL, definition
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine

PATH = "/apis/example.com/v1/namespaces/shared/widgets"
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: counts}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets:
    - {apiVersion: example.com/v1, kind: Widget, verbs: [get, patch]}
  rules:
    - name: count
      when: has(object.metadata.uid)
      oncePer: object.metadata.uid
      actions:
        - patch:
            target: {apiVersion: example.com/v1, kind: Widget, name: '${object.metadata.name}'}
            patch: {spec: {runs: "${int(get(target, 'spec.runs', 0)) + 1}"}}
"""
MANY = 60
"""How many firings the two may compete for until the second one has noticed the first."""


@pytest.fixture
def engines(own_plane: ControlPlane) -> Iterator[tuple[Engine, Engine]]:
    """Two operators, each with a namespace, rights and a ConfigMap with the pack of its own; they are not started."""
    own_plane.ensure("/api/v1/namespaces", {"metadata": {"name": "shared"}})
    own_plane.define(definition("Widget", "widgets"))
    with Engine(own_plane, "shared", "operator-a") as first, Engine(own_plane, "shared", "operator-b") as second:
        for engine in (first, second):
            rule = {"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": [*ALL, "patch"]}
            engine.bind("ClusterRole", f"{engine.own}-widgets", [rule])
            Cluster(own_plane, engine.own).create({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "counts", "labels": {"rules.mlops.dev/rule-pack": "true"}}, "data": {"pack.yaml": PACK},
            })  # fmt: skip
        yield first, second


def acts(engine: Engine) -> bool:
    """Whether an operator acts by the pack."""
    return bool(engine.overview()["leading"]) and engine.packs().get("counts", {}).get("mode") == "Enforce"


def test_the_second_of_two_operators_leaves_what_the_first_one_does(
    own_plane: ControlPlane, engines: tuple[Engine, Engine]
) -> None:
    """It notices the other one and says so on an object, in its log, /packs and a metric; from then on nothing is done twice."""
    first, second = engines
    for engine in engines:
        engine.start()
    for engine in engines:
        engine.ready()
        eventually(partial(acts, engine), "pack", 60)

    def runs(name: str) -> int:
        return int(own_plane.request("GET", f"{PATH}/{name}").get("spec", {}).get("runs", 0))

    def fire(name: str) -> None:
        own_plane.request("POST", PATH, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}})
        eventually(lambda: runs(name), f"effect on {name}", 30)

    for number in range(MANY):
        if second.overview()["otherOperators"]:
            break
        fire(f"before-{number}")
    assert second.overview()["otherOperators"] == ["operator-a/rulepack"]
    eventually(second.idle, "end of what it has begun", 60)

    names = [f"w{number}" for number in range(20)]
    for name in names:
        fire(name)
    eventually(lambda: first.idle() and second.idle(), "end", 60)

    assert [runs(name) for name in names] == [1] * 20
    assert [write for write in second.writes() if any(f"/widgets/{name}?" in f"{write}?" for name in names)] == []
    events = own_plane.request("GET", "/api/v1/namespaces/shared/events")["items"]
    reported = [event["message"] for event in events if event["reason"] == "AnotherOperator"]
    assert any(text.startswith("Operator operator-a/rulepack acts by pack counts in namespace shared too") for text in reported)
    assert "Operator operator-a/rulepack acts by pack counts in namespace shared too" in second.log()
    assert second.metric("rulepack_other_operators", operator="operator-a/rulepack", pack="counts") == 1
