"""The control plane with controllers and a kubelet, and the kinds of other owners of pods."""

from __future__ import annotations

import pytest

from tests.controlplane import kubectl as kubectl_program
from tests.controlplane import owners
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.plane import ControlPlane
from tests.e2e.kinds import install_kinds
from tests.simulators.kubelet import Kubelet


@pytest.fixture(scope="session")
def control_plane(managed_plane: ControlPlane, kubelet: Kubelet) -> ControlPlane:
    """The control plane of this folder's tests."""
    try:
        managed_plane.define(*owners.definitions())
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)
    install_kinds(managed_plane)
    return managed_plane


@pytest.fixture
def namespace(managed_namespace: str) -> str:
    """A namespace that no other test uses."""
    return managed_namespace


@pytest.fixture
def kubectl(control_plane: ControlPlane, namespace: str, say: Say, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """A real kubectl of an administrator."""
    try:
        return Kubectl(kubectl_program.program(say), control_plane, namespace, tmp_path_factory.mktemp("home"))
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)
