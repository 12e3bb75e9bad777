"""Whether an operator process works: what only a restart would mend, and what it does not know of the cluster yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.kube.clock import Clock
from engine.operator.caches import PackCaches
from engine.operator.informer import Informer
from engine.operator.leader import Leader
from engine.operator.pack_sources import PackSources
from engine.operator.selection import State
from engine.operator.series import Labels
from engine.operator.workers import Workers

SILENT_SECONDS = 300.0
"""How long the API server may be silent before the replica is not ready; a restart would mend nothing, so it stays alive."""


class Health:
    """Reads from the informers, the Lease and the workers of a process what its probes answer."""

    def __init__(self, packs: PackSources, caches: PackCaches, leader: Leader, workers: Workers, clock: Clock) -> None:
        self._packs, self._caches, self._leader, self._workers, self._clock = packs, caches, leader, workers, clock

    def informers(self) -> Iterator[Informer]:
        """Yield all informers of the process."""
        yield from self._packs.informers
        yield from self._packs.discoveries.informers
        yield from self._caches.informers.values()

    def unhealthy(self) -> Sequence[str]:
        """Return what only a restart would mend; nothing while all is well."""
        ended = [f"informer {informer.key}" for informer in self.informers() if informer.ended] + self._workers.ended()
        stuck = [f"{informer.key}: its watch is stuck" for informer in self.informers() if informer.stuck()]
        return [*(f"{name} has ended" for name in ended), *stuck]

    def unready(self) -> Sequence[str]:
        """Return what is missing before the engine knows the cluster, and whether it hears nothing from it any more.

        A kind that cannot be listed (not served, no right, an aggregated API that is down) makes its packs wait.
        """
        listing = [informer for informer in self._caches.informers.values() if not informer.waits]
        missing = [informer for informer in self._packs.informers if not informer.answered.is_set()]
        missing += [informer for informer in listing if not informer.synced.is_set()]
        failing = [informer for informer in self.informers() if informer.state is State.FAILING]
        heard = max((informer.last_event for informer in self.informers()), default=0.0)  # 0: never, so it has yet to list
        if failing and heard and (silent := self._clock.monotonic() - heard) > SILENT_SECONDS:
            return [f"nothing has come from the API server for {silent:.0f} s: {failing[0].error}"]
        problems = [f"{informer.key}: not listed yet" + (f": {informer.error}" if informer.error else "") for informer in missing]
        problems += [self._leader.obstacle] if self._leader.obstacle else []
        return problems if self._packs.in_force.is_set() else ["rule packs are not in force yet", *problems]

    def last_events(self) -> Mapping[Labels, float]:
        """Return by kind when the API server last gave a sign of life, in seconds since the epoch; 0: never."""
        last: dict[Labels, float] = {}
        for informer in self.informers():
            kind = (str(informer.key.kind),)
            last[kind] = max(informer.last_event, last.get(kind, 0.0))
        started = self._clock.time() - self._clock.monotonic()
        return {kind: started + at if at else 0.0 for kind, at in last.items()}
