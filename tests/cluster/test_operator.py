"""`rulepack run`, as a process of its own with the rights of a service account, on a real kube-apiserver."""

from __future__ import annotations

import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from engine.model.objects import annotations_of
from engine.packs.crd import custom_resource_definition
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.world import APPLICATION, EVENT, JOB, RULES, SERVICE, job, named, trigger, triggers

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WAVE = {"argocd.argoproj.io/sync-wave": "3"}
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: greeter}
spec:
  watch: {apiVersion: mlops.mlops.dev/v1alpha1, kind: NotebookValidationJob}
  rules:
    - name: greet
      when: has(object.metadata.name)
      actions:
        - annotate: {annotations: {example.com/greeting: 'GREETING ${object.metadata.name}'}}
"""


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane) -> None:
    """The kinds that the shipped packs watch and act on, and the kind RulePack."""
    control_plane.define(custom_resource_definition())
    for definition in yaml.safe_load_all((RULES.parent / "examples" / "demo" / "crds.yaml").read_text()):
        control_plane.ensure(DEFINITIONS, definition)
    for kind in (JOB, APPLICATION, SERVICE):
        eventually(lambda path=f"/apis/{kind.api_version}": served(control_plane, path), f"served {kind}")  # type: ignore[misc]


def served(plane: ControlPlane, path: str) -> bool:
    """Whether the API server serves the kinds of a group and version."""
    try:
        return bool(plane.request("GET", path)["resources"])
    except urllib.error.HTTPError:
        return False


@pytest.fixture
def cluster(control_plane: ControlPlane, kinds: None, namespace: str) -> Cluster:
    return Cluster(control_plane, namespace)


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    with Engine(cluster.plane, cluster.namespace) as engine:
        engine.start()
        engine.ready()
        yield engine


def pack_text(greeting: str) -> str:
    return PACK.replace("GREETING", greeting)


def greeting(cluster: Cluster) -> str | None:
    return annotations_of(cluster.get(JOB, "train")).get("example.com/greeting")


def status_of(cluster: Cluster, engine: Engine) -> str:
    return annotations_of(cluster.get(CONFIG_MAP, "greeter", engine.own)).get("rules.mlops.dev/status", "")


def write_pack(cluster: Cluster, engine: Engine, text: str) -> None:
    body = named(CONFIG_MAP, "greeter", engine.own, data={"pack.yaml": text})
    body["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
    if cluster.find(CONFIG_MAP, "greeter", engine.own):
        cluster.patch(CONFIG_MAP, "greeter", {"data": {"pack.yaml": text}}, engine.own)
    else:
        cluster.create(body)


def after(check: Callable[[], bool], what: str) -> float:
    """Seconds until something was so."""
    started = time.monotonic()
    eventually(check, what, 30)
    return time.monotonic() - started


def test_packs_and_flags_are_live(cluster: Cluster, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """A ConfigMap pack is applied, edited, broken and mended, and its flag switched, all without a restart."""
    cluster.create(job(namespace=cluster.namespace))
    took = {}
    write_pack(cluster, engine, pack_text("hello"))
    took["applied"] = after(lambda: greeting(cluster) == "hello train", "greeting of the first version")
    eventually(lambda: status_of(cluster, engine) == "ok", "status ok")

    write_pack(cluster, engine, pack_text("good day"))
    took["edited"] = after(lambda: greeting(cluster) == "good day train", "greeting of the second version")

    write_pack(cluster, engine, pack_text("bad").replace("has(object", "has(objet"))
    took["refused"] = after(lambda: status_of(cluster, engine) != "ok", "status of the broken version")
    assert "greeter/pack.yaml:8:17: unknown variable 'objet'" in status_of(cluster, engine)
    assert "'object'" in status_of(cluster, engine)
    ((reason, message),) = cluster_events(cluster, engine)
    assert reason == "RulePackInvalid"
    assert "pack.yaml:8:17" in message
    cluster.create(job("second", namespace=cluster.namespace))
    eventually(lambda: "good day second" in annotations_of(cluster.get(JOB, "second")).values(), "last good version in force")

    engine.flags({"greeter": "Audit"})
    write_pack(cluster, engine, pack_text("tried"))
    took["audited"] = after(lambda: "tried train" in engine.log(), "diff of what Audit would do")
    assert greeting(cluster) == "good day train"

    engine.flags({"greeter": "Off"})
    eventually(lambda: engine.packs()["greeter"]["mode"] == "Off", "pack that is Off")
    engine.flags({"greeter": "Enforce"})
    took["enforced"] = after(lambda: greeting(cluster) == "tried train", "greeting of the version that was tried")
    with capsys.disabled():
        print("\nseconds until in force: " + ", ".join(f"{what} {seconds:.1f}" for what, seconds in took.items()))


def cluster_events(cluster: Cluster, engine: Engine) -> list[tuple[str, str]]:
    """Events about the ConfigMap, not about the RulePack that stands for it where that kind is served."""
    return [
        (event["reason"], event["message"])
        for event in Cluster(cluster.plane, engine.own).all(EVENT)
        if event["involvedObject"]["kind"] == "ConfigMap" and event["involvedObject"]["name"] == "greeter"
    ]


def test_a_restart_over_finished_jobs_writes_nothing(cluster: Cluster, engine: Engine) -> None:
    """An engine that starts over 1,000 finished jobs asks the API server for no write, by its audit log.

    The statuses of its packs stay too: the kind RulePack is served.
    """
    engine.grant("", "configmaps")
    cluster.create(named(CONFIG_MAP, "web", cluster.namespace))
    annotations, completed = {**WAVE, **triggers(trigger(CONFIG_MAP, "web", "restart"))}, now()
    for number in range(1000):
        cluster.create(job(f"train-{number}", "Succeeded", annotations, cluster.namespace, completed))
    eventually(lambda: sum(is_done(cluster, number) for number in range(0, 1000, 37)) == 28, "jobs that are done", 120)
    eventually(engine.idle, "engine with nothing left to do", 120)
    assert all(map(is_whole, cluster.all(JOB)))
    eventually(lambda: counted(cluster, engine) == 1000, "status that counts all of them")
    engine.kill()
    before = len(engine.writes())
    engine.start()
    engine.ready()
    eventually(lambda: engine.evaluated() >= 1000, "engine that has evaluated all of them", 60)
    eventually(engine.idle, "engine with nothing left to do")
    time.sleep(6)  # a status is written every five seconds
    assert engine.writes()[before:] == []


def counted(cluster: Cluster, engine: Engine) -> int:
    """How often the pack of sync waves acted, by the status of its RulePack."""
    path = f"/apis/rules.mlops.dev/v1alpha1/namespaces/{engine.own}/rulepacks/sync-waves"
    return int(cluster.plane.request("GET", path)["status"]["fired"])


def is_done(cluster: Cluster, number: int) -> bool:
    return is_whole(cluster.get(JOB, f"train-{number}"))


def is_whole(obj: object) -> bool:
    found = annotations_of(obj)  # type: ignore[arg-type]
    return "mlops.dev/completion-time" in found and "fired.rules.mlops.dev/on-success-triggers.mark" in found


def test_a_kind_that_comes_later_is_watched(
    control_plane: ControlPlane, engine: Engine, cluster: Cluster, tmp_path: Path
) -> None:
    """A pack for a kind that is not served waits, says so, and starts when the CustomResourceDefinition appears."""
    text = pack_text("hello").replace("mlops.mlops.dev/v1alpha1", "later.example.com/v1").replace("NotebookValidationJob", "Late")
    write_pack(cluster, engine, text)
    eventually(lambda: engine.packs().get("greeter", {}).get("waitingFor") == "Late.later.example.com/v1", "pack that waits")
    names = {"kind": "Late", "plural": "lates", "singular": "late"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": "later.example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    control_plane.ensure(DEFINITIONS, {"metadata": {"name": "lates.later.example.com"}, "spec": spec})
    path = f"/apis/later.example.com/v1/namespaces/{cluster.namespace}/lates"
    engine.grant("later.example.com", "lates")
    eventually(lambda: served(control_plane, "/apis/later.example.com/v1"), "kind that is served")
    control_plane.ensure(path, {"apiVersion": "later.example.com/v1", "kind": "Late", "metadata": {"name": "first"}})
    eventually(lambda: "hello first" in annotations_of(control_plane.request("GET", f"{path}/first")).values(), "greeting")
