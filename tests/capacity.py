"""How many pods of a service are Ready, over time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from engine.model.objects import Object, dig, metadata
from tests.controlplane.plane import ControlPlane
from tests.simulators.background import Background, Client


class Sample(NamedTuple):
    """From when on there were so many."""

    seconds: float
    """Since the recording began."""
    ready: int


class Capacity(Background):
    """Records how many pods of a namespace that match a label selector are Ready and not about to end, while a `with` lasts.

    Those are the pods that a Service sends requests to (kubernetes: EndpointSlice, condition ready).
    """

    def __init__(self, plane: ControlPlane, namespace: str, selector: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(plane)
        self._namespace, self._selector, self._clock = namespace, selector, clock
        self._began, self._ended = 0.0, 0.0
        self.samples: list[Sample] = []
        """One for each change, the first of what was there when the recording began."""

    def __exit__(self, *_: object) -> None:
        self._ended = self._clock()
        super().__exit__()

    async def play(self, client: Client) -> None:
        """Follow the pods."""
        self._began = self._clock()
        async for pods in client.watch(f"/api/v1/namespaces/{self._namespace}/pods", self._selector):
            self.record(sum(map(serves, pods.values())))
            self.ready()

    def record(self, ready: int) -> None:
        """Note that there are so many now."""
        if not self.samples or self.samples[-1].ready != ready:
            self.samples.append(Sample(self._clock() - self._began, ready))

    @property
    def served(self) -> int:
        """How many there were when the recording began."""
        return self.samples[0].ready

    @property
    def lowest(self) -> int:
        """The fewest there ever were."""
        return min(sample.ready for sample in self.samples)

    def below(self, wanted: int | None = None) -> float:
        """For how many seconds of the recording there were fewer than this; than when it began, where None."""
        wanted = self.served if wanted is None else wanted
        ends = [*(sample.seconds for sample in self.samples[1:]), (self._ended or self._clock()) - self._began]
        return sum(end - sample.seconds for sample, end in zip(self.samples, ends, strict=True) if sample.ready < wanted)

    def __str__(self) -> str:
        course = ", ".join(f"{sample.ready} at {sample.seconds:.1f} s" for sample in self.samples)
        return f"Ready pods: {course}; fewer than {self.served} for {self.below():.1f} s"


def serves(pod: Object) -> bool:
    """Whether a Service would send requests to a pod."""
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in dig(pod, ("status", "conditions"), []))
    return ready and "deletionTimestamp" not in metadata(pod)
