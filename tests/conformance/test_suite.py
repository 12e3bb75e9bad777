"""The official conformance tests of CEL."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conformance.suite import Case, Verdict
from tests.conformance.table import PAGE, page, results

pytestmark = pytest.mark.cluster

#: Tests with durations beyond what 64 bits of nanoseconds hold, which Kubernetes has no answer to either.
LONG_DURATIONS = {
    "timestamps/duration_conversions/toString_duration_max",
    "timestamps/duration_conversions/toString_duration_min",
    "timestamps/timestamp_arithmetic/add_max_duration_to_min_time",
    "timestamps/timestamp_arithmetic/subtract_max_duration_from_max_time",
    "timestamps/timestamp_arithmetic/add_duration_to_duration_max",
    "timestamps/timestamp_arithmetic/subtract_duration_from_duration_min",
}


@pytest.fixture(scope="module")
def found() -> list[tuple[Case, Verdict]]:
    """What came of each test."""
    return results()


def test_every_test_that_applies_passes(found: list[tuple[Case, Verdict]]) -> None:
    """None is wrong, and none refused, but for those with durations of more than 292 years."""
    failed = {str(case): verdict for case, verdict in found if verdict.kind in ("wrong", "refused")}

    assert failed.keys() == LONG_DURATIONS, {name: why for name, why in failed.items() if name not in LONG_DURATIONS}
    assert all("longer than 292 years" in verdict.reason for verdict in failed.values())


def test_most_tests_apply(found: list[tuple[Case, Verdict]]) -> None:
    """What does not apply are protobuf's messages and names, deduced types, and what cel-go's optimizer writes."""
    counts = Counter(verdict.kind for _, verdict in found)

    assert counts["passed"] >= 1990
    assert len(found) >= 2700


def test_the_page_is_up_to_date(found: list[tuple[Case, Verdict]]) -> None:
    """`python -m tests.conformance.table` writes it anew."""
    assert PAGE.read_text() == page(found)
