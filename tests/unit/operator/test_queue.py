"""The work queue's promises."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.kube.fake_clock import FakeClock
from engine.model.objects import GroupKey, Kind, ObjectKey, flow_of
from engine.operator.queue import WorkQueue


def flow(key: str) -> str:
    """Return what comes before the slash."""
    return key.partition("/")[0]


async def test_a_key_added_twice_is_handed_out_once() -> None:
    """Repeats of a waiting key coalesce."""
    queue = WorkQueue[str](FakeClock(), flow)
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert queue.depth == 0


async def test_a_key_added_while_processed_comes_again_after_done() -> None:
    """Two workers never have the same key, and no change that comes meanwhile is lost."""
    clock = FakeClock()
    queue = WorkQueue[str](clock, flow)
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    other = asyncio.create_task(queue.get())
    await clock.settle()
    assert not other.done()
    queue.done("a")
    assert (key, await other) == ("a", "a")


async def test_the_earliest_delay_wins() -> None:
    """A later delay does not push a key back."""
    clock = FakeClock()
    queue = WorkQueue[str](clock, flow)
    queue.add_after("a", 10)
    queue.add_after("a", 5)
    queue.add_after("a", 20)
    await clock.advance(4.9)
    assert queue.depth == 0
    await clock.advance(0.1)
    assert queue.depth == 1
    queue.done(await queue.get() or "")
    await clock.advance(60)
    assert queue.depth == 0


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
async def test_setting_the_wall_clock_neither_ends_nor_prolongs_a_delay(jump: float) -> None:
    """A delay is as long as it was asked for, whatever the time of day is set to meanwhile."""
    clock = FakeClock()
    queue = WorkQueue[str](clock, flow)
    queue.add_after("a", 20)
    await clock.advance(10)
    clock.set_on(jump)
    await clock.advance(9)
    assert queue.depth == 0
    await clock.advance(1)
    assert queue.depth == 1


async def test_a_delay_ends_soon_after_a_machine_that_was_suspended_goes_on() -> None:
    """The time in which it was suspended counts, though sleeps do not count it: an hour is over a minute later at most."""
    clock = FakeClock()
    queue = WorkQueue[str](clock, flow)
    queue.add_after("a", 3600)
    await clock.advance(10)
    clock.suspend(7200)
    await clock.advance(60)
    assert queue.depth == 1


async def test_an_immediate_add_overrides_a_delay() -> None:
    """What was handed out at once is not handed out again because of an older delay."""
    clock = FakeClock()
    queue = WorkQueue[str](clock, flow)
    queue.add_after("a", 5)
    queue.add("a")
    queue.done(await queue.get() or "")
    await clock.advance(60)
    assert queue.depth == 0


async def test_a_delay_that_ends_while_the_key_is_processed_waits_for_done() -> None:
    """A delayed key is not handed to a second worker either."""
    clock = FakeClock()
    queue = WorkQueue[str](clock, flow)
    queue.add("a")
    await queue.get()
    queue.add_after("a", 1)
    await clock.advance(2)
    other = asyncio.create_task(queue.get())
    await clock.settle()
    assert not other.done()
    queue.done("a")
    assert await other == "a"


async def test_a_worker_that_is_aborted_leaves_its_key_to_another() -> None:
    """Also where the key had woken it already."""
    queue = WorkQueue[str](FakeClock(), flow)
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a"
    assert first.cancelled()


async def test_shutdown_answers_every_waiting_worker() -> None:
    """After shutdown there is nothing more to get, and `idle` waits for what is still processed."""
    clock = FakeClock()
    queue = WorkQueue[str](clock, flow)
    queue.add("a")
    await queue.get()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    idle = asyncio.create_task(queue.idle())
    await clock.settle()
    queue.add("b")
    await clock.settle()
    queue.shutdown()
    queue.add("c")
    assert await asyncio.gather(*workers) == ["b", None, None]
    assert not idle.done()
    queue.done("a")
    queue.done("b")
    await idle
    assert await queue.get() is None


async def test_flows_get_their_turns_one_after_the_other() -> None:
    """2,000 keys of one flow that came first hold up another one by no more than one key."""
    queue = WorkQueue[str](FakeClock(), flow)
    for number in range(2000):
        queue.add(f"team-a/{number}")
    queue.add("team-b/0")
    queue.add("team-c/0")
    queue.add("team-b/1")

    assert queue.depth == 2003
    first = [await queue.get() for _ in range(7)]
    assert first == ["team-a/0", "team-b/0", "team-c/0", "team-a/1", "team-b/1", "team-a/2", "team-a/3"]


async def test_what_a_flow_is() -> None:
    """A namespace; a Namespace is of its own, other objects of the cluster go by their kind, groups by their pack."""
    namespace, node = Kind("v1", "Namespace"), Kind("v1", "Node")
    assert flow_of(ObjectKey(Kind("v1", "Pod"), "team-a", "p")) == "team-a"
    assert flow_of(ObjectKey(namespace, "", "team-a")) == "team-a"
    assert flow_of(ObjectKey(node, "", "n1")) == flow_of(ObjectKey(node, "", "n2")) == "Node.v1"
    assert flow_of(GroupKey("p", "r", "g")) == flow_of(GroupKey("p", "other", "h")) != "p"


KEYS = st.sampled_from(["a/1", "a/2", "b/1", "c"])


class Queue(RuleBasedStateMachine):
    """A model of the queue: which keys are due, since when, and who has one."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.queue = WorkQueue[str](self.clock, flow)
        self.owed: set[str] = set()
        self.due: dict[str, float] = {}
        self.processing: set[str] = set()

    def teardown(self) -> None:
        """Close the loop."""
        self.queue.shutdown()
        self.loop.run_until_complete(self.clock.settle())
        self.loop.close()

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        """It is due, whatever was planned for later."""

        async def act() -> None:
            self.queue.add(key)

        self.loop.run_until_complete(act())
        self.owed.add(key)
        self.due.pop(key, None)

    @rule(key=KEYS, seconds=st.integers(1, 20))
    def add_after(self, key: str, seconds: int) -> None:
        """It is due by then at the latest."""

        async def act() -> None:
            self.queue.add_after(key, seconds)

        self.loop.run_until_complete(act())
        if key not in self.owed:
            self.due[key] = min(self.due.get(key, float("inf")), self.clock.time() + seconds)

    @rule(seconds=st.integers(1, 10))
    def advance(self, seconds: int) -> None:
        """What has become due is owed."""
        self.loop.run_until_complete(self.clock.advance(seconds))
        for key in [key for key, at in self.due.items() if at <= self.clock.time()]:
            del self.due[key]
            self.owed.add(key)

    @precondition(lambda self: self.owed - self.processing)
    @rule()
    def get(self) -> None:
        """A key that is due and that nobody has."""
        key = self.loop.run_until_complete(asyncio.wait_for(self.queue.get(), 1))
        assert key in self.owed - self.processing
        self.owed.discard(key)
        self.processing.add(key)

    @precondition(lambda self: self.processing)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        """A worker is finished."""
        key = data.draw(st.sampled_from(sorted(self.processing)))

        async def act() -> None:
            self.queue.done(key)

        self.loop.run_until_complete(act())
        self.processing.discard(key)

    @invariant()
    def depth_is_what_is_owed(self) -> None:
        """Nothing is lost and nothing is invented."""
        assert self.queue.depth == len(self.owed)


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=40, stateful_step_count=30)
