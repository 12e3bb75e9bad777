"""What tests do not show: errors of lint, and objects that no cluster would take so."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.cli.main import run_command

PACK = """
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: batch/v1, kind: Job}
  rules:
    - name: warn
      when: get(object, 'status.CONDITION', 0) > 0
      actions: [{emitEvent: {type: Normal, reason: R, message: m}}]
"""
TESTS = """
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePackTest
metadata: {name: t}
spec:
  kinds: [{apiVersion: apps/v1, kind: Cron}]
  setup:
    - apply: {apiVersion: apps/v1, kind: Cron, metadata: {name: declared}}
  tests:
    - name: a job without a status
      steps:
        - apply:
            - OBJECT
        - expect: {acts: []}
"""
JOB = "{apiVersion: batch/v1, kind: Job, metadata: {name: a, labels: {x: null}}, spec: {suspend: true}}"


def said(folder: Path, capsys: pytest.CaptureFixture[str], obj: str = JOB, condition: str = "failed") -> tuple[int, list[str]]:
    """The exit code of a test of one object, and what is said beside its result, without the folder."""
    (folder / "pack.yaml").write_text(PACK.replace("CONDITION", condition))
    (folder / "tests.yaml").write_text(TESTS.replace("OBJECT", obj))
    code = run_command(["test", str(folder)])
    return code, capsys.readouterr().err.replace(f"{folder}/", "").splitlines()


def test_tests_of_sound_packs_and_objects_say_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing stands beside the results."""
    assert said(tmp_path, capsys) == (0, [])


UNKNOWN_FIELD = "Job has no field status.faild; expected 'failed' (did you mean that?)"


def test_errors_of_lint_are_named_and_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A test can pass with a field that the kind does not have, and so be misleading."""
    code, lines = said(tmp_path, capsys, condition="faild")
    assert code == 1
    assert lines == [f"pack.yaml:9:33: rulepack lint: error: {UNKNOWN_FIELD} [unknown-field]"]


def test_an_error_of_lint_is_an_error_of_its_file_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The test itself has passed; CI that counts errors counts the file, and JSON lists it."""
    said(tmp_path, capsys, condition="faild")

    suites = ElementTree.fromstring(report(tmp_path, capsys, "--format", "junit"))
    assert [suite.attrib for suite in suites] == [
        {"name": "files", "tests": "1", "failures": "0", "errors": "1"}, {"name": "t", "tests": "1", "failures": "0"},
    ]  # fmt: skip
    pack = str(tmp_path / "pack.yaml")
    (error,) = suites.iter("error")
    assert error.attrib == {"message": f"{pack}:9:33: {UNKNOWN_FIELD}", "type": "unknown-field"}
    errors = json.loads(report(tmp_path, capsys, "--format", "json"))["errors"]
    assert errors == [{"file": pack, "line": 9, "column": 33, "code": "unknown-field", "message": UNKNOWN_FIELD}]


def test_tests_of_a_pack_that_is_refused_do_not_look_green(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was run: there is no coverage, no empty report, and the exit code says so."""
    code, _ = said(tmp_path, capsys, condition="failed, '0'")
    assert code == 1

    assert report(tmp_path, capsys, "--coverage", "--min-coverage", "90") == "no test was run\n"
    assert "coverage" not in json.loads(report(tmp_path, capsys, "--coverage", "--format", "json"))
    (suite,) = ElementTree.fromstring(report(tmp_path, capsys, "--format", "junit"))
    assert (suite.attrib["errors"], len(list(suite.iter("error")))) == ("1", 1)


def report(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """What `test` prints of a folder whose tests cannot pass."""
    assert run_command(["test", str(folder), *options]) == 1
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("obj", "line"),
    [
        (JOB.replace("suspend", "supend"),
         "13:96: warning: Job has no field spec.supend; expected 'suspend' (did you mean that?)"),
        (JOB.replace("true", "'yes'"), "13:106: warning: spec.suspend of Job is the text 'yes'; expected a bool"),
        (JOB.replace("batch", "apps"), "13:43: warning: there is no kind Job in apps/v1; expected batch/v1 Job"),
        ("{apiVersion: v1, kind: Pods, metadata: {name: a}}", "13:38: warning: there is no kind Pods in v1; expected Pod"),
    ],
)  # fmt: skip
def test_objects_that_no_cluster_takes_are_named(obj: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where Kubernetes' own kinds have no such field, or there is no such kind."""
    assert said(tmp_path, capsys, obj) == (0, [f"tests.yaml:{line}"])


@pytest.mark.parametrize("command", ["test", "rbac", "lint"])
def test_a_kind_that_does_not_exist_is_the_only_fault_of_acting_on_it(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No entry under `targets` is asked for, which would name what no cluster serves."""
    (tmp_path / "tests.yaml").write_text(TESTS.replace("OBJECT", JOB))
    (tmp_path / "pack.yaml").write_text(
        PACK.replace("kind: Job}", "kind: Jobs}").replace("actions: [", "actions: [{delete: {}}, ").replace("CONDITION", "x")
    )

    assert run_command([command, str(tmp_path)]) != 0
    shown = "".join(capsys.readouterr())
    assert "there is no kind Jobs in batch/v1; expected Job" in shown
    assert "pack.yaml:6:39" in shown
    assert "targets" not in shown


@pytest.mark.parametrize("style", ["text", "json"])
def test_nothing_is_covered_where_no_pack_could_be_read(style: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No test has run, so there is no percentage."""
    (tmp_path / "tests.yaml").write_text(TESTS.replace("OBJECT", JOB))
    (tmp_path / "pack.yaml").write_text(PACK.replace("rules:", "rule:"))

    assert run_command(["test", str(tmp_path), "--coverage", "--format", style]) == 1
    shown = capsys.readouterr().out
    assert "100" not in shown
