"""Leader election on a Lease: of several replicas one acts, and whoever cannot renew stops before another may start.

The protocol is that of client-go (tools/leaderelection/leaderelection.go), so replicas of either kind respect each other.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from engine.errors import ApiError, UsageError
from engine.kube.clock import Clock, cancel, within
from engine.kube.leases import LEASE_DURATION, Leases
from engine.model.objects import Object, dig
from engine.operator.shards import Layout

log = logging.getLogger(__name__)

RENEW_DEADLINE = 10.0
"""Seconds after which a leader that could not renew its Lease stops acting: well before others may take it."""
ATTEMPT = RENEW_DEADLINE / 2
"""Seconds for one attempt, as controller-runtime has it: the next one is by another connection, where one is dead."""
RETRY_PERIOD = 2.0
"""Seconds between two attempts; those who do not lead wait up to 2.2 times as long (client-go's JitterFactor is 1.2)."""


class Leader:
    """A contender for a Lease. It counts in seconds of its own monotonic clock, so that nobody who sets the machine's time
    makes two of them lead; no other contender's clock is compared with.

    Where there is a layout of shards, it takes the Lease only while that is open, and leads once it has the Lease and the
    layout admits it; otherwise it gives the Lease back. Whether another holder is still alive shows in how long its record has
    not changed, as seen from here.
    """

    def __init__(
        self, leases: Leases, clock: Clock, name: str, identity: str, layout: Layout | None = None,
        on_started: Callable[[], None] = lambda: None, on_stopped: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.identity = identity
        self._leases, self._clock, self._name, self._layout = leases, clock, name, layout
        self._lease = f"Lease {leases.namespace}/{name}"
        self._on_started, self._on_stopped = on_started, on_stopped
        self._observed: Object = {}
        self._observed_at = 0.0
        self._leading = False
        self._renewed_at = float("-inf")
        self._problem = ""
        self._obstacle = ""

    def is_leader(self) -> bool:
        """Return whether this contender may act at this very moment.

        False as soon as the renew deadline has passed since the last success, even if the loop that renews is held up, or
        the whole process was.
        """
        return self._leading and self._holds()

    @property
    def holder(self) -> str:
        """The identity that was last seen to hold the Lease, '' where nobody does."""
        return str(dig(self._observed, ("spec", "holderIdentity"), ""))

    @property
    def obstacle(self) -> str:
        """Why nobody can lead until somebody changes something, such as a namespace or a right that is missing; else ''."""
        return f"{self._lease}: {self._obstacle}" if self._obstacle else ""

    async def run(self, stop: asyncio.Event) -> None:
        """Contend until `stop` is set, then release the Lease. Stop what depends on leading before setting `stop`.

        Raise UsageError where the Lease is that of an operator in the cluster, which a process outside of it never takes.
        """
        stopping, contending = asyncio.create_task(stop.wait()), asyncio.create_task(self._contend())
        try:
            await asyncio.wait({stopping, contending}, return_when=asyncio.FIRST_COMPLETED)
            if contending.done():
                contending.result()
        finally:
            await cancel(stopping, contending)
            await self._release()

    async def _contend(self) -> None:
        while True:
            await self._acquire()
            await self._lead()

    async def _acquire(self) -> None:
        """Return once the Lease is this contender's and it may act."""
        while True:
            await self._attempt(ATTEMPT, self._acquire_or_renew())
            if self._holds():
                if self._layout is None or (await self._attempt(RETRY_PERIOD, self._layout.admit()) and self._holds()):
                    return
                await self._release()
            await self._clock.sleep(RETRY_PERIOD * random.uniform(1.0, 2.2))

    async def _lead(self) -> None:
        """Renew the Lease until that has not succeeded for the renew deadline."""
        self._leading = True
        log.info("leading as %s (%s)", self.identity, self._lease)
        self._on_started()
        try:
            while self._holds():
                await self._clock.sleep(RETRY_PERIOD)
                left = self._renewed_at + RENEW_DEADLINE - self._clock.monotonic()
                await self._attempt(min(left, ATTEMPT), self._acquire_or_renew())
            log.warning("no longer leading: %s was not renewed: %s", self._lease, self._problem)
        finally:
            self._leading = False
            self._on_stopped()

    def _holds(self) -> bool:
        return self._clock.monotonic() - self._renewed_at < RENEW_DEADLINE and self.holder == self.identity

    async def _attempt(self, seconds: float, work: Awaitable[bool]) -> bool:
        """Return what `work` does, False where it fails or takes longer than that."""
        answer, problem = asyncio.ensure_future(work), ""
        try:
            if await within(self._clock, seconds, answer):
                return answer.result()
            self._report("the API server does not answer")
            return False
        except ApiError as error:
            problem = "" if error.retryable else f"{error}{self._advice(error)}"
            self._report(problem or str(error), logging.WARNING if problem else logging.INFO)
            return False
        finally:
            self._obstacle = problem

    def _advice(self, error: ApiError) -> str:
        namespace = self._leases.namespace
        missing = error.status == 404 and error.details.get("name") == namespace
        return f"; create it: `kubectl create namespace {namespace}`" if missing else ""

    async def _acquire_or_renew(self) -> bool:
        """Create, take over or renew the Lease; return whether it is this contender's now. Raises ApiError."""
        now = self._clock.monotonic()
        lease = await self._leases.get(self._name)
        if lease is not None and dig(lease, ("spec",), {}) != dig(self._observed, ("spec",)):
            self._observe(lease, now, renewed=False)
        own = lease is not None and self.holder == self.identity
        if lease is not None and not own:
            self._respect(self._name, lease)
        is_open = own or self._layout is None or await self._layout.is_open()
        if lease is not None and self.holder and not own and now < self._observed_at + LEASE_DURATION:
            self._report(f"held by {self.holder}")
            return False
        if not is_open:
            return False
        spec = self._spec(int(dig(lease, ("spec", "leaseTransitions"), 0)) + (not own) if lease is not None else 0)
        if own:
            spec["acquireTime"] = dig(lease, ("spec", "acquireTime"), spec["acquireTime"])
        self._observe(await self._leases.put(self._name, lease, spec), now)
        return True

    async def respect(self, *others: str) -> None:
        """Raise UsageError where its Lease, or one of these names, is that of an operator in the cluster and this process is not.

        Raise ApiError where that cannot be read.
        """
        for name in (self._name, *others):
            lease = await self._leases.get(name)
            if lease is not None:
                self._respect(name, lease)

    def _respect(self, name: str, lease: Object) -> None:
        if not self._leases.foreign(lease):
            return
        namespace = self._leases.namespace
        raise UsageError(
            f"Lease {namespace}/{name} is that of an operator installed in the cluster, and this process, outside of a pod, "
            f"would take over from it. Expected a namespace of its own: `kubectl create namespace NAME`, then "
            f"--operator-namespace NAME; or --dry-run, which writes nothing. If that operator is no more: "
            f"`kubectl delete lease -n {namespace} {name}`"
        )

    async def _release(self) -> None:
        """Leave the Lease to whoever wants it, without waiting for it to expire."""
        if self.holder != self.identity:
            return
        try:
            if await within(self._clock, RENEW_DEADLINE, self._give_up()):
                log.info("released %s", self._lease)
        except ApiError as error:
            log.warning("%s was not released and will expire: %s", self._lease, error)
        self._observed = {}

    async def _give_up(self) -> None:
        lease = await self._leases.get(self._name)  # a renewal may have been cut off half-way
        if lease is not None and dig(lease, ("spec", "holderIdentity")) == self.identity:
            await self._leases.put(self._name, lease, {**dig(lease, ("spec",)), "holderIdentity": "", "leaseDurationSeconds": 1})

    def _observe(self, lease: Object, now: float, *, renewed: bool = True) -> None:
        self._observed, self._observed_at = lease, now
        if renewed:
            self._renewed_at, self._problem = now, ""  # when it was asked for: others count from later

    def _report(self, problem: str, level: int = logging.INFO) -> None:
        if problem != self._problem:
            log.log(level, "%s: %s", self._lease, problem)
        self._problem = problem

    def _spec(self, transitions: int) -> dict[str, Any]:
        stamp = datetime.fromtimestamp(self._clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # metav1.MicroTime
        return {
            "holderIdentity": self.identity, "leaseDurationSeconds": round(LEASE_DURATION),
            "acquireTime": stamp, "renewTime": stamp, "leaseTransitions": transitions,
        }  # fmt: skip
