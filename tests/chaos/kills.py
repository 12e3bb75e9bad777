"""The engine is killed again and again while jobs run, users change packs and flags, and everybody else goes on.

Half of the kills come at a random time; the other half come just before or just after the API server has handled a random
write of the engine, where a crash is most likely to lose or to double something.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from random import Random

from tests.chaos.scenario import Scenario
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually
from tests.e2e.gateway import Gateway, Strike

JOBS_PER_SECOND = 8.0
"""At most: on two cores about four come."""
WRITES = re.compile(r"^(?!.*/leases)(?!.*subjectaccessreviews)(POST|PATCH|PUT|DELETE) ")


@dataclass(slots=True)
class Kills:
    """How often the engine was killed, and when."""

    at_a_time: int = 0
    before_a_write: int = 0
    after_a_write: int = 0
    stops: int = 0
    """By SIGTERM, which are no kills."""

    @property
    def total(self) -> int:
        """All kills."""
        return self.at_a_time + self.before_a_write + self.after_a_write

    def __str__(self) -> str:
        return (
            f"{self.total} kills: {self.at_a_time} at a random time, {self.before_a_write} before a write, "
            f"{self.after_a_write} after one; {self.stops} stops by SIGTERM"
        )


class Killer:
    """Starts the engine and kills it, over and over."""

    def __init__(self, scenario: Scenario, gateway: Gateway, random: Random) -> None:
        self._scenario, self._gateway, self._random = scenario, gateway, random
        self._kubeconfig = scenario.engine.kubeconfig_through(gateway.url)
        self.kills = Kills()

    def life(self) -> None:
        """One life of the engine, from its start to its death."""
        if self._random.random() < 0.1:
            return self._stop()
        if self._random.random() < 0.5:
            self._scenario.engine.start()
            time.sleep(self._random.uniform(0.3, 2.2))
            self._scenario.engine.kill()
            self.kills.at_a_time += 1
            return
        before = self._random.random() < 0.5
        strike = Strike("before" if before else "after", WRITES, self._scenario.engine.kill, self._random.randint(1, 20))
        self._gateway.arm(strike)
        self._scenario.engine.start(self._kubeconfig)
        struck = strike.done.wait(4.0)
        self._scenario.engine.kill()  # also where it had nothing to write
        if not struck:
            self.kills.at_a_time += 1
        elif before:
            self.kills.before_a_write += 1
        else:
            self.kills.after_a_write += 1

    def _stop(self) -> None:
        """A life that ends by SIGTERM: what is under way is finished or handed back, and the Lease is released."""
        engine = self._scenario.engine
        engine.start()
        engine.ready()
        time.sleep(self._random.uniform(0, 2))
        assert engine.stop() == 0, engine.logs()
        assert engine.lease().get("holderIdentity", "") == "", engine.lease()
        self.kills.stops += 1


QUIET = 12
"""Seconds without a write after which an engine counts as having nothing to do."""


def run(plane: ControlPlane, *, seed: int, seconds: float, kills: int, jobs: int, namespace: str = "chaos") -> str:
    """Kill the engine `kills` times while jobs run; says what came of it. Fails where an effect is lost or doubled.

    The jobs come at the pace of the kills, so that a slow machine takes longer for the same; after `seconds` both end.
    """
    random = Random(seed)
    with Scenario(plane, namespace, seed, groups=max(4, jobs // 20)) as scenario, Gateway(plane) as gateway:
        killer, ledger = Killer(scenario, gateway, random), scenario.ledger
        _come_into_force(scenario)
        begun = time.monotonic()
        ledger.due = 0
        scenario.run(jobs, JOBS_PER_SECOND)
        while (killer.kills.total < kills or not ledger.all_ended) and time.monotonic() < begun + seconds:
            ledger.due = jobs * (killer.kills.total + 1) / kills
            if random.random() < 0.2:
                scenario.edit()
            killer.life()
            scenario.check_simulation()
        scenario.enough()
        scenario.enforce()
        scenario.engine.start(None, "--log-level=debug")  # so that it says what it waits for
        caught_up = scenario.caught_up(max(90.0, jobs / 10))
        assert ledger.wrong == [], "\n".join(ledger.wrong)
        writes = _writes_of_a_restart(scenario)
        assert writes == [], f"a restart with nothing left to do wrote: {writes[:5]}"
        over = "" if killer.kills.total >= kills else f" (then the time was over; {kills} were wanted)"
        return (
            f"seed {seed}: {killer.kills}{over}; {len(ledger.ended)} runs of {len(ledger.runs)} jobs ended, "
            f"{scenario.edits} edits of packs and flags; "
            f"{ledger.evicted} pods replaced ({ledger.alone} of them while no other one was Ready), "
            f"{ledger.syncs.total()} syncs, {ledger.rollouts} rollouts; effects lost: 0, doubled: 0; "
            f"caught up {caught_up:.1f} s after the last kill; writes of one more restart: 0"
        )


def _come_into_force(scenario: Scenario) -> None:
    """Let the packs come into force before any job ends: what has ended before is never restarted.

    A life of the killed engine may be too short for that.
    """
    scenario.engine.start()
    eventually(scenario.engine.in_force, "Lease that says since when packs are in force")
    scenario.engine.kill()


def _writes_of_a_restart(scenario: Scenario) -> list[str]:
    """What a new process writes once the old one has had nothing to write for a while.

    An Application gets one failure every 3 s, and a sync is followed to its end, so there is something to do for some time
    after nothing is missing any more.
    """
    engine = scenario.engine
    quiet = 0
    for _ in range(120):
        written = len(engine.writes())
        time.sleep(1.0)
        quiet = quiet + 1 if len(engine.writes()) == written else 0
        if quiet == QUIET:
            break
    engine.kill()
    before = len(engine.writes())
    engine.start()
    engine.ready()
    while not engine.idle():
        time.sleep(0.1)
    time.sleep(1.0)
    return engine.writes()[before:]
