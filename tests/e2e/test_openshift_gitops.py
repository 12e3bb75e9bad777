"""config/openshift-gitops beside the real operator of Argo CD, which takes back what anybody else writes into `argocd-cm`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from engine.model.objects import Kind, Object, names_of
from tests.controlplane import gitops as build
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.world import RULES

CONFIG = RULES.parent / "config"
NAMESPACE = "openshift-gitops"
ARGOCD, NOTIFICATIONS = Kind("argoproj.io/v1beta1", "ArgoCD"), Kind("argoproj.io/v1alpha1", "NotificationsConfiguration")
DEPLOYMENT = Kind("apps/v1", "Deployment")
HEALTH = "resource.customizations.health.mlops.mlops.dev_NotebookValidationJob"


@pytest.fixture(scope="module")
def openshift(own_plane: ControlPlane, say: Say) -> Iterator[Cluster]:
    """A cluster with the operator, and the ArgoCD that OpenShift GitOps creates."""
    cluster = Cluster(own_plane, NAMESPACE)
    try:
        own_plane.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        with build.GitOps(own_plane, build.program(say), NAMESPACE):
            cluster.create(
                {
                    "apiVersion": ARGOCD.api_version,
                    "kind": ARGOCD.kind,
                    "metadata": {"name": NAMESPACE, "namespace": NAMESPACE},
                    "spec": {},
                }
            )
            eventually(lambda: cluster.find(CONFIG_MAP, "argocd-cm"), "argocd-cm of the operator")
            yield cluster
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


def patch(cluster: Cluster, kind: Kind, file: str) -> Object:
    """Apply a patch of config/openshift-gitops, as `oc patch --type merge` does; return it."""
    body: Object = yaml.safe_load((CONFIG / "openshift-gitops" / file).read_text())
    namespace, name = names_of(body)
    assert namespace == NAMESPACE
    cluster.patch(kind, name, body)
    return body


def data(cluster: Cluster, name: str) -> dict[str, str]:
    """The data of a ConfigMap."""
    return cluster.get(CONFIG_MAP, name).get("data") or {}


@pytest.mark.nightly
def test_the_pack_leaves_argocd_cm_to_the_operator_and_says_so(openshift: Cluster) -> None:
    """argocd-health, switched on, writes nothing there, and names the resource and what to do."""
    before = data(openshift, "argocd-cm")
    with Engine(openshift.plane, NAMESPACE) as engine:
        engine.grant_packs("argocd-health")
        engine.flags({"argocd-health": "Enforce"})
        engine.params({"argocd-health": f"argocdNamespace: {NAMESPACE}"})
        engine.start()
        engine.ready()
        ((reason, message),) = eventually(lambda: openshift.events("argocd-cm"), "Event about argocd-cm")

    assert reason == "KeyNotOurs"
    assert message.startswith("ArgoCD/openshift-gitops manages argocd-cm")
    assert "Apply config/openshift-gitops" in message
    assert data(openshift, "argocd-cm") == before


@pytest.mark.nightly
def test_the_operator_brings_what_argo_cd_needs_into_its_config_maps(openshift: Cluster) -> None:
    """Each key of both patches arrives as it is written, and stays; what is written into argocd-cm itself is taken back."""
    stock = data(openshift, "argocd-cm")
    argocd = patch(openshift, ARGOCD, "argocd.yaml")
    wanted = argocd["spec"]["extraConfig"]
    eventually(lambda: HEALTH in data(openshift, "argocd-cm"), "health script in argocd-cm")
    assert data(openshift, "argocd-cm") == {**stock, **wanted}

    eventually(lambda: openshift.find(NOTIFICATIONS, "default-notifications-configuration"), "configuration of notifications")
    templates = patch(openshift, NOTIFICATIONS, "notifications.yaml")["spec"]
    notified = {**templates["triggers"], **templates["templates"]}
    eventually(lambda: notified.items() <= data(openshift, "argocd-notifications-cm").items(), "trigger and its templates")

    openshift.patch(CONFIG_MAP, "argocd-cm", {"data": {HEALTH: "return {}", "resource.customizations.health.Own": "return {}"}})
    eventually(lambda: data(openshift, "argocd-cm").get(HEALTH) == wanted[HEALTH], "health script put back")


@pytest.mark.nightly
def test_the_operator_brings_the_extension_into_argo_cd(openshift: Cluster) -> None:
    """Its script and authority as volumes of the API server, its switch, its proxy; the right that its page grants stays."""
    server = patch(openshift, ARGOCD, "extension/argocd.yaml")["spec"]["server"]
    policy = {"policy.rulepack.csv": "p, role:readonly, extensions, invoke, rulepack, allow\n"}
    openshift.patch(CONFIG_MAP, "argocd-rbac-cm", {"data": policy})

    def arrived() -> bool:
        pod = openshift.get(DEPLOYMENT, f"{NAMESPACE}-server")["spec"]["template"]["spec"]
        (container,) = (each for each in pod["containers"] if each["name"] == "argocd-server")
        volumes = {each["name"]: each.get("configMap", {}).get("name") for each in pod["volumes"]}
        mounted = {(each["name"], each["mountPath"]) for each in container["volumeMounts"]}
        return (
            all(each in container["env"] for each in server["env"])
            and {each["name"]: each["configMap"]["name"] for each in server["volumes"]}.items() <= volumes.items()
            and {(each["name"], each["mountPath"]) for each in server["volumeMounts"]} <= mounted
        )

    eventually(arrived, "extension in the Deployment of Argo CD's API server")
    eventually(lambda: "extension.config.rulepack" in data(openshift, "argocd-cm"), "proxy of the extension in argocd-cm")
    assert policy.items() <= data(openshift, "argocd-rbac-cm").items()
