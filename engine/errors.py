"""Where a fault is, and the few exception classes of the engine.

Every message names what was wrong, where, what was expected and what to do: users read it before they read any docs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Location:
    """Where something is in what a user wrote: `file:line:column`, line and column counted from 1.

    In an object of the cluster, which has no lines, `path` leads to a value such as `spec.rules[0].when`, and line and column
    are those inside of that value. `inherited` says which rule has what stands there from which other one, '' where none has.
    """

    file: str
    line: int
    column: int
    path: str = ""
    inherited: str = field(default="", compare=False)

    def __lt__(self, other: Location) -> bool:
        """Return whether this one comes first: by its path, items of a list by their number, then by line and column."""
        return self._order < other._order

    @property
    def _order(self) -> tuple[Any, ...]:
        path = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.findall(r"[0-9]+|[^0-9]+", self.path)]
        return self.file, path, self.line, self.column

    def __str__(self) -> str:
        return f"{self.file}: {self.inner}" if self.path else f"{self.file}:{self.line}:{self.column}"

    @property
    def inner(self) -> str:
        """Where it is inside of the object: the path, with line and column of a value where that says more."""
        return self.path if (self.line, self.column) == (1, 1) else f"{self.path}:{self.line}:{self.column}"


class Awaited(NamedTuple):
    """A library that is not there, or that is `refused`: what calls it has no fault of its own as soon as it is."""

    library: str
    refused: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a text a user wrote: what, where, and what was expected instead.

    `code` names the kind of fault; `rulepack lint --explain CODE` says more about it. `awaits` is set where the call of a
    function is all that is wrong, and its library the reason.
    """

    location: Location
    message: str
    expected: str = ""
    code: str = "declaration"
    awaits: Awaited | None = None

    def __str__(self) -> str:
        return f"{self.location}: {self.text}"

    @property
    def text(self) -> str:
        """What is wrong and what was expected, without the location."""
        return self.message + (f"; expected {self.expected}" if self.expected else "")


class RulepackError(Exception):
    """Base of every error that the engine raises on purpose; its text is fit to be shown to a user as it is."""


class UsageError(RulepackError):
    """The command line or the environment asks for something that cannot be done (exit status 2)."""


class InvalidText(RulepackError):
    """A text was refused; `faults` holds every fault in it at once, in the order of the text."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: fault.location))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class ExpressionError(RulepackError):
    """A CEL expression or a `${…}` template does not compile.

    `line` and `column` count from 1 inside the expression's (or the template's) own text. For `awaits` see `Fault`. `unknown`
    is the name of a variable that is not there.
    """

    def __init__(
        self, message: str, line: int = 1, column: int = 1, expected: str = "", awaits: Awaited | None = None, unknown: str = ""
    ) -> None:  # fmt: skip
        self.message, self.line, self.column, self.expected, self.awaits = message, line, column, expected, awaits
        self.unknown = unknown
        super().__init__(f"{line}:{column}: {message}" + (f"; expected {expected}" if expected else ""))


class EvaluationError(RulepackError):
    """An evaluation has no answer: a missing field, a type that does not fit, a limit that was reached.

    In a condition this is the third truth value, Unknown: it neither fires nor counts as "no longer true".
    """


class ApiError(RulepackError):
    """The API server answered with an error, or did not answer.

    `status` is the HTTP status (0: no answer at all), `reason` the machine-readable reason of metav1.Status
    (such as NotFound, AlreadyExists, Conflict, Expired), `retry_after` the seconds the server asked to wait, if any,
    `details` those of metav1.Status: `name` is that of the object that the answer is about, `causes` what was wrong.
    """

    def __init__(
        self, status: int, reason: str, message: str, retry_after: float | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        self.status, self.reason, self.message, self.retry_after = status, reason, message, retry_after
        self.details: Mapping[str, Any] = details or {}
        super().__init__(f"{status} {reason}: {message}" if status else f"{reason}: {message}")

    @property
    def not_found(self) -> bool:
        """Whether the object, or the namespace it would be in, is not there; the kind itself is served.

        A server that does not serve the kind answers 404 too, and names no object then (tried on v1.34 and v1.37).
        """
        return self.status == 404 and bool(self.details.get("name"))

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later without anybody changing anything else."""
        return self.status in (0, 401, 408, 409, 429) or self.status >= 500

    @property
    def refused(self) -> bool:
        """Whether the answer says that nothing was done, which no answer, a time-out and an error of the server do not."""
        return 400 <= self.status < 500 and self.status != 408
