"""The one type that every part of the pipeline returns: what came of it, and when to try again.

Times (`retry_at`) are in seconds of the monotonic clock, so that nobody who sets the machine's time starves or fires a
timer. Nothing in the pipeline raises to say one of these, and there is no second encoding of "not now".
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Done(NamedTuple):
    """Carried out, or nothing to do; `result` is what the part gives to the next one."""

    result: Any = None


#: Done, with nothing to give to the next part.
DONE = Done()


class Skipped(NamedTuple):
    """The rule does not fire: why, and when time alone may change that.

    `unknown` is true where a condition has no answer: that is neither true nor false.
    """

    reason: str
    retry_at: float | None = None
    unknown: bool = False


class Waiting(NamedTuple):
    """What it acts on is not ready, and nothing is wrong: try again at that time.

    `counts` is false where the wait does not count against `retry.timeout`, since it is not for the target.
    """

    reason: str
    retry_at: float
    counts: bool = True


class Unavailable(NamedTuple):
    """The API server, a right or the network stands in the way: try again at that time.

    `counts` is true where the attempt counts against `retry.limit`.
    """

    reason: str
    retry_at: float
    counts: bool = False


class Failed(NamedTuple):
    """Final by its nature: a repeat would end in the same way."""

    reason: str


class Refused(NamedTuple):
    """Not permitted: by `targets`, by consent, or by what an action asserts."""

    reason: str


Outcome = Done | Skipped | Waiting | Unavailable | Failed | Refused
