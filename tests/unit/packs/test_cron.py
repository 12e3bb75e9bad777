"""What is said of a cron expression or a time zone that is none, or that does not mean what people think."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.packs import cron, timezones

FIVE = "five: minute, hour, day of the month, month and day of the week, such as '30 18 * * MON-FRI'"


@pytest.mark.parametrize(("text", "message", "expected"), [
    ("0 24 * * *", "the text '0 24 * * *' has the hour 24", "hours from 0 to 23 (did you mean '0 0 * * *'?)"),
    ("60 7 * * *", "the text '60 7 * * *' has the minute 60", "minutes from 0 to 59 (did you mean '0 7 * * *'?)"),
    ("0 7 32 * *", "the text '0 7 32 * *' has the day of the month 32", "days of the month from 1 to 31"),
    ("0 7 * 13 *", "the text '0 7 * 13 *' has the month 13", "months from 1 to 12, or JAN to DEC"),
    ("0 7 * * 8", "the text '0 7 * * 8' has the day of the week 8", "days of the week from 0 to 7, or SUN to SAT"),
    ("0 7 * * MONDAY", "the text '0 7 * * MONDAY' has 'MONDAY' as day of the week",
     "days of the week from 0 to 7, or SUN to SAT (did you mean '0 7 * * MON'?)"),
    ("0 7 MON * *", "the text '0 7 MON * *' has 'MON' as day of the month", "days of the month from 1 to 31"),
    ("0 7 * * Freitag-Montag", "the text '0 7 * * Freitag-Montag' has 'FREITAG' as day of the week",
     "days of the week from 0 to 7, or SUN to SAT"),
    ("0 22-6 * * *", "the text '0 22-6 * * *' has the range '22-6', which ends before it begins",
     "the lower one first (did you mean '0 22-23,0-6 * * *'?)"),
    ("0 7 * * FRI-SUN", "the text '0 7 * * FRI-SUN' has the range 'FRI-SUN', which ends before it begins",
     "the lower one first (did you mean '0 7 * * FRI-SAT,SUN'?)"),
    ("0 7 * * 6-1", "the text '0 7 * * 6-1' has the range '6-1', which ends before it begins",
     "the lower one first (did you mean '0 7 * * 6,0-1'?)"),
    ("*/90 * * * *", "the text '*/90 * * * *' has the step 90 as minute: it begins anew after 59, so that only 0 is left",
     "a step from 1 to 59 (did you mean '0 * * * *'?)"),
    ("0 */24 * * *", "the text '0 */24 * * *' has the step 24 as hour: it begins anew after 23, so that only 0 is left",
     "a step from 1 to 23 (did you mean '0 0 * * *'?)"),
    ("0 8-10/5 * * *", "the text '0 8-10/5 * * *' has the step 5 as hour: it begins anew after 10, so that only 8 is left",
     "a step from 1 to 2 (did you mean '0 8 * * *'?)"),
    ("*/0 * * * *", "the text '*/0 * * * *' has the step 0 as minute", "a step from 1 to 59"),
    ("0 7 31 2 *", "the text '0 7 31 2 *' is never due: its months have no such day",
     "a day that there is, L for the last (did you mean '0 7 L 2 *'?)"),
    ("0 0 */20 * 1L", "the text '0 0 */20 * 1L' is not due within 50 years", "a day that there is"),
    ("0 0 18 * * *", "the text '0 0 18 * * *' has 6 fields; there are no seconds and no years",
     f"{FIVE} (did you mean '0 18 * * *'?)"),
    ("0 0 18 ? * MON-FRI", "the text '0 0 18 ? * MON-FRI' has 6 fields; there are no seconds and no years",
     f"{FIVE} (did you mean '0 18 * * MON-FRI'?)"),
    ("0 0 18 ? * MON-FRI *", "the text '0 0 18 ? * MON-FRI *' has 7 fields; there are no seconds and no years",
     f"{FIVE} (did you mean '0 18 * * MON-FRI'?)"),
    ("0 18 * *", "the text '0 18 * *' has 4 fields", FIVE),
    ("0 18 ? * *", "the text '0 18 ? * *' has '?' as day of the month", "'*' for any (did you mean '0 18 * * *'?)"),
    ("0 7 15W * *", "the text '0 7 15W * *' has '15W' as day of the month", "days of the month from 1 to 31"),
    ("0 7 * * 1L/2", "the text '0 7 * * 1L/2' has '1L' as day of the week", "days of the week from 0 to 7, or SUN to SAT"),
    ("0 7 1, * *", "the text '0 7 1, * *' has '' as day of the month", "days of the month from 1 to 31"),
    ("@every 5m", "the text '@every 5m' is a pace, and a schedule has times of the clock",
     "'*/5 * * * *', or resync: 5m in place of schedule"),
    ("@every 2h", "the text '@every 2h' is a pace, and a schedule has times of the clock",
     "'0 */2 * * *', or resync: 2h in place of schedule"),
    ("@every 90m", "the text '@every 90m' is a pace, and a schedule has times of the clock", "resync: 90m in place of schedule"),
    ("@daily", "the text '@daily' is a short word for a cron expression", "'0 0 * * *'"),
    ("@dayly", "the text '@dayly' is no cron expression", f"five fields: {FIVE[6:]} (did you mean '0 0 * * *'?)"),
    ("CRON_TZ=Europe/Berlin 0 18 * * *", "a time zone stands in the cron expression",
     "timeZone: Europe/Berlin beside cron: '0 18 * * *'"),
])  # fmt: skip
def test_what_is_wrong_with_an_expression(text: str, message: str, expected: str) -> None:
    """What it is, where it is, and what to write in its place."""
    assert cron.fault(text) == (message, expected, "")


@pytest.mark.parametrize("text", [
    "0 7 * * 7", "0 7 * * 0,7", "0 7 * * sun", "0 7 * jan MON-FRI", "0 7 * * 5-7", "0 7 L * *", "0 7 LW * *", "0 7 * * 5L",
    "0 7 * * FRI#2", "*/40 * * * *", "5/15 * * * *", "0 8-18/2 * * *", "0 0 29 2 *", "0 0 31 2 MON",
])  # fmt: skip
def test_an_expression_that_is_due(text: str) -> None:
    """7 is Sunday as 0 is; names stand for numbers, in either case; a day of the week beside a day is another way to be due."""
    assert cron.fault(text) is None


@settings(max_examples=500)
@given(st.lists(st.text("0123456789*/-,#LW?MONSUFRIJA", max_size=6), min_size=5, max_size=5).map(" ".join))
def test_what_has_no_fault_is_due(text: str) -> None:
    """As the parser itself says. What it takes and is a fault here has a step of which nothing is left."""
    wrong = cron.fault(text)
    try:
        next(CronSim(text, datetime(2000, 1, 1, tzinfo=UTC)))
        due = len(text.split()) == 5
    except (CronSimError, AssertionError, TypeError, StopIteration):
        due = False
    assert due if wrong is None else not due or "begins anew" in wrong.message


FIELDS = st.from_regex(r"(\*|[0-9]{1,2}(-[0-9]{1,2})?)(/[0-9]{1,2})?", fullmatch=True)


@settings(max_examples=500)
@given(st.lists(FIELDS, min_size=5, max_size=5).map(" ".join))
def test_what_is_suggested_is_no_fault(text: str) -> None:
    """It can be copied as it is."""
    wrong = cron.fault(text)
    if wrong is not None and "did you mean" in wrong.expected:
        assert cron.fault(wrong.expected.rpartition("did you mean '")[2].removesuffix("'?)")) is None


@pytest.mark.parametrize(("name", "expected"), [
    ("UTC+1", f"{timezones.ANY}, or 'Etc/GMT-1': always 1 h ahead of UTC, without summer time"),
    ("GMT-05:00", f"{timezones.ANY}, or 'Etc/GMT+5': always 5 h behind UTC, without summer time"),
    ("+02:00", f"{timezones.ANY}, or 'Etc/GMT-2': always 2 h ahead of UTC, without summer time"),
    ("UTC+5:30", timezones.ANY),
    ("UTC+0", "'UTC'"),
    ("Z", "'UTC' (did you mean that?)"),
    ("utc", "'UTC' (did you mean that?)"),
    ("Berlin", "'Europe/Berlin' (did you mean that?)"),
    ("New York", "'America/New_York' (did you mean that?)"),
    ("Europe/Berlim", "'Europe/Berlin' (did you mean that?)"),
    ("europe/berlin", "'Europe/Berlin' (did you mean that?)"),
    ("CEST", "'Europe/Berlin' (did you mean that?)"),
    ("PST", "'America/Los_Angeles' (did you mean that?)"),
    ("XYZ", timezones.ANY),
    ("Berlin Mean Time", timezones.ANY),
    ("localtime", timezones.ANY),
])  # fmt: skip
def test_which_time_zone_is_meant(name: str, expected: str) -> None:
    """By an offset, an abbreviation, a city, or a name that is written otherwise."""
    assert name not in timezones.zones()
    assert timezones.expected(name) == expected
