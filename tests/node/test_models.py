"""A notebook that trains a model in a pod, and the pods that serve it, which the operator has load the new one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from engine.model.objects import metadata
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.predictors import inference_service
from tests.node.node import Node
from tests.node.notebooks import REPLICAS, Notebooks, fewest_ready, predictions, predictor, servers, store
from tests.node.operator import CONFIG, Operator
from tests.world import JOB, SERVICE, job, named, trigger, triggers

NAMESPACE = "models"


@pytest.fixture(scope="module")
def cluster(node: Node) -> Iterator[Cluster]:
    """A namespace with a folder of models, which holds one already, and two pods that serve it; the operator runs."""
    node.kubectl("apply", "-k", str(CONFIG / "default"))
    (store(node, NAMESPACE) / "model.json").write_text(json.dumps({"slope": 0, "intercept": 7}))
    cluster = Cluster(node.plane, NAMESPACE)
    cluster.create(inference_service("model", NAMESPACE), predictor("model", NAMESPACE, REPLICAS))
    evict = named(CONFIG_MAP, "rulepack-params", "rulepack-system", data={"on-success-triggers": "restartStrategy: Evict\n"})
    cluster.create(evict)  # no KServe runs that would roll anything out
    eventually(lambda: predictions(cluster, 3) == [7.0] * REPLICAS, "pods that serve the first model")
    Operator(node).settled()
    with Notebooks(cluster):
        yield cluster


def test_each_server_loads_what_a_notebook_has_trained(cluster: Cluster) -> None:
    """The pods are replaced one at a time when the notebook's pod has succeeded, and all of them predict by the new model."""
    before = {metadata(pod)["uid"] for pod in servers(cluster)}
    with fewest_ready(cluster) as ready:
        train(cluster, "first", [[0, 1], [1, 3], [2, 5]])
        eventually(lambda: predictions(cluster, 10) == [21.0] * REPLICAS, "pods that serve the new model")
    assert not before & {metadata(pod)["uid"] for pod in servers(cluster)}
    assert min(ready) == REPLICAS - 1
    eventually(lambda: "TriggerSuccess" in dict(cluster.events("first")), "Event")


def test_a_notebook_that_fails_replaces_nothing(cluster: Cluster) -> None:
    """Its pod ends with an error, which an Event reports; the servers go on with the model that they have."""
    before, served = {metadata(pod)["uid"] for pod in servers(cluster)}, predictions(cluster, 10)
    train(cluster, "broken", [[1, 1]])
    eventually(lambda: cluster.get(JOB, "broken").get("status", {}).get("phase") == "Failed", "job that has failed")
    eventually(lambda: "ValidationFailed" in dict(cluster.events("broken")), "Event")
    assert {metadata(pod)["uid"] for pod in servers(cluster)} == before
    assert predictions(cluster, 10) == served


def train(cluster: Cluster, name: str, points: list[list[int]]) -> None:
    """Create a job that fits a line through points, and asks for a restart of what serves the model."""
    wanted = {"example.com/points": json.dumps(points), **triggers(trigger(SERVICE, "model", "restart"))}
    cluster.create(job(name, annotations=wanted, namespace=NAMESPACE))
