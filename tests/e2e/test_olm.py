"""Installed, upgraded and uninstalled by the real OLM, and run with the rights that OLM grants and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import yaml
from _pytest.capture import CaptureManager

from tests.bundle.catalog import NEW, OLD
from tests.bundle.rights import Right, rights
from tests.controlplane import binaries, olm
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, eventually
from tests.e2e.installation import RBAC, Installation
from tests.e2e.olm import DEFINITIONS, Olm
from tests.e2e.story import Story, status
from tests.world import JOB, RULES

HOME = "rulepack-system"
SETTINGS = RULES.parent / "config/samples"
OURS = ("rulepack-feature-flags", "rulepack-params", "team-packs")
FORBIDDEN = re.compile(r"HTTP 403|[Ff]orbidden")


@pytest.fixture(scope="module")
def plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """A control plane of its own, which serves the kinds of the shipped packs: OLM acts in all namespaces."""
    capture = cast(CaptureManager, request.config.pluginmanager.get_plugin("capturemanager"))

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", flush=True)

    try:
        with ControlPlane(binaries.programs(say)) as plane:
            for definition in yaml.safe_load_all((RULES.parent / "examples/demo/crds.yaml").read_text()):
                plane.ensure(DEFINITIONS, definition)
            yield plane
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture(scope="module")
def running(plane: ControlPlane) -> Iterator[Olm]:
    """OLM with a catalog of two versions."""
    try:
        with Olm(plane, {**olm.tools(), **olm.operators()}, olm.definitions()) as running:
            running.start(OLD, NEW)
            yield running
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


def test_a_life_with_olm(plane: ControlPlane, running: Olm, tmp_path: Path) -> None:
    """Subscribed, installed, at work with OLM's own token and environment, upgraded, and gone without a trace.

    The story takes every path that needs a right, and no right that OLM was asked for is left over: without any one of them
    something in it would fail.
    """
    with Installation(plane, running, HOME, (), tmp_path) as operator:
        operator.subscribe(OLD)
        operator.install(OLD)
        assert operator.deployment["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f":v{OLD}")
        assert {"POD_NAMESPACE": HOME, "WATCH_NAMESPACE": ""}.items() <= operator.environment().items()
        home = operator.home
        for file in ("feature_flags.yaml", "params.yaml", "pack.yaml"):
            home.create(yaml.safe_load((SETTINGS / file).read_text()))
        home.patch(CONFIG_MAP, "rulepack-feature-flags", {"data": {"on-success-triggers": "Enforce"}})

        operator.run()
        eventually(lambda: status(home, "team-packs") == "ok", "status of the user's pack")
        story = Story(plane, home, operator.log)
        story.play()
        labelled = story.here.get(JOB, "synced")["metadata"]["labels"]
        assert operator.stop() == 0

        assert not FORBIDDEN.search(operator.log()), operator.log()
        assert used(plane, operator) == granted(operator, OLD)
        assert labelled["example.com/phase"] == "Succeeded"

        before = [home.get(CONFIG_MAP, one) for one in OURS]
        operator.install(NEW)
        assert [home.get(CONFIG_MAP, one) for one in OURS] == before

        operator.uninstall(NEW)
        for one in story.here.all(JOB):
            story.here.delete(JOB, one["metadata"]["name"])
        assert story.here.all(JOB) == []


def used(plane: ControlPlane, operator: Installation) -> set[Right]:
    """The rights that the operator has used, by the audit log of the API server."""
    return {(one.verb, one.group, one.resource) for one in plane.requested(user=operator.user)}


def granted(operator: Installation, version: str) -> set[Right]:
    """The rights that the bundle asks for, in its ClusterServiceVersion and in its Role."""
    install = operator.version(version)["spec"]["install"]["spec"]
    rules = [rule for part in ("clusterPermissions", "permissions") for entry in install[part] for rule in entry["rules"]]
    role = operator.plane.request("GET", f"{RBAC}/namespaces/{operator.namespace}/roles/rulepack-pack-status")
    return rights([*rules, *role["rules"]])
