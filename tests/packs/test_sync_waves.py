"""The pack sync-waves."""

from __future__ import annotations

from typing import Any

import pytest

from engine.model.flags import Mode
from tests.world import DONE, JOB, World, job, shipped

WAVE = {"argocd.argoproj.io/sync-wave": "3"}
COMPLETE = {"mlops.dev/wave-complete": "3", "mlops.dev/completion-time": DONE}
FAILED = {"mlops.dev/wave-failed": "3", "mlops.dev/failure-time": DONE}


async def evaluated(*jobs: Any) -> World:
    world = World(shipped("sync-waves"))
    await world.create(*jobs)
    await world.settle()
    return world


async def test_a_succeeded_job_says_which_wave_it_has_completed() -> None:
    """wave-complete is the job's sync-wave, completion-time its completion, written in one patch."""
    world = await evaluated(job(phase="Succeeded", annotations=WAVE))
    assert await world.annotations(JOB, "train") == {**WAVE, **COMPLETE}
    assert world.writes == ["patch NotebookValidationJob ns/train"]


async def test_a_failed_job_says_which_wave_it_has_failed() -> None:
    """wave-failed is the job's sync-wave, failure-time its completion."""
    world = await evaluated(job(phase="Failed", annotations=WAVE))
    assert await world.annotations(JOB, "train") == {**WAVE, **FAILED}


async def test_failure_time_falls_back_on_the_last_retry() -> None:
    """A failed job without a completion has the time of its last retry as its failure-time."""
    world = await evaluated(job(phase="Failed", annotations=WAVE, completed=None, lastRetryTime="2026-01-24T22:29:00Z"))
    assert (await world.annotations(JOB, "train"))["mlops.dev/failure-time"] == "2026-01-24T22:29:00Z"


@pytest.mark.parametrize(("before", "after", "pair"), [("Failed", "Succeeded", COMPLETE), ("Succeeded", "Failed", FAILED)])
async def test_the_opposite_pair_goes_when_a_job_changes(before: str, after: str, pair: dict[str, str]) -> None:
    """Only the pair of the last phase stands."""
    world = await evaluated(job(phase=before, annotations=WAVE))
    await world.status(JOB, "train", {"phase": after})
    await world.settle()
    assert await world.annotations(JOB, "train") == {**WAVE, **pair}


async def test_a_phase_that_goes_backwards_takes_the_wave_back() -> None:
    """A job that runs again has completed no wave."""
    world = await evaluated(job(phase="Succeeded", annotations=WAVE))
    await world.status(JOB, "train", {"phase": "ValidationRunning"})
    await world.settle()
    assert await world.annotations(JOB, "train") == WAVE


@pytest.mark.parametrize("phase", [None, "Succeeded", "Failed", "ValidationRunning"])
async def test_a_job_without_a_wave_is_left_alone(phase: str | None) -> None:
    """No sync-wave, no write."""
    world = await evaluated(job(phase=phase))
    before = len(world.writes)
    await world.settle()
    assert await world.annotations(JOB, "train") == {}
    assert len(world.writes) == before


@pytest.mark.parametrize("status", [None, {}, {"phase": None}, {"phase": 7}, {"phase": ["Succeeded"]}, "Succeeded"])
async def test_odd_statuses_complete_nothing(status: Any) -> None:
    """A missing, null or wrongly typed phase is no completion, and raises nothing."""
    world = await evaluated({**job(annotations=WAVE), "status": status})
    assert await world.annotations(JOB, "train") == WAVE


@pytest.mark.parametrize(
    ("block", "own", "complains"),
    [
        ("4", "3", False),
        ("3", "3", True),
        ("2", "3", True),
        ("four", "3", True),
        ("4.5", "3", True),
        ("-1", "-2", False),
        ("", "3", False),
    ],
)
async def test_block_wave_must_be_a_number_after_the_own_wave(block: str, own: str, complains: bool) -> None:
    """Otherwise there is one Warning Event that says what was expected."""
    world = await evaluated(job(annotations={"argocd.argoproj.io/sync-wave": own, "mlops.dev/block-wave": block}))
    await world.status(JOB, "train", {"phase": "Building"})
    await world.settle()
    message = (
        f'mlops.dev/block-wave is "{block}", which blocks nothing: expected a whole number greater than '
        f"the job's own sync-wave, {own}"
    )
    assert await world.events() == ([("train", "BlockWaveInvalid", message)] if complains else [])


async def test_a_restart_writes_nothing() -> None:
    """An engine that starts over finished jobs has nothing to write."""
    world = await evaluated(
        *(job(f"train-{n}", phase, WAVE) for n in range(10) for phase in ("Succeeded", "Failed")[n % 2 :][:1])
    )
    before = len(world.writes)
    world.restart()
    await world.settle(seconds=600, step=60)
    assert world.writes[before:] == []


async def test_a_job_created_anew_under_the_same_name_is_judged_anew() -> None:
    """The new object has none of the old one's annotations until it has ended itself."""
    world = await evaluated(job(phase="Succeeded", annotations=WAVE))
    await world.delete(JOB, "train")
    await world.create(job(phase="Building", annotations=WAVE))
    await world.settle()
    assert await world.annotations(JOB, "train") == WAVE
    await world.status(JOB, "train", {"phase": "Failed", "completionTime": DONE})
    await world.settle()
    assert await world.annotations(JOB, "train") == {**WAVE, **FAILED}


@pytest.mark.parametrize("mode", [Mode.AUDIT, Mode.OFF])
async def test_audit_and_off_write_nothing(mode: Mode) -> None:
    """Audit tries each step as a dry run and says what would change; Off does not evaluate."""
    pack = shipped("sync-waves")
    world = World(pack, modes={pack.name: mode})
    await world.create(job(phase="Succeeded", annotations={**WAVE, "mlops.dev/block-wave": "1"}))
    before = len(world.writes)
    await world.settle()
    assert world.writes[before:] == []
    diffs = [line for act in world.seen.acts for line in act.diff]
    assert any("wave-complete" in line for line in diffs) == (mode is Mode.AUDIT)
