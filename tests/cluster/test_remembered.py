"""What is remembered through restarts of `rulepack run`, on a real kube-apiserver: in one Lease, and on the objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from engine.model.objects import annotations_of, metadata
from engine.reconcile.evaluate import TOLERANCE
from tests.chaos.layout import prepare
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import LEASE, Engine
from tests.unit.reconcile import record_0_1
from tests.world import JOB, job, named

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: memory}
spec:
  watch: {apiVersion: mlops.mlops.dev/v1alpha1, kind: NotebookValidationJob}
  rules:
    - name: new
      oncePer: object.metadata.uid
      existing: Ignore
      actions:
        - annotate: {annotations: {example.com/new: 'yes'}}
    - name: old
      when: object.spec.notebook.path == 'train.ipynb'
      for: 1h
      oncePer: object.metadata.uid
      actions:
        - annotate: {annotations: {example.com/old: 'yes'}}
"""
RECORD = "fired.rules.mlops.dev/memory.old"


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    prepare(control_plane, namespace)
    return Cluster(control_plane, namespace)


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    with Engine(cluster.plane, cluster.namespace) as engine:
        pack = named(CONFIG_MAP, "memory", engine.own, data={"pack.yaml": PACK})
        pack["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
        cluster.create(pack)
        yield engine


def marks(cluster: Cluster, name: str) -> set[str]:
    """Which rules have marked a job."""
    return {key for key in annotations_of(cluster.get(JOB, name)) if key.startswith("example.com/")}


def run_once(engine: Engine) -> None:
    """Have the engine start, do all there is to do, and be killed."""
    engine.start()
    engine.ready()
    eventually(lambda: engine.lease().get("holderIdentity"), "leader")
    eventually(engine.idle, "engine with nothing left to do")
    engine.kill()


def test_what_happens_while_the_engine_is_down_is_news_and_what_was_before_the_rule_is_not(
    cluster: Cluster, engine: Engine
) -> None:
    """Since when a rule is in force stands in the Lease, is written once, and outlives each process."""
    cluster.create(job("before", namespace=cluster.namespace))
    later = datetime.now(UTC) + 2 * TOLERANCE
    eventually(lambda: datetime.now(UTC) > later, "time between the object and the rule")
    run_once(engine)
    state = cluster.get(LEASE, "rulepack-state", engine.own)
    assert "since.rules.mlops.dev/memory.new" in annotations_of(state)

    cluster.create(job("meanwhile", namespace=cluster.namespace))
    engine.start()

    eventually(lambda: marks(cluster, "meanwhile") == {"example.com/new"}, "mark of what happened while the engine was down")
    eventually(engine.idle, "engine with nothing left to do")
    assert marks(cluster, "before") == set(), (cluster.get(JOB, "before"), state)
    assert metadata(cluster.get(LEASE, "rulepack-state", engine.own))["resourceVersion"] == metadata(state)["resourceVersion"]


def test_a_timer_goes_on_where_an_earlier_process_left_it(cluster: Cluster, engine: Engine) -> None:
    """By the record: what has held for an hour fires at once, what began a minute ago does not, a copy counts for nothing."""
    ago = {"long": 3700, "short": 60}
    for name, seconds in ago.items():
        cluster.create(job(name, namespace=cluster.namespace))
        since = f"{datetime.now(UTC) - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
        uid = metadata(cluster.get(JOB, name))["uid"]
        record = {"key": "", "outcome": "Done", "uid": uid, "items": {}, "trueSince": since}
        cluster.patch(JOB, name, {"metadata": {"annotations": {RECORD: json.dumps(record)}}})
    copied = {RECORD: annotations_of(cluster.get(JOB, "long"))[RECORD]}
    cluster.create(job("copy", annotations=copied, namespace=cluster.namespace))

    run_once(engine)

    assert [("example.com/old" in marks(cluster, name)) for name in ("long", "short", "copy")] == [True, False, False]
    obj = cluster.get(JOB, "long")
    assert record_0_1.recorded(obj, "memory", "old").ended(metadata(obj)["uid"], "")
