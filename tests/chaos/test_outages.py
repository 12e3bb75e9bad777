"""The short form of the outages of `make chaos`: two minutes; ten in `make nightly`."""

from __future__ import annotations

import pytest

from tests.chaos import outages
from tests.controlplane.plane import ControlPlane


@pytest.mark.parametrize("seconds", [120, pytest.param(600, marks=pytest.mark.nightly)])
def test_no_effect_is_lost_or_doubled_by_an_outage(
    own_plane: ControlPlane, seconds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten things are in the way at the same time; each object is reported once, and has its effect one pause after the end."""
    report = outages.run(own_plane, seconds=seconds, namespace=f"outages-{seconds}")
    with capsys.disabled():
        print(f"\n{report}")
