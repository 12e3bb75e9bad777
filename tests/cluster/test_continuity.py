"""What goes on where it was on a real kube-apiserver: when another replica takes over, and when a kind was not served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from engine.model.objects import annotations_of, metadata
from engine.reconcile.evaluate import TOLERANCE
from tests.chaos.layout import DEFINITIONS, prepare
from tests.cluster.test_remembered import PACK, RECORD, marks
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import LEASE, Engine
from tests.served import Served
from tests.world import JOB, job, named

NUMBERS = count(1)
DEFINITION = f"{DEFINITIONS}/notebookvalidationjobs.mlops.mlops.dev"


@pytest.fixture
def cluster(own_plane: ControlPlane) -> Cluster:
    name = f"continuity-{next(NUMBERS)}"
    prepare(own_plane, name)
    return Cluster(own_plane, name)


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    with Engine(cluster.plane, cluster.namespace) as engine:
        pack = named(CONFIG_MAP, "memory", engine.own, data={"pack.yaml": PACK})
        pack["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
        cluster.create(pack)
        yield engine


def timed(cluster: Cluster, name: str, seconds: float) -> datetime:
    """Create a job of which the hour of the rule `old` ends in so many seconds; return when."""
    cluster.create(job(name, namespace=cluster.namespace))
    since = (datetime.now(UTC) + timedelta(seconds=seconds - 3600)).replace(microsecond=0)
    record = {"key": "", "outcome": "Done", "uid": metadata(cluster.get(JOB, name))["uid"], "items": {}}
    text = json.dumps({**record, "trueSince": f"{since:%Y-%m-%dT%H:%M:%SZ}"})
    cluster.patch(JOB, name, {"metadata": {"annotations": {RECORD: text}}})
    return since + timedelta(hours=1)


def fires_at(cluster: Cluster, name: str, due: datetime) -> None:
    """Wait until the rule `old` has fired for a job, which it must not before it is due."""
    eventually(lambda: "example.com/old" in marks(cluster, name), f"mark on {name}", 120)
    assert due <= datetime.now(UTC) < due + timedelta(seconds=30)


def before_the_rule(cluster: Cluster, *names: str) -> None:
    """Create jobs that are older than the rule will be."""
    cluster.create(*(job(name, namespace=cluster.namespace) for name in names))
    later = datetime.now(UTC) + 2 * TOLERANCE
    eventually(lambda: datetime.now(UTC) > later, "time between the object and the rule")


def leads(served: Served) -> bool:
    """Whether a process leads."""
    return bool(json.loads(served.ask("/packs", timeout=5) or "{}").get("leading"))


def test_another_replica_goes_on_with_what_the_leader_had_begun(cluster: Cluster, engine: Engine) -> None:
    """The leader is killed while an hour runs, which then ends on time; what is older than the rule is still left alone."""
    before_the_rule(cluster, "before")
    first = engine.launch("first")
    eventually(lambda: leads(first), "leader")
    second = engine.launch("second")
    due = timed(cluster, "running", 45)
    cluster.create(job("seen", namespace=cluster.namespace))
    eventually(lambda: "example.com/new" in marks(cluster, "seen"), "mark of what the first replica sees")
    times = annotations_of(cluster.get(LEASE, "rulepack-state", engine.own))

    engine.processes.kill("first")
    cluster.create(job("meanwhile", namespace=cluster.namespace))
    eventually(lambda: leads(second), "second leader")

    fires_at(cluster, "running", due)
    eventually(lambda: "example.com/new" in marks(cluster, "meanwhile"), "mark of what happened while nobody led")
    assert marks(cluster, "before") == set()
    assert annotations_of(cluster.get(LEASE, "rulepack-state", engine.own)) == times


def test_a_kind_that_was_not_served_for_a_while_changes_nothing(cluster: Cluster, engine: Engine) -> None:
    """The hour of an object goes on, what has fired does not fire again, and what is older than the rule is left alone."""
    before_the_rule(cluster, "before")
    fired, due = timed(cluster, "fired", -5), timed(cluster, "running", 60)
    engine.start()
    engine.ready()
    fires_at(cluster, "fired", fired)
    eventually(engine.idle, "engine with nothing left to do")
    version = metadata(cluster.get(JOB, "fired"))["resourceVersion"]

    served(cluster, yes=False)
    eventually(lambda: engine.packs()["memory"]["waitingFor"], "pack that waits for its kind")
    served(cluster, yes=True)

    fires_at(cluster, "running", due)
    cluster.create(job("later", namespace=cluster.namespace))
    eventually(lambda: "example.com/new" in marks(cluster, "later"), "mark of what came later")
    assert marks(cluster, "before") == set()
    assert metadata(cluster.get(JOB, "fired"))["resourceVersion"] == version


def served(cluster: Cluster, *, yes: bool) -> None:
    """Have the kind of the jobs served, or not; the objects stay."""
    (version,) = cluster.plane.request("GET", DEFINITION)["spec"]["versions"]
    cluster.plane.request("PATCH", DEFINITION, {"spec": {"versions": [{**version, "served": yes}]}})
