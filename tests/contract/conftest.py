"""One suite for two clusters: each test of this folder runs against the embedded cluster and against a real kube-apiserver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from engine.errors import ApiError
from engine.kube.api import Api, Selection
from engine.kube.clock import SystemClock
from engine.kube.embedded import EmbeddedCluster
from engine.kube.kubernetes import KubernetesApi
from engine.model.objects import Resource
from tests.contract.support import CRD, NAMESPACE, PROBE, crd
from tests.controlplane.plane import ControlPlane


@dataclass(frozen=True, slots=True)
class Subject:
    """A cluster under test, and how it is made to forget its history, as compaction does."""

    api: Api
    forget: Callable[[], None]


@pytest.fixture(params=["embedded", pytest.param("kube", marks=pytest.mark.cluster)])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """The cluster of this run of the test."""
    if request.param == "embedded":
        cluster = EmbeddedCluster(SystemClock())
        subject = Subject(cluster, cluster.compact)
    else:
        plane: ControlPlane = request.getfixturevalue("control_plane")

        def forget() -> None:
            plane.compact()
            plane.restart_apiserver()

        subject = Subject(await KubernetesApi.connect(str(plane.kubeconfig)), forget)
    yield subject
    await subject.api.close()


@pytest.fixture
def api(subject: Subject) -> Api:
    """The cluster of this run of the test."""
    return subject.api


@pytest.fixture
async def namespace(api: Api) -> str:
    """A namespace that no other test uses."""
    created = await api.create(NAMESPACE, "", {"metadata": {"generateName": "contract-"}})
    return str(created["metadata"]["name"])


@pytest.fixture
async def probe(api: Api) -> Resource:
    """A custom kind with a status subresource, served and ready."""
    try:
        await api.create(CRD, "", crd(PROBE))
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
    return await served(api, PROBE)


async def served(api: Api, resource: Resource) -> Resource:
    """Wait until a kind whose definition was just created is served."""
    async with asyncio.timeout(20):
        while True:
            try:
                found = await api.discover(resource.kind)
                await api.list(Selection(found))
            except ApiError as error:
                if error.status not in (404, 429):  # 429: "storage is (re)initializing"
                    raise
                await asyncio.sleep(0.05)
            else:
                return found
