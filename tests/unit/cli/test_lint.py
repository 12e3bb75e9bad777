"""`rulepack lint`: exit statuses, formats, stdin, and what packs of several files say about one another."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from engine.cli.main import run_command
from engine.packs.lint import CODES

RULES = Path(__file__).parents[3] / "rules"
LINT = Path(__file__).parents[2] / "lint"


def test_shipped_packs_have_no_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """Every pack of rules/ is fit for use."""
    assert run_command(["lint", str(RULES)]) == 0


def test_an_error_is_reported_with_its_line_and_a_caret(capsys: pytest.CaptureFixture[str]) -> None:
    """`file:line:column: severity: message [code]`, the line, and a caret under the column."""
    path = LINT / "unguarded-patch" / "pack.yaml"
    assert run_command(["lint", str(path)]) == 1
    first, line, caret = capsys.readouterr().out.splitlines()
    expected = "a json patch has no guard; expected guard: a CEL condition over the live target [unguarded-patch]"
    assert first == f"{path}:16:19: error: {expected}"
    assert line == "    16 |             type: json"
    assert caret == "       |                   ^"


def test_warnings_fail_only_where_that_is_asked_for() -> None:
    """Exit 0 with warnings alone, 1 with --strict."""
    path = str(LINT / "unused-target" / "pack.yaml")
    assert run_command(["lint", path]) == 0
    assert run_command(["lint", "--strict", path]) == 1


def test_the_caret_stands_under_wide_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wide character takes two columns, and a control character does not reach the terminal."""
    path = tmp_path / "pack.yaml"
    path.write_text("名前: \x85x: y\n", encoding="utf-8")
    assert run_command(["lint", str(path)]) == 1
    out, err = capsys.readouterr()
    hidden = "; expressions that errors of [schema] and [yaml] hide are not checked yet"
    assert ("\x85" in out, err) == (False, f"no pack could be read: 6 errors{hidden}\n")


def test_a_pack_can_come_from_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """'-' reads a stream of manifests; other objects are passed over."""
    text = (LINT / "kustomize-output" / "pack.yaml").read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    assert run_command(["lint", "-"]) == 1
    assert "<stdin>:29:46: error: unknown variable 'objekt'" in capsys.readouterr().out


def test_packs_of_several_files_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two packs that write the same label are reported, with the location of the other."""
    first, _, second = (LINT / "same-annotation-two-packs" / "pack.yaml").read_text().partition("---\n")
    (tmp_path / "a.yaml").write_text(first)
    (tmp_path / "b.yaml").write_text(second)
    assert run_command(["lint", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"{tmp_path}/b.yaml:" in out
    assert f"rule example/ready ({tmp_path}/a.yaml:" in out


def test_fields_are_checked_against_definitions(capsys: pytest.CaptureFixture[str]) -> None:
    """--crds takes files and folders."""
    case = LINT / "unknown-field"
    assert run_command(["lint", "--crds", str(case / "crds.yaml"), str(case / "pack.yaml")]) == 1
    assert "Widget has no field status.phse; expected 'phase'" in capsys.readouterr().out


@pytest.mark.parametrize("style", ["json", "github", "sarif"])
def test_machines_get_the_same(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each format names file, line, column, severity and code of each fault."""
    path = LINT / "unguarded-patch" / "pack.yaml"
    assert run_command(["lint", "--format", style, str(path)]) == 1
    out = capsys.readouterr().out
    if style == "json":
        (fault,) = json.loads(out)
        assert (fault["file"], fault["line"], fault["column"], fault["severity"]) == (str(path), 16, 19, "error")
    elif style == "github":
        assert out.startswith(f"::error file={path},line=16,col=19,title=unguarded-patch::a json patch has no guard")
    else:
        run = json.loads(out)["runs"][0]
        (result,) = run["results"]
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region == {"startLine": 16, "startColumn": 19}
        assert result["ruleId"] in [rule["id"] for rule in run["tool"]["driver"]["rules"]]


@pytest.mark.parametrize("code", CODES)
def test_each_code_can_be_explained(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--explain says what it is, why, and what to do."""
    assert run_command(["lint", "--explain", code]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{code} ({CODES[code].severity})")
    assert len(out.splitlines()) > 3


def test_no_packs_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without packs is most likely the wrong folder."""
    (tmp_path / "service.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n")
    assert run_command(["lint", str(tmp_path)]) == 2
    assert "no rule packs in" in capsys.readouterr().err


def test_kinds_without_a_definition_are_named_once_for_each_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody takes `no faults` for fields that could not be checked."""
    path = tmp_path / "pack.yaml"
    path.write_text(
        "apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePack\nmetadata: {name: a}\nspec:\n  description: x.\n"
        "  watch: {apiVersion: argoproj.io/v1alpha1, kind: Application}\n"
        "  rules: [{name: r, when: object.spec.sorce == 'a', actions: [{annotate: {annotations: {a/b: c}}}]}]\n"
    )
    assert run_command(["lint", str(path)]) == 0
    out, err = capsys.readouterr()
    expected = (
        "note: pack a: fields of Application (argoproj.io/v1alpha1) are not checked; give definitions by --crds or --kubeconfig"
    )
    assert (out, err) == ("1 pack: no faults\n", f"{expected}\n")


def test_what_is_hidden_is_said_beside_other_formats(capsys: pytest.CaptureFixture[str]) -> None:
    """A pull request shows faults only: that further ones may follow stands on stderr."""
    assert run_command(["lint", str(LINT / "bad-enum"), "--format", "github"]) == 1
    assert capsys.readouterr().err == "note: expressions that errors of [schema] and [yaml] hide are not checked yet\n"
