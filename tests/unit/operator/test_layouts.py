"""Whoever may act at a moment shares the cluster in one and the same way, however slow, cut off or often restarted they are."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest

from engine.errors import ApiError
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.kube.leases import LEASE, Leases
from engine.operator.leader import Leader
from engine.operator.shards import Layout, Shard, suffix

SLOW = (*[0.0] * 12, 0.3, 0.3, 1.1, 3.0, 12.0, 25.0)
"""Seconds that a call may take on its way, and its answer on the way back; most take none."""
STEP = 0.25
"""Seconds between two checks of who may act."""


class Network:
    """The way to the API server: calls and answers may be slow, and be cut off altogether."""

    def __init__(self, cluster: EmbeddedCluster, clock: FakeClock, delay: Callable[[], float]) -> None:
        self._cluster, self._clock, self._delay = cluster, clock, delay
        self.cut = False

    async def get(self, *arguments: Any) -> Any:
        """See `engine.kube.api.Api`."""
        return await self._call(self._cluster.get, *arguments)

    async def create(self, *arguments: Any) -> Any:
        """See `engine.kube.api.Api`."""
        return await self._call(self._cluster.create, *arguments)

    async def replace(self, *arguments: Any) -> Any:
        """See `engine.kube.api.Api`."""
        return await self._call(self._cluster.replace, *arguments)

    async def _call(self, call: Any, *arguments: Any) -> Any:
        """What is cancelled meanwhile arrives all the same, as a request does that nobody waits for any more."""
        travelling = asyncio.ensure_future(self._travel(call, *arguments))
        travelling.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(travelling)

    async def _travel(self, call: Any, *arguments: Any) -> Any:
        await self._clock.sleep(self._delay())
        if self.cut:
            raise ApiError(0, "Cut", "the connection is cut")
        answer = await call(*arguments)
        await self._clock.sleep(self._delay())
        return answer


class Engine:
    """What of an operator decides whether it may act."""

    def __init__(self, network: Any, clock: FakeClock, name: str, shard: Shard | None) -> None:
        self.network, self.shard = network, shard
        leases = Leases(network, "default")
        self.layout = Layout(leases, clock, "rulepack", shard)
        lease, identity = ("rulepack", name) if shard is None else (f"rulepack-{shard.number}", name + suffix(shard.count))
        self.leader = Leader(leases, clock, lease, identity, self.layout)
        self._stop = asyncio.Event()
        self.task = asyncio.create_task(self.leader.run(self._stop))

    def crash(self) -> None:
        """End it without its giving anything back."""
        self.network.cut = True
        self.task.cancel()


class Fleet:
    """Engines of several ways to share a cluster, side by side."""

    def __init__(self, seed: int = 0, slow: Sequence[float] = (0.0,)) -> None:
        self.random, self.clock, self.slow = Random(seed), FakeClock(), slow
        self.cluster = EmbeddedCluster(self.clock)
        self.engines: list[Engine] = []
        self.led: Counter[int] = Counter()
        self._names = 0

    def start(self, count: int, number: int = 0) -> Engine:
        """Start an engine of a shard, of the whole cluster where `count` is 0."""
        self._names += 1
        shard = Shard(number, count) if count else None
        network = Network(self.cluster, self.clock, lambda: self.random.choice(self.slow))
        engine = Engine(network, self.clock, f"engine-{self._names}", shard)
        self.engines.append(engine)
        return engine

    async def end(self, engine: Engine) -> None:
        """Crash an engine."""
        self.engines.remove(engine)
        engine.crash()
        await self.clock.settle()

    async def advance(self, seconds: float) -> None:
        """Let time pass; at each check only such as may act together do."""
        for _ in range(round(seconds / STEP)):
            await self.clock.advance(STEP)
            acting = [engine.shard for engine in self.engines if engine.leader.is_leader()]
            assert len({shard.count if shard else 0 for shard in acting}) <= 1, acting
            assert len(set(acting)) == len(acting), acting
            self.led.update(shard.count if shard else 0 for shard in acting)

    def leading(self) -> set[Shard | None]:
        """Who may act now."""
        return {engine.shard for engine in self.engines if engine.leader.is_leader()}

    async def finish(self) -> None:
        """Crash all."""
        for engine in list(self.engines):
            await self.end(engine)


@pytest.mark.parametrize("seed", range(6))
async def test_two_ways_to_share_never_act_together(seed: int) -> None:
    """Engines of none, two, three and four shards come, crash and are cut off in any order; in the end those left all act."""
    fleet = Fleet(seed)
    fleet.start(2, 0)
    await fleet.advance(10)
    assert fleet.led
    fleet.slow = SLOW
    for _ in range(40):
        chance = fleet.random.random()
        if chance < 0.45 and len(fleet.engines) < 8:
            count = fleet.random.choice((0, 2, 3, 4))
            fleet.start(count, fleet.random.randrange(count) if count else 0)
        elif chance < 0.7 and fleet.engines:
            await fleet.end(fleet.random.choice(fleet.engines))
        elif fleet.engines:
            network = fleet.random.choice(fleet.engines).network
            network.cut = not network.cut
        await fleet.advance(fleet.random.choice((0.5, 3.0, 12.0)))
    await fleet.finish()

    fleet.slow = (0.0,)
    count = fleet.random.choice((0, 2, 3, 4))
    wanted = {fleet.start(count, number).shard for number in range(max(1, count))}
    for _ in range(10):
        await fleet.advance(10)
        if fleet.leading() == wanted:
            break
    assert fleet.leading() == wanted
    await fleet.finish()


async def test_shards_that_died_are_waited_for_together() -> None:
    """Four shards that crashed at once hold the next way to share the cluster up for one Lease's time, not for four."""
    fleet = Fleet()
    for number in range(4):
        fleet.start(4, number)
    await fleet.advance(10)
    assert len(fleet.leading()) == 4
    await fleet.finish()

    fleet.start(2, 0)
    await fleet.advance(15 + 2 * 4.4 + 1)

    assert fleet.leading() == {Shard(0, 2)}
    await fleet.finish()


async def test_without_shards_and_with_them() -> None:
    """An engine without --shards waits for all shards there are, and shards wait for it, also where the layout is theirs."""
    fleet = Fleet()
    shards = [fleet.start(2, number) for number in range(2)]
    await fleet.advance(10)
    whole = fleet.start(0)
    await fleet.end(shards[0])
    await fleet.advance(60)
    assert fleet.leading() == {Shard(1, 2)}
    assert "engine-2_of-2 (Lease default/rulepack-1)" in whole.layout.waits_for

    await fleet.end(shards[1])
    await fleet.advance(25)
    assert fleet.leading() == {None}

    back = [fleet.start(2, number) for number in range(2)]
    await fleet.advance(60)
    assert fleet.leading() == {None}
    assert "engine-3 (Lease default/rulepack)" in back[0].layout.waits_for

    await fleet.end(whole)
    await fleet.advance(25)
    assert fleet.leading() == {Shard(0, 2), Shard(1, 2)}
    await fleet.finish()


async def test_who_waits_stands_in_nobodys_way() -> None:
    """A shard of another layout that waits keeps no Lease that one of the layout in force needs when it comes back."""
    fleet = Fleet()
    first, _ = (fleet.start(2, number) for number in range(2))
    await fleet.advance(10)
    fleet.start(3, 0)
    await fleet.end(first)
    await fleet.advance(60)
    assert fleet.leading() == {Shard(1, 2)}

    fleet.start(2, 0)
    await fleet.advance(25)
    assert fleet.leading() == {Shard(0, 2), Shard(1, 2)}
    await fleet.finish()


async def test_a_rolling_update_never_hangs() -> None:
    """From three shards to two, one by one from the last as a StatefulSet does: new ones wait until the last old one has gone."""
    fleet = Fleet()
    old = [fleet.start(3, number) for number in range(3)]
    await fleet.advance(10)
    await fleet.end(old[2])
    await fleet.end(old[1])
    fleet.start(2, 1)
    await fleet.advance(30)
    assert fleet.leading() == {Shard(0, 3)}, "part of the cluster is nobody's for a while, none is two's"
    await fleet.end(old[0])
    fleet.start(2, 0)
    await fleet.advance(40)
    assert fleet.leading() == {Shard(0, 2), Shard(1, 2)}
    await fleet.finish()


async def test_a_standby_of_a_shard() -> None:
    """Of two engines of one shard one acts, and the other takes over."""
    fleet = Fleet()
    first = fleet.start(2, 1)
    await fleet.advance(1)
    fleet.start(2, 1)
    await fleet.advance(60)
    assert first.leader.is_leader()
    await fleet.end(first)
    await fleet.advance(25)
    assert fleet.leading() == {Shard(1, 2)}
    lease = await fleet.cluster.get(LEASE, "default", "rulepack-1")
    assert lease["spec"]["leaseTransitions"] == 1
    await fleet.finish()
