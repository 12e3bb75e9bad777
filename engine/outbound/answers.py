"""What the answer to a request means: done, to be tried again, or final."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from engine.cel.documents import parse_json
from engine.cel.values import Mismatch
from engine.model.outcome import Done, Failed, Obstacle, Outcome, Unavailable
from engine.model.send import Send

LARGEST = 16 * 1024
"""Bytes of an answer that are read."""
LONGEST = 300.0
"""Seconds that no server can ask to wait for."""


class Answer(NamedTuple):
    """What a server has answered: status, text, and the header Retry-After, '' where there is none."""

    status: int
    text: str = ""
    retry_after: str = ""


def outcome_of(send: Send, answer: Answer, now: float, time: float) -> Outcome:
    """Return what an answer means; `now` is the monotonic clock, `time` the seconds since the epoch.

    Nothing that the server says but its status is in a reason: it may repeat what it was sent.
    """
    status = answer.status
    if send.expects(status):
        return Done({"status": status, "text": answer.text, "json": _parsed(answer.text)})
    reason = f"{send} was answered with {status}{_phrase(status)}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Unavailable(reason, now + _pause(answer.retry_after, time), Obstacle.TOO_MANY_REQUESTS)
    if status == HTTPStatus.REQUEST_TIMEOUT:
        return Unavailable(reason, now + _pause(answer.retry_after, time), Obstacle.TIMEOUT)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(reason, now + _pause(answer.retry_after, time), Obstacle.SERVER_ERROR)
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Failed(f"{reason}; redirects are not followed, so the URL has to be that of the server itself")
    expected = ", ".join(map(str, sorted(send.expected))) or "200 to 299"
    return Failed(f"{reason}; expected {expected}")


def _phrase(status: int) -> str:
    return f" {HTTPStatus(status).phrase}" if status in HTTPStatus.__members__.values() else ""


def _pause(retry_after: str, time: float) -> float:
    """Return the seconds that a server asks to wait (RFC 9110, 10.2.3: a number, or a date), 0 where it says neither."""
    if retry_after.isascii() and retry_after.isdecimal():
        return min(float(retry_after[:9]), LONGEST)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    zoned = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(0.0, (zoned - datetime.fromtimestamp(time, UTC)).total_seconds()), LONGEST)


def _parsed(text: str) -> Any:
    """Return what a text of JSON says, None where it is none, or goes too deep."""
    try:
        return parse_json(text)
    except Mismatch:
        return None
