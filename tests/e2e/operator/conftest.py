"""The engine beside the operator that owns the jobs, on a control plane with controllers and a kubelet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster
from tests.e2e.engine import Engine
from tests.e2e.kinds import install_kinds
from tests.simulators.jobs_operator import JobsOperator
from tests.simulators.kubelet import Kubelet
from tests.world import APPLICATION, named


@pytest.fixture(scope="session")
def control_plane(managed_plane: ControlPlane, kubelet: Kubelet) -> ControlPlane:
    """The control plane of this folder's tests."""
    install_kinds(managed_plane)
    managed_plane.ensure("/api/v1/namespaces", {"metadata": {"name": "argocd"}})
    return managed_plane


@pytest.fixture
def older(control_plane: ControlPlane, cluster: Cluster, engine: Engine) -> Iterator[JobsOperator]:
    """The jobs' operator before 1.0.4, which leaves annotations to the engine that runs beside it."""
    with JobsOperator(control_plane, cluster.namespace) as operator:
        yield operator


@pytest.fixture
def newer(control_plane: ControlPlane, cluster: Cluster, engine: Engine) -> Iterator[JobsOperator]:
    """The jobs' operator since 1.0.4, which carries out annotations as the engine does that runs beside it."""
    with JobsOperator(control_plane, cluster.namespace, handles_triggers=True) as operator:
        yield operator


@pytest.fixture
def application(cluster: Cluster) -> str:
    """The name of an Application that deploys into the test's own namespace; no Argo CD runs."""
    destination = {"server": "https://kubernetes.default.svc", "namespace": cluster.namespace}
    cluster.create(named(APPLICATION, cluster.namespace, "argocd", spec={"project": "default", "destination": destination}))
    return cluster.namespace
