"""`rulepack new`, `rbac`, `schema` and `explain`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from engine.actions import ACTIONS
from engine.cli.main import run_command
from engine.errors import Location
from engine.packs.yamltext import read_yaml
from tests.world import job

RULES = Path(__file__).parents[3] / "rules"


def test_a_new_pack_is_clean_and_its_tests_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `new` makes has no fault, and tests that cover all of it."""
    assert run_command(["new", "mine", "--dir", str(tmp_path)]) == 0
    folder = str(tmp_path / "mine")
    assert run_command(["lint", "--strict", folder]) == 0
    assert run_command(["test", folder, "--coverage", "--min-coverage", "100"]) == 0
    assert "4 passed" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Mine", "a/b", "-x", "x" * 64])
def test_a_new_pack_needs_a_good_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that no pack can have is refused before anything is made."""
    assert run_command(["new", "--dir", str(tmp_path), "--", name]) == 2
    assert "cannot be the name of a pack" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_new_never_writes_over_anything(tmp_path: Path) -> None:
    """A folder that is there already stays as it is."""
    (tmp_path / "mine").mkdir()
    assert run_command(["new", "mine", "--dir", str(tmp_path)]) == 2
    assert list((tmp_path / "mine").iterdir()) == []


def rights(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[tuple[str, str], list[str]]:
    """The verbs that `rbac` grants in the ClusterRole of one pack, by API group and resource."""
    assert run_command(["rbac", *arguments]) == 0
    role, binding = yaml.safe_load_all(capsys.readouterr().out)
    assert (role["kind"], binding["kind"]) == ("ClusterRole", "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    return {(rule["apiGroups"][0], rule["resources"][0]): rule["verbs"] for rule in role["rules"]}


def test_rights_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Each pack has a role of its own name, bound to the operator's account; none of the operator's own is written over."""
    assert run_command(["rbac", str(RULES / "sync-waves"), str(RULES / "rollouts"), "--operator-namespace", "tools"]) == 0
    documents = list(yaml.safe_load_all(capsys.readouterr().out))
    assert [(one["kind"], one["metadata"]["name"]) for one in documents] == [
        (kind, f"rulepack:{pack}") for pack in ("rollouts", "sync-waves") for kind in ("ClusterRole", "ClusterRoleBinding")
    ]
    assert documents[1]["subjects"] == [{"kind": "ServiceAccount", "name": "rulepack", "namespace": "tools"}]
    own = {one["metadata"]["name"] for one in yaml.safe_load_all((RULES.parent / "config/rbac/role.yaml").read_text())}
    assert not own & {one["metadata"]["name"] for one in documents}


def test_rights_on_secrets_are_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """In a Role of the operator's namespace, wherever the rest is; no other role has a right on Secrets."""
    folder = RULES.parent / "examples/packs/slack-on-failure"
    for options, others in ([], 2), (["-n", "team-a"], 2):
        assert run_command(["rbac", str(folder), *options, "--operator-namespace", "tools"]) == 0
        documents = list(yaml.safe_load_all(capsys.readouterr().out))
        role, binding = documents[others:]
        assert [(one["kind"], one["metadata"]) for one in (role, binding)] == [
            (kind, {"name": "rulepack:slack-on-failure:secrets", "namespace": "tools"}) for kind in ("Role", "RoleBinding")
        ]
        assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["slack"], "verbs": ["get"]}]
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "rulepack", "namespace": "tools"}]
        assert "secrets" not in str(documents[:others])


def test_rights_for_some_namespaces_are_roles(capsys: pytest.CaptureFixture[str]) -> None:
    """--namespace writes a Role and a RoleBinding in each, and names in a comment what no Role can grant."""
    assert run_command(["rbac", str(RULES / "on-success-triggers"), "-n", "team-a", "-n", "team-b"]) == 0
    out = capsys.readouterr().out
    documents = list(yaml.safe_load_all(out))
    assert [(one["kind"], one["metadata"]["namespace"]) for one in documents] == [
        (kind, team) for team in ("team-a", "team-b") for kind in ("Role", "RoleBinding")
    ]
    assert documents[1]["subjects"][0]["namespace"] == "rulepack-system"
    assert "subjectaccessreviews" not in {resource for rule in documents[0]["rules"] for resource in rule["resources"]}
    assert "  # create subjectaccessreviews: on-success-triggers: consent of other namespaces" in out.splitlines()


def test_the_rights_are_the_least(capsys: pytest.CaptureFixture[str]) -> None:
    """Watched kinds are listed, watched and patched, targets get the verbs that rules use, and eviction is a create."""
    found = rights(capsys, str(RULES / "on-success-triggers"))
    assert found["mlops.mlops.dev", "notebookvalidationjobs"] == ["list", "watch", "patch"]
    assert found["", "pods"] == ["get", "list", "delete"]
    assert found["", "pods/eviction"] == ["create"]
    assert found["", "events"] == ["list", "create", "patch"]
    assert found["apps", "statefulsets"] == ["get", "patch"]
    assert found["authorization.k8s.io", "subjectaccessreviews"] == ["create"]


def test_a_pack_that_writes_nothing_of_its_objects_may_not_patch_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """patch on the watched kind is for annotations, labels and firing records only; plurals come from definitions."""
    (tmp_path / "pack.yaml").write_text(
        "apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePack\nmetadata: {name: tell}\nspec:\n"
        "  watch: {apiVersion: example.com/v1, kind: Sheep}\n"
        "  rules:\n    - name: tell\n      actions: [{emitEvent: {type: Normal, reason: Seen, message: seen}}]\n"
    )
    (tmp_path / "crd.yaml").write_text(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: sheep.example.com}\n"
        "spec: {group: example.com, scope: Namespaced, names: {kind: Sheep, plural: sheep}, versions: [{name: v1}]}\n"
    )
    assert rights(capsys, str(tmp_path), "--crds", str(tmp_path)) == {
        ("", "events"): ["create", "patch"],
        ("example.com", "sheep"): ["list", "watch"],
    }


def test_each_verb_says_which_rules_need_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A comment behind each verb names the pack, and the rules where not all of it."""
    run_command(["rbac", str(RULES / "on-success-triggers")])
    lines = capsys.readouterr().out.splitlines()
    assert "      - delete # on-success-triggers: restart, restart-for-a-deleted-job" in lines
    assert all("#" in line for line in lines if line.startswith("      - "))


@pytest.mark.parametrize(("kind", "files"), [("RulePack", "*/pack.yaml"), ("RulePackTest", "*/tests.yaml")])
def test_the_schema_takes_what_the_engine_takes(kind: str, files: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON Schema is a valid one, and every shipped file fits it."""
    assert run_command(["schema", kind]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for path in sorted(RULES.glob(files)):
        for document in read_yaml(path.read_text(), partial(Location, path.name)):
            assert [error.message for error in validator.iter_errors(document.value)] == []


def test_the_schema_refuses_what_the_engine_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown key, two actions in one entry and an unknown action are faults in an editor too."""
    run_command(["schema"])
    validator = Draft202012Validator(json.loads(capsys.readouterr().out))
    rule = {"name": "x", "actions": [{"annotate": {"annotations": {}}}]}
    pack = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "x"}}
    good: dict[str, Any] = {**pack, "spec": {"watch": {"apiVersion": "v1", "kind": "Pod"}, "rules": [rule]}}
    assert validator.is_valid(good)
    wrongs: list[dict[str, Any]] = [
        {"whn": "true"}, {"actions": [{"annotate": {}, "label": {}}]}, {"actions": [{"shout": {}}]}, {"for": "soon"},
    ]  # fmt: skip
    for wrong in wrongs:
        assert not validator.is_valid({**good, "spec": {**good["spec"], "rules": [{**rule, **wrong}]}})


def test_the_schema_describes_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    """Hovering over an action's name says what it does."""
    run_command(["schema"])
    properties = json.loads(capsys.readouterr().out)["$defs"]["ActionEntry"]["properties"]
    assert all(properties[name]["description"] for name in ACTIONS)


def explained(tmp_path: Path, capsys: pytest.CaptureFixture[str], *arguments: str, **fields: Any) -> dict[str, Any]:
    """What `explain` says of a job, by rule."""
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps({**job(phase="Succeeded", annotations={"argocd.argoproj.io/sync-wave": "3"}), **fields}))
    assert run_command(["explain", str(path), "--rules", str(RULES / "sync-waves"), "--format", "json", *arguments]) == 0
    (explanation,) = json.loads(capsys.readouterr().out)
    return {rule["rule"]: rule for pack in explanation["packs"] for rule in pack["rules"]}


def test_a_rule_that_fires_is_shown_with_its_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each condition is true, and the steps have the differences that they make."""
    rule = explained(tmp_path, capsys, spec={"unread": "yes"})["wave-complete"]
    assert (rule["result"], rule["held"]) == ("fired", "")
    assert [clause["holds"] for clause in rule["when"]] == [True, True, True]
    (step,) = rule["steps"]
    assert step["diff"] == [
        'metadata.annotations["mlops.dev/completion-time"]: ∅ → "2026-01-24T22:30:00Z"',
        'metadata.annotations["mlops.dev/wave-complete"]: ∅ → "3"',
    ], "fields that no rule reads are not shown as added"


def test_a_rule_that_does_not_fire_says_the_first_thing_that_holds_it_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The condition that is false, with the values that it read."""
    rule = explained(tmp_path, capsys)["wave-failed"]
    assert rule["held"] == "when[2] is false: get(object, 'status.phase', '') == 'Failed'"
    assert rule["when"][1]["values"] == [{"path": "object.status.phase", "value": "Succeeded", "there": True}]


def test_a_pack_that_is_off_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The mode comes before every condition."""
    rule = explained(tmp_path, capsys, "--feature-flags", "sync-waves=Off")["wave-complete"]
    assert rule["held"] == "its mode is Disabled"


def test_a_flag_of_no_pack_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An explanation of what would be so without a pack must not be one of what is so with it."""
    path = tmp_path / "job.json"
    path.write_text(json.dumps(job()))
    assert run_command(["explain", str(path), "--feature-flags", "sync-wave=Off"]) == 2
    captured = capsys.readouterr()
    assert "no pack has the feature flag 'sync-wave'; expected 'sync-waves' (did you mean that?)" in captured.err
    assert captured.out == ""


def test_what_is_on_record_holds_a_rule_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A firing record on the object is reported, and is what keeps the rule from firing."""
    record = {"fired.rules.mlops.dev/sync-waves.check-block-wave": '{"key":"u/3/1","outcome":"Done"}'}
    meta = {"name": "train", "namespace": "ns", "uid": "u",
            "annotations": {"argocd.argoproj.io/sync-wave": "3", "mlops.dev/block-wave": "1", **record}}  # fmt: skip
    rule = explained(tmp_path, capsys, metadata=meta)["check-block-wave"]
    assert rule["held"] == "already fired for u/3/1"
    assert rule["record"] == next(iter(record.values()))


def test_an_object_that_nobody_watches_is_an_answer_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The kinds that packs watch are named."""
    path = tmp_path / "service.yaml"
    path.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n")
    assert run_command(["explain", str(path)]) == 1
    assert "no pack watches Service.v1; packs watch" in capsys.readouterr().err


def test_people_get_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Marks say which condition holds; colours are for terminals only."""
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(job(phase="Failed", annotations={"argocd.argoproj.io/sync-wave": "3"})))
    assert run_command(["explain", str(path), "--rules", str(RULES / "sync-waves")]) == 0
    out = capsys.readouterr().out
    assert "  wave-failed (Enforce) fires" in out
    assert "    ✗ when[2] get(object, 'status.phase', '') == 'Succeeded'" in out
    assert "\x1b" not in out


FOLDED = """
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: mlops.mlops.dev/v1alpha1, kind: NotebookValidationJob}
  rules:
    - name: off
      mode: 'Off'
      actions: [{annotate: {annotations: {a: b}}}]
    - name: gone
      on: Delete
      actions: [{emitEvent: {type: Normal, reason: Gone, message: gone}}]
    - name: asks
      when: ["object.status.phase == 'Failed'", "object.status.missing == 'x'"]
      actions: [{annotate: {annotations: {a: b}}}]
    - name: says
      actions: [{emitEvent: {type: Normal, reason: Said, message: "one\\ntwo"}}]
"""


def test_what_does_not_apply_is_folded_unless_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rules that are Off, or about deleted objects, take one line; --all shows them."""
    (tmp_path / "pack.yaml").write_text(FOLDED)
    (tmp_path / "job.json").write_text(json.dumps(job(phase="Running")))
    command = ["explain", str(tmp_path / "job.json"), "--rules", str(tmp_path / "pack.yaml")]
    assert run_command(command) == 0
    out = capsys.readouterr().out
    assert "  Off, which --all shows: off\n  about deleted objects, which --all shows: gone\n" in out
    assert "off (Off)" not in out
    assert run_command([*command, "--all"]) == 0
    out = capsys.readouterr().out
    assert "  off (Off) skipped: its mode is Disabled\n" in out
    assert "which --all shows" not in out


def test_a_condition_after_one_that_is_false_has_nothing_to_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It decides nothing, and often relies on the one before; lines of a message stand below each other."""
    (tmp_path / "pack.yaml").write_text(FOLDED)
    (tmp_path / "job.json").write_text(json.dumps(job(phase="Running")))
    assert run_command(["explain", str(tmp_path / "job.json"), "--rules", str(tmp_path / "pack.yaml")]) == 0
    out = capsys.readouterr().out
    assert "    · when[2] object.status.missing == 'x'\n  says" in out
    assert "no answer" not in out
    assert "    → emitEvent: Event Normal Said: one\n        two\n" in out + "\n"


def test_a_shell_can_complete_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As click does it: the shell asks with an environment variable."""
    monkeypatch.setenv("_RULEPACK_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "rulepack expl")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        run_command([])
    assert capsys.readouterr().out == "plain,explain\n"
