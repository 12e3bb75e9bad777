"""Installed, upgraded and uninstalled by the real OLM, and run with the rights that OLM grants and no others."""

from __future__ import annotations

import os
import re
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from _pytest.capture import CaptureManager

from engine.model.objects import annotations_of, dig
from tests.bundle.catalog import NEW, OLD, name
from tests.controlplane import binaries, olm
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes, free_ports
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.olm import DEFINITIONS, OPERATORS, Olm
from tests.world import DEPLOYMENT, JOB, RULES, job, named, trigger, triggers

HOME = "rulepack-system"
SETTINGS = RULES.parent / "config/samples"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """A control plane of its own: OLM acts in all namespaces."""
    capture = cast(CaptureManager, request.config.pluginmanager.get_plugin("capturemanager"))

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", flush=True)

    try:
        with ControlPlane(binaries.programs(say)) as plane:
            yield plane
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture(scope="module")
def running(plane: ControlPlane) -> Iterator[Olm]:
    """OLM with a catalog of two versions."""
    try:
        with Olm(plane, {**olm.tools(), **olm.operators()}, olm.definitions()) as running:
            running.start(OLD, NEW)
            yield running
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


def test_a_life_with_olm(plane: ControlPlane, running: Olm, tmp_path: Path) -> None:
    """Subscribed, installed, at work with OLM's own token and environment, upgraded, and gone without a trace."""
    plane.ensure("/api/v1/namespaces", {"metadata": {"name": HOME}})
    home, story = Cluster(plane, HOME), Cluster(plane, "story")
    plane.ensure("/api/v1/namespaces", {"metadata": {"name": "story"}})
    for definition in yaml.safe_load_all((RULES.parent / "examples/demo/crds.yaml").read_text()):
        plane.ensure(DEFINITIONS, definition)
    subscribe(plane)
    install(plane, running, OLD)
    (account, deployment) = installed(home, OLD)

    for file in ("feature_flags.yaml", "params.yaml", "pack.yaml"):
        home.create(yaml.safe_load((SETTINGS / file).read_text()))
    home.patch(CONFIG_MAP, "rulepack-feature-flags", {"data": {"on-success-triggers": "Enforce"}})
    processes = Processes(tmp_path)
    try:
        run(processes, plane, home, account, deployment)
        play(story)
        log = processes.log("rulepack").read_text()
    finally:
        processes.kill_all()
    assert not re.search(r"HTTP 403|[Ff]orbidden", log), log
    told = annotations_of(home.get(CONFIG_MAP, "rulepack-packs"))["rules.mlops.dev/status"]
    assert told == "ok"

    before = [home.get(CONFIG_MAP, one) for one in ("rulepack-feature-flags", "rulepack-params", "rulepack-packs")]
    install(plane, running, NEW)
    after = [home.get(CONFIG_MAP, one) for one in ("rulepack-feature-flags", "rulepack-params", "rulepack-packs")]
    assert after == before

    plane.request("DELETE", f"{OPERATORS}/namespaces/{HOME}/subscriptions/rulepack-operator")
    plane.request("DELETE", f"{OPERATORS}/namespaces/{HOME}/clusterserviceversions/{name(NEW)}")
    running.eventually(lambda: not versions(plane), "ClusterServiceVersion that is gone")
    running.eventually(lambda: not owned(plane), "ClusterRoles that are gone")
    plane.request("DELETE", f"/apis/{JOB.api_version}/namespaces/story/notebookvalidationjobs/train")
    assert story.find(JOB, "train") is None


def subscribe(plane: ControlPlane) -> None:
    group = {"apiVersion": "operators.coreos.com/v1", "kind": "OperatorGroup", "metadata": {"name": "rulepack"}, "spec": {}}
    plane.ensure(f"/apis/operators.coreos.com/v1/namespaces/{HOME}/operatorgroups", group)
    spec = {
        "name": "rulepack-operator", "channel": "stable", "source": "test", "sourceNamespace": "olm",
        "startingCSV": name(OLD), "installPlanApproval": "Manual",
    }  # fmt: skip
    subscription = {
        "apiVersion": "operators.coreos.com/v1alpha1", "kind": "Subscription",
        "metadata": {"name": "rulepack-operator"}, "spec": spec,
    }  # fmt: skip
    plane.ensure(f"{OPERATORS}/namespaces/{HOME}/subscriptions", subscription)


def install(plane: ControlPlane, running: Olm, version: str) -> None:
    """Approve the InstallPlan of a version, and play the Deployment until OLM says that it has succeeded."""
    home = Cluster(plane, HOME)

    path = f"{OPERATORS}/namespaces/{HOME}/installplans"

    def succeeded() -> bool:
        for plan in plane.request("GET", path)["items"]:
            asks = dig(plan, ("status", "phase"), "") == "RequiresApproval"
            if asks and name(version) in plan["spec"]["clusterServiceVersionNames"]:
                plane.request("PATCH", f"{path}/{plan['metadata']['name']}", {"spec": {"approved": True}})
        if deployment := home.find(DEPLOYMENT, "rulepack-operator"):
            become_available(home, deployment)
        return versions(plane).get(name(version)) == "Succeeded"

    running.eventually(succeeded, f"ClusterServiceVersion {version} that has succeeded")


def become_available(home: Cluster, deployment: Any) -> None:
    """Say of a Deployment what its controller would, with pods that run."""
    if dig(deployment, ("status", "observedGeneration"), 0) == deployment["metadata"]["generation"]:
        return
    conditions = [{"type": kind, "status": "True", "reason": "Played"} for kind in ("Available", "Progressing")]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
    generation = deployment["metadata"]["generation"]
    home.status(DEPLOYMENT, "rulepack-operator", {"observedGeneration": generation, "conditions": conditions, **counts})


def installed(home: Cluster, version: str) -> tuple[str, Any]:
    """The service account and the Deployment that OLM has made, with the image of the version."""
    deployment = home.get(DEPLOYMENT, "rulepack-operator")
    pod = deployment["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"].endswith(f":v{version}")
    return pod["serviceAccountName"], deployment


def versions(plane: ControlPlane) -> dict[str, str]:
    """The phases of the ClusterServiceVersions of the operator's namespace."""
    items = plane.request("GET", f"{OPERATORS}/namespaces/{HOME}/clusterserviceversions")["items"]
    return {item["metadata"]["name"]: dig(item, ("status", "phase"), "") for item in items}


def owned(plane: ControlPlane) -> list[str]:
    """The ClusterRoles that OLM has made for the operator."""
    roles = plane.request("GET", f"{RBAC}/clusterroles")["items"]
    return [role["metadata"]["name"] for role in roles if role["metadata"]["name"].startswith("rulepack-operator")]


def run(processes: Processes, plane: ControlPlane, home: Cluster, account: str, deployment: Any) -> None:
    """Start the engine as the Deployment's pod would: its arguments, its environment, a token of its service account."""
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    fields = {"metadata.namespace": HOME}
    fields |= {f"metadata.annotations['{key}']": value for key, value in annotations_of(template).items()}
    env = {}
    for entry in container["env"]:
        source = dig(entry, ("valueFrom", "fieldRef", "fieldPath"), None)
        env[entry["name"]] = entry.get("value", "") if source is None else fields.get(source, "")
    assert env["POD_NAMESPACE"] == HOME
    assert env["WATCH_NAMESPACE"] == ""
    (port,) = free_ports(1)
    reach = [f"--kubeconfig={plane.kubeconfig_for(HOME, account)}", "--address=127.0.0.1", f"--port={port}"]
    command = [sys.executable, "-m", "engine.cli", *container["args"], *reach]
    processes.start("rulepack", command, {"PATH": os.environ["PATH"], "PYTHONPATH": str(RULES.parent), **env})

    def ready() -> bool:
        assert not processes.ended(), processes.end_of_log("rulepack")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return bool(answer.read() == b"ok\n")
        except OSError:
            return False

    eventually(ready, "engine that is ready")


def play(story: Cluster) -> None:
    """A job succeeds: its wave is complete, a Deployment is restarted, an Event tells of it, and a user's own pack labels it."""
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "example.com/web"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
    story.create(named(DEPLOYMENT, "web", story.namespace, spec=spec))
    wanted = {"argocd.argoproj.io/sync-wave": "3", **triggers(trigger(DEPLOYMENT, "web", "restart"))}
    story.create(job(phase="Succeeded", annotations=wanted, namespace=story.namespace))
    eventually(lambda: annotations_of(story.get(JOB, "train")).get("mlops.dev/wave-complete") == "3", "wave that is complete")
    at = ("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
    eventually(lambda: dig(story.get(DEPLOYMENT, "web"), at, None), "restart of the Deployment")
    eventually(lambda: "TriggerSuccess" in dict(story.events("train")), "Event")
    eventually(
        lambda: dig(story.get(JOB, "train"), ("metadata", "labels", "example.com/phase"), None), "label of the user's pack"
    )
    eventually(lambda: any(key.startswith("fired.") for key in annotations_of(story.get(JOB, "train"))), "firing record")
