"""Several operators that share one cluster: each watched object and each group belongs to exactly one of them.

An operator of `--shards N` acts while it holds the Lease of its own shard, and while N is how the cluster is shared at
present. What N that is stands in one more Lease, the layout. It is changed only while no shard of the N before is alive, and
every write of it is refused where somebody else was faster, so that two ways to share a cluster never act at the same time:

- whoever has taken the Lease of its shard and finds its own N in the layout writes the layout once more before it acts;
- whoever finds another N reads the Leases of all shards of that one, and waits as long as one of them is held.

An operator without `--shards` has a Lease of its own and never writes the layout. It takes its Lease first and reads those of
the shards then; a shard takes its Lease and writes the layout first, and reads that of the other one then. So at least one of
two that come at the same time sees the other. Whoever waits holds no Lease, and so stands in nobody's way.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from dataclasses import dataclass

from engine.errors import ApiError, UsageError
from engine.kube.clock import Clock
from engine.kube.leases import LEASE_DURATION, Leases
from engine.model.objects import GroupKey, Object, ObjectKey, dig

log = logging.getLogger(__name__)

CONFLICTS = frozenset([404, 409])
_ORDINAL = re.compile(r".*-(\d+)")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` shards, by its number from 0 on; the only one where a cluster is not shared."""

    number: int = 0
    count: int = 1

    def owns(self, key: ObjectKey | GroupKey) -> bool:
        """Return whether an object or a group is this shard's: objects go by their namespace, groups by their own key.

        A group that stands for all of a rule's is every shard's.
        """
        if self.count == 1 or (isinstance(key, GroupKey) and not key.group):
            return True
        text = f"{key.pack}/{key.rule}/{key.group}" if isinstance(key, GroupKey) else key.namespace or key.name
        return bucket(text, self.count) == self.number

    def __str__(self) -> str:
        return f"shard {self.number} of {self.count}"


def bucket(text: str, count: int) -> int:
    """Return the bucket of a text among `count`; one bucket more moves only the texts that the new one gets.

    Jump consistent hash (Lamping and Veach, 2014, arXiv:1406.2294), of the first 64 bits of the text's SHA-256.
    """
    key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    found, jump = -1, 0
    while jump < count:
        found = jump
        key = (key * 2862933555777941757 + 1) % 2**64
        jump = int((found + 1) * (2**31 / ((key >> 33) + 1)))
    return found


def own_shard(count: int | None, number: int | None, hostname: str) -> Shard | None:
    """Return the shard of `--shards` and `--shard`, or of the ordinal that a StatefulSet pod's host name ends with.

    None without `--shards`. Raises UsageError.
    """
    if count is None:
        if number is not None:
            raise UsageError("--shard without --shards: expected how many shards there are as well")
        return None
    if number is None:
        found = _ORDINAL.fullmatch(hostname)
        if found is None:
            raise UsageError(
                f"--shards {count}: host name {hostname!r} ends with no ordinal, such as rulepack-0; give --shard too"
            )
        number = int(found[1])
    if not 0 <= number < count:
        raise UsageError(f"shard {number} of --shards {count}: expected a number from 0 to {count - 1}")
    return Shard(number, count)


def layout_name(lease_name: str) -> str:
    """Return the name of the Lease that says among how many shards a cluster is shared."""
    return f"{lease_name}-shards"


class Layout:
    """The Lease that says among how many shards a cluster is shared, and who has to be waited for.

    `shard` is None for an operator that shares the cluster with nobody. `waits_for` says who holds it up, '' where nobody does.
    """

    def __init__(self, leases: Leases, clock: Clock, lease_name: str, shard: Shard | None) -> None:
        self._leases, self._clock, self._lease, self._shard = leases, clock, lease_name, shard
        self._name = layout_name(lease_name)
        self._seen: dict[str, tuple[Object, float]] = {}
        self.waits_for = ""

    async def is_open(self) -> bool:
        """Return whether nobody is alive who shares the cluster in another way, so that a Lease may be taken. Raises ApiError."""
        return await self._is_free(_count(await self._leases.get(self._name)))

    async def admit(self) -> bool:
        """Return whether whoever has just taken its Lease may act from now on, until it loses it. Raises ApiError."""
        while True:
            layout = await self._leases.get(self._name)
            if not await self._is_free(_count(layout)):
                return False
            if self._shard is None:
                return True
            transitions = int(dig(layout or {}, ("spec", "leaseTransitions"), 0)) + 1
            spec = {"holderIdentity": str(self._shard.count), "leaseTransitions": transitions}
            try:
                await self._leases.put(self._name, layout, spec)
            except ApiError as error:
                if error.status not in CONFLICTS:
                    raise  # otherwise somebody was faster: read it again
            else:
                return await self._is_free(self._shard.count)

    async def _is_free(self, count: int | None) -> bool:
        """Return whether nobody else holds a Lease of another way to share the cluster, where it is shared among `count`."""
        own = self._shard.count if self._shard else None
        others = [] if self._shard is None else [(self._lease, "")]
        if count is not None and count != own:
            others += [(f"{self._lease}-{number}", suffix(count)) for number in range(count)]
        holding = await asyncio.gather(*(self._holding(name, ending) for name, ending in others))
        waits_for = ", ".join(filter(None, holding))
        if waits_for and waits_for != self.waits_for:
            log.info("%s waits for %s", self._shard or "the whole cluster", waits_for)
        self.waits_for = waits_for
        return not waits_for

    async def _holding(self, name: str, ending: str) -> str:
        """Return who holds a Lease, and so may be acting, '' where nobody does, or nobody whose identity ends so."""
        lease = await self._leases.get(name)
        holder = str(dig(lease or {}, ("spec", "holderIdentity"), ""))
        if lease is None or not holder or not holder.endswith(ending):
            return ""
        spec, now = dig(lease, ("spec",), {}), self._clock.monotonic()
        if self._seen.get(name, ({}, 0.0))[0] != spec:
            self._seen[name] = spec, now
        return f"{holder} (Lease {self._leases.namespace}/{name})" if now < self._seen[name][1] + LEASE_DURATION else ""


def suffix(count: int) -> str:
    """Return what the identity of every shard of `count` ends with, so that others know among how many it shares the cluster."""
    return f"_of-{count}"


def _count(layout: Object | None) -> int | None:
    text = str(dig(layout or {}, ("spec", "holderIdentity"), ""))
    return int(text) if text.isdecimal() else None
