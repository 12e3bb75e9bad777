"""The one type that every part of the pipeline returns: what came of it, and when to try again.

Times (`retry_at`) are in seconds of the monotonic clock, so that nobody who sets the machine's time starves or fires a
timer. Nothing in the pipeline raises to say one of these, and there is no second encoding of "not now".
"""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from math import inf
from typing import Any, NamedTuple


class Obstacle(StrEnum):
    """What something waits for, in a word: the label `reason` of `rulepack_items_waiting`."""

    NO_ANSWER = "NoAnswer"
    """The API server, or the server that an HTTP request is for, does not answer."""
    UNAUTHORIZED = "Unauthorized"
    """It does not take the credentials."""
    MISSING_RIGHT = "MissingRight"
    QUOTA_EXCEEDED = "QuotaExceeded"
    ADMISSION_DENIED = "AdmissionDenied"
    """A webhook or a policy of the cluster says no."""
    WEBHOOK_UNAVAILABLE = "WebhookUnavailable"
    """A webhook that has to be asked does not answer."""
    TOO_MANY_REQUESTS = "TooManyRequests"
    TIMEOUT = "Timeout"
    SERVER_ERROR = "ServerError"
    KIND_NOT_SERVED = "KindNotServed"
    CONFLICT = "Conflict"
    """Somebody else changes the object all the time."""
    CONTESTED = "Contested"
    """Somebody else undoes what is written, again and again."""
    TARGET_MISSING = "TargetMissing"
    """The target is not there; it may be on its way."""
    TARGET_NOT_READY = "TargetNotReady"
    """A guard, or a replacement that is not Ready."""
    CONDITION = "Condition"
    """The action `wait`: for as long as its rule says."""
    DISRUPTION_BUDGET = "DisruptionBudget"
    """A PodDisruptionBudget."""
    REQUESTS_UNDER_WAY = "RequestsUnderWay"
    """As many HTTP requests as there may be are under way."""
    SECRET_MISSING = "SecretMissing"
    """A Secret that an HTTP request needs is not there, or lacks a key."""
    NOT_LISTED = "NotListed"
    """An HTTP request is for a server that no administrator has listed, or has an address that is not."""
    PACK_BUDGET = "PackBudget"
    """The pack's own budget of disruptive steps: it is not its turn yet."""
    SUSPENDED = "Suspended"
    """The pack has spent that budget, until somebody has it go on."""


class Why(Enum):
    """Why a rule does not fire, where more follows from that than another attempt at a later time."""

    FALSE = auto()
    """Its conditions are false."""
    FIRED = auto()
    """It has fired for the same key before."""
    NO_ITEMS = auto()
    """Its loop has nothing to do."""


class Done(NamedTuple):
    """Carried out, or nothing to do; `result` is what the part gives to the next one."""

    result: Any = None


#: Done, with nothing to give to the next part.
DONE = Done()


class Skipped(NamedTuple):
    """The rule does not fire: why, and when time alone may change that.

    `unknown` is true where a condition has no answer: that is neither true nor false. `key` is the firing key of what has fired.
    """

    reason: str
    retry_at: float | None = None
    unknown: bool = False
    why: Why | None = None
    key: str = ""


class Waiting(NamedTuple):
    """What it acts on is not ready, and nothing is wrong: try again, at that time at the earliest and not after `latest`."""

    reason: str
    retry_at: float
    obstacle: Obstacle = Obstacle.TARGET_NOT_READY
    latest: float = inf


class Unavailable(NamedTuple):
    """The API server, a right or the network stands in the way: try again, at that time at the earliest."""

    reason: str
    retry_at: float
    obstacle: Obstacle


class Failed(NamedTuple):
    """Final by its nature: a repeat would end in the same way."""

    reason: str


class Refused(NamedTuple):
    """Not permitted: by `targets`, by consent, or by what an action asserts; `lacking` where an account has not the rights."""

    reason: str
    lacking: bool = False


Outcome = Done | Skipped | Waiting | Unavailable | Failed | Refused
