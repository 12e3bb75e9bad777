"""What the tests of the kinds RulePack and RuleLibrary share: definitions, a real kubectl, and an engine that reads them."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.model.objects import Object
from engine.packs.crd import custom_resource_definition
from engine.packs.library_crd import library_definition
from tests.chaos.layout import prepare
from tests.controlplane import kubectl as kubectl_program
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually
from tests.e2e.engine import Engine

RULE_PACKS = "/apis/rules.mlops.dev/v1alpha1/namespaces/{}/rulepacks"


class RulePacks:
    """The RulePacks of the operator's namespace: `kubectl` writes and reads them there, `engine` has them in force."""

    def __init__(self, plane: ControlPlane, engine: Engine, kubectl: Kubectl, watched: str) -> None:
        self.plane, self.engine, self.kubectl, self.watched = plane, engine, kubectl, watched

    def find(self, name: str) -> Object:
        """An object, empty where there is none."""
        try:
            return self.plane.request("GET", f"{RULE_PACKS.format(self.engine.own)}/{name}")
        except urllib.error.HTTPError:
            return {}

    def status(self, name: str) -> dict[str, Any]:
        """Its status, once it is about the spec as it is now."""

        def written() -> Any:
            found = self.find(name)
            status = found.get("status", {})
            return status.get("observedGeneration") == found.get("metadata", {}).get("generation", 0) and status

        status: dict[str, Any] = eventually(written, f"status of RulePack {name}")
        return status

    def library(self, name: str) -> dict[str, Any]:
        """The status of a RuleLibrary; see `status`."""

        def written() -> Any:
            found = json.loads(self.kubectl("get", "rl", name, "-o", "json"))
            status = found.get("status", {})
            return status.get("observedGeneration") == found["metadata"]["generation"] and status

        status: dict[str, Any] = eventually(written, f"status of RuleLibrary {name}")
        return status

    def condition(self, name: str, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a condition; see `status`."""
        (found,) = [each for each in self.status(name)["conditions"] if each["type"] == kind]
        return found["status"], found["reason"], found["message"]


@pytest.fixture(scope="session")
def kubectl_path(say: Say) -> Path:
    """A real kubectl; where there is no way to have it the whole run ends with an error, as in `control_plane`."""
    try:
        return kubectl_program.program(say)
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture(scope="module")
def rulepacks(
    control_plane: ControlPlane, kubectl_path: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[RulePacks]:
    """An engine of this module that is ready, with the rights of config/rbac and to annotate ConfigMaps."""
    watched = request.module.__name__.rpartition(".")[2].replace("_", "-")
    control_plane.define(custom_resource_definition(), library_definition())
    prepare(control_plane, watched)
    with Engine(control_plane, watched) as engine:
        engine.grant("", "configmaps")
        engine.start()
        engine.ready()
        kubectl = Kubectl(kubectl_path, control_plane, engine.own, tmp_path_factory.mktemp("home"))
        yield RulePacks(control_plane, engine, kubectl, watched)
