"""docs/tutorial.md's last step, word for word, beside an operator that kustomize or the real OLM has installed.

What a pack of one's own is granted adds to what the operator has: the pack works, and so do the shipped ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.model.objects import Object, annotations_of, labels_of, metadata
from tests.bundle.catalog import OLD
from tests.controlplane import olm
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.document import Shell, commands
from tests.e2e.installation import RBAC, Installation
from tests.e2e.kinds import install_kinds
from tests.e2e.olm import Olm
from tests.e2e.pod import Pod
from tests.e2e.walkthrough import status, workload
from tests.world import DEPLOYMENT, JOB, RULES, job

HOME = "rulepack-system"
TUTORIAL = RULES.parent / "docs/tutorial.md"
GRANT, *IN_AUDIT, ENFORCE, STATUS = commands("5. Put it into a cluster", TUTORIAL)
WAVE = "mlops.dev/wave-complete"


@pytest.fixture(scope="module")
def plane(own_plane: ControlPlane) -> ControlPlane:
    """A control plane that serves the kinds of the shipped packs."""
    install_kinds(own_plane)
    return own_plane


@pytest.fixture
def shell(plane: ControlPlane, kubectl: Path, tmp_path: Path) -> Shell:
    """A shell of a cluster administrator, in whose folder the tutorial's pack lies."""
    shell = Shell(tmp_path, kubectl, plane.kubeconfig)
    shell.run(commands("1. Begin", TUTORIAL)[0])
    return shell


@pytest.fixture
def by_olm(plane: ControlPlane, shell: Shell) -> Iterator[Object]:
    """The Deployment of an operator that OLM has installed in all namespaces, and that may write statuses on any ConfigMap."""
    try:
        with Olm(plane, {**olm.tools(), **olm.operators()}, olm.definitions()) as running:
            running.start(OLD)
            operator = Installation(plane, running, HOME)
            operator.subscribe(OLD)
            operator.install(OLD)
            shell.run(commands("By OLM")[-1])
            yield operator.deployment
            operator.uninstall(OLD)
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture
def by_kustomize(plane: ControlPlane, shell: Shell) -> Object:
    """The Deployment of an operator that `kubectl apply -k` has installed."""
    shell.run(commands("By kustomize")[0].splitlines()[0])
    return Cluster(plane, HOME).get(DEPLOYMENT, "rulepack")


def test_beside_an_operator_by_olm(plane: ControlPlane, shell: Shell, by_olm: Object, tmp_path: Path) -> None:
    """OLM's own roles stay as they are."""
    follow(plane, shell, by_olm, tmp_path / "pod", "by-olm")


def test_beside_an_operator_by_kustomize(plane: ControlPlane, shell: Shell, by_kustomize: Object, tmp_path: Path) -> None:
    """The ClusterRole `rulepack`, and the Role of the engine itself, stay as they are."""
    follow(plane, shell, by_kustomize, tmp_path / "pod", "by-kustomize")


def follow(plane: ControlPlane, shell: Shell, deployment: Object, folder: Path, namespace: str) -> None:
    """Run the step's commands, and have the pack and a shipped one act in a namespace."""
    plane.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
    home, here = Cluster(plane, HOME), Cluster(plane, namespace)
    before = granted(plane)
    folder.mkdir()
    with Pod(plane, deployment, folder) as pod:
        pod.start()
        shell.run(GRANT)
        for text in IN_AUDIT:
            shell.run(text)
        eventually(lambda: status(home, "watch-web") == "ok", "status of the pack")
        assert shell.run(STATUS) == "ok"
        eventually(lambda: pod.packs()["watch-web"]["mode"] == "Audit", "pack in Audit")

        shortly = home.get(CONFIG_MAP, "watch-web")["data"]["pack.yaml"].replace("for: 5m", "for: 1s")
        home.patch(CONFIG_MAP, "watch-web", {"data": {"pack.yaml": shortly}})
        shell.run(ENFORCE)
        eventually(lambda: pod.packs()["watch-web"]["mode"] == "Enforce", "pack in Enforce")
        here.create(workload(DEPLOYMENT, "web", namespace=namespace))
        here.status(DEPLOYMENT, "web", {"conditions": [unavailable()]})
        here.create(job("train", "Succeeded", {"argocd.argoproj.io/sync-wave": "1"}, namespace))
        marked = {"example.com/unavailable": "look-at-me"}
        eventually(lambda: marked.items() <= labels_of(here.get(DEPLOYMENT, "web")).items(), "label of the user's pack")
        eventually(lambda: WAVE in annotations_of(here.get(JOB, "train")), "annotation of a shipped pack")
        reported = shell.run(f"rulepack explain deploy/web -n {namespace} --rules watch-web --engine {pod.url}")
        assert "running: its conditions have held since 20" in reported
        assert pod.stop() == 0
        assert "forbidden" not in pod.log(), pod.log()
    after = granted(plane)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {"ClusterRole rulepack:watch-web", "ClusterRoleBinding rulepack:watch-web"}
    home.delete(CONFIG_MAP, "watch-web")
    home.delete(CONFIG_MAP, "rulepack-feature-flags")
    home.delete(CONFIG_MAP, "rulepack-params")
    shell.run("kubectl delete -f rbac.yaml")


def granted(plane: ControlPlane) -> dict[str, Any]:
    """The rules, and the bindings, of all roles."""
    plurals = ("clusterroles", "clusterrolebindings", "roles", "rolebindings")
    found = {plural: plane.request("GET", f"{RBAC}/{plural}") for plural in plurals}
    return {
        " ".join((listed["kind"].removesuffix("List"), *filter(None, (metadata(one).get("namespace"), metadata(one)["name"])))):
        one.get("rules") or [one.get("roleRef"), one.get("subjects")]
        for listed in found.values() for one in listed["items"]
    }  # fmt: skip


def unavailable() -> Object:
    """The condition of a Deployment that has just become unavailable."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "type": "Available",
        "status": "False",
        "reason": "MinimumReplicasUnavailable",
        "message": "",
        "lastTransitionTime": now,
    }
