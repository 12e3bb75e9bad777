"""A real API server says DELETED of an object that leaves a selector: a rule with `on: Delete` distinguishes the two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.test_waiting_packs import ALL, definition, grant
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine

PATH = "/apis/example.com/v1/namespaces/leaving/widgets"
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch:
    apiVersion: example.com/v1
    kind: Widget
    labelSelector: {matchExpressions: [{key: watched, operator: In, values: ['yes']}]}
  rules:
    - name: gone
      on: Delete
      when: 'true'
      actions:
        - emitEvent: {type: Normal, reason: Gone, message: it is gone}
"""


@pytest.fixture
def engine(own_plane: ControlPlane) -> Iterator[Engine]:
    own_plane.ensure("/api/v1/namespaces", {"metadata": {"name": "leaving"}})
    own_plane.define(definition("Widget", "widgets"))
    with Engine(own_plane, "leaving") as engine:
        grant(own_plane, engine, "widgets", ALL)
        yield engine


def test_only_what_is_gone_counts_as_deleted(own_plane: ControlPlane, engine: Engine) -> None:
    """One of two loses its label, the other one is deleted; the rights to list and watch are enough to know."""
    Cluster(own_plane, engine.own).create({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "p", "labels": {"rules.mlops.dev/rule-pack": "true"}},
        "data": {"pack.yaml": PACK},
    })  # fmt: skip
    for name in ("left", "deleted"):
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name, "labels": {"watched": "yes"}}}
        own_plane.request("POST", PATH, body)
    engine.start()
    engine.ready()
    eventually(lambda: engine.packs()["p"]["objects"] == 2, "both objects", 60)

    own_plane.request("PATCH", f"{PATH}/left", {"metadata": {"labels": {"watched": None}}})
    eventually(lambda: engine.packs()["p"]["objects"] == 1, "one that left", 60)
    own_plane.request("DELETE", f"{PATH}/deleted")

    def reported() -> list[str]:
        events = own_plane.request("GET", "/api/v1/namespaces/leaving/events")["items"]
        return [event["involvedObject"]["name"] for event in events if event["reason"] == "Gone"]

    eventually(reported, "Event of the rule", 60)
    eventually(lambda: "Widget leaving/left: it is not deleted" in engine.log(), "line in the log", 60)
    assert reported() == ["deleted"]
