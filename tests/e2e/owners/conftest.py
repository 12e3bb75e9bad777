"""The control plane with controllers and a kubelet, and the kinds of other owners of pods."""

from __future__ import annotations

import pytest

from tests.controlplane import owners
from tests.controlplane.gobuild import MissingProgram
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
