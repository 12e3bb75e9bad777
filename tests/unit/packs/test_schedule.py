"""The times of a schedule, in zones with and without summer time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.packs.schedule import Schedule
from engine.packs.timezones import zones

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Apia"]
"""Lord Howe changes by half an hour, Sao Paulo changed at midnight, Apia has left out a day."""
CRONS = [
    "30 2 * * *", "0 0 * * *", "45 2 * * 0", "0,15,30,45 1-3 * * *", "*/20 * * * *", "0 * * * *", "*/30 2 * * *", "15 1,2 * * *",
    "30 18 * * MON-FRI", "0 0 1 * *", "0 12 L * *", "0 12 * * FRI#2",
]  # fmt: skip
CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC), datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2018, 11, 4, 3, tzinfo=UTC), datetime(2018, 2, 18, 2, tzinfo=UTC), datetime(2011, 12, 30, 10, tzinfo=UTC),
]  # fmt: skip


@settings(max_examples=400)
@given(st.sampled_from(CRONS), st.sampled_from(ZONES), st.sampled_from(CHANGES), st.integers(-2 * 86400, 2 * 86400))
def test_the_times_around_a_moment_are_those_of_going_forward(cron: str, zone: str, change: datetime, seconds: int) -> None:
    """As cronsim has them from 40 days before: the last one that is not after the moment, and the first one that is."""
    now = change + timedelta(seconds=seconds)
    forward = (time.astimezone(UTC) for time in CronSim(cron, (now - timedelta(days=40)).astimezone(ZoneInfo(zone))))
    *_, last = takewhile(lambda time: time <= now, forward)
    coming = next(time.astimezone(UTC) for time in CronSim(cron, last.astimezone(ZoneInfo(zone))) if time > now)
    assert Schedule(cron, zone, 600.0).around(now) == (last, coming)


@pytest.mark.parametrize(("cron", "times"), [
    ("30 2 * * *", ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
    ("30 2,3 * * *", ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"]),
    ("*/30 2 * * *", ["2026-03-30T02:00+02:00", "2026-03-30T02:30+02:00"]),
    ("0 * * * *", ["2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"]),
])  # fmt: skip
def test_the_change_to_summer_time(cron: str, times: list[str]) -> None:
    """As Debian's cron(8) says: what runs at a certain time and is left out runs right after it; with a `*` it is not."""
    assert following(cron, datetime(2026, 3, 29, 0, 59, tzinfo=UTC)) == times


@pytest.mark.parametrize(("cron", "times"), [
    ("30 2 * * *", ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
    ("0 * * * *", ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]),
    ("*/30 2 * * *", ["2026-10-25T02:00+02:00", "2026-10-25T02:30+02:00"]),
])  # fmt: skip
def test_the_change_from_summer_time(cron: str, times: list[str]) -> None:
    """What runs at a certain time runs once in the hour that comes twice."""
    assert following(cron, datetime(2026, 10, 24, 23, 59, tzinfo=UTC)) == times


def following(cron: str, now: datetime) -> list[str]:
    """The next two times after a moment, as clocks in Berlin show them."""
    schedule = Schedule(cron, "Europe/Berlin", 600.0)
    _, first = schedule.around(now)
    assert first is not None
    _, second = schedule.around(first)
    assert second is not None
    return [schedule.local(time).partition(" ")[0] for time in (first, second)]


def test_a_time_counts_as_long_as_it_is_not_too_late_for_it() -> None:
    """Then the next one does."""
    schedule, due = Schedule("0 18 * * *", "UTC", 600.0), datetime(2026, 1, 1, 18, tzinfo=UTC)
    assert schedule.nearest(due - timedelta(seconds=1)) == due
    assert schedule.nearest(due + timedelta(seconds=600)) == due
    assert schedule.nearest(due + timedelta(seconds=601)) == due + timedelta(days=1)


@pytest.mark.parametrize(("one", "other", "meet"), [
    ("0 7 * * MON-FRI", "0 19 * * MON-FRI", False), ("0 7 * * *", "0 7 * * SUN", True), ("*/5 * * * *", "0 18 1 * *", True),
    ("0 * * * *", "30 * * * *", False), ("0 7 * * *", "0 7 * * *", True), ("0 0 29 2 *", "0 0 1 * *", False),
])  # fmt: skip
def test_whether_two_schedules_are_due_at_the_same_time(one: str, other: str, *, meet: bool) -> None:
    """Either way round."""
    schedules = Schedule(one, "UTC", 600.0), Schedule(other, "UTC", 600.0)
    assert schedules[0].meets(schedules[1]) is schedules[1].meets(schedules[0]) is meet


def test_each_zone_that_lint_allows_is_there() -> None:
    """On this machine, whose own time zones come before those of the package tzdata."""
    assert {ZoneInfo(name).key for name in zones()} == zones()
    assert {"Europe/Berlin", "America/New_York", "UTC", "Etc/GMT+1"} <= zones()
