"""What OperatorHub and OLM ask of a bundle, where no program of theirs is needed to see it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine import __version__
from engine.cel import backend
from engine.packs.libraries import Libraries, read_libraries
from engine.packs.parse import parse_object
from engine.packs.sources import LibraryObject, PackObject
from scripts.bundle import ANNOTATIONS, CSV, PACKAGE, ROOT
from tests.bundle.rights import rights

BUNDLE = ROOT / "bundle"
DOCKERFILE = ROOT / "bundle.Dockerfile"
DIGEST = "quay.io/example/rulepack@sha256:" + "0" * 64
SCRIPT = str(ROOT / "scripts/bundle.py")


@pytest.fixture(scope="module")
def csv() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((BUNDLE / CSV).read_text())
    return loaded


def documents(folder: Path) -> list[Any]:
    return [document for path in folder.glob("*.yaml") for document in yaml.safe_load_all(path.read_text())]


def test_the_bundle_is_fresh() -> None:
    """It is as scripts/bundle.py writes it from config/."""
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_there_is_one_version(csv: dict[str, Any]) -> None:
    """The engine, the manifests' image and the bundle are of the same version."""
    deployment = yaml.safe_load((ROOT / "config/manager/deployment.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == csv["metadata"]["annotations"]["containerImage"]
    assert csv["spec"]["version"] == __version__


def test_a_new_version_replaces_the_old(tmp_path: Path) -> None:
    """It names the release before it, and none of what was never released; writing the same version again changes nothing."""
    for version in ("0.1.0", "0.1.1-dev", "0.2.0-dev", "0.2.0", "0.2.0"):
        subprocess.run([sys.executable, SCRIPT, version, "--into", str(tmp_path)], check=True)
    written = yaml.safe_load((tmp_path / CSV).read_text())
    assert written["spec"]["version"] == "0.2.0"
    assert written["spec"]["replaces"] == f"{PACKAGE}.v0.1.0"
    assert written["metadata"]["annotations"]["olm.skipRange"] == "<0.2.0"


def test_a_bundle_by_digest_works_without_its_registry(tmp_path: Path, csv: dict[str, Any]) -> None:
    """The image is the same everywhere in it, and named as related, which is how a mirror knows what to copy.

    By a tag it would have to be asked for, so the bundle does not claim this.
    """
    subprocess.run([sys.executable, SCRIPT, "0.2.0", "--into", str(tmp_path), f"--image={DIGEST}"], check=True)
    text = (tmp_path / CSV).read_text()
    written = yaml.safe_load(text)
    assert written["spec"]["relatedImages"] == [{"name": "rulepack", "image": DIGEST}]
    assert set(re.findall(r"(?:image|containerImage): (\S+)", text)) == {DIGEST}
    disconnected = "features.operators.openshift.io/disconnected"
    assert written["metadata"]["annotations"][disconnected] == "true"
    assert csv["metadata"]["annotations"][disconnected] == "false"


def test_a_wrong_version_is_refused(tmp_path: Path) -> None:
    """A version that is not a semantic one is said, and nothing is written."""
    command = [sys.executable, SCRIPT, "v1", "--into", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "expected a semantic version" in done.stderr
    assert not list(tmp_path.iterdir())


def test_another_version_than_the_engines_is_refused() -> None:
    """`make bundle VERSION=9.9.9` says which version bundle/ is of, and where that stands, and changes nothing."""
    before = (BUNDLE / CSV).read_text()
    done = subprocess.run([sys.executable, SCRIPT, "9.9.9"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"bundle/ is of the version in engine/__init__.py, {__version__}: run `make bundle` alone" in done.stderr
    assert (BUNDLE / CSV).read_text() == before


def test_manifests_are_flat_and_of_allowed_kinds() -> None:
    """The folder holds files only, and of the kinds that OLM installs none that an API may be missing for."""
    assert all(path.is_file() for path in (BUNDLE / "manifests").iterdir())
    kinds = [document["kind"] for document in documents(BUNDLE / "manifests")]
    definitions = ["CustomResourceDefinition"] * 2
    assert sorted(kinds) == ["ClusterRole", "ClusterServiceVersion", *definitions, "PodDisruptionBudget", "Service"]
    assert not [one for one in documents(BUNDLE / "manifests") if "namespace" in one["metadata"]]


def test_annotations_and_image_labels_agree() -> None:
    """metadata/annotations.yaml and the labels of bundle.Dockerfile are the same keys and values, quoted as text."""
    annotations = yaml.safe_load((BUNDLE / "metadata/annotations.yaml").read_text())["annotations"]
    labels = dict(re.findall(r"^LABEL (\S+?)=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE))
    assert annotations == labels == ANNOTATIONS
    assert all(isinstance(value, str) for value in annotations.values())


def test_no_kind_is_required(csv: dict[str, Any]) -> None:
    """It owns RulePack and RuleLibrary, requires no kind and has no dependencies: the packs wait for theirs at run time."""
    owned = csv["spec"]["customresourcedefinitions"]["owned"]
    assert [each["name"] for each in owned] == ["rulepacks.rules.mlops.dev", "rulelibraries.rules.mlops.dev"]
    assert "required" not in csv["spec"]["customresourcedefinitions"]
    assert "nativeAPIs" not in csv["spec"]
    assert not (BUNDLE / "metadata/dependencies.yaml").exists()


def test_the_icon_is_an_svg(csv: dict[str, Any]) -> None:
    """There is one icon, a picture of our own in SVG."""
    (icon,) = csv["spec"]["icon"]
    assert icon["mediatype"] == "image/svg+xml"
    assert base64.b64decode(icon["base64data"]).startswith(b"<svg")


def test_annotations_are_texts(csv: dict[str, Any]) -> None:
    """Annotations that look like a boolean are texts, and createdAt is a time."""
    annotations = csv["metadata"]["annotations"]
    assert {key: value for key, value in annotations.items() if not isinstance(value, str)} == {}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", annotations["createdAt"])
    assert annotations["containerImage"].endswith(f":v{csv['spec']['version']}")


def test_pods_are_restricted(csv: dict[str, Any]) -> None:
    """The pod meets the restricted pod security standard without choosing a user, and its root is read-only."""
    (deployment,) = csv["spec"]["install"]["spec"]["deployments"]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


def test_a_network_policy_leaves_the_probes_to_kubelet() -> None:
    """It selects the pods of the Deployment, and lets in what asks for metrics by TLS, and nothing else."""
    manager = {one["kind"]: one for one in documents(ROOT / "config/manager")}
    policy, pod = manager["NetworkPolicy"]["spec"], manager["Deployment"]["spec"]["template"]
    listed = yaml.safe_load((ROOT / "config/manager/kustomization.yaml").read_text())["resources"]
    assert "network_policy.yaml" in listed
    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    assert policy["policyTypes"] == ["Ingress"]
    assert [port for rule in policy["ingress"] for port in rule["ports"]] == [{"port": "metrics"}]
    assert ports["metrics"] == 8443
    probes = [pod["spec"]["containers"][0][f"{kind}Probe"]["httpGet"]["port"] for kind in ("liveness", "readiness")]
    assert "metrics" not in probes and 8443 not in probes
    assert all(port in ports or port in ports.values() for port in probes)


def test_rights_are_bound_to_names_where_olm_would_widen_them(csv: dict[str, Any]) -> None:
    """Of its own Lease and ConfigMaps it may change those of known names only, it reads no Secrets and uses no wildcard."""
    install = csv["spec"]["install"]["spec"]
    rules = [rule for part in (*install["permissions"], *install["clusterPermissions"]) for rule in part["rules"]]
    assert all("*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"]) for rule in rules)
    assert all("secrets" not in rule["resources"] for rule in rules)
    own = [rule for rule in rules if {"configmaps", "leases"} & {*rule["resources"]}]
    changing = [rule for rule in own if {"update", "patch"} & {*rule["verbs"]}]
    assert changing
    assert all(rule["resourceNames"] for rule in changing)


def test_rights_are_those_of_config(csv: dict[str, Any]) -> None:
    """All rights together are those of config/rbac, which `make reference` writes.

    Only what lies in no namespace, and what says where Argo CD is, is asked for in all of them, so an OperatorGroup for some
    namespaces grants no more.
    """
    config = [role["rules"] for role in yaml.safe_load_all((ROOT / "config/rbac/role.yaml").read_text())]
    install = csv["spec"]["install"]["spec"]
    (everywhere,), (bound,) = ([entry["rules"] for entry in install[part]] for part in ("clusterPermissions", "permissions"))
    assert rights([*everywhere, *bound]) == rights([rule for rules in config for rule in rules])
    assert rights(everywhere) == {
        ("create", "authentication.k8s.io", "tokenreviews"), ("create", "authorization.k8s.io", "subjectaccessreviews"),
        *((verb, *resource) for verb in ("list", "watch") for resource in (("", "namespaces"), ("argoproj.io", "appprojects"))),
    }  # fmt: skip


def test_what_its_image_copies_is_there() -> None:
    """bundle.Dockerfile builds from the root of the repository."""
    copied = re.findall(r"^COPY (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    assert copied == ["bundle/manifests", "bundle/metadata", "bundle/tests/scorecard"]
    assert all((ROOT / path).is_dir() for path in copied)


def test_metrics_are_found(csv: dict[str, Any]) -> None:
    """The Service selects the pods of the Deployment, and names a port that the container has."""
    (service,) = (one for one in documents(BUNDLE / "manifests") if one["kind"] == "Service")
    (budget,) = (one for one in documents(BUNDLE / "manifests") if one["kind"] == "PodDisruptionBudget")
    (deployment,) = csv["spec"]["install"]["spec"]["deployments"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= {port["name"] for port in container["ports"]}


def test_the_scorecard_has_all_tests() -> None:
    """The bundle's configuration asks for the six that there are; test_scorecard.py runs them."""
    config = yaml.safe_load((BUNDLE / "tests/scorecard/config.yaml").read_text())
    asked = [test["labels"]["test"] for stage in config["stages"] for test in stage["tests"]]
    assert asked == [
        "basic-check-spec-test", "olm-bundle-validation-test", "olm-crds-have-validation-test",
        "olm-crds-have-resources-test", "olm-spec-descriptors-test", "olm-status-descriptors-test",
    ]  # fmt: skip


def test_examples(csv: dict[str, Any]) -> None:
    """Each is a pack or a library without a fault, or stands for a shipped pack."""
    own, shipped, library = json.loads(csv["metadata"]["annotations"]["alm-examples"])
    assert parse_object(PackObject.of(own), backend()).rules
    assert shipped["spec"]["shipped"] in {folder.name for folder in (ROOT / "rules").iterdir()}
    assert read_libraries([LibraryObject.of(library)], backend(), Libraries()).faults == ()


def test_each_descriptor_is_of_a_field(csv: dict[str, Any]) -> None:
    """Each definition has the fields that the ClusterServiceVersion describes."""
    definitions = [one for one in documents(BUNDLE / "manifests") if one["kind"] == "CustomResourceDefinition"]
    by_name = {definition["metadata"]["name"]: definition["spec"]["versions"][0] for definition in definitions}
    described = {owned["name"]: owned for owned in csv["spec"]["customresourcedefinitions"]["owned"]}
    assert by_name.keys() == described.keys()
    for name, owned in described.items():
        schema = by_name[name]["schema"]["openAPIV3Schema"]["properties"]
        assert {each["path"] for each in owned["specDescriptors"]} <= schema["spec"]["properties"].keys()
        assert {each["path"] for each in owned["statusDescriptors"]} <= schema["status"]["properties"].keys()
