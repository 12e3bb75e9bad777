"""examples/packs/office-hours on a real kube-apiserver, through a takeover and a restart: each time is done once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from engine.model.objects import Object, annotations_of
from engine.packs.crd import custom_resource_definition
from tests.chaos.layout import prepare
from tests.cluster.conftest import RULE_PACKS
from tests.cluster.reactions import deployment
from tests.cluster.test_continuity import leads
from tests.cluster.test_gallery import PACKS, find, grant
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually
from tests.e2e.engine import Engine

NAMESPACE = "schedules"
WEB = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web"
REMEMBERED = "example.com/replicas"


def pack(sleep: datetime, wake: datetime) -> Object:
    """The pack, with other times of the day and every day of the week."""
    found: Object = yaml.safe_load((PACKS / "office-hours" / "pack.yaml").read_text())
    for rule, time in zip(found["spec"]["rules"], (sleep, wake), strict=True):
        rule["schedule"] |= {"cron": f"{time.minute} {time.hour} * * *", "timeZone": "UTC"}
    return found


def passed(time: datetime) -> bool:
    """Whether a time is over, and some seconds more."""
    return datetime.now(UTC) > time + timedelta(seconds=3)


@pytest.fixture
def engine(own_plane: ControlPlane) -> Iterator[Engine]:
    """An operator with the rights that `rulepack rbac` writes for the pack, and a Deployment with three replicas."""
    own_plane.define(custom_resource_definition())
    prepare(own_plane, NAMESPACE)
    web = deployment("web", labels={"example.com/office-hours": ""})
    own_plane.ensure(WEB.removesuffix("/web"), {**web, "spec": {**web["spec"], "replicas": 3}})
    with Engine(own_plane, NAMESPACE) as engine:
        grant(own_plane, "office-hours", engine.own)
        yield engine


def test_each_time_is_done_once_over_a_takeover_and_a_restart(own_plane: ControlPlane, engine: Engine) -> None:
    """The leader is killed after the evening; nobody is there in the morning, which is made up for by the next process."""
    plane = own_plane
    sleep = (datetime.now(UTC) + timedelta(seconds=85)).replace(second=0, microsecond=0)
    wake = sleep + timedelta(minutes=1)
    plane.request("POST", RULE_PACKS.format(engine.own), pack(sleep, wake))
    first = engine.launch("first")
    eventually(lambda: leads(first), "leader")
    second = engine.launch("second")
    assert datetime.now(UTC) < sleep, "the machine is too slow for the time that was chosen"
    assert find(plane, WEB)["spec"]["replicas"] == 3

    eventually(lambda: find(plane, WEB)["spec"]["replicas"] == 0, "Deployment that sleeps", 120)
    assert sleep <= datetime.now(UTC) < sleep + timedelta(seconds=30)
    assert annotations_of(find(plane, WEB))[REMEMBERED] == "3"
    eventually(lambda: f"{sleep:%Y-%m-%dT%H:%M:%SZ}" in str(annotations_of(find(plane, WEB))), "record of the time")
    written = writes(engine)

    engine.processes.kill("first")
    eventually(lambda: leads(second), "second leader", 60)
    engine.processes.kill("second")
    assert writes(engine) == written, "the second leader did it again"
    eventually(lambda: passed(wake), "time at which nobody is there", 120)
    assert find(plane, WEB)["spec"]["replicas"] == 0

    engine.start()
    engine.ready()
    eventually(lambda: find(plane, WEB)["spec"]["replicas"] == 3, "Deployment that is awake")
    eventually(engine.idle, "engine with nothing left to do")
    assert REMEMBERED not in annotations_of(find(plane, WEB))
    written = writes(engine)

    engine.kill()
    engine.start()
    engine.ready()
    eventually(engine.idle, "engine with nothing left to do")
    assert writes(engine) == written


def writes(engine: Engine) -> list[str]:
    """What the operator has written on the Deployment."""
    return [write for write in engine.writes() if WEB in write]
