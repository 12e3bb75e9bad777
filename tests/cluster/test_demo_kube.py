"""The script of `rulepack demo` on a real kube-apiserver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.cli.main import run_command
from tests.controlplane.binaries import programs
from tests.controlplane.plane import ControlPlane

KINDS = ("NotebookValidationJob", "InferenceService", "Application")


@pytest.fixture(scope="module")
def own_plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """A control plane of this module alone: the demo installs and removes definitions that other tests may rely on."""
    with ControlPlane(programs()) as plane:
        yield plane


def names(plane: ControlPlane, path: str) -> set[str]:
    """Names of the objects of a collection that are there to stay."""
    items = plane.request("GET", path)["items"]
    return {item["metadata"]["name"] for item in items if "deletionTimestamp" not in item["metadata"]}


NAMESPACES = "/api/v1/namespaces"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def test_without_the_kinds_nothing_runs(own_plane: ControlPlane, capsys: pytest.CaptureFixture[str]) -> None:
    """A cluster without the kinds of the script is left as it is; the refusal names them and the option that installs them."""
    before = names(own_plane, NAMESPACES)
    assert run_command(["demo", "--kubeconfig", str(own_plane.kubeconfig)]) == 2
    said = capsys.readouterr().err
    assert all(kind in said for kind in KINDS)
    assert "--install-crds" in said
    assert names(own_plane, NAMESPACES) == before


def test_the_script_comes_to_its_effects(own_plane: ControlPlane, capsys: pytest.CaptureFixture[str]) -> None:
    """Every effect comes about on a real API server too; what the demo has put there is taken away again."""
    before = names(own_plane, NAMESPACES)
    status = run_command(["demo", "--kubeconfig", str(own_plane.kubeconfig), "--install-crds"])
    captured = capsys.readouterr()
    assert (status, captured.err) == (0, ""), captured.out
    assert "15 of 15 effects are as expected" in captured.out
    assert "rule simulated-" not in captured.out, "a simulator cannot do what the script needs"
    assert names(own_plane, NAMESPACES) == before
    assert names(own_plane, DEFINITIONS) == set()


def test_a_user_without_rights_gets_the_answer_of_the_server(own_plane: ControlPlane, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the API server forbids what the demo needs, its answer is shown, without a traceback, and the exit status is 1."""
    kubeconfig = own_plane.kubeconfig_for("default", "nobody")
    assert run_command(["demo", "--kubeconfig", str(kubeconfig), "--install-crds"]) == 1
    said = capsys.readouterr().err
    assert "403 Forbidden" in said
    assert "Traceback" not in said
