"""The clock that tests move."""

from __future__ import annotations

import asyncio

import pytest

from engine.kube.fake_clock import FakeClock


async def sleeper(clock: FakeClock, seconds: float, name: str, woken: list[tuple[str, float]]) -> None:
    """Note when it woke."""
    await clock.sleep(seconds)
    woken.append((name, clock.time()))


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    """Each sleeper wakes at its own time, whatever the order in which they went to sleep; equal times keep that order."""
    clock, woken = FakeClock(1000.0), list[tuple[str, float]]()
    async with asyncio.TaskGroup() as tasks:
        for seconds, name in ((3.0, "c"), (1.0, "a"), (3.0, "d"), (2.0, "b")):
            tasks.create_task(sleeper(clock, seconds, name, woken))
        await clock.advance(10.0)

    assert woken == [("a", 1001.0), ("b", 1002.0), ("c", 1003.0), ("d", 1003.0)]
    assert clock.time() == 1010.0


async def test_nobody_wakes_early() -> None:
    """A sleeper whose time has not come goes on sleeping, and wakes when it has."""
    clock, woken = FakeClock(0.0), list[tuple[str, float]]()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleeper(clock, 5.0, "a", woken))
        await clock.advance(4.0)
        assert woken == []
        await clock.advance(1.0)

    assert woken == [("a", 5.0)]


async def test_tasks_run_between_two_times() -> None:
    """A sleeper that sleeps again within one advance wakes again within it, and what it set off is done before the next one."""
    clock, log = FakeClock(0.0), list[str]()
    changed = asyncio.Event()

    async def ticker() -> None:
        for tick in range(3):
            await clock.sleep(1.0)
            log.append(f"tick {tick}")
            changed.set()

    async def follower() -> None:
        while len(log) < 6:
            await changed.wait()
            changed.clear()
            await asyncio.sleep(0)
            log.append("seen")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ticker())
        tasks.create_task(follower())
        await clock.advance(3.0)

    assert log == ["tick 0", "seen", "tick 1", "seen", "tick 2", "seen"]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """A sleeper that was cancelled does not hold the clock up."""
    clock, woken = FakeClock(0.0), list[tuple[str, float]]()
    task = asyncio.create_task(sleeper(clock, 1.0, "a", woken))
    await clock.settle()

    task.cancel()
    await clock.advance(2.0)

    assert task.cancelled()
    assert woken == []


async def test_setting_the_wall_clock_wakes_nobody() -> None:
    """Only the time of day changes: who sleeps wakes when as much time has passed as was asked for."""
    clock, woken = FakeClock(1000.0), list[tuple[str, float]]()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleeper(clock, 5.0, "a", woken))
        await clock.advance(1.0)
        before = clock.monotonic()
        clock.set_on(3600.0)
        await clock.settle()
        assert (woken, clock.time(), clock.monotonic()) == ([], 4601.0, before)
        await clock.advance(4.0)

    assert woken == [("a", 4605.0)]


async def test_no_time_is_no_wait() -> None:
    """Sleeping for no time returns without the clock being moved."""
    clock = FakeClock()

    await clock.sleep(0.0)
    await clock.sleep(-1.0)


async def test_a_loop_without_a_wait_is_reported() -> None:
    """Tasks that never come to rest are an error rather than a test that never ends."""
    clock = FakeClock(patience=1000)

    async def spin() -> None:
        while True:
            await clock.sleep(0.0)

    task = asyncio.create_task(spin())
    with pytest.raises(RuntimeError, match="do not come to rest"):
        await clock.advance(1.0)
    task.cancel()
