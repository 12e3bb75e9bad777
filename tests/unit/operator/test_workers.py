"""Workers reconcile one object at a time, and nothing that happens then ends them."""

from __future__ import annotations

import asyncio

import pytest

from engine.kube.act import NotLeading
from engine.kube.fake_clock import FakeClock
from engine.model.objects import Kind, ObjectKey, flow_of
from engine.operator.metrics import Metrics
from engine.operator.queue import WorkQueue
from engine.operator.workers import Key, Workers
from tests.unit.operator.samples import sample


def key(name: str) -> ObjectKey:
    """A widget."""
    return ObjectKey(Kind("example.com/v1", "Widget"), "default", name)


class Fixture:
    """Two workers, and a reconciliation that does what a test says."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.queue = WorkQueue[Key](self.clock, flow_of)
        self.metrics = Metrics()
        self.reconciled: list[str] = []
        self.ended: list[str] = []
        self.answers: dict[str, float | Exception | None] = {}
        self.workers = Workers(2, self.queue, self.reconcile, self.clock, self.metrics)

    async def reconcile(self, key: Key) -> float | None:
        """Take ten seconds, then answer."""
        assert isinstance(key, ObjectKey)
        self.reconciled.append(key.name)
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
    fixture = Fixture()
    for name in "abc":
        fixture.queue.add(key(name))
    fixture.workers.start()
    await fixture.clock.advance(9)
    assert fixture.reconciled == ["a", "b"]
    await fixture.clock.advance(2)
    assert fixture.reconciled == ["a", "b", "c"]
    await fixture.finish()


async def test_an_answer_is_when_to_evaluate_again() -> None:
    """Seconds are waited, None means never."""
    fixture = Fixture()
    fixture.answers = {"a": 30.0, "b": None}
    fixture.queue.add(key("a"))
    fixture.queue.add(key("b"))
    fixture.workers.start()
    await fixture.clock.advance(39)
    assert fixture.reconciled == ["a", "b"]
    await fixture.clock.advance(1)
    assert fixture.reconciled == ["a", "b", "a"]
    await fixture.finish()


async def test_an_unexpected_error_is_logged_counted_and_tried_again_later(caplog: pytest.LogCaptureFixture) -> None:
    """A bug with one object costs that object pauses that double, and others nothing."""
    fixture = Fixture()
    fixture.answers = {"a": ValueError("boom"), "b": 0.5}
    fixture.queue.add(key("a"))
    fixture.queue.add(key("b"))
    fixture.workers.start()
    await fixture.clock.advance(100)
    assert fixture.reconciled.count("a") == 6  # after 0, 11, 23, 37, 55, 81 s
    assert fixture.reconciled.count("b") == 10
    assert sample(fixture.metrics.text(), "rulepack_reconcile_errors_total") == 6
    assert "unexpected ValueError: boom" in caplog.text
    assert "Traceback" not in caplog.text
    assert fixture.workers.ended() == []
    await fixture.finish()


async def test_not_leading_is_no_error() -> None:
    """The object is reconciled again by whoever leads."""
    fixture = Fixture()
    fixture.answers = {"a": NotLeading("not leading")}
    fixture.queue.add(key("a"))
    fixture.workers.start()
    await fixture.clock.advance(12)
    assert fixture.reconciled == ["a", "a"]
    assert sample(fixture.metrics.text(), "rulepack_reconcile_errors_total") == 0
    await fixture.finish()


async def test_an_aborted_evaluation_is_made_again() -> None:
    """Who stops leading stops at once; when it leads again nothing is forgotten."""
    fixture = Fixture()
    fixture.queue.add(key("a"))
    fixture.workers.start()
    await fixture.clock.advance(5)
    fixture.workers.abort()
    await fixture.clock.advance(60)
    assert (fixture.reconciled, fixture.ended) == (["a"], [])
    fixture.workers.start()
    await fixture.clock.advance(11)
    assert (fixture.reconciled, fixture.ended) == (["a", "a"], ["a"])
    await fixture.finish()


async def test_finish_lets_workers_end_what_they_are_at() -> None:
    """What is under way ends, what waits is not begun."""
    fixture = Fixture()
    for name in "abc":
        fixture.queue.add(key(name))
    fixture.workers.start()
    await fixture.clock.advance(5)
    finishing = asyncio.create_task(fixture.workers.finish(60))
    await fixture.clock.advance(6)
    assert finishing.done()
    assert fixture.ended == ["a", "b"]
    assert fixture.reconciled == ["a", "b"]


async def test_finish_waits_no_longer_than_the_grace_period() -> None:
    """A reconciliation that takes longer is cut off."""
    fixture = Fixture()
    fixture.queue.add(key("a"))
    fixture.workers.start()
    await fixture.clock.settle()
    finishing = asyncio.create_task(fixture.workers.finish(3))
    await fixture.clock.advance(3)
    assert finishing.done()
    assert fixture.ended == []
