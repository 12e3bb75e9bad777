"""A burst of changes on an API server that takes its time: what of the lag is the engine's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from engine.kube.embedded import EmbeddedCluster
from engine.model.objects import Resource
from tests.unit.operator.test_operator import WIDGET, Fixture

ANSWER = 0.05
"""Seconds that each write takes, those of other clients and webhooks in its way included."""
RATE, CHANGES = 100, 200


class Slow(EmbeddedCluster):
    """A cluster whose answers to patches come late; `done` has the time of each, by the object's name."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.done: dict[str, float] = {}

    async def patch_metadata(self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `Api.patch_metadata`."""
        await self._clock.sleep(ANSWER)
        self.done[name] = self._clock.monotonic()
        return await super().patch_metadata(resource, namespace, name, body)


async def test_a_burst_waits_for_the_api_server_alone(tmp_path: Path) -> None:
    """At 100 changes a second, with answers after 50 ms, half of them are done within two answers' time: no queue builds up."""
    fixture = Fixture(tmp_path)
    fixture.cluster = cluster = Slow(fixture.clock)
    cluster.register(WIDGET)
    made: dict[str, float] = {}
    async with fixture.running(fixture.operator()):
        await fixture.clock.advance(5)
        for number in range(CHANGES):
            made[f"w{number}"] = fixture.clock.monotonic()
            await fixture.widget(f"w{number}")
            await fixture.clock.advance(1 / RATE)
        await fixture.clock.advance(30)

    lags = [cluster.done[name] - at for name, at in made.items()]
    assert median(lags) <= 2 * ANSWER
    assert max(lags) <= 4 * ANSWER
