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

from engine.errors import ApiError
from engine.kube.api import Api
from engine.kube.clock import Clock, cancel, within
from engine.model.objects import Kind, Object, Resource, dig

log = logging.getLogger(__name__)

LEASE = Resource(Kind("coordination.k8s.io/v1", "Lease"), "leases", True)
NOT_FOUND = 404
LEASE_DURATION = 15.0
"""Seconds after which a Lease that was not renewed may be taken over."""


Condition = Callable[[], Awaitable[bool]]
"""Raises ApiError where it cannot be said."""


async def _always() -> bool:
    return True


class Leader:
    """A contender for a Lease. All durations are seconds of its own monotonic clock, so that nobody who sets the machine's
    time makes two of them lead; no other contender's clock is compared with.

    It takes the Lease only while `is_open` says so, and leads once it has it and `admit` says so too; otherwise it gives it back.
    Whether another holder is still alive is judged by how long its record has not changed, as seen from here.
    """

    def __init__(
        self, api: Api, clock: Clock, namespace: str, name: str, identity: str, *,
        lease_duration: float = LEASE_DURATION, renew_deadline: float = 10.0, retry_period: float = 2.0,
        on_started: Callable[[], None] = lambda: None, on_stopped: Callable[[], None] = lambda: None,
        is_open: Condition = _always, admit: Condition = _always,
    ) -> None:  # fmt: skip
        self._api, self._clock, self._namespace, self._name, self.identity = api, clock, namespace, name, identity
        self._lease_duration, self._renew_deadline, self._retry_period = lease_duration, renew_deadline, retry_period
        self._on_started, self._on_stopped, self._is_open, self._admit = on_started, on_stopped, is_open, admit
        self._observed: Object = {}
        self._observed_at = 0.0
        self._leading = False
        self._renewed_at = float("-inf")
        self._problem = ""

    def is_leader(self) -> bool:
        """Whether this contender may act at this very moment.

        False as soon as the renew deadline has passed since the last success, even if the loop that renews is held up, or
        the whole process was.
        """
        return self._leading and self._holds()

    @property
    def holder(self) -> str:
        """The identity that was last seen to hold the Lease, '' where nobody does."""
        return str(dig(self._observed, ("spec", "holderIdentity"), ""))

    async def run(self, stop: asyncio.Event) -> None:
        """Contend until `stop` is set, then release the Lease. Stop what depends on leading before setting `stop`."""
        stopping, contending = asyncio.create_task(stop.wait()), asyncio.create_task(self._contend_for_ever())
        try:
            await asyncio.wait({stopping, contending}, return_when=asyncio.FIRST_COMPLETED)
            if contending.done():
                contending.result()
        finally:
            await cancel(stopping, contending)
            await self._release()

    async def _contend_for_ever(self) -> None:
        while True:
            await self._contend()

    async def _contend(self) -> None:
        """Acquire the Lease, then renew it until that has not succeeded for the renew deadline."""
        while True:
            await within(self._clock, self._renew_deadline, self._attempt())
            if self._holds():
                if await self._admitted() and self._holds():
                    break
                await self._release()
            await self._clock.sleep(self._retry_period * random.uniform(1.0, 2.2))  # client-go's JitterFactor is 1.2
        self._leading = True
        log.info("leading as %s (Lease %s/%s)", self.identity, self._namespace, self._name)
        self._on_started()
        try:
            while self._holds():
                await self._clock.sleep(self._retry_period)
                left = self._renewed_at + self._renew_deadline - self._clock.monotonic()
                await within(self._clock, left, self._attempt())
            log.warning("no longer leading: Lease %s/%s was not renewed: %s", self._namespace, self._name, self._problem)
        finally:
            self._leading = False
            self._on_stopped()

    async def _admitted(self) -> bool:
        admitted = False

        async def ask() -> None:
            nonlocal admitted
            try:
                admitted = await self._admit()
            except ApiError as error:
                self._report(str(error))

        await within(self._clock, self._retry_period, ask())
        return admitted

    def _holds(self) -> bool:
        return self._clock.monotonic() - self._renewed_at < self._renew_deadline and self.holder == self.identity

    async def _attempt(self) -> None:
        """Try once to create, take over or renew the Lease."""
        try:
            await self._acquire_or_renew()
        except ApiError as error:
            self._report(str(error))

    async def _acquire_or_renew(self) -> None:
        now = self._clock.monotonic()
        try:
            lease = await self._api.get(LEASE, self._namespace, self._name)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            if not await self._is_open():
                return
            body = {"metadata": {"namespace": self._namespace, "name": self._name}, "spec": self._spec(0)}
            self._observe(await self._api.create(LEASE, self._namespace, self._typed(body)), now)
            return
        if dig(lease, ("spec",), {}) != dig(self._observed, ("spec",)):
            self._observe(lease, now, renewed=False)
        mine = self.holder == self.identity
        is_open = mine or await self._is_open()
        if self.holder and not mine and now < self._observed_at + self._lease_duration:
            self._report(f"held by {self.holder}")
            return
        if not is_open:
            return
        spec = self._spec(int(dig(lease, ("spec", "leaseTransitions"), 0)) + (not mine))
        if mine:
            spec["acquireTime"] = dig(lease, ("spec", "acquireTime"), spec["acquireTime"])
        # the resourceVersion that was read makes this fail with a 409 where another contender was faster
        self._observe(await self._api.replace(LEASE, self._namespace, self._typed({**lease, "spec": spec})), now)

    async def _release(self) -> None:
        """Leave the Lease to whoever wants it, without waiting for it to expire."""
        if self.holder != self.identity:
            return
        try:
            if await within(self._clock, self._renew_deadline, self._give_up()):
                log.info("released Lease %s/%s", self._namespace, self._name)
        except ApiError as error:
            log.warning("Lease %s/%s was not released and will expire: %s", self._namespace, self._name, error)
        self._observed = {}

    async def _give_up(self) -> None:
        lease = await self._api.get(LEASE, self._namespace, self._name)  # a renewal may have been cut off half-way
        if dig(lease, ("spec", "holderIdentity")) == self.identity:
            spec = {**dig(lease, ("spec",)), "holderIdentity": "", "leaseDurationSeconds": 1}
            await self._api.replace(LEASE, self._namespace, self._typed({**lease, "spec": spec}))

    def _observe(self, lease: Object, now: float, *, renewed: bool = True) -> None:
        self._observed, self._observed_at, self._problem = lease, now, ""
        if renewed:
            self._renewed_at = now  # when it was asked for: others count from later

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            log.info("Lease %s/%s: %s", self._namespace, self._name, problem)
        self._problem = problem

    def _spec(self, transitions: int) -> dict[str, Any]:
        stamp = datetime.fromtimestamp(self._clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # metav1.MicroTime
        return {
            "holderIdentity": self.identity, "leaseDurationSeconds": round(self._lease_duration),
            "acquireTime": stamp, "renewTime": stamp, "leaseTransitions": transitions,
        }  # fmt: skip

    @staticmethod
    def _typed(lease: dict[str, Any]) -> Object:
        return {"apiVersion": LEASE.kind.api_version, "kind": LEASE.kind.kind, **lease}
