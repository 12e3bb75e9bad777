"""The short form of `make chaos`: a dozen kills."""

from __future__ import annotations

from random import SystemRandom

import pytest

from tests.chaos.kills import run
from tests.controlplane.plane import ControlPlane


def test_no_effect_is_lost_or_doubled_by_kills(
    control_plane: ControlPlane, namespace: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whenever the engine is killed, each job has had each of its effects exactly once in the end."""
    seed = SystemRandom().randrange(10**9)
    with capsys.disabled():
        print(f"\nchaos: seed {seed}", flush=True)
        print(run(control_plane, seed=seed, seconds=45, kills=10, jobs=60, namespace=namespace))
