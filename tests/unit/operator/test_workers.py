"""Workers look at one object at a time, and nothing that a look does ends them."""

from __future__ import annotations

import asyncio

import pytest

from engine.kube.act import NotLeading
from engine.kube.fake_clock import FakeClock
from engine.model.objects import Kind, ObjectKey
from engine.operator.metrics import Metrics
from engine.operator.queue import WorkQueue
from engine.operator.workers import Key, Workers


def key(name: str) -> ObjectKey:
    """A widget."""
    return ObjectKey(Kind("example.com/v1", "Widget"), "default", name)


class Lab:
    """Two workers, and a look that does what a test says."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.queue = WorkQueue[Key](self.clock)
        self.metrics = Metrics()
        self.looked: list[str] = []
        self.ended: list[str] = []
        self.answers: dict[str, float | Exception | None] = {}
        self.workers = Workers(2, self.queue, self.look, self.clock, self.metrics)

    async def look(self, key: Key) -> float | None:
        """Take ten seconds, then answer."""
        assert isinstance(key, ObjectKey)
        self.looked.append(key.name)
        await self.clock.sleep(10)
        self.ended.append(key.name)
        answer = self.answers.get(key.name)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def finish(self) -> None:
        """Stop the workers."""
        finishing = asyncio.create_task(self.workers.finish(60))
        await self.clock.advance(60)
        await finishing


async def test_as_many_at_a_time_as_there_are_workers() -> None:
    """The third object waits for a free worker."""
    lab = Lab()
    for name in "abc":
        lab.queue.add(key(name))
    lab.workers.start()
    await lab.clock.advance(9)
    assert lab.looked == ["a", "b"]
    await lab.clock.advance(2)
    assert lab.looked == ["a", "b", "c"]
    await lab.finish()


async def test_an_answer_is_when_to_look_again() -> None:
    """Seconds are waited, None means never."""
    lab = Lab()
    lab.answers = {"a": 30.0, "b": None}
    lab.queue.add(key("a"))
    lab.queue.add(key("b"))
    lab.workers.start()
    await lab.clock.advance(39)
    assert lab.looked == ["a", "b"]
    await lab.clock.advance(1)
    assert lab.looked == ["a", "b", "a"]
    await lab.finish()


async def test_an_unexpected_error_is_logged_counted_and_tried_again_later(caplog: pytest.LogCaptureFixture) -> None:
    """A bug with one object costs that object pauses that double, and others nothing."""
    lab = Lab()
    lab.answers = {"a": ValueError("boom"), "b": 0.5}
    lab.queue.add(key("a"))
    lab.queue.add(key("b"))
    lab.workers.start()
    await lab.clock.advance(100)
    assert lab.looked.count("a") == 6  # after 0, 11, 23, 37, 55, 81 s
    assert lab.looked.count("b") == 10
    assert lab.metrics.registry.get_sample_value("rulepack_reconcile_errors_total") == 6
    assert "unexpected ValueError: boom" in caplog.text
    assert "Traceback" not in caplog.text
    assert lab.workers.ended() == []
    await lab.finish()


async def test_not_leading_is_no_error() -> None:
    """The object is looked at again by whoever leads."""
    lab = Lab()
    lab.answers = {"a": NotLeading("not leading")}
    lab.queue.add(key("a"))
    lab.workers.start()
    await lab.clock.advance(12)
    assert lab.looked == ["a", "a"]
    assert lab.metrics.registry.get_sample_value("rulepack_reconcile_errors_total") == 0
    await lab.finish()


async def test_an_aborted_look_is_made_again() -> None:
    """Who stops leading stops at once; when it leads again nothing is forgotten."""
    lab = Lab()
    lab.queue.add(key("a"))
    lab.workers.start()
    await lab.clock.advance(5)
    lab.workers.abort()
    await lab.clock.advance(60)
    assert (lab.looked, lab.ended) == (["a"], [])
    lab.workers.start()
    await lab.clock.advance(11)
    assert (lab.looked, lab.ended) == (["a", "a"], ["a"])
    await lab.finish()


async def test_finish_lets_workers_end_what_they_are_at() -> None:
    """What is under way ends, what waits is not begun."""
    lab = Lab()
    for name in "abc":
        lab.queue.add(key(name))
    lab.workers.start()
    await lab.clock.advance(5)
    finishing = asyncio.create_task(lab.workers.finish(60))
    await lab.clock.advance(6)
    assert finishing.done()
    assert lab.ended == ["a", "b"]
    assert lab.looked == ["a", "b"]


async def test_finish_waits_no_longer_than_the_grace_period() -> None:
    """A look that takes longer is cut off."""
    lab = Lab()
    lab.queue.add(key("a"))
    lab.workers.start()
    await lab.clock.settle()
    finishing = asyncio.create_task(lab.workers.finish(3))
    await lab.clock.advance(3)
    assert finishing.done()
    assert lab.ended == []
