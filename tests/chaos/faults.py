"""The engine behind a gateway that fails in every way, and beside an API server that is restarted and an etcd that forgets."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from random import Random

from tests.chaos.ledger import NOTE
from tests.chaos.proxy import Fault, FaultyGateway
from tests.chaos.scenario import Scenario
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually

AT_ONCE = tuple(fault for fault in Fault if fault is not Fault.SILENT)
SLOW_TO_SHOW = 120.0
"""A watch that is silent is noticed within 75 s; for this long nothing may come of what is missing."""


class Trouble:
    """A run behind a faulty gateway, and how long each kind of trouble took to be overcome."""

    def __init__(self, scenario: Scenario, gateway: FaultyGateway, seconds: float) -> None:
        self.scenario, self.gateway, self.seconds = scenario, gateway, seconds
        self.overcome: dict[str, float] = {}

    def requests_fail(self, name: str, *faults: Fault, often: float = 0.4) -> None:
        """Let requests meet faults for a while, and until each has been met; watches are cut, so that they meet them too."""
        before = self.gateway.met.copy()
        self.gateway.fail(*faults, often=often)
        self.gateway.break_watches()
        time.sleep(self.seconds)
        eventually(lambda: self._all_met(faults, before), f"{name}: each of {', '.join(faults)}")
        self.gateway.fail()
        self.see_overcome(name)

    def one_by_one(self) -> None:
        """Each kind of fault for itself."""
        self.requests_fail("cut connections", Fault.CUT_BEFORE, Fault.CUT_AFTER)
        self.requests_fail("409, 429, 500, 503", Fault.CONFLICT, Fault.TOO_MANY, Fault.ERROR, Fault.UNAVAILABLE)
        self.requests_fail("410 in bursts", Fault.EXPIRED, often=0.8)
        self.requests_fail("half-written lines", Fault.HALF, often=0.8)
        self.requests_fail("slow answers", Fault.SLOW)
        self.requests_fail("silent watches", Fault.SILENT, often=1.0)

    def _all_met(self, faults: Sequence[Fault], before: Mapping[Fault, int]) -> bool:
        if all(self.gateway.met[fault] > before.get(fault, 0) for fault in faults):
            return True
        self.gateway.break_watches()
        time.sleep(0.5)
        return False

    def token_expires(self) -> None:
        """The token is refused from now on, and a new one is in the kubeconfig only a while later."""
        engine = self.scenario.engine
        self.gateway.refuse(engine.token())
        time.sleep(self.seconds / 2)
        engine.renew_token()
        self.see_overcome("expired token")

    def api_server_restarts(self) -> None:
        """It is away for a while, and knows no event from before."""
        self.scenario.plane.stop_apiserver()
        time.sleep(self.seconds / 2)
        self.scenario.plane.start_apiserver()
        self.see_overcome("API server restarted")

    def etcd_forgets(self) -> None:
        """No watch can be resumed, and no list be continued, from before."""
        self.scenario.plane.compact()
        self.scenario.plane.restart_apiserver()
        self.see_overcome("etcd compacted")

    def see_overcome(self, name: str) -> None:
        """Time how long it takes until a job that ends only now, and all that have ended by then, have had their effects."""
        started = time.monotonic()
        ended = self.scenario.ledger.ended
        before = len(ended)

        def has_effect() -> bool:
            done = [run for run in ended[before:] if run.phase == "Succeeded"]
            return any(self.scenario.annotation(run.name, NOTE) for run in done[:1])

        eventually(has_effect, f"effect after {name}", SLOW_TO_SHOW)
        self.scenario.caught_up_with(list(ended), SLOW_TO_SHOW)
        self.overcome[name] = time.monotonic() - started


def run(plane: ControlPlane, *, seed: int, seconds: float, namespace: str = "faults", brief: bool = False) -> str:
    """Let each kind of trouble last for some seconds; says what came of it. Fails where an effect is lost or doubled.

    In brief: all faults of requests at the same time, and no watch that is silent for longer than a minute.
    """
    with Scenario(plane, namespace, seed, groups=10) as scenario, FaultyGateway(plane, Random(seed)) as gateway:
        scenario.without_statuses()
        scenario.engine.start(scenario.engine.kubeconfig_through(gateway.url))
        scenario.engine.ready()
        scenario.run(10_000, per_second=4)  # until it is enough
        trouble = Trouble(scenario, gateway, seconds)
        if not brief:
            trouble.one_by_one()
        trouble.requests_fail("everything at once", *AT_ONCE)
        trouble.token_expires()
        trouble.etcd_forgets()
        trouble.api_server_restarts()
        scenario.enough()
        caught_up = scenario.caught_up(120)
        assert scenario.ledger.wrong == [], "\n".join(scenario.ledger.wrong)
        met = ", ".join(f"{fault} {count}" for fault, count in sorted(gateway.met.items()))
        times = ", ".join(f"{name} {took:.1f}" for name, took in trouble.overcome.items())
        return (
            f"seed {seed}: {gateway.met.total()} faults: {met}; API server restarted 2 times, etcd compacted once; "
            f"{len(scenario.ledger.ended)} runs ended; effects lost: 0, doubled: 0; seconds from the end of a trouble until "
            f"all was caught up with: {times}; after the last job {caught_up:.1f}"
        )
