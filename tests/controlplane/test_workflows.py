"""GitHub's workflows, and the examples for users' repositories, are sound by actionlint, and call the targets of this project."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.controlplane import actionlint
from tests.controlplane.gobuild import MissingProgram, Say

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
EXAMPLE = ROOT / "examples" / "ci" / "github-actions.yaml"

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def program(say: Say) -> Path:
    """A real actionlint; where there is no way to have it the whole run ends with an error, as in `control_plane`."""
    try:
        return actionlint.program(say)
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.mark.parametrize("workflow", [*WORKFLOWS, EXAMPLE], ids=lambda path: path.stem)
def test_a_workflow_is_sound(program: Path, workflow: Path) -> None:
    done = subprocess.run([program, "-shellcheck=", "-pyflakes=", workflow], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "")


def test_an_unsound_workflow_is_found(program: Path, tmp_path: Path) -> None:
    """The check can fail: a step that calls no action and runs nothing."""
    (path := tmp_path / "workflow.yaml").write_text("on: push\njobs: {one: {runs-on: ubuntu-24.04, steps: [{name: nothing}]}}\n")

    done = subprocess.run([program, "-shellcheck=", "-pyflakes=", path], check=False, capture_output=True, text=True)

    assert done.returncode == 1


def test_a_pull_request_runs_what_ci_runs() -> None:
    (text,) = [path.read_text() for path in WORKFLOWS if path.stem == "check"]

    assert "pull_request:" in text
    assert "run: .ci/run\n" in text
