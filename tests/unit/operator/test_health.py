"""What the probes say of an operator that is held up: not ready before it knows the cluster, not alive when no event comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from engine.kube.api import Selection, WatchEvent
from engine.kube.embedded import EmbeddedCluster
from engine.kube.faults import InjectedFault
from engine.model.objects import Object
from tests.unit.operator.test_operator import NAMESPACE, WIDGET, Fixture, ask


class Deaf(EmbeddedCluster):
    """A cluster whose watches of widgets bring nothing, and do not even end when they are given up, until they are `freed`."""

    freed: asyncio.Event

    async def watch(
        self, selection: Selection, resource_version: str, *, timeout: float = 60.0
    ) -> AsyncGenerator[WatchEvent, None]:
        """See `Api.watch`."""
        while selection.resource == WIDGET and not self.freed.is_set():
            try:
                await self.freed.wait()
            except asyncio.CancelledError:
                continue
        async for event in super().watch(selection, resource_version, timeout=timeout):
            yield event


class Hanging(EmbeddedCluster):
    """A cluster that answers no request but watches once it `hangs`."""

    hangs = False

    async def get(self, *args: Any, **options: Any) -> Object:
        """See `Api.get`."""
        await self._hang()
        return await super().get(*args, **options)

    async def patch(self, *args: Any, **options: Any) -> Object:
        """See `Api.patch`."""
        await self._hang()
        return await super().patch(*args, **options)

    async def replace(self, *args: Any, **options: Any) -> Object:
        """See `Api.replace`."""
        await self._hang()
        return await super().replace(*args, **options)

    async def _hang(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()


async def test_a_watch_that_is_silent_and_cannot_be_replaced_fails_the_liveness_probe(tmp_path: Path) -> None:
    """Where giving it up does not help, only a restart does: after 150 s of silence, and not before. Its standby is well."""
    fixture = Fixture(tmp_path)
    deaf = Deaf(fixture.clock)
    deaf.freed = asyncio.Event()
    deaf.register(WIDGET)
    fixture.cluster = deaf
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.widget("a")
        await fixture.clock.advance(120)
        assert (await ask(operator, "/healthz"))[0] == 200
        assert await fixture.mark("a") is None

        await fixture.clock.advance(60)
        assert await ask(operator, "/healthz") == (503, "Widget.example.com/v1 in all namespaces: its watch is stuck\n")
        deaf.freed.set()
        await fixture.clock.advance(5)
        assert (await ask(operator, "/healthz"))[0] == 200
        assert await fixture.mark("a") == "big"


async def test_an_api_server_that_is_away_is_no_reason_to_be_restarted(tmp_path: Path) -> None:
    """Hours without any answer leave the process alive: a restart would mend nothing. What changed meanwhile is done after it."""
    fixture = Fixture(tmp_path)
    operator = fixture.operator()
    async with fixture.running(operator):
        for verb in ("discover", "get", "list", "watch", "create", "update", "patch"):
            fixture.cluster.faults.add(InjectedFault(503, verb=verb, times=None))
        fixture.cluster.cut_watches()
        await fixture.clock.advance(240)
        assert (await ask(operator, "/readyz"))[0] == 200
        await fixture.clock.advance(6960)
        assert (await ask(operator, "/healthz"))[0] == 200
        status, said = await ask(operator, "/readyz")
        assert status == 503
        assert said.startswith("nothing has come from the API server for 7")
        fixture.cluster.faults.clear()
        await fixture.widget("a")
        await fixture.clock.advance(60)
        assert await fixture.mark("a") == "big"
        assert (await ask(operator, "/readyz"))[0] == 200


@pytest.mark.parametrize("status", [403, 404, 503])
async def test_a_kind_that_cannot_be_listed_makes_its_pack_wait_and_nothing_else(status: int, tmp_path: Path) -> None:
    """A missing right or an aggregated API that is down does not make the pod NotReady; /packs says what the pack waits for."""
    fixture = Fixture(tmp_path)
    fixture.cluster.faults.add(InjectedFault(status, verb="list", kind="Widget", times=None))
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.clock.advance(30)
        assert (await ask(operator, "/readyz"))[0] == (await ask(operator, "/healthz"))[0] == 200
        (pack,) = json.loads((await ask(operator, "/packs"))[1])["packs"]
        assert pack["waitingFor"] == "Widget.example.com/v1"
        assert status == 404 or pack["watchErrors"][0].startswith(str(status))
        fixture.cluster.faults.clear()
        await fixture.widget("a")
        await fixture.clock.advance(31)
        assert await fixture.mark("a") == "big"


async def test_it_ends_within_the_time_a_pod_has_although_nobody_answers(tmp_path: Path) -> None:
    """When it is to stop while every request hangs, it waits neither for its work nor for its Lease longer than 30 s in all."""
    fixture = Fixture(tmp_path)
    fixture.cluster = hanging = Hanging(fixture.clock)
    hanging.register(WIDGET)
    operator, stop = fixture.operator(), asyncio.Event()
    await hanging.create(NAMESPACE, "", {"metadata": {"name": "system"}})
    running = asyncio.create_task(operator.run(stop))
    await fixture.clock.advance(2)
    await fixture.widget("a")
    hanging.hangs = True
    await fixture.clock.advance(1)
    stop.set()
    await fixture.clock.advance(28)

    assert running.done()
    running.result()
    hanging.hangs = False
    assert await fixture.mark("a") is None
