"""docs/install.md, word for word: every command of it, on a real API server with the real OLM.

Pods come of Deployments by the real kube-controller-manager, and become Ready by a kubelet that is simulated.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from engine.model.objects import Kind, Object, dig
from scripts.bundle import CSV, ROOT
from scripts.project import project
from tests.bundle.catalog import OLD, write_bundle
from tests.bundle.manifests import path, send
from tests.controlplane import controllers, olm
from tests.controlplane.controllers import ControllerManager
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.document import Shell, blocks, commands
from tests.e2e.kinds import install_kinds
from tests.e2e.olm import OPERATORS, Olm
from tests.simulators.kubelet import Kubelet
from tests.world import DEPLOYMENT

HOME = "rulepack-system"
RELEASE = f"{project().repository}/releases/latest/download/install.yaml"
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io/v1", "ClusterRole")
CLUSTER_ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding")
RULE_PACK = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/rulepacks.rules.mlops.dev"
EXTENSIONS = "/apis/olm.operatorframework.io/v1/clusterextensions"
#: Which test runs the commands under each heading.
TESTED = {
    "By OLM", "Settings of its process", "Monitoring", "Before it is in a catalog", "By OLM v1", "By one file", "By kustomize",
    "Where Argo CD is", "Settings", "Uninstall",
}  # fmt: skip


@pytest.fixture(scope="module")
def plane(own_plane: ControlPlane, say: Say) -> Iterator[ControlPlane]:
    """A control plane whose Deployments become pods, with the kinds of the shipped packs and of the Prometheus Operator."""
    install_kinds(own_plane)
    try:
        own_plane.define(*(yaml.safe_load(file.read_text()) for file in olm.monitoring_definitions()))
        with ControllerManager(own_plane, controllers.program(say)), Kubelet(own_plane):
            yield own_plane
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture
def shell(plane: ControlPlane, kubectl: Path, tmp_path: Path) -> Shell:
    """A shell of a cluster administrator."""
    return Shell(tmp_path, kubectl, plane.kubeconfig)


@pytest.fixture(autouse=True)
def _clean(plane: ControlPlane) -> Iterator[None]:
    """Leave no namespace of the operator to the next test."""
    yield
    for namespace in (HOME, "team-a"):
        plane.request("DELETE", f"/api/v1/namespaces/{namespace}") if namespace in namespaces(plane) else None
    eventually(lambda: not {HOME, "team-a"} & namespaces(plane), "namespaces that are gone")


def namespaces(plane: ControlPlane) -> set[str]:
    return {one["metadata"]["name"] for one in plane.request("GET", "/api/v1/namespaces")["items"]}


def deployments(plane: ControlPlane, namespace: str = HOME) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in Cluster(plane, namespace).all(DEPLOYMENT)}


def test_every_command_is_tested() -> None:
    """No heading has commands that no test here runs."""
    assert {heading for heading, _ in blocks()} == TESTED


def test_by_olm(plane: ControlPlane, shell: Shell) -> None:
    """Subscribed, waited for, settings set, monitored, and uninstalled, which leaves the user's ConfigMaps."""
    with Olm(plane, {**olm.tools(), **olm.operators()}, olm.definitions()) as running:
        running.start(OLD)
        subscribe, wait, status = commands("By OLM")
        shell.run(subscribe)
        shell.run(wait, 320)
        shell.run(status)
        (deployment,) = deployments(plane).values()
        assert deployment["status"]["readyReplicas"] == 2

        (settings,) = commands("Settings of its process")
        shell.run(settings)
        running.eventually(lambda: ("RULEPACK_RUN_LOG_LEVEL", "debug") in environment(plane), "Deployment with the variable")
        (container,) = deployments(plane)["rulepack-operator"]["spec"]["template"]["spec"]["containers"]
        assert container["resources"]["limits"] == {"memory": "2Gi"}

        add, scrape = commands("Monitoring")
        shell.run(add)
        shell.run(scrape)
        monitors = plane.request("GET", f"/apis/monitoring.coreos.com/v1/namespaces/{HOME}/servicemonitors")["items"]
        labels = monitors[0]["spec"]["selector"]["matchLabels"]
        services = plane.request("GET", f"/api/v1/namespaces/{HOME}/services")["items"]
        found = [one["metadata"]["name"] for one in services if labels.items() <= one["metadata"].get("labels", {}).items()]
        assert found == ["rulepack-metrics"]

        _, source = commands("Before it is in a catalog")
        shell.run(source)
        assert plane.request("GET", f"{OPERATORS}/namespaces/{HOME}/catalogsources/rulepack")["spec"]["sourceType"] == "grpc"

        for own in ("feature_flags", "params"):
            Cluster(plane, HOME).create(yaml.safe_load((ROOT / f"config/samples/{own}.yaml").read_text()))
        save, remove, _ = commands("Uninstall")
        shell.run(save)
        assert "rulepack-feature-flags" in (shell.folder / "my-settings.yaml").read_text()
        shell.run(remove)
        running.eventually(lambda: not deployments(plane), "Deployment that is gone")
        assert plane.request("GET", f"{OPERATORS}/namespaces/{HOME}/clusterserviceversions")["items"] == []
        assert Cluster(plane, HOME).find(CONFIG_MAP, "rulepack-feature-flags") is not None


def environment(plane: ControlPlane) -> set[tuple[str, str]]:
    (container,) = deployments(plane)["rulepack-operator"]["spec"]["template"]["spec"]["containers"]
    return {(entry["name"], entry.get("value", "")) for entry in container["env"]}


def test_by_olm_v1(plane: ControlPlane, shell: Shell, kubectl: Path, tmp_path: Path) -> None:
    """The installer may make, change and delete all that is in the bundle, and nothing else is granted.

    What OLM v1 would do with the service account is done here by kubectl, with the service account's own token.
    """
    plane.define(yaml.safe_load(olm.v1_definition().read_text()))
    (text,) = commands("By OLM v1")
    create, install, wait = text.splitlines()
    shell.run(create)
    shell.run(install)
    kubeconfig = plane.kubeconfig_for(HOME, "rulepack-installer")
    folder = tmp_path / "objects"
    folder.mkdir()
    for number, document in enumerate(rendered(write_bundle(tmp_path, OLD))):
        (folder / f"{number:02}.yaml").write_text(yaml.safe_dump(document))
    installer = Shell(tmp_path / "installer", kubectl, kubeconfig)
    installer.run(f"kubectl apply --server-side -f {folder}")
    installer.run(f"kubectl rollout status -n {HOME} deployment/rulepack-operator --timeout=60s")
    extension = plane.request("GET", f"{EXTENSIONS}/rulepack-operator")
    condition = {"type": "Installed", "status": "True", "reason": "Succeeded", "message": "", "observedGeneration": 1}
    condition["lastTransitionTime"] = extension["metadata"]["creationTimestamp"]
    plane.request("PATCH", f"{EXTENSIONS}/rulepack-operator/status", {"status": {"conditions": [condition]}})
    shell.run(wait)
    (back,) = commands("Versions of OLM v1", ROOT / "docs/operating.md")
    shell.run(back)
    source = plane.request("GET", f"{EXTENSIONS}/rulepack-operator")["spec"]["source"]["catalog"]
    assert (source["version"], source["upgradeConstraintPolicy"]) == ("0.1.0", "SelfCertified")
    more = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    greedy = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "more"}, "rules": [more]}
    (tmp_path / "more.yaml").write_text(yaml.safe_dump(greedy))
    with pytest.raises(AssertionError, match="attempting to grant RBAC permissions not currently held"):
        installer.run(f"kubectl apply -f {tmp_path / 'more.yaml'}")
    installer.run(f"kubectl delete --ignore-not-found -f {folder}")
    shell.run("kubectl delete clusterextension rulepack-operator; kubectl delete -k config/olmv1 --ignore-not-found")


def rendered(bundle: Path) -> Iterator[Object]:
    """What OLM v1 makes of a bundle for all namespaces.

    Source: operator-controller, internal/operator-controller/rukpak/render/registryv1/generators.
    """
    csv = yaml.safe_load((bundle / CSV).read_text())
    install = csv["spec"]["install"]["spec"]
    (deployment,) = install["deployments"]
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": HOME}}
    for part in ("clusterPermissions", "permissions"):
        role = {"name": f"rulepack-{part.lower()}"}
        yield {**_of(CLUSTER_ROLE), "metadata": role, "rules": install[part][0]["rules"]}
        yield {
            **_of(CLUSTER_ROLE_BINDING), "metadata": role,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", **role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": HOME}],
        }  # fmt: skip
    for file in sorted((bundle / "manifests").glob("*.yaml")):
        document = yaml.safe_load(file.read_text())
        if document["kind"] in ("CustomResourceDefinition", "ClusterRole"):
            yield document
        elif document["kind"] != "ClusterServiceVersion":
            yield {**document, "metadata": {**document["metadata"], "namespace": HOME}}
    meta = {"name": deployment["name"], "namespace": HOME, "labels": deployment["label"]}
    yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": deployment["spec"]}


def _of(kind: Kind) -> Object:
    return {"apiVersion": kind.api_version, "kind": kind.kind}


def test_by_one_file(plane: ControlPlane, shell: Shell, tmp_path: Path) -> None:
    """Applied, settings set, and uninstalled in the way that keeps the namespace and the user's objects in it."""
    kustomize = olm.tools()["kustomize"]
    done = subprocess.run([kustomize, "build", ROOT / "config/default"], check=True, capture_output=True, text=True)
    (tmp_path / "install.yaml").write_text(done.stdout)
    (text,) = commands("By one file")
    assert RELEASE in text
    shell.run(text.replace(RELEASE, str(tmp_path / "install.yaml")))
    assert deployments(plane)["rulepack"]["status"]["readyReplicas"] == 2

    params, *_ = commands("Where Argo CD is")
    shell.run(params)
    (shell.folder / "my-rules").symlink_to(ROOT / "rules/sync-waves")
    (own,) = commands("Settings")
    shell.run(own)
    bound = plane.request("GET", f"{path(CLUSTER_ROLE_BINDING, '')}/rulepack:sync-waves")
    assert bound["subjects"] == [{"kind": "ServiceAccount", "name": "rulepack", "namespace": HOME}]
    _, _, keep = commands("Uninstall")
    shell.run(keep)
    assert deployments(plane) == {}
    assert not [one for one in plane.request("GET", path(CLUSTER_ROLE, ""))["items"] if one["metadata"]["name"] == "rulepack"]
    assert Cluster(plane, HOME).find(CONFIG_MAP, "rulepack-params") is not None
    assert plane.request("GET", RULE_PACK)["spec"]["names"]["kind"] == "RulePack"


def test_by_kustomize(plane: ControlPlane, shell: Shell, kubectl: Path, tmp_path: Path) -> None:
    """config/default for all namespaces; and in team-a by somebody who may do anything there, and nothing anywhere else."""
    everywhere, own = commands("By kustomize")
    shell.run(everywhere)
    assert deployments(plane)["rulepack"]["status"]["readyReplicas"] == 2
    shell.run("kubectl delete -k config/default")

    plane.ensure("/api/v1/namespaces", {"metadata": {"name": "team-a"}})
    kubeconfig = plane.kubeconfig_for("team-a", "somebody")
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    send(plane, {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "roleRef": role,
        "metadata": {"name": "somebody", "namespace": "team-a"},
        "subjects": [{"kind": "ServiceAccount", "name": "somebody", "namespace": "team-a"}],
    })  # fmt: skip
    somebody = Shell(tmp_path / "somebody", kubectl, kubeconfig)
    somebody.run(own)
    deployment = deployments(plane, "team-a")["rulepack"]
    assert deployment["status"]["readyReplicas"] == 2
    bindings = plane.request("GET", "/apis/rbac.authorization.k8s.io/v1/namespaces/team-a/rolebindings")["items"]
    subjects = {subject["namespace"] for one in bindings for subject in one["subjects"]}
    assert subjects == {"team-a"}
    assert dig(deployment, ("metadata", "namespace"), "") == "team-a"
    assert HOME not in namespaces(plane)


def test_the_targets_of_operator_sdk(plane: ControlPlane, shell: Shell) -> None:
    """`make install`, `deploy` with an image of one's own, and both back."""
    make = f"make -C {ROOT} --silent"
    shell.run(f"{make} install")
    assert plane.request("GET", RULE_PACK)["spec"]["names"]["kind"] == "RulePack"
    shell.run(f"{make} deploy IMG=registry.example.com/mine/rulepack:dev")
    (container,) = deployments(plane)["rulepack"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/mine/rulepack:dev"
    shell.run(f"{make} undeploy uninstall")
    assert HOME not in namespaces(plane)
    definitions = plane.request("GET", RULE_PACK.rpartition("/")[0])["items"]
    assert "rulepacks.rules.mlops.dev" not in {one["metadata"]["name"] for one in definitions}


def test_each_shard_is_scraped_once(kubectl: Path) -> None:
    """The ServiceMonitor selects one of the two Services of config/shards."""
    done = subprocess.run([kubectl, "kustomize", ROOT / "config/shards"], check=True, capture_output=True, text=True)
    services = [one for one in yaml.safe_load_all(done.stdout) if one["kind"] == "Service"]
    monitor = yaml.safe_load((ROOT / "config/monitoring/service_monitor.yaml").read_text())
    wanted = monitor["spec"]["selector"]["matchLabels"]
    assert len(services) == 2
    selected = [one["metadata"]["name"] for one in services if wanted.items() <= one["metadata"].get("labels", {}).items()]
    assert selected == ["rulepack-metrics"]
