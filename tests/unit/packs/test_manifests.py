"""What stands in files of manifests: lists, what the API server adds, and references, as `rulepack lint` reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cel import backend
from engine.cli.main import run_command
from engine.errors import InvalidText
from engine.packs.parse import parse_pack

API = "rules.mlops.dev/v1alpha1"
SERVER = {
    "namespace": "team", "uid": "1", "resourceVersion": "2", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z",
    "managedFields": [{"manager": "kubectl"}], "ownerReferences": [{"name": "x"}], "finalizers": ["x/y"],
}  # fmt: skip


def pack(when: str = "true") -> dict[str, Any]:
    """A RulePack as `kubectl get -o yaml` writes it."""
    rule = {"name": "mark", "when": when, "actions": [{"annotate": {"annotations": {"example.com/x": "x"}}}]}
    spec = {"watch": {"apiVersion": "v1", "kind": "ConfigMap"}, "rules": [rule]}
    return {"apiVersion": API, "kind": "RulePack", "metadata": {"name": "mine"} | SERVER, "spec": spec, "status": {"fired": 1}}


def reference(**spec: Any) -> dict[str, Any]:
    """A RulePack that refers to a pack whose text is elsewhere."""
    return {"apiVersion": API, "kind": "RulePack", "metadata": {"name": "rollouts"} | SERVER, "spec": spec}


def library() -> dict[str, Any]:
    """A RuleLibrary as `kubectl get -o yaml` writes it."""
    functions = {"one": {"description": "One.", "expression": "1"}}
    meta = {"name": "lib"} | SERVER
    return {"apiVersion": API, "kind": "RuleLibrary", "metadata": meta, "spec": {"functions": functions}, "status": {}}


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    """A list of objects."""
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [*items]}


def lint(capsys: pytest.CaptureFixture[str], folder: Path, *documents: dict[str, Any]) -> tuple[int, str]:
    """The exit status of lint, and what it prints of these documents, without the lines of the text."""
    path = folder / "file.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    status = run_command(["lint", str(path)])
    out, err = capsys.readouterr()
    return status, "\n".join(line.replace(f"{path}:", "") for line in (out + err).splitlines() if not line.startswith("   "))


@pytest.mark.parametrize(
    ("documents", "summary"),
    [
        ([pack()], "1 pack: no faults"),
        ([reference(shipped="rollouts", mode="Audit", params={"x": 1})], "0 packs, 1 reference: no faults"),
        ([reference(configMap="packs")], "0 packs, 1 reference: no faults"),
        ([library()], "0 packs, 1 library: no faults"),
        ([listed(pack("lib.one() == 1"), reference(shipped="rollouts"), library())], "1 pack, 1 library, 1 reference: no faults"),
        ([listed(listed(pack()))], "1 pack: no faults"),
    ],
)
def test_what_the_cluster_has_is_read(
    documents: list[dict[str, Any]], summary: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lint(capsys, tmp_path, *documents) == (0, summary)


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (reference(shipped="rolouts"), "no pack 'rolouts' is shipped; expected 'rollouts' (did you mean that?) [schema]"),
        (reference(shipped="rollouts", mode="Audt"), "the text 'Audt' is not possible here; expected Enforce, Audit, Disabled"),
        (reference(shipped="rollouts", mode="Off"), "'Off' is no mode of the kind RulePack; expected Disabled [schema]"),
        (reference(shipped="rollouts", parms={}), "unknown key 'parms'; expected 'params' (did you mean that?) [schema]"),
        (reference(shipped="rollouts", configMap="x"), "'shipped' and 'configMap' stand here together; expected either rules"),
        (reference(shipped="rollouts") | {"metadata": {}}, "'name' is missing; expected "),
        (listed(pack(), pack("objekt.x")), "unknown variable 'objekt'; expected 'object' (did you mean that?) [expression]"),
        ({**pack(), "mode": "Audit"}, "unknown key 'mode'; expected it as spec.mode"),
        ({**reference(shipped="rollouts"), "mode": "Audit"}, "unknown key 'mode'; expected it as spec.mode"),
    ],
)
def test_what_the_cluster_refuses_is_a_fault(
    document: dict[str, Any], fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, printed = lint(capsys, tmp_path, document)

    assert status == 1
    assert f"error: {fault}" in printed


def test_a_fault_in_a_list_has_its_own_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = yaml.safe_dump(listed(pack(), reference(shipped="rolouts")))
    line = 1 + text.splitlines().index("    shipped: rolouts")

    _, printed = lint(capsys, tmp_path, listed(pack(), reference(shipped="rolouts")))

    assert printed.startswith(f"{line}:14: error: no pack 'rolouts' is shipped")


def test_the_data_of_a_config_map_has_none_of_it() -> None:
    """The operator reads that text, and refuses it."""
    with pytest.raises(InvalidText) as refused:
        parse_pack(yaml.safe_dump(pack()), "configmap/team/packs/pack.yaml", backend())

    assert {fault.message for fault in refused.value.faults} >= {"unknown key 'status'", "unknown key 'namespace'"}


def of(namespace: str, *objects: dict[str, Any]) -> list[dict[str, Any]]:
    """These objects in another namespace, or in none where that is ''."""
    for each in objects:
        each["metadata"] = {key: value for key, value in each["metadata"].items() if key != "namespace"}
        each["metadata"] |= {"namespace": namespace} if namespace else {}
    return [*objects]


@pytest.mark.parametrize(
    ("other", "again"), [("other", False), ("team", True), ("", True)], ids=["another", "the same", "whichever is meant"]
)
def test_a_name_is_one_of_its_namespace(other: str, again: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An export of all namespaces may have a name in several of them, of packs, of those in ConfigMaps and of libraries."""
    data = {
        "pack.yaml": yaml.safe_dump({"apiVersion": API, "kind": "RulePack", "metadata": {"name": "held"}, "spec": pack()["spec"]})
    }
    meta = {"name": "x", "namespace": "team", "labels": {"rules.mlops.dev/rule-pack": "true"}}
    held = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict(meta), "data": data} for _ in range(2)]

    status, said = lint(capsys, tmp_path, pack(), library(), held[0], *of(other, pack(), library(), held[1]))

    assert status == (1 if again else 0), said
    assert ("a second pack 'mine'" in said, "a second pack 'held'" in said, "library 'lib' is also in" in said) == (again,) * 3
