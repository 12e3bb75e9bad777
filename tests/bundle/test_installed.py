"""What docs/install.md says of kustomize, done on a real kube-apiserver: the operator works with the rights it gets there."""

from __future__ import annotations

import re
import urllib.error
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.model.objects import Object, annotations_of, dig
from scripts.bundle import ROOT
from tests.bundle.manifests import applied, overlay, render, send
from tests.bundle.rights import rights, used
from tests.controlplane.gobuild import Programs
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.kinds import install_kinds
from tests.e2e.pod import Pod
from tests.e2e.walkthrough import AT, Walkthrough, status, workload
from tests.world import DEPLOYMENT, JOB, job, trigger, triggers

HOME = "rulepack-system"
WAVE = "mlops.dev/wave-complete"
#: What the packs read of Argo CD, which lies in another namespace: its Applications, and where it is.
ARGO_CD = {("list", "applications"), ("list", "appprojects"), ("list", "namespaces")}
REFUSAL = re.compile(r'cannot (\w+) resource \\?"(\w+)\\?" in API group \\?"[\w.]*\\?" (?:at the cluster scope|in the namespace)')


@pytest.fixture(scope="module")
def plane(own_plane: ControlPlane) -> ControlPlane:
    """A control plane that serves the kinds of the shipped packs, with two teams and somebody else on it."""
    install_kinds(own_plane)
    for name in (HOME, "team-a", "team-b", "elsewhere"):
        own_plane.ensure("/api/v1/namespaces", {"metadata": {"name": name}})
    return own_plane


def roles(documents: Sequence[Object]) -> list[Object]:
    """The rules of all roles."""
    return [rule for one in documents if one["kind"] in ("Role", "ClusterRole") for rule in one["rules"]]


def succeed(plane: ControlPlane, name: str, namespace: str, *asks: str) -> None:
    """A job that succeeds now: what has ended before is none of the rules' business."""
    completed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    annotations = {"argocd.argoproj.io/sync-wave": "1", **(triggers(*asks) if asks else {})}
    Cluster(plane, namespace).create(job(name, "Succeeded", annotations, namespace, completed))


def seen(plane: ControlPlane, name: str, namespace: str) -> bool:
    """Whether a job has been acted on."""
    return WAVE in annotations_of(Cluster(plane, namespace).get(JOB, name))


def fares(plane: ControlPlane, name: str) -> object:
    """The status of a RulePack in the operator's namespace; None while there is none."""
    try:
        return plane.request("GET", f"/apis/rules.mlops.dev/v1alpha1/namespaces/{HOME}/rulepacks/{name}").get("status")
    except urllib.error.HTTPError:
        return None


def refused(pod: Pod) -> set[tuple[str, str]]:
    """The verbs and resources that the API server has refused, by the log."""
    return {(found[1], found[2]) for found in REFUSAL.finditer(pod.log())}


def test_all_namespaces(plane: ControlPlane, tools: Programs, tmp_path: Path) -> None:
    """config/default with config/samples: the whole walkthrough is played, and every right that is granted there was needed."""
    documents = render(tools, ROOT / "config/default")
    with applied(plane, documents) as deployment, Pod(plane, deployment, tmp_path) as pod:
        for document in render(tools, ROOT / "config/samples"):
            send(plane, document)
        home = Cluster(plane, HOME)
        home.patch(CONFIG_MAP, "rulepack-feature-flags", {"data": {"on-success-triggers": "Enforce"}})
        pod.start()
        eventually(lambda: status(home, "team-packs") == "ok", "status of the user's pack")
        eventually(lambda: fares(plane, "sync-waves"), "status of a shipped pack's RulePack")
        Walkthrough(plane, home, pod.log).play()
        assert "rulepack_leader 1.0" in pod.ask("/metrics")
        assert pod.stop() == 0
        assert refused(pod) == set()
        assert pod.watched("notebookvalidationjobs") == {""}
        assert used(pod.requested()) == rights(roles(documents))


def test_pods_meet_the_restricted_standard(plane: ControlPlane, tools: Programs) -> None:
    """The namespace's own admission takes the Deployment's pod, and would not take one that may gain privileges."""
    documents = render(tools, ROOT / "config/default")
    with applied(plane, documents) as deployment:
        template = deployment["spec"]["template"]
        pod = {"metadata": {**template["metadata"], "name": "rulepack"}, "spec": template["spec"]}
        pods = f"/api/v1/namespaces/{HOME}/pods?dryRun=All"
        plane.request("POST", pods, pod)
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        with pytest.raises(urllib.error.HTTPError) as refusal:
            plane.request("POST", pods, pod)
    assert "violates PodSecurity" in refusal.value.read().decode()


def test_its_own_namespace(plane: ControlPlane, tools: Programs, tmp_path: Path) -> None:
    """config/own-namespace: Roles suffice; another namespace is not watched; for a target there the missing right is named."""
    documents = render(tools, ROOT / "config/own-namespace")
    assert not {"ClusterRole", "ClusterRoleBinding"} & {one["kind"] for one in documents}
    home = Cluster(plane, HOME)
    with applied(plane, documents) as deployment, Pod(plane, deployment, tmp_path) as pod:
        assert pod.environment["WATCH_NAMESPACE"] == HOME
        home.create(workload(DEPLOYMENT, "web", namespace=HOME), workload(DEPLOYMENT, "web", namespace="elsewhere"))
        pod.start()
        succeed(plane, "other", "elsewhere")
        succeed(plane, "own", HOME, trigger(DEPLOYMENT, "web", "restart"), trigger(DEPLOYMENT, "web", "restart", "elsewhere"))
        eventually(lambda: dig(home.get(DEPLOYMENT, "web"), AT, None), "restart of the Deployment")
        eventually(lambda: "RuleWaiting" in dict(home.events("own")), "Event about the other namespace", 90)
        assert pod.stop() == 0
        assert 'cannot create resource "subjectaccessreviews"' in dict(home.events("own"))["RuleWaiting"]
        assert dig(home.get(DEPLOYMENT, "web", "elsewhere"), AT, None) is None
        assert refused(pod) == {("create", "subjectaccessreviews"), *ARGO_CD}
        assert pod.watched("notebookvalidationjobs") == {HOME}
    assert not seen(plane, "other", "elsewhere")


def test_some_namespaces(plane: ControlPlane, tools: Programs, tmp_path: Path) -> None:
    """Two namespaces are watched, with RoleBindings there, and elsewhere no right but to ask who reads."""
    text = (ROOT / "docs/install.md").read_text()
    files = dict(re.findall(r"```yaml\n# ((?:kustomization|rights)\.yaml)\n(.*?)```", text, re.DOTALL))
    documents = overlay(tools, tmp_path, files)
    assert [one["metadata"]["name"] for one in documents if one["kind"] == "ClusterRoleBinding"] == ["rulepack-reviews"]
    with applied(plane, documents) as deployment, Pod(plane, deployment, tmp_path) as pod:
        assert pod.environment["WATCH_NAMESPACE"] == "team-a,team-b"
        pod.start()
        succeed(plane, "elsewhere", "elsewhere")
        for namespace in ("team-a", "team-b"):
            succeed(plane, "train", namespace)
        for namespace in ("team-a", "team-b"):
            eventually(lambda namespace=namespace: seen(plane, "train", namespace), f"job of {namespace}")  # type: ignore[misc]
        assert pod.stop() == 0
        assert refused(pod) == ARGO_CD
        assert pod.watched("notebookvalidationjobs") == {"team-a", "team-b"}
    assert not seen(plane, "elsewhere", "elsewhere")
