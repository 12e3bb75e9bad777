"""`rulepack explain`, `lint` and `record` against a real kube-apiserver, with the rights to get and list alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.main import run_command
from engine.reconcile.evaluate import TOLERANCE
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import LEASE
from tests.world import JOB, RULES, job, named

RBAC = "/apis/rbac.authorization.k8s.io/v1"
READERS = "read-what-packs-watch"
IGNORING = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: mlops.mlops.dev/v1alpha1, kind: NotebookValidationJob}
  rules:
    - name: r
      oncePer: object.metadata.uid
      existing: Ignore
      actions:
        - annotate: {annotations: {example.com/new: 'yes'}}
"""


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    """A namespace with a job in it that has completed its wave."""
    for definition in yaml.safe_load_all((RULES.parent / "examples" / "demo" / "crds.yaml").read_text()):
        control_plane.ensure("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    cluster = Cluster(control_plane, namespace)
    eventually(lambda: created(cluster), "kind of the job served")
    return cluster


def created(cluster: Cluster) -> bool:
    """Whether the job is there; its kind may not be served yet."""
    try:
        cluster.create(job(phase="Succeeded", annotations={"argocd.argoproj.io/sync-wave": "3"}, namespace=cluster.namespace))
    except Exception:
        return False
    return True


@pytest.fixture
def reader(cluster: Cluster) -> str:
    """A kubeconfig of a service account that may get, list and watch, and nothing else."""
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    cluster.plane.ensure(f"{RBAC}/clusterroles", {"metadata": {"name": READERS}, "rules": rules})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": cluster.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": READERS}
    name = f"{READERS}-{cluster.namespace}"
    cluster.plane.ensure(f"{RBAC}/clusterrolebindings", {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
    return str(cluster.plane.kubeconfig_for(cluster.namespace, "reader"))


def written(cluster: Cluster) -> list[str]:
    """What the reader has asked to be changed."""
    return cluster.plane.writes(user=f"system:serviceaccount:{cluster.namespace}:reader")


def test_explain_needs_the_right_to_read_and_no_more(cluster: Cluster, reader: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The steps of a rule that fires come with their differences, and nothing was written or tried."""
    target = ["nvj/train", "-n", cluster.namespace, "--kubeconfig", reader, "--rules", str(RULES)]
    assert run_command(["explain", *target, "--format", "json"]) == 0
    (explanation,) = json.loads(capsys.readouterr().out)
    rules: dict[str, Any] = {rule["rule"]: rule for pack in explanation["packs"] for rule in pack["rules"]}
    assert rules["wave-complete"]["result"] == "fired"
    assert any("mlops.dev/wave-complete" in line for line in rules["wave-complete"]["steps"][0]["diff"])
    assert run_command(["explain", *target, "--operator-namespace", "tools"]) == 0
    text = capsys.readouterr().out
    assert "LEADER=$(kubectl get lease rulepack -n tools -o jsonpath='{.spec.holderIdentity}' | cut -d_ -f1)" in text
    assert 'kubectl port-forward -n tools "pod/$LEADER" 8443' in text
    assert written(cluster) == []


def reporting(version: str, kind: str) -> str:
    """A pack that reports every object of a kind."""
    return f"""
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: several}}
spec:
  watch: {{apiVersion: {version}, kind: {kind}}}
  rules: [{{name: tell, actions: [{{emitEvent: {{type: Normal, reason: Seen, message: seen}}}}]}}]
"""


@pytest.mark.parametrize(
    ("version", "kind", "words"),
    [
        ("apps/v1", "Deployment", ["deploy/web", "deployment/web", "deployments/web", "Deployment/web", "deployments.apps/web",
                                   "deployment.v1.apps/web", "deploy web", "deployment web"]),
        ("v1", "Pod", ["po/web", "pod web"]),
        ("v1", "Namespace", ["ns/web", "namespace web"]),
        ("mlops.mlops.dev/v1alpha1", "NotebookValidationJob", ["nvj/train", "notebookvalidationjobs.mlops.mlops.dev train"]),
    ],
)  # fmt: skip
def test_explain_takes_the_words_that_kubectl_takes(
    cluster: Cluster, version: str, kind: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kinds, plurals and short names, with their group or without, as KIND/NAME and as KIND NAME."""
    (tmp_path / "pack.yaml").write_text(reporting(version, kind))
    for each in words:
        target = [*each.split(), "-n", cluster.namespace, "--kubeconfig", str(cluster.plane.kubeconfig), "--rules", str(tmp_path)]
        code = run_command(["explain", *target])
        captured = capsys.readouterr()
        name = each.replace(" ", "/").partition("/")[2]
        there = kind == "NotebookValidationJob"
        assert (code, f"{kind} {cluster.namespace}/{name}" in captured.out) == (0, True) if there else (1, False), captured
        assert there or f'"{name}" not found' in captured.err


def test_explain_says_which_kinds_there_are(
    cluster: Cluster, reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A word that means no kind that a pack watches, and more words than name an object."""
    (tmp_path / "pack.yaml").write_text(reporting("apps/v1", "Deployment"))
    options = ["-n", cluster.namespace, "--kubeconfig", reader, "--rules", str(tmp_path)]
    assert run_command(["explain", "po/web", *options]) == 2
    assert "'po' is neither a file nor a kind that a pack watches; packs watch Deployment" in capsys.readouterr().err
    assert run_command(["explain", "rp/web", *options]) == 2
    said = "'rp' means a pack, which explain does not take; expected an object that packs watch (Deployment)"
    assert said in capsys.readouterr().err
    assert run_command(["explain", "deploy", "a", "b", *options]) == 2
    assert "expected a manifest, or KIND/NAME or KIND NAME" in capsys.readouterr().err


def test_explain_says_nothing_of_other_peoples_config_maps(
    cluster: Cluster, reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flags and params of packs that are not explained, and packs beside the ones that are named, are left alone."""
    (tmp_path / "pack.yaml").write_text(IGNORING)
    config = {
        "rulepack-feature-flags": {"theirs": "Audit"}, "rulepack-params": {"theirs": "a: b"},
        "broken": {"pack.yaml": "kind: RulePack\n"}, "same": {"pack.yaml": IGNORING},
    }  # fmt: skip
    for name, data in config.items():
        labels = {"rules.mlops.dev/rule-pack": "true"}
        cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "data": data,
                        "metadata": {"name": name, "namespace": cluster.namespace, "labels": labels}})  # fmt: skip
    target = ["nvj/train", "-n", cluster.namespace, "--operator-namespace", cluster.namespace, "--kubeconfig", reader]
    assert run_command(["explain", *target, "--rules", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert (captured.err, "theirs" in captured.out) == ("", False)
    assert run_command(["explain", *target]) == 0
    assert capsys.readouterr().err.count("\n") == 1


def test_explain_says_what_is_wrong_with_the_flag_of_a_pack_that_it_explains(
    cluster: Cluster, reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A text that is no mode has the pack Off, which the explanation alone would not say."""
    (tmp_path / "pack.yaml").write_text(IGNORING)
    (name,) = [each["metadata"]["name"] for each in yaml.safe_load_all(IGNORING)]
    meta = {"name": "rulepack-feature-flags", "namespace": cluster.namespace}
    cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "data": {name: "Enforced"}, "metadata": meta})
    target = ["nvj/train", "-n", cluster.namespace, "--operator-namespace", cluster.namespace, "--kubeconfig", reader]

    assert run_command(["explain", *target, "--rules", str(tmp_path)]) == 0

    expected = f"Warning: configmap/rulepack-feature-flags/{name}:1:1: the text 'Enforced' is no mode"
    assert [line.partition(";")[0] for line in capsys.readouterr().err.splitlines()] == [expected]


def test_explain_goes_by_the_times_that_the_engine_goes_by(
    cluster: Cluster, reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Since when a rule is in force stands in the Lease of the operator's namespace; what was so before is left alone."""
    (tmp_path / "pack.yaml").write_text(IGNORING)
    target = ["nvj/train", "-n", cluster.namespace, "--kubeconfig", reader, "--rules", str(tmp_path)]
    explained = [*target, "--operator-namespace", cluster.namespace, "--format", "json"]
    made = datetime.fromisoformat(cluster.get(JOB, "train")["metadata"]["creationTimestamp"])
    later = made + TOLERANCE + timedelta(seconds=1)
    eventually(lambda: datetime.now(UTC) > later, "time that is no longer in the future")
    results = []
    for time in (made - timedelta(days=1), later):
        since = f"{time:%Y-%m-%dT%H:%M:%SZ}"
        lease = named(LEASE, "rulepack-state", cluster.namespace, spec={})
        lease["metadata"]["annotations"] = {"since.rules.mlops.dev/p.r": since}
        if cluster.find(LEASE, "rulepack-state"):
            cluster.delete(LEASE, "rulepack-state")
        cluster.create(lease)
        assert run_command(["explain", *explained]) == 0
        ((explanation,),) = [pack["rules"] for pack in json.loads(capsys.readouterr().out)[0]["packs"]]
        results.append((explanation["result"], explanation["skipped"]))
    (first, (result, ignored)) = results
    assert (first, result) == (("fired", ""), "skipped")
    assert f"before the rule came into force at {since} (existing has no ageFrom" in ignored
    assert written(cluster) == []


def test_an_object_that_is_not_there_is_reported(cluster: Cluster, reader: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What the API server says is the message."""
    assert run_command(["explain", f"{JOB.kind}/gone", "-n", cluster.namespace, "--kubeconfig", reader]) == 1
    assert 'notebookvalidationjobs.mlops.mlops.dev "gone" not found' in capsys.readouterr().err


def test_lint_takes_definitions_from_a_cluster(
    cluster: Cluster, reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The CustomResourceDefinitions that it serves are those that fields are checked against."""
    text = (RULES / "sync-waves" / "pack.yaml").read_text()
    (tmp_path / "pack.yaml").write_text(text)
    assert run_command(["lint", str(tmp_path), "--kubeconfig", reader]) == 0
    assert capsys.readouterr().out == "1 pack: no faults\n"
    (tmp_path / "pack.yaml").write_text(text.replace("metadata.annotations]", "metadata.anotations]"))
    assert run_command(["lint", str(tmp_path), "--kubeconfig", reader]) == 1
    assert "NotebookValidationJob has no field metadata.anotations; expected 'annotations'" in capsys.readouterr().out
    assert written(cluster) == []


def test_record_writes_what_happens(cluster: Cluster, reader: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The objects that are there at first, from a cluster that is only read; the recording can be replayed."""
    file, rules = str(tmp_path / "changes.jsonl"), str(RULES / "sync-waves")
    options = ["-n", cluster.namespace, "--kubeconfig", reader, "--rules", rules, "--for", "1s"]
    assert run_command(["record", file, *options]) == 0
    reported = capsys.readouterr().err.splitlines()
    assert reported[0] == f"recording NotebookValidationJob of namespace {cluster.namespace} to {file}, for 1s"
    assert reported[1].startswith("  ")
    assert reported[1].endswith(": 1 there at first")
    assert reported[2] == f"1 changes in {file}"
    assert run_command(["replay", file, "--rules", rules]) == 0
    assert "1 changes: 1 effects" in capsys.readouterr().out
    assert written(cluster) == []
