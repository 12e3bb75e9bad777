"""Faults that tests inject into the embedded cluster, and its log of calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from engine.errors import ApiError
from engine.model.objects import Ref

READS = frozenset({"discover", "get", "list", "watch"})


class Effect(StrEnum):
    """What happens to a call instead of an answer: before the cluster sees it, or after it has taken effect."""

    CUT_BEFORE = "CutBefore"
    """The connection is cut and the call has no effect (ApiError, status 0)."""
    CUT_AFTER = "CutAfter"
    """The call takes effect and its answer is lost (ApiError, status 0)."""
    CRASH_BEFORE = "CrashBefore"
    """The engine dies before the call (Crash)."""
    CRASH_AFTER = "CrashAfter"
    """The call takes effect, and the engine dies before it learns so (Crash)."""


AFTER = frozenset({Effect.CUT_AFTER, Effect.CRASH_AFTER})


class Crash(BaseException):
    """Stands for the death of the process: nothing in the engine may catch it."""


#: How the API server words its refusals: reason and message by HTTP status (kubernetes: apimachinery/pkg/api/errors).
_REFUSALS = {
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "{name} is forbidden: User cannot {verb} resource"),
    404: ("NotFound", "{name} not found"),
    409: ("Conflict", "Operation cannot be fulfilled on {name}: the object has been modified; please apply your changes to "
                      "the latest version and try again"),
    410: ("Expired", "too old resource version"),
    408: ("Timeout", "Timeout: request did not complete within the requested time"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    500: ("InternalError", "Internal error occurred: injected"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within the allotted duration"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the embedded cluster.

    `verb` is the API server's (discover, get, list, watch, create, update, patch, delete); an eviction is a create of the
    pod's subresource `eviction`. `status` is the HTTP status the cluster answered with, 0 where the call never reached it;
    `time` is the wall clock's. `annotations` are those that a patch sets or removes, where it does nothing else.
    """

    verb: str
    ref: Ref
    subresource: str
    dry_run: bool
    status: int
    time: float
    annotations: tuple[str, ...] = ()

    @property
    def wrote(self) -> bool:
        """Whether it asked for a change and was not refused."""
        reads = self.verb in READS or self.ref.kind.kind in ("SubjectAccessReview", "TokenReview")
        return not reads and not self.dry_run and 200 <= self.status < 300

    def __str__(self) -> str:
        return f"{self.verb} {self.ref}" + (f"/{self.subresource}" if self.subresource else "") + f" {self.status}"


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """An `Effect`, an HTTP status or a whole answer for the calls that match; None matches anything.

    The first `after` matching calls pass, then `times` calls meet the fault (None: all of them). `kind` is the bare kind,
    such as Pod. `retry_after` is in seconds.
    """

    effect: Effect | int | ApiError
    verb: str | None = None
    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    subresource: str | None = None
    times: int | None = 1
    after: int = 0
    retry_after: float | None = None

    def matches(self, verb: str, ref: Ref, subresource: str) -> bool:
        """Return whether a call is one that this fault is for."""
        wanted = (self.verb, self.kind, self.namespace, self.name, self.subresource)
        given = (verb, ref.kind.kind, ref.namespace, ref.name, subresource)
        return all(want is None or want == got for want, got in zip(wanted, given, strict=True))

    def failure(self, verb: str, ref: Ref) -> ApiError | Crash:
        """Return what a call that meets this fault raises, worded as the API server does."""
        if isinstance(self.effect, ApiError):
            return self.effect
        if isinstance(self.effect, int):
            reason, message = _REFUSALS.get(self.effect, ("Unknown", f"the server answered {self.effect}"))
            details = {"name": ref.name} if self.effect == 404 else None
            return ApiError(self.effect, reason, message.format(name=ref, verb=verb), self.retry_after, details)
        if self.effect in (Effect.CRASH_BEFORE, Effect.CRASH_AFTER):
            return Crash(f"{self.effect}: {verb} {ref}")
        return ApiError(0, "ConnectionLost", f"the connection was cut during {verb} of {ref}")


class Faults:
    """The injected faults of one cluster, and the log of the calls that met them or not."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._faults: list[InjectedFault] = []
        self._matched: dict[int, int] = {}
        self.calls: list[Call] = []

    def add(self, fault: InjectedFault) -> None:
        """Inject a fault; of several that match a call, the one added first has its effect."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Take all faults away."""
        self._faults.clear()
        self._matched.clear()

    @contextmanager
    def call(
        self, verb: str, ref: Ref, subresource: str = "", dry_run: bool = False, annotations: tuple[str, ...] = ()
    ) -> Iterator[None]:  # fmt: skip
        """Log one call, and let it meet its fault. Raises ApiError or Crash."""
        fault = self._next(verb, ref, subresource)
        status = 0
        try:
            if fault is not None and fault.effect not in AFTER:
                failure = fault.failure(verb, ref)
                status = failure.status if isinstance(failure, ApiError) else 0
                raise failure
            try:
                yield
            except ApiError as error:
                status = error.status
                if fault is not None:  # the answer that is lost says that it was refused
                    raise fault.failure(verb, ref) from error
                raise
            status = 200
            if fault is not None:
                raise fault.failure(verb, ref)
        finally:
            self.calls.append(Call(verb, ref, subresource, dry_run, status, self._time(), annotations))

    def _next(self, verb: str, ref: Ref, subresource: str) -> InjectedFault | None:
        for number, fault in enumerate(self._faults):
            if fault.matches(verb, ref, subresource):
                count = self._matched[number] = self._matched.get(number, 0) + 1
                if count > fault.after and (fault.times is None or count <= fault.after + fault.times):
                    return fault
        return None
