"""One KServe for all tests of this folder, on the control plane with controllers and a kubelet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane import kserve as build
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster
from tests.e2e.kinds import install_kinds
from tests.e2e.kserve.service import Service
from tests.simulators.kubelet import Kubelet


@pytest.fixture(scope="session")
def kserve(managed_plane: ControlPlane, say: Say) -> Iterator[build.KServe]:
    """KServe's controller, started for the first test that asks. Where it cannot run the whole run ends with an error."""
    try:
        with build.KServe(managed_plane, build.program(say)) as kserve:
            install_kinds(managed_plane)
            yield kserve
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture(scope="session")
def control_plane(managed_plane: ControlPlane, kserve: build.KServe, kubelet: Kubelet) -> ControlPlane:
    """The control plane of this folder's tests."""
    return managed_plane


@pytest.fixture
def namespace(managed_namespace: str) -> str:
    """A namespace that no other test uses."""
    return managed_namespace


@pytest.fixture
def service(cluster: Cluster, kubelet: Kubelet) -> Service:
    """An InferenceService `model` of the test's own namespace, which has yet to be created."""
    return Service(cluster, kubelet, "model")
