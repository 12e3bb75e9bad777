"""What the operator says of the types of expressions, by the schemas of a real kube-apiserver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli.main import run_command
from engine.model.objects import annotations_of
from engine.packs.crd import custom_resource_definition
from tests.chaos.layout import prepare
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.world import named

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: scale}
spec:
  watch: {apiVersion: apps/v1, kind: Deployment}
  rules:
    - name: scaled
      when:
        - object.spec.replicas == '3'
        - object.spec.strategy.type == 'Rolling'
        - now - object.metadata.creationTimestamp > duration('1h')
      actions:
        - annotate: {annotations: {example.com/scaled: 'yes'}}
"""
WRONG = "an int and a string are never equal; expected object.spec.replicas == 3"
NEVER = "object.spec.strategy.type is never 'Rolling'; expected Recreate or RollingUpdate (did you mean 'RollingUpdate'?)"


@pytest.fixture
def engine(control_plane: ControlPlane, namespace: str) -> Iterator[Engine]:
    """The operator, with the rights that it has on every cluster."""
    with Engine(control_plane, namespace) as engine:
        engine.start()
        engine.ready()
        yield engine


def test_a_pack_that_is_applied_says_what_cannot_hold(control_plane: ControlPlane, engine: Engine, namespace: str) -> None:
    """The status of its ConfigMap has place, types and what to write instead; the service account needs no right for it."""
    cluster = Cluster(control_plane, namespace)

    def status() -> list[str]:
        found = annotations_of(cluster.get(CONFIG_MAP, "scale", engine.own)).get("rules.mlops.dev/status", "")
        return found.splitlines()

    body = named(CONFIG_MAP, "scale", engine.own, data={"pack.yaml": PACK})
    body["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
    cluster.create(body)
    eventually(lambda: len(status()) > 1, "status with warnings")

    place = f"configmap/{engine.own}/scale/pack.yaml"
    waits, *warnings = status()
    assert "Deployment.apps/v1" in waits  # which it may not watch
    assert warnings == ["with warnings:", f"{place}:9:11: {WRONG}", f"{place}:10:40: {NEVER}"]
    assert engine.packs()["scale"]["mode"] == "Enforce"

    corrected = PACK.replace("'3'", "3").replace("'Rolling'", "'Recreate'")
    cluster.patch(CONFIG_MAP, "scale", {"data": {"pack.yaml": corrected}}, engine.own)
    eventually(lambda: status() == [waits], "status without warnings")


def test_an_object_of_kind_rule_pack_says_so_too(control_plane: ControlPlane, namespace: str) -> None:
    """`status.warnings` has path, line and column, beside the right that is missing."""
    control_plane.define(custom_resource_definition())
    prepare(control_plane, namespace)
    with Engine(control_plane, namespace) as engine:
        engine.start()
        home = f"/apis/rules.mlops.dev/v1alpha1/namespaces/{engine.own}/rulepacks"
        control_plane.request("POST", home, yaml.safe_load(PACK))

        def status() -> dict[str, Any]:
            found: dict[str, Any] = control_plane.request("GET", f"{home}/scale").get("status", {})
            return found

        eventually(lambda: "warnings" in status(), "status with warnings")

        found = status()
        assert [(each["path"], each["message"]) for each in found["warnings"]] == [
            ("spec.rules[0].when[0]", WRONG),
            ("spec.rules[0].when[1]:1:30", NEVER),
        ]
        assert {each["type"]: each["status"] for each in found["conditions"]} == {
            "Accepted": "True", "Ready": "False", "Stalled": "False",
        }  # fmt: skip


def test_lint_takes_the_schemas_of_a_cluster(
    control_plane: ControlPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--kubeconfig` says the same before the pack is applied."""
    (tmp_path / "pack.yaml").write_text(PACK)

    assert run_command(["lint", str(tmp_path), "--kubeconfig", str(control_plane.kubeconfig)]) == 1

    printed = capsys.readouterr().out
    assert WRONG in printed
    assert NEVER in printed
