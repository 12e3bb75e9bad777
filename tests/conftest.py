"""Fixtures that all tests share."""

from __future__ import annotations

import itertools
import logging
import time
import urllib.error
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import pytest
from _pytest.capture import CaptureManager
from hypothesis import settings

from tests.controlplane import controllers
from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.plane import ControlPlane
from tests.simulators.kubelet import Kubelet

_numbers = itertools.count(1)

settings.register_profile("no-deadline", parent=settings(), deadline=None)  # how long an example takes is the machine's matter
settings.load_profile("no-deadline")


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark `cluster` whatever uses a real control plane, directly or through another fixture."""
    for item in items:
        if {"control_plane", "own_plane", "managed_plane"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """Leave the log as it was: a command that a test runs sets levels and a handler, for all tests after it in this process."""
    loggers = [logging.getLogger(name) for name in (None, "engine", "kubernetes", "aiohttp", "asyncio", "urllib3")]
    levels, handlers = [logger.level for logger in loggers], [*logging.root.handlers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    for handler in {*logging.root.handlers} - {*handlers}:
        logging.root.removeHandler(handler)


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Say:
    """A function that prints at once: what is written inside a test or a fixture would show only if it failed."""
    capture = cast(CaptureManager, request.config.pluginmanager.get_plugin("capturemanager"))

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", flush=True)

    return say


@pytest.fixture(scope="session")
def control_plane(say: Say) -> Iterator[ControlPlane]:
    """etcd and kube-apiserver, started for the first test that asks and shared by all of the session.

    Tests keep out of each other's way by a namespace of their own (fixture `namespace`). Where there is no way to have
    the programs the whole run ends with an error: tests that were left out must not look like tests that passed.
    """
    yield from _started(say)


@pytest.fixture(scope="module")
def own_plane(say: Say) -> Iterator[ControlPlane]:
    """A control plane for one module's tests alone, which change what belongs to no namespace."""
    yield from _started(say)


@pytest.fixture(scope="session")
def managed_plane(say: Say) -> Iterator[ControlPlane]:
    """A control plane on which Deployments become pods: with kube-controller-manager, and with the node of `kubelet`."""
    try:
        path = controllers.program(say)
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)
    for plane in _started(say):
        with controllers.ControllerManager(plane, path):
            yield plane


@pytest.fixture(scope="session")
def kubelet(managed_plane: ControlPlane) -> Iterator[Kubelet]:
    """What runs the pods of `managed_plane`; tests say how those of their own namespace behave."""
    with Kubelet(managed_plane) as kubelet:
        yield kubelet


@pytest.fixture
def managed_namespace(managed_plane: ControlPlane) -> Iterator[str]:
    """A namespace of `managed_plane` for one test; what is in it ends with the test, so that no pod of it goes on crashing."""
    name = f"test-{next(_numbers)}"
    managed_plane.ensure("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    with suppress(urllib.error.HTTPError):  # the test has deleted it
        managed_plane.request("DELETE", f"/api/v1/namespaces/{name}")


def _started(say: Say) -> Iterator[ControlPlane]:
    try:
        plane = ControlPlane(programs(say))
        started = time.monotonic()
        with plane:
            say(f"control plane: ready on {plane.url} after {time.monotonic() - started:.1f} s")
            yield plane
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    """A namespace of the real control plane that no other test uses."""
    name = f"test-{next(_numbers)}"
    control_plane.ensure("/api/v1/namespaces", {"metadata": {"name": name}})
    return name
