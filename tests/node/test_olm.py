"""Installed, upgraded and uninstalled by the real OLM, with real pods all along."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from engine.model.objects import Object, dig
from tests.bundle.catalog import NEW, OLD
from tests.controlplane import olm
from tests.e2e.cluster import CONFIG_MAP
from tests.e2e.installation import OPERATOR, Installation
from tests.e2e.olm import Olm
from tests.node.load import Load
from tests.node.node import Node
from tests.node.operator import CONFIG, NAMESPACE, Operator
from tests.world import DEPLOYMENT


class RealInstallation(Installation):
    """An installation whose Deployment becomes available by itself."""

    def _become_available(self, deployment: Object) -> None:
        """Leave it to its pods."""


@pytest.fixture(scope="module")
def installation(node: Node) -> Iterator[RealInstallation]:
    """The operator, subscribed to from the older of two versions on."""
    with Olm(node.plane, {**olm.tools(), **olm.operators()}, olm.definitions()) as running:
        running.start(OLD, NEW)
        installation = RealInstallation(node.plane, running, NAMESPACE)
        restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
        node.plane.ensure("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": restricted}})
        installation.subscribe(OLD)
        installation.install(OLD)
        yield installation


def test_its_pods_run(node: Node, installation: RealInstallation) -> None:
    """OLM's Deployment gets its pods Ready in a namespace that enforces the pod security standard restricted."""
    pods = Operator(node, OPERATOR).settled()
    assert {image(pod) for pod in pods} == {f"v{OLD}"}
    assert installation.versions() == {f"rulepack-operator.v{OLD}": "Succeeded"}


def test_an_upgrade_loses_no_job(node: Node, installation: RealInstallation) -> None:
    """OLM replaces the pods by those of the next version while jobs go on, and leaves a user's settings as they are."""
    operator = Operator(node, OPERATOR)
    operator.home.create(yaml.safe_load((CONFIG / "samples/params.yaml").read_text()))
    before = operator.home.get(CONFIG_MAP, "rulepack-params")
    with Load(node, "upgrade") as load:
        load.wait_for(2)
        installation.install(NEW)
        assert {image(pod) for pod in operator.settled()} == {f"v{NEW}"}
        load.wait_for(2)
        load.all_done("upgrade by OLM")
    assert operator.home.get(CONFIG_MAP, "rulepack-params") == before


def test_it_goes_without_a_trace(node: Node, installation: RealInstallation) -> None:
    """With the Subscription and the ClusterServiceVersion go Deployment, pods and rights."""
    operator = Operator(node, OPERATOR)
    installation.uninstall(NEW)
    node.kubectl("wait", "--for=delete", "pod", "--all", f"--namespace={NAMESPACE}", "--timeout=60s")
    assert operator.home.find(DEPLOYMENT, OPERATOR) is None
    assert operator.home.find(CONFIG_MAP, "rulepack-params") is not None


def image(pod: Object) -> str:
    """The tag of a pod's image."""
    (container,) = dig(pod, ("spec", "containers"), [])
    return str(container["image"]).rpartition(":")[2]
