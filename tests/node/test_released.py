"""From the last release to this version and back, by kustomize, with the pods of both images, while jobs go on.

It takes two to three minutes beyond the build of that release's image, so `make nightly` runs it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from engine.model.objects import Object, annotations_of, dig
from scripts.bundle import IMAGE
from tests.bundle import released
from tests.e2e.cluster import CONFIG_MAP, eventually
from tests.node.images import RELEASED
from tests.node.load import Restarts
from tests.node.node import Node
from tests.node.operator import CONFIG, DEPLOYED, NAMESPACE, Operator, ask, served

FIRST = f"{IMAGE}:v{released.VERSION}"
SAMPLES = ("feature_flags.yaml", "params.yaml", "pack.yaml")
OURS = ("rulepack-feature-flags", "rulepack-params", "team-packs")
FLAGS = {"on-success-triggers": "Enforce", "failure-notifications": "Audit"}
LABELS, PHASE = ("metadata", "labels"), "example.com/phase"
#: The record of a run that was counted.
COUNTED = "fired.rules.mlops.dev/validation-metrics.count-run"
#: Where and as what each of the two exports what waits for a worker.
DEPTH = re.compile(r"^rulepack_(?:work)?queue_depth 0\.0$", re.MULTILINE)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the last release."""
    return released.unpack(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def operator(node: Node, release: Path) -> Operator:
    """The last release, installed as its docs said, with flags, params and a pack of a user's."""
    assert DEPLOYED != FIRST
    node.load(RELEASED, FIRST)
    node.kubectl("apply", "-k", str(release / "config/default"))
    operator = Operator(node)
    operator.home.create(*(yaml.safe_load((release / "config/samples" / file).read_text()) for file in SAMPLES))
    operator.home.patch(CONFIG_MAP, "rulepack-feature-flags", {"data": FLAGS})
    assert images(operator.settled()) == {FIRST}
    return operator


@pytest.fixture(scope="module")
def load(node: Node, operator: Operator) -> Iterator[Restarts]:
    """One job a second, under way all along: each is to have its wave, the user's label, and one restart."""
    assert operator.ready_pods()
    with Restarts(node, "released") as load:
        load.wait_for(5)
        yield load


@pytest.fixture(scope="module")
def settings(operator: Operator) -> list[Mapping[str, str]]:
    """What the user has set."""
    return data(operator)


def test_an_upgrade_does_what_is_due_once(operator: Operator, load: Restarts, settings: Sequence[Mapping[str, str]]) -> None:
    """No job is lost, restarted a second time or reported again; records and settings are kept, and the flags are in force."""
    jobs = finished(load)
    reported = of(jobs, load.reported())
    operator.node.kubectl("apply", "-k", str(CONFIG / "default"))
    assert images(operator.settled(180)) == {DEPLOYED}
    go_on(load, lambda: served(operator, address(operator)).ask("/metrics"))
    assert lost(jobs, load.jobs()) == {}
    assert of(jobs, load.reported()) == reported
    assert data(operator) == settings
    for name, mode in FLAGS.items():
        found = operator.node.kubectl("get", "rulepack", name, f"--namespace={NAMESPACE}", "--output=jsonpath={.status.mode}")
        assert found.stdout == mode


def test_the_way_back_restarts_nothing_twice(
    operator: Operator, release: Path, load: Restarts, settings: Sequence[Mapping[str, str]]
) -> None:
    """The release works on with what is there, on its own ports, and restarts nothing that this version has restarted.

    It has other rules for restarts, and counts runs by another key, so it reports those once more, and counts once more.
    """
    jobs = finished(load)
    reported = of(jobs, load.reported())
    operator.node.kubectl("apply", "-k", str(release / "config/default"))
    assert images(operator.settled(180)) == {FIRST}
    go_on(load, lambda: ask(address(operator), "/metrics"))
    load.all_done("upgrade from the last release and back")
    load.all_restarted()
    assert {*load.restarts()} == {1}
    assert {mark for marks in lost(jobs, load.jobs()).values() for mark in marks} <= {COUNTED}
    again = of(jobs, load.reported()) - reported
    assert ({reason for _, reason in again}, {*again.values()}) == ({"TriggerSuccess"}, {1})
    assert data(operator) == settings
    service = operator.home.plane.request("GET", f"/api/v1/namespaces/{NAMESPACE}/services/rulepack-metrics")
    eventually(lambda: "rulepack_leader" in ask(service["spec"]["clusterIP"], "/metrics"), "metrics at the Service")


def go_on(load: Restarts, metrics: Callable[[], str]) -> None:
    """Wait until the leader has seen all there is, and new jobs have had their effects; none has had one twice."""
    load.wait_for(8)
    load.all_restarted()
    eventually(lambda: DEPTH.search(metrics()), "leader that has seen all objects")
    assert max(load.restarts()) == 1


def finished(load: Restarts) -> Mapping[str, Object]:
    """The jobs so far, once each has had all its effects."""
    jobs = load.jobs().keys()

    def found() -> Mapping[str, Object]:
        now, reported = load.jobs(), load.reported()
        done = all((name, "TriggerSuccess") in reported and PHASE in dig(now[name], LABELS, {}) for name in jobs)
        return {name: now[name] for name in jobs} if done else {}

    return eventually(found, "jobs that have had all their effects")


def lost(before: Mapping[str, Object], after: Mapping[str, Object]) -> dict[str, dict[str, str]]:
    """By job, the annotations, firing records among them, and labels that are not there any more as they were."""

    def marks(one: Object) -> set[tuple[str, str]]:
        return {*annotations_of(one).items(), *dig(one, LABELS, {}).items()}

    return {name: dict(gone) for name, one in before.items() if (gone := marks(one) - marks(after[name]))}


def of(jobs: Mapping[str, Object], reported: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """What was reported of some jobs."""
    return Counter({about: count for about, count in reported.items() if about[0] in jobs})


def images(pods: Sequence[Object]) -> set[str]:
    """The images of pods."""
    return {container["image"] for pod in pods for container in dig(pod, ("spec", "containers"), [])}


def data(operator: Operator) -> list[Mapping[str, str]]:
    """What is in the user's ConfigMaps."""
    return [operator.home.get(CONFIG_MAP, name)["data"] for name in OURS]


def address(operator: Operator) -> str:
    """The address of the pod that leads."""
    return str(operator.leader()["status"]["podIP"])
