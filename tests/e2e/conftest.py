"""One Argo CD for all scenarios; a namespace and an engine for each."""

from __future__ import annotations

import threading
import time
import urllib.error
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Protocol, runtime_checkable

import pytest
import yaml

from engine.model.objects import metadata
from tests.controlplane import argocd as build
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.plane import ControlPlane
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import Cluster
from tests.e2e.engine import Engine
from tests.simulators.jobs_operator import JobsOperator
from tests.world import JOB, POD


@runtime_checkable
class Logged(Protocol):
    """What runs beside the tests and leaves logs."""

    def logs(self) -> dict[str, str]:
        """The end of each log by name."""
        ...


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark `e2e` whatever lies in this folder, and `argocd` whatever of it uses Argo CD."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            if "argocd" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.argocd)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of what runs beside a test that fails."""
    report = yield
    if report.failed:
        for fixture in getattr(item, "funcargs", {}).values():
            if isinstance(fixture, Logged):
                report.sections += [(f"end of the log of {name}", text) for name, text in fixture.logs().items()]
    return report


@pytest.fixture(scope="session")
def argocd(control_plane: ControlPlane, say: Say) -> Iterator[ArgoCD]:
    """Argo CD, started for the first test that asks. Where it cannot run the whole run ends with an error."""
    try:
        programs, source = build.programs(say), build.source()
        started = time.monotonic()
        with ArgoCD(control_plane, programs, source) as running:
            say(f"argocd: ready after {time.monotonic() - started:.1f} s")
            yield running
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture(scope="session")
def settings(argocd: ArgoCD, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of argocd-cm as config/argocd makes it, for the CLI."""
    path = tmp_path_factory.mktemp("settings") / "argocd-cm.yaml"
    (config_map,) = (obj for obj in argocd.configuration() if obj["metadata"]["name"] == "argocd-cm")
    path.write_text(yaml.safe_dump(config_map))
    return path


@pytest.fixture
def kubectl() -> Path:
    """The path of a real kubectl."""
    return build.programs()["kubectl"]


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    """The objects of the test's own namespace."""
    return Cluster(control_plane, namespace)


@pytest.fixture
def stopped_engine(control_plane: ControlPlane, namespace: str) -> Iterator[Engine]:
    """The engine for the test's own namespace, which has yet to be started."""
    with Engine(control_plane, namespace) as engine:
        yield engine


@pytest.fixture
def engine(stopped_engine: Engine) -> Engine:
    """The engine, running and ready, for the test's own namespace."""
    stopped_engine.start()
    stopped_engine.ready()
    return stopped_engine


@pytest.fixture
def operator(control_plane: ControlPlane, cluster: Cluster, argocd: ArgoCD) -> Iterator[JobsOperator]:
    """The jobs' operator."""
    with JobsOperator(control_plane, cluster.namespace) as operator:
        yield operator


@contextmanager
def unless_gone() -> Iterator[None]:
    """Let somebody else have deleted an object that is to be changed."""
    try:
        yield
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.NOT_FOUND:
            raise


@pytest.fixture
def garbage_collector(cluster: Cluster, argocd: ArgoCD) -> Iterator[None]:
    """What ends deletions in the foreground, and deletes the pods of jobs that are gone; no controller manager runs here."""
    stop = threading.Event()

    def collect() -> None:
        while not stop.wait(0.2):
            pods = cluster.all(POD)
            jobs = cluster.all(JOB)  # after the pods, so that one whose job has just come is not taken for left behind
            living = {metadata(job)["uid"] for job in jobs if "deletionTimestamp" not in metadata(job)}
            for pod in pods:
                if not living.issuperset(owner["uid"] for owner in metadata(pod).get("ownerReferences", [])):
                    with unless_gone():
                        cluster.delete(POD, str(metadata(pod)["name"]))
            for job in jobs:
                if metadata(job)["uid"] not in living:
                    with unless_gone():
                        cluster.patch(JOB, str(metadata(job)["name"]), {"metadata": {"finalizers": None}})

    thread = threading.Thread(target=collect)
    thread.start()
    yield
    stop.set()
    thread.join()
