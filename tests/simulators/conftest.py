"""The tests of this folder have the control plane with controllers, which the simulators are for."""

from __future__ import annotations

import pytest

from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster


@pytest.fixture(scope="session")
def control_plane(managed_plane: ControlPlane) -> ControlPlane:
    """The control plane of this folder's tests."""
    return managed_plane


@pytest.fixture
def namespace(managed_namespace: str) -> str:
    """A namespace that no other test uses."""
    return managed_namespace


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    """The objects of the test's own namespace."""
    return Cluster(control_plane, namespace)
