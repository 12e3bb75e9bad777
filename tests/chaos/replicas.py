"""Three engines on one Lease: the leader is killed, or stopped for longer than its Lease lasts and then goes on."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.chaos.scenario import Scenario
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually

LEASE_SECONDS = 15.0
TAKEOVER_SECONDS = LEASE_SECONDS + 2 * 2.0 * 2.2
"""The Lease runs out, and each standby checks that every 2.0 to 4.4 s."""
NAMES = ("one", "two", "three")


@dataclass(slots=True)
class Figures:
    """What came of the takeovers."""

    takeovers: list[float] = field(default_factory=list)
    relists: int = 0
    late_writes: int = 0


class Replicas:
    """Three processes of one engine."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario, self._engine = scenario, scenario.engine
        self._served = {name: self._engine.launch(name) for name in NAMES}
        for name in NAMES:
            eventually(lambda name=name: self._ask(name, "/readyz") == "ok\n", f"replica {name} that is ready")  # type: ignore[misc]

    def leader(self) -> str:
        """Who leads; '' while nobody does. Fails where two say so."""
        leading = [name for name in NAMES if self._packs(name).get("leading")]
        assert len(leading) <= 1, f"{leading} all lead"
        return leading[0] if leading else ""

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a replica."""
        self._engine.processes.send(name, number)

    def replace(self, name: str) -> None:
        """Kill a replica, and start another one in its place."""
        self._engine.processes.kill(name)
        self._served[name] = self._engine.launch(name)

    def takeover(self, old: str) -> tuple[str, float]:
        """Who leads after `old`, and after how many seconds."""
        started = time.monotonic()
        new = eventually(lambda: self._other(old), f"leader after {old}", TAKEOVER_SECONDS + 10)
        return new, time.monotonic() - started

    def ready(self, name: str) -> None:
        """Wait until a replica knows the cluster."""
        eventually(lambda: self._ask(name, "/readyz") == "ok\n", f"replica {name} that is ready")

    def _other(self, old: str) -> str:
        leading = self.leader()
        return "" if leading == old else leading

    def _packs(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._ask(name, "/packs") or "{}")
        return found

    def _ask(self, name: str, path: str) -> str:
        return self._served[name].ask(path, timeout=0.5)


def run(plane: ControlPlane, *, seed: int, kills: int, pauses: int, namespace: str = "replicas") -> str:
    """Kill and pause leaders while jobs run; says what came of it. Fails where an effect is lost or doubled, or two lead."""
    random, figures = Random(seed), Figures()
    with Scenario(plane, namespace, seed, groups=10) as scenario:
        scenario.without_statuses()
        replicas = Replicas(scenario)
        leader = eventually(replicas.leader, "leader")
        scenario.run(10_000, per_second=4)  # until it is enough
        ways = random.sample(["kill"] * kills + ["pause"] * pauses, kills + pauses)
        for way in ways:
            time.sleep(random.uniform(1, 3))
            old, lists = leader, _lists(plane, scenario)
            if way == "kill":
                scenario.engine.processes.kill(old)
            else:
                replicas.send(old, signal.SIGSTOP)
            leader, seconds = replicas.takeover(old)
            figures.takeovers.append(seconds)
            figures.relists += (_lists(plane, scenario) - lists).total()
            if way == "kill":
                replicas.replace(old)
                replicas.ready(old)
            else:
                time.sleep(1)
                replicas.send(old, signal.SIGCONT)
                time.sleep(1)
                assert replicas.leader() in (leader, "")
        scenario.enough()
        caught_up = scenario.caught_up(120)
        assert scenario.ledger.wrong == [], "\n".join(scenario.ledger.wrong)
        assert figures.relists == 0, f"{figures.relists} lists of watched objects by a standby that took over"
        slowest = max(figures.takeovers)
        assert slowest < TAKEOVER_SECONDS, f"a takeover took {slowest:.1f} s"
        return (
            f"seed {seed}: {kills} leaders killed, {pauses} stopped and continued; takeover after "
            f"{min(figures.takeovers):.1f} to {slowest:.1f} s (Lease {LEASE_SECONDS:.0f} s) with 0 lists; never two leaders; "
            f"{len(scenario.ledger.ended)} runs ended; effects lost: 0, doubled: 0; caught up {caught_up:.1f} s after the last"
        )


def _lists(plane: ControlPlane, scenario: Scenario) -> Counter[str]:
    """How often the engine has listed what it watches, by path; whether one job is gone it asks by a list of that one."""
    return Counter(path for path in plane.lists(user=scenario.engine.user, of_one=False) if "notebookvalidationjobs" in path)
