"""What an answer means."""

from __future__ import annotations

import pytest

from engine.model.outcome import Done, Failed, Obstacle, Unavailable
from engine.model.send import Send
from engine.outbound.answers import Answer, outcome_of

NOW, TIME = 100.0, 1_769_292_000.0
"""The monotonic clock, and 2026-01-24T22:00:00Z."""


def send(*expected: int) -> Send:
    """A request that expects these."""
    return Send("GET", ("https://a.example/",), {}, (), False, 1.0, frozenset(expected))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_without_more_words_200_to_299_are_a_success(status: int) -> None:
    """As most people expect."""
    assert outcome_of(send(), Answer(status, "[1]"), NOW, TIME) == Done({"status": status, "text": "[1]", "json": [1]})


@pytest.mark.parametrize("status", [404, 409, 302, 503, 429])
def test_a_status_that_is_expected_is_a_success(status: int) -> None:
    """Also one that means something else elsewhere; then no other one is."""
    assert isinstance(outcome_of(send(status), Answer(status), NOW, TIME), Done)
    assert isinstance(outcome_of(send(status), Answer(200), NOW, TIME), Failed)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 409, 410, 413, 422, 451, 499])
def test_what_is_final_says_what_was_expected(status: int) -> None:
    """A repeat would be answered in the same way."""
    outcome = outcome_of(send(), Answer(status, "hunter2"), NOW, TIME)

    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith(f"GET https://a.example/ was answered with {status}")
    assert ("expected 200 to 299" in outcome.reason) == (status >= 400)
    assert "hunter2" not in outcome.reason


@pytest.mark.parametrize(("status", "obstacle"), [
    (408, Obstacle.TIMEOUT), (429, Obstacle.TOO_MANY_REQUESTS), (500, Obstacle.SERVER_ERROR), (502, Obstacle.SERVER_ERROR),
    (503, Obstacle.SERVER_ERROR), (504, Obstacle.SERVER_ERROR), (599, Obstacle.SERVER_ERROR),
])  # fmt: skip
@pytest.mark.parametrize(("retry_after", "pause"), [
    ("", 0), ("7", 7), ("Sat, 24 Jan 2026 22:00:30 GMT", 30), ("Sat, 24 Jan 2026 21:00:00 GMT", 0), ("99999999999999999999", 300),
    ("Sat, 24 Jan 9026 22:00:30 GMT", 300), ("soon", 0), ("-1", 0), ("1e9", 0), ("²", 0), ("Sat, 99 Jan 2026 22:00:30 GMT", 0),
])  # fmt: skip
def test_what_passes_is_tried_again_when_the_server_says(status: int, obstacle: Obstacle, retry_after: str, pause: float) -> None:
    """By a number of seconds or a date; no server asks for more than five minutes."""
    outcome = outcome_of(send(), Answer(status, "", retry_after), NOW, TIME)

    assert isinstance(outcome, Unavailable)
    assert (outcome.retry_at, outcome.obstacle) == (NOW + pause, obstacle)
