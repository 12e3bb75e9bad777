"""Of several contenders for a Lease at most one leads, at every moment of its own clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.errors import UsageError
from engine.kube.clock import cancel
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.kube.faults import Effect, InjectedFault
from engine.kube.leases import LEASE, Leases
from engine.operator.leader import Leader


class HeldUpClock(FakeClock):
    """A clock that can run on while the process is held up (`held_up`)."""

    held_up = 0.0

    def monotonic(self) -> float:
        """The time, and that in which nothing ran."""
        return super().monotonic() + self.held_up


class Contender:
    """A leader and what it has reported."""

    def __init__(self, cluster: EmbeddedCluster, clock: FakeClock, identity: str, *, in_pod: bool = True) -> None:
        self.reported: list[str] = []
        self.stop = asyncio.Event()
        self.leader = Leader(
            Leases(cluster, "default", in_pod=in_pod), clock, "rulepack", identity,
            on_started=lambda: self.reported.append("started"), on_stopped=lambda: self.reported.append("stopped"),
        )  # fmt: skip


class Election:
    """Three contenders on an embedded cluster."""

    def __init__(self) -> None:
        self.clock = HeldUpClock()
        self.cluster = EmbeddedCluster(self.clock)
        self.contenders = {name: Contender(self.cluster, self.clock, name) for name in ("one", "two", "three")}

    @asynccontextmanager
    async def running(self, *names: str) -> AsyncIterator[dict[str, asyncio.Task[None]]]:
        """Run some of them; one that is cancelled has crashed."""
        tasks = {}
        for name in names:
            contender = self.contenders[name]
            tasks[name] = asyncio.create_task(contender.leader.run(contender.stop))
            await self.clock.settle()
        try:
            yield tasks
        finally:
            await cancel(*tasks.values())

    def leading(self) -> list[str]:
        """Who may act now."""
        return [name for name, contender in self.contenders.items() if contender.leader.is_leader()]

    async def lease(self) -> Any:
        """The Lease's spec."""
        return (await self.cluster.get(LEASE, "default", "rulepack"))["spec"]


async def test_one_of_three_leads_and_keeps_leading() -> None:
    """The first one takes the Lease and renews it; the others stand by."""
    election = Election()
    async with election.running("one", "two", "three"):
        for _ in range(60):
            await election.clock.advance(1)
            assert election.leading() == ["one"]
        spec = await election.lease()
        assert spec["holderIdentity"] == "one"
        assert spec["leaseDurationSeconds"] == 15
        assert spec["leaseTransitions"] == 0
        assert spec["renewTime"] > spec["acquireTime"]
        assert [contender.reported for contender in election.contenders.values()] == [["started"], [], []]
        assert election.contenders["two"].leader.holder == "one"


async def test_a_released_lease_is_taken_at_once() -> None:
    """Who stops gives the Lease back; another one leads after its next try, with one transition more."""
    election = Election()
    async with election.running("one", "two"):
        election.contenders["one"].stop.set()
        await election.clock.settle()
        assert (await election.lease())["holderIdentity"] == ""
        assert election.leading() == []
        assert election.contenders["one"].reported == ["started", "stopped"]
        await election.clock.advance(4.5)
        assert election.leading() == ["two"]
        assert (await election.lease())["leaseTransitions"] == 1


async def test_the_lease_of_a_crashed_leader_expires() -> None:
    """Nobody leads until the Lease has not changed for its duration; then exactly one other does."""
    election = Election()
    async with election.running("one", "two", "three") as tasks:
        await election.clock.advance(30)
        tasks["one"].cancel()
        election.cluster.faults.add(InjectedFault(Effect.CUT_BEFORE, verb="update", kind="Lease", times=1))  # its release
        await election.clock.settle()
        await election.clock.advance(12)
        assert election.leading() == []
        await election.clock.advance(10)
        assert len(election.leading()) == 1
        assert election.leading() != ["one"]


async def test_a_leader_that_cannot_renew_stops_before_another_starts() -> None:
    """At the renew deadline it no longer leads, by its own clock; it takes the Lease again when it can."""
    election = Election()
    async with election.running("one"):
        election.cluster.faults.add(InjectedFault(500, verb="update", kind="Lease", times=None))
        await election.clock.advance(8)
        assert election.leading() == ["one"]
        await election.clock.advance(4)
        assert election.leading() == []
        assert election.contenders["one"].reported == ["started", "stopped"]
        election.cluster.faults.clear()
        await election.clock.advance(6)
        assert election.leading() == ["one"]


async def test_never_two_leaders_whatever_fails() -> None:
    """With every second call failing in one way or another there is at most one leader at each moment."""
    election = Election()
    async with election.running("one", "two", "three"):
        for number in range(300):
            effect = (Effect.CUT_AFTER, Effect.CUT_BEFORE, 409, 500, 429)[number % 5]
            verb = ("update", "get")[number % 2]
            if number % 40 < 30:
                election.cluster.faults.add(InjectedFault(effect, verb=verb, kind="Lease", times=1 + number % 7))
            await election.clock.advance(1)
            assert len(election.leading()) <= 1
        election.cluster.faults.clear()
        await election.clock.advance(40)
        assert len(election.leading()) == 1


async def test_a_stuck_loop_does_not_lead() -> None:
    """is_leader asks the clock, so it is false after the deadline even where nothing has run since."""
    election = Election()
    async with election.running("one"):
        assert election.leading() == ["one"]
        election.clock.held_up += 10
        assert election.leading() == []


@pytest.mark.parametrize("jump", [-3600.0, -9.0, 9.0, 3600.0])
async def test_a_time_that_is_set_makes_nobody_lead_and_nobody_stop(jump: float) -> None:
    """Neither does the leader take its Lease for older or younger, nor a standby the leader for dead."""
    election = Election()
    async with election.running("one", "two"):
        await election.clock.advance(9)
        election.clock.set_on(jump)
        for _ in range(40):
            await election.clock.advance(1)
            assert election.leading() == ["one"]
        assert (await election.lease())["leaseTransitions"] == 0


async def test_a_leader_whose_time_was_set_back_stops_in_time() -> None:
    """However far back: at the renew deadline after its last success it no longer leads."""
    election = Election()
    async with election.running("one"):
        await election.clock.advance(8)
        election.cluster.faults.add(InjectedFault(500, verb="update", kind="Lease", times=None))
        await election.clock.advance(5)
        election.clock.set_on(-5)
        await election.clock.advance(6)
        assert election.leading() == []


class Hanging(EmbeddedCluster):
    """A cluster that, once it is to, no longer answers at all."""

    hanging = False

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        """Hang where it is to."""
        if self.hanging:
            await asyncio.Event().wait()
        return await super().get(*args, **kwargs)


async def test_one_request_that_hangs_ends_nothing() -> None:
    """It is given up while there is time for another, so that one dead connection does not cost the Lease."""
    election = Election()
    cluster = election.cluster = Hanging(election.clock)
    contender = election.contenders["one"] = Contender(cluster, election.clock, "one")
    async with election.running("one"):
        cluster.hanging = True
        await election.clock.advance(3)
        cluster.hanging = False
        await election.clock.advance(30)
        assert contender.reported == ["started"]


async def test_a_request_that_hangs_ends_leading_in_time(caplog: pytest.LogCaptureFixture) -> None:
    """A renewal that is never answered is given up at the deadline, and on_stopped is called; the log says why."""
    election = Election()
    cluster = election.cluster = Hanging(election.clock)
    contender = election.contenders["one"] = Contender(cluster, election.clock, "one")
    async with election.running("one"):
        cluster.hanging = True
        await election.clock.advance(10)
        assert contender.reported == ["started", "stopped"]
        assert "was not renewed: the API server does not answer" in caplog.text
        cluster.hanging = False
        await election.clock.advance(20)
        assert election.leading() == ["one"]


async def test_a_missing_namespace_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Where the Lease cannot be created it is tried again, and logged once."""
    caplog.set_level("INFO", "engine.operator.leader")
    clock = FakeClock()
    leader = Leader(Leases(EmbeddedCluster(clock), "nowhere"), clock, "rulepack", "one")
    task = asyncio.create_task(leader.run(asyncio.Event()))
    await clock.advance(60)
    await cancel(task)
    assert not leader.is_leader()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == leader.obstacle
    assert leader.obstacle.startswith("Lease nowhere/rulepack: 404 ")
    assert leader.obstacle.endswith("; create it: `kubectl create namespace nowhere`")


async def test_a_process_outside_of_a_pod_never_takes_the_lease_of_an_operator_in_the_cluster() -> None:
    """Neither while that one leads nor when it has ended: another version of it takes over, the process ends in words."""
    election = Election()
    outside = Contender(election.cluster, election.clock, "laptop", in_pod=False)
    async with election.running("one"):
        election.contenders["one"].stop.set()
        await election.clock.advance(30)
    with pytest.raises(UsageError, match="--operator-namespace NAME"):
        await outside.leader.run(outside.stop)
    assert (await election.lease())["holderIdentity"] == ""

    async with election.running("two"):
        await election.clock.advance(5)
        assert election.leading() == ["two"]


async def test_processes_outside_of_a_pod_share_a_lease_until_an_operator_takes_it() -> None:
    """What such a process has created another one takes; from then on that an operator in the cluster did, none does."""
    election = Election()
    for name in ("laptop", "desktop"):
        contender = election.contenders[name] = Contender(election.cluster, election.clock, name, in_pod=False)
        async with election.running(name) as tasks:
            await election.clock.advance(5)
            assert election.leading() == [name]
            contender.stop.set()
            await tasks[name]
    async with election.running("one"):
        await election.clock.advance(5)
        assert election.leading() == ["one"]
    late = Contender(election.cluster, election.clock, "late", in_pod=False)
    with pytest.raises(UsageError, match="installed in the cluster"):
        await late.leader.run(late.stop)
