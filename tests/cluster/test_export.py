"""`kubectl rulepack export`: what it writes is applied again, as often as one likes, and says what the cluster had."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.model.objects import Object
from tests.cluster.conftest import RulePacks
from tests.cluster.test_kind_kubectl import PATCHED, data, pack, removing, without_value
from tests.e2e.cluster import eventually

LIBRARY = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RuleLibrary
metadata: {name: exported}
spec: {functions: {one: {description: One., expression: "1"}}}
"""
TEXTS = ["y", "N", "on", "Off", "yes", "null", "~", "", "1e3", "0755", "0o7", "1_000", "0x1F", "-1", "+.5", ".inf", "1.10",
         "2001-01-01", "12:30:45", "<<", "=", " padded ", "a: b", "# no comment", "two\nlines", "two\n", " one\ntwo", "tab\t\n",
         "é\u0085\u2028\ufeff😀", "- a", "{a}", "${x}", "%", "@", "`", "'\"\\", "x" * 300 + " y"]  # fmt: skip
"""Texts that readers of YAML may take for something else."""


def exported(rulepacks: RulePacks, *more: str) -> subprocess.CompletedProcess[str]:
    """What the plugin of kubectl writes of the operator's namespace."""
    kubectl = rulepacks.kubectl
    folder = f"{Path(sys.executable).parent}:"
    kubectl.environment["PATH"] = folder + kubectl.environment["PATH"].removeprefix(folder)
    done = kubectl.run("rulepack", "export", "-n", rulepacks.engine.own, *more, plain=True)
    assert done.returncode == 0, done.stderr
    return done


def documents(text: str) -> dict[tuple[str, str], Any]:
    """The exported objects by kind and name."""
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(text)}


def test_an_export_is_applied_again_and_again_and_its_null_removes_a_key(rulepacks: RulePacks) -> None:
    """Applied, exported, deleted and restored; the file is what the cluster has, whoever applies it and how."""
    kubectl, given = rulepacks.kubectl, removing("restored")
    kubectl("apply", "-f", "-", given=LIBRARY)
    kubectl("apply", "-f", "-", given=json.dumps(given))
    kubectl("wait", "--for=condition=Ready", "rp/restored", "rl/exported", "--timeout=60s")
    before = exported(rulepacks)
    kubectl("delete", "rp/restored", "rl/exported")

    restored = kubectl("apply", "-f", "-", given=before.stdout)
    kubectl("wait", "--for=condition=Ready", "rp/restored", "rl/exported", "--timeout=60s")
    kubectl("create", "configmap", "restored", "-n", rulepacks.watched, "--from-literal=restored=x", "--from-literal=b=y")
    eventually(lambda: data(rulepacks, "restored") == {"b": "y"}, "key that is removed")
    first = rulepacks.find("restored")
    kubectl("apply", "-f", "-", given=before.stdout)
    second = rulepacks.find("restored")
    after = exported(rulepacks)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=before.stdout)

    found = documents(before.stdout)
    assert found["RulePack", "restored"] == {**given, "metadata": {"name": "restored", "namespace": rulepacks.engine.own}}
    assert found["RuleLibrary", "exported"]["spec"] == yaml.safe_load(LIBRARY)["spec"]
    assert {line.rpartition(" ")[2] for line in restored.splitlines()} == {"created"}
    assert (second["metadata"]["generation"], second["spec"]) == (first["metadata"]["generation"], first["spec"])
    assert (before.stderr, after.stdout, after.stderr) == ("", before.stdout, "")


def test_only_references_that_say_something_are_exported(rulepacks: RulePacks) -> None:
    """Where somebody has set a mode; also after the operator has made the object anew, which the file then sets again."""
    kubectl, name = rulepacks.kubectl, "sync-waves"
    eventually(lambda: rulepacks.find(name).get("status"), "status of the shipped pack")
    kubectl("patch", "rp", name, "--type=merge", "-p", '{"spec":{"mode":"Audit"}}')
    before = documents(exported(rulepacks).stdout)
    kubectl("delete", "rp", name)
    eventually(lambda: rulepacks.find(name).get("spec") == {"shipped": name}, "RulePack of the shipped pack")

    for _ in range(2):
        kubectl("apply", "-f", "-", given=yaml.safe_dump(before["RulePack", name]))
    set_again = rulepacks.find(name)["spec"]
    kubectl("delete", "rp", name)
    eventually(lambda: rulepacks.find(name).get("spec") == {"shipped": name}, "RulePack of the shipped pack")

    assert [each["metadata"]["name"] for each in before.values() if "shipped" in each["spec"]] == [name]
    assert set_again == {"shipped": name, "mode": "Audit"}
    assert ("RulePack", name) not in documents(exported(rulepacks).stdout)


def test_a_pack_that_was_a_reference_is_exported_without_its_label(rulepacks: RulePacks) -> None:
    """`kubectl patch` leaves the label of what the operator makes on it."""
    kubectl, name = rulepacks.kubectl, "rollouts"
    eventually(lambda: rulepacks.find(name).get("status"), "status of the shipped pack")
    text = {**yaml.safe_load(pack(name))["spec"], "shipped": None}
    kubectl("patch", "rp", name, "--type=merge", "-p", json.dumps({"spec": text}))

    found = documents(exported(rulepacks).stdout)
    kubectl("delete", "rp", name)

    assert found["RulePack", name]["metadata"] == {"name": name, "namespace": rulepacks.engine.own}
    assert found["RulePack", name]["spec"] == yaml.safe_load(pack(name))["spec"]


def test_a_null_that_does_not_count_is_left_out_with_a_warning(rulepacks: RulePacks) -> None:
    """Somebody has changed what is around it since."""
    kubectl, name = rulepacks.kubectl, "left-out"
    kubectl("apply", "-f", "-", given=json.dumps(removing(name)))
    kubectl("patch", "rp", name, "--type=json", "-p", json.dumps([{"op": "add", "path": f"{PATCHED}/b", "value": "z"}]))

    done = exported(rulepacks)

    path = f"spec.rules[0].actions[0].patch.patch.data.{name}"
    (warning,) = [line for line in done.stderr.splitlines() if name in line]
    assert warning.startswith(f"Warning: rulepack/{rulepacks.engine.own}/{name}: {path}: kubectl apply dropped the null here")
    assert documents(done.stdout)["RulePack", name]["spec"] == rulepacks.find(name)["spec"]


def test_a_pack_that_is_refused_for_a_null_is_refused_once_it_is_restored(rulepacks: RulePacks) -> None:
    """Also where somebody has written the rules since: without the null the rule would act without a condition."""
    kubectl, name = rulepacks.kubectl, "still-refused"
    kubectl("apply", "-f", "-", given=without_value(name, "when"))
    kubectl("patch", "rp", name, "--type=json", "-p", '[{"op":"add","path":"/spec/rules/0/resync","value":"5m"}]')
    done = exported(rulepacks)
    kubectl("delete", "rp", name)

    kubectl("apply", "-f", "-", given=done.stdout)

    (rule,) = documents(done.stdout)["RulePack", name]["spec"]["rules"]
    assert (rule["when"], rule["resync"]) == (None, "5m")
    assert name not in done.stderr
    assert [fault["path"] for fault in rulepacks.status(name)["faults"]] == ["spec.rules[0].when"]


def test_kubectl_reads_each_text_as_it_was(rulepacks: RulePacks) -> None:
    """It reads YAML 1.1, in which `y` is true and `1e3` a number; labels and annotations of the user's own stay."""
    kubectl = rulepacks.kubectl
    given: Object = yaml.safe_load(pack("texts"))
    given["metadata"].update(labels={"y": "on"}, annotations={"example.com/n": "1e3"})
    values = {**{f"key-{number}": text for number, text in enumerate(TEXTS)}, "on": "x", "1": "x", "1e3": "x"}
    given["spec"]["rules"][0]["actions"] = [{"patch": {"patch": {"data": values}}}]
    kubectl("apply", "-f", "-", given=json.dumps(given))
    text = exported(rulepacks).stdout
    kubectl("delete", "rp", "texts")

    kubectl("apply", "-f", "-", given=text)

    restored = rulepacks.find("texts")
    assert restored["spec"] == given["spec"]
    assert restored["metadata"]["labels"] == {"y": "on"}
    assert restored["metadata"]["annotations"]["example.com/n"] == "1e3"


def test_a_namespace_without_rulepacks_has_no_export(rulepacks: RulePacks) -> None:
    """Else an empty file would be taken for the export of it. In the operator's namespace there are those that it has made."""
    exported(rulepacks)

    done = rulepacks.kubectl.run("rulepack", "export", "-n", "nosuch", plain=True)

    nothing = "Error: there is no RulePack or RuleLibrary in namespace nosuch; expected some, or -A for all namespaces\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", nothing)


@pytest.mark.parametrize("before", [True, False])
def test_a_namespace_behind_a_short_flag_and_an_equals_sign_counts(rulepacks: RulePacks, before: bool) -> None:
    """As kubectl takes it."""
    namespace = f"-n={rulepacks.engine.own}"
    rulepacks.kubectl("apply", "-f", "-", given=pack("equals"))
    exported(rulepacks)

    done = rulepacks.kubectl.run("rulepack", *([namespace, "export"] if before else ["export", namespace]), plain=True)

    assert ("RulePack", "equals") in documents(done.stdout)


@pytest.mark.parametrize("spec", [{"moed": "Enforce"}, {"shipped": "sync-wavs"}], ids=str)
def test_a_reference_that_is_refused_is_exported(rulepacks: RulePacks, spec: dict[str, Any]) -> None:
    """A pack which is refused now is refused once it is restored."""
    kubectl, name = rulepacks.kubectl, "sync-waves"
    eventually(lambda: rulepacks.find(name).get("spec") == {"shipped": name}, "RulePack of the shipped pack")
    kubectl("patch", "rp", name, "--type=merge", "-p", json.dumps({"spec": spec}))
    accepted = rulepacks.condition(name, "Accepted")[0]

    found = documents(exported(rulepacks).stdout)
    kubectl("delete", "rp", name)

    assert accepted == "False"
    assert found["RulePack", name]["spec"] == {"shipped": name, **spec}


def test_a_config_map_is_brought_back_by_create_and_applied_after_that(rulepacks: RulePacks) -> None:
    """As docs/install.md says; the note of `resourceVersion` that `kubectl create` makes is gone with the first apply."""
    kubectl = rulepacks.kubectl
    given = f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: saved}}, data: {{pack.yaml: {json.dumps(pack('saved'))}}}}}"
    kubectl("apply", "-f", "-", given=given)
    saved = kubectl("get", "configmap", "saved", "-o", "yaml")
    kubectl("delete", "configmap", "saved")

    kubectl("create", "-f", "-", given=saved)
    first, second = (kubectl("apply", "-f", "-", given=given) for _ in range(2))

    assert (first, second) == ("configmap/saved configured\n", "configmap/saved unchanged\n")


def test_lint_reads_what_the_cluster_has(rulepacks: RulePacks, tmp_path: Path) -> None:
    """The export, a list as `kubectl get` writes it, and one object, with all that the API server and the operator add."""
    kubectl = rulepacks.kubectl
    kubectl("apply", "-f", "-", given=pack("linted"))
    kubectl("wait", "--for=condition=Ready", "rp/linted", "--timeout=60s")
    (document,) = [each for each in exported(rulepacks).stdout.split("---\n") if "\n  name: linted\n" in each]
    (tmp_path / "export.yaml").write_text(document)
    (tmp_path / "object.yaml").write_text(kubectl("get", "rp/linted", "-o", "yaml", "--show-managed-fields"))
    shipped = kubectl("get", "rp", "-l", "app.kubernetes.io/managed-by=rulepack", "-o", "yaml", "--show-managed-fields")
    (tmp_path / "shipped.yaml").write_text(shipped)

    one, several, export = (
        kubectl.plain("rulepack", "lint", str(tmp_path / f"{name}.yaml")) for name in ("object", "shipped", "export")
    )

    assert one == export == "1 pack: no faults\n"
    assert several == f"0 packs, {shipped.count('    shipped: ')} references: no faults\n"


def test_what_stands_beside_the_spec_is_exported(rulepacks: RulePacks) -> None:
    """The pack is refused for it: without it, the restored one would be in force."""
    rulepacks.kubectl("apply", "--validate=ignore", "-f", "-", given=f"{pack('beside')}mode: Audit\n")

    found = documents(exported(rulepacks).stdout)["RulePack", "beside"]

    assert (found["mode"], "mode" in found["spec"]) == ("Audit", False)
