"""`make chaos`: faults, takeovers, outages and kills, each with the same check at the end; at most 15 minutes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from random import SystemRandom

import click

from tests.chaos import faults, kills, outages, replicas
from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane

CATCHING_UP = 120.0
"""Seconds after the last kill: a pack that writes once a minute has its say, and the engine is started once more."""


@click.command()
@click.option("--seconds", default=900.0, show_default=True, help="How long it all may take; where that is over, no more kills.")
@click.option("--kills", "number", default=300, show_default=True, help="How many kills are wanted.")
@click.option("--jobs", default=2000, show_default=True, help="How many jobs go through their phases while the engine is killed.")
@click.option("--seed", type=int, help="What everything random comes from; a new one each time where it is left out.")
@click.option(
    "--only", type=click.Choice(["kills", "faults", "replicas", "outages"]), help="One part; all of them where it is left out."
)
def main(seconds: float, number: int, jobs: int, seed: int | None, only: str | None) -> None:
    """Trouble the engine in every way, and check that no effect is lost or doubled."""
    seed = SystemRandom().randrange(10**9) if seed is None else seed
    print(f"chaos: seed {seed}; the same once more: make chaos ARGS='--seed {seed} --kills {number} --jobs {jobs}'", flush=True)
    end = time.monotonic() + seconds - CATCHING_UP
    parts: dict[str, Callable[[ControlPlane], str]] = {
        "faults": lambda plane: faults.run(plane, seed=seed, seconds=3.0),
        "replicas": lambda plane: replicas.run(plane, seed=seed, kills=2, pauses=2),
        "outages": lambda plane: outages.run(plane, seconds=min(600.0, max(120.0, seconds / 6))),
        "kills": lambda plane: kills.run(plane, seed=seed, seconds=end - time.monotonic(), kills=number, jobs=jobs),
    }
    try:
        with ControlPlane(programs(print)) as plane:
            for name, part in parts.items():
                if only in (None, name):
                    begun = time.monotonic()
                    report = part(plane)
                    print(f"{name} ({time.monotonic() - begun:.0f} s): {report}", flush=True)
    except MissingProgram as missing:
        sys.exit(str(missing))
    except AssertionError as failed:
        sys.exit(f"chaos: seed {seed} failed: {failed}")


if __name__ == "__main__":
    main()
