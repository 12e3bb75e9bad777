"""The short form of `python -m tests.chaos.shards`."""

from __future__ import annotations

import pytest

from tests.chaos.shards import by_label, run
from tests.controlplane.plane import ControlPlane


async def test_every_job_is_one_shards(control_plane: ControlPlane, namespace: str, capsys: pytest.CaptureFixture[str]) -> None:
    """While three shards become two and then four, each job has its effects exactly once, by one shard of each layout.

    That is so though one of the three is killed and one of the two is stopped until others have taken over.
    """
    report = await run(control_plane, jobs=576, home=f"{namespace}-shards", rate=60.0)
    with capsys.disabled():
        print(f"\nshards: {report}", flush=True)


async def test_two_engines_share_by_label(control_plane: ControlPlane, namespace: str) -> None:
    """Of two engines with a label selector and a Lease each, each acts on the jobs of its own label, once, and on no others."""
    await by_label(control_plane, jobs=60, home=f"{namespace}-labels")
