"""The short form of the faults and takeovers of `make chaos`."""

from __future__ import annotations

from random import SystemRandom

import pytest

from tests.chaos import faults, replicas
from tests.controlplane.plane import ControlPlane


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> int:
    """A new one each time, which is printed: a failure can be made again by `make chaos ARGS='--seed …'`."""
    seed = SystemRandom().randrange(10**9)
    with capsys.disabled():
        print(f"\nchaos: seed {seed}", flush=True)
    return seed


def test_no_effect_is_lost_or_doubled_by_faults(
    control_plane: ControlPlane, namespace: str, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Connections, answers, watches, tokens and the API server itself fail: each job has had each of its effects once."""
    report = faults.run(control_plane, seed=seed, seconds=3.0, namespace=namespace, brief=True)
    with capsys.disabled():
        print(report)


def test_a_standby_takes_over_and_nothing_is_done_twice(
    control_plane: ControlPlane, namespace: str, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A leader that is stopped for longer than its Lease lasts is replaced, by a standby that lists nothing, and then obeys."""
    report = replicas.run(control_plane, seed=seed, kills=0, pauses=1, namespace=namespace)
    with capsys.disabled():
        print(report)
