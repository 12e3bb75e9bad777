"""The pack validation-metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Object
from tests.world import JOB, World, job, shipped

PACK = "validation-metrics"
TOTAL, DURATION = "notebook_validation_total", "notebook_validation_duration_seconds"
START = "2026-01-24T22:29:19Z"


def ended(phase: str = "Succeeded", **fields: Any) -> Object:
    """A job that took 41 seconds."""
    return job(phase=phase, **{"startTime": START, **fields})


async def evaluated(*objects: Object, **params: Any) -> World:
    world = World(shipped(PACK), params={PACK: params})
    await world.create(*objects)
    await world.settle()
    return world


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
async def test_a_run_that_has_ended_is_counted_and_timed(phase: str) -> None:
    """One in the total of its phase, and its duration in seconds."""
    world = await evaluated(ended(phase))
    assert world.seen.measurements == [(TOTAL, {"phase": phase}, 1.0), (DURATION, {"job_name": "train", "phase": phase}, 41.0)]


async def test_fractions_of_a_second_count() -> None:
    """A duration is not rounded."""
    world = await evaluated(ended(startTime="2026-01-24T22:29:59.25Z"))
    assert world.seen.measurements[1][2] == 0.75


async def test_the_label_job_name_can_be_switched_off() -> None:
    """It is empty then, so that there is one series for all jobs."""
    world = await evaluated(ended(), jobNameLabel=False)
    assert world.seen.measurements[1][1] == {"job_name": "", "phase": "Succeeded"}


@pytest.mark.parametrize(
    "fields",
    [{"startTime": None}, {"completed": None}, {"startTime": "2026-01-24T23:00:00Z"}, {"startTime": "soon"}, {"startTime": 7},
     {"completionTime": ["x"]}],
)  # fmt: skip
async def test_a_run_without_a_duration_counts_all_the_same(fields: Mapping[str, Any]) -> None:
    """Where a time is missing, malformed or runs backwards, only the total counts."""
    world = await evaluated(ended(**fields))
    assert world.seen.measurements == [(TOTAL, {"phase": "Succeeded"}, 1.0)]


@pytest.mark.parametrize("status", [None, {}, {"phase": None}, {"phase": ["Failed"]}, {"phase": "Running"}, "Failed"])
async def test_what_has_not_ended_does_not_count(status: Any) -> None:
    """Odd statuses count nothing and raise nothing."""
    assert (await evaluated({**job(), "status": status})).seen.measurements == []


async def test_a_run_counts_once() -> None:
    """Neither a phase that goes backwards and returns nor a restart of the engine counts it again."""
    world = await evaluated(ended())
    await world.status(JOB, "train", {"phase": "ValidationRunning"})
    await world.settle()
    await world.status(JOB, "train", {"phase": "Succeeded"})
    await world.settle()
    before = len(world.writes)
    counted = [name for name, _, _ in world.seen.measurements]
    world.seen.measurements.clear()
    world.restart()
    await world.settle(600, step=60)
    assert counted == [TOTAL, DURATION]
    assert world.seen.measurements == []
    assert world.writes[before:] == []


async def test_a_job_created_anew_under_the_same_name_is_another_run() -> None:
    """Another uid counts anew, also where it ends at the same time."""
    world = await evaluated(ended())
    await world.delete(JOB, "train")
    await world.create(ended("Failed"))
    await world.settle()
    assert [labels["phase"] for name, labels, _ in world.seen.measurements if name == TOTAL] == ["Succeeded", "Failed"]


@pytest.mark.parametrize("mode", [Mode.AUDIT, Mode.OFF])
async def test_audit_and_off_count_and_write_nothing(mode: Mode) -> None:
    """No measurement, and no record."""
    pack = shipped(PACK)
    world = World(pack, modes={PACK: mode})
    await world.create(ended())
    await world.settle()
    assert (world.writes, world.seen.measurements) == ([], [])


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
async def test_a_crash_at_the_record_leaves_the_run_on_record_in_the_end(effect: Effect) -> None:
    """The one call is the record: what is not on record yet is counted by the next engine, whose counters begin at nothing."""
    world = World(shipped(PACK))
    await world.create(ended())
    world.engine.faults.add(InjectedFault(effect))
    await world.settle(5)
    assert world.crashes == 1
    record = (await world.get(JOB, "train"))["metadata"]["annotations"][f"fired.rules.mlops.dev/{PACK}.count-run"]
    assert '"outcome":"Done"' in record
