"""What operator-framework's programs, kustomize and a real kube-apiserver say of the bundle and of config/."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from scripts.bundle import PACKAGE, ROOT
from tests.bundle.catalog import NEW, OLD, name, write_catalog
from tests.bundle.manifests import overlay, render, send
from tests.controlplane.gobuild import Programs
from tests.controlplane.plane import ControlPlane

NAMESPACE = "rulepack-system"


def test_the_validators_find_nothing(tools: Programs) -> None:
    """All validators of operator-framework, OperatorHub's and the community's included, give no error and no warning."""
    done = subprocess.run([tools["validate"], ROOT / "bundle"], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout or "null") == [], done.stderr
    assert done.returncode == 0


def test_the_validators_find_what_is_wrong(tools: Programs, tmp_path: Path) -> None:
    """A bundle whose minKubeVersion is no semantic version fails: the validators do check it."""
    for path in (ROOT / "bundle").rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(ROOT / "bundle")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text().replace("minKubeVersion: 1.28.0", "minKubeVersion: '1.28'"))
    done = subprocess.run([tools["validate"], tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert any(found["level"] == "Error" for found in json.loads(done.stdout))


def test_a_catalog_of_two_versions_is_valid(tools: Programs, tmp_path: Path) -> None:
    """opm renders two versions into a catalog in which the second replaces the first, and finds it valid."""
    catalog = write_catalog(tmp_path, tools, OLD, NEW)
    documents = list(yaml.safe_load_all((catalog / PACKAGE / "catalog.yaml").read_text()))
    (channel,) = (document for document in documents if document["schema"] == "olm.channel")
    assert channel["entries"] == [
        {"name": name(OLD)},
        {"name": name(NEW), "replaces": name(OLD), "skipRange": f"<{NEW}"},
    ]
    assert [document["name"] for document in documents if document["schema"] == "olm.bundle"] == [name(OLD), name(NEW)]


def test_operator_sdk_has_all_that_it_reads(tools: Programs) -> None:
    """`kustomize build config/manifests` gives what `operator-sdk generate bundle` makes a bundle of."""
    kinds = {document["kind"] for document in render(tools, ROOT / "config/manifests")}
    assert {"ClusterServiceVersion", "Deployment", "ClusterRole", "Role", "Service", "Configuration"} <= kinds


@pytest.mark.parametrize("folder", ["default", "own-namespace", "samples", "shards"])
def test_manifests_are_accepted(tools: Programs, control_plane: ControlPlane, folder: str) -> None:
    """What kustomize renders is accepted by a kube-apiserver, by server-side dry run with strict checks of each field."""
    control_plane.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    documents = render(tools, ROOT / "config" / folder)
    assert documents
    for document in documents:
        send(control_plane, document, dry_run=True)


def test_openshift(tools: Programs, control_plane: ControlPlane, tmp_path: Path) -> None:
    """The overlay of docs/install.md renders, and a kube-apiserver accepts all of it that needs no other operator's kinds."""
    text = (ROOT / "docs/install.md").read_text()
    (kustomization,) = re.findall(r"```yaml\n# kustomization.yaml on OpenShift\n(.*?)```", text, re.DOTALL)
    documents = overlay(tools, tmp_path, {"kustomization.yaml": kustomization})
    kinds = {document["kind"]: document for document in documents}
    assert {"ServiceMonitor", "PrometheusRule"} <= kinds.keys()
    assert kinds["Namespace"]["metadata"]["labels"]["openshift.io/cluster-monitoring"] == "true"
    assert json.loads(kinds["ConfigMap"]["data"]["rulepack.json"])["panels"]
    control_plane.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    for document in documents:
        if not document["apiVersion"].startswith("monitoring.coreos.com/"):
            send(control_plane, document, dry_run=True)
