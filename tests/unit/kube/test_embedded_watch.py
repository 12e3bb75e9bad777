"""The one promise of a watch, under any order of events: what it sends adds up to the list."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from engine.errors import ApiError
from engine.kube.api import Selection, WatchEvent
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.model.objects import Object
from tests.contract.support import CONFIG_MAP, configmap

T = TypeVar("T")

NAMES = st.sampled_from("abc")
LABELS = st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"))
SELECTIONS = [
    Selection(CONFIG_MAP, "default"),
    Selection(CONFIG_MAP, labels="x=1"),
    Selection(CONFIG_MAP, labels="x in (1,2),!y"),
    Selection(CONFIG_MAP, "default", fields="metadata.name!=a"),
]
FOLLOWERS = st.integers(0, len(SELECTIONS) - 1)


class Follower:
    """Keeps what a selection holds by list and watch, as an informer does, and checks the order of the events."""

    def __init__(self, cluster: EmbeddedCluster, selection: Selection) -> None:
        self.cluster, self.selection = cluster, selection
        self.objects: dict[str, Object] = {}
        self.version = ""
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow, from where it was before if it was stopped."""
        self.task = self.task or asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Stop following."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
            self.task = None

    async def _follow(self) -> None:
        while True:
            if not self.version:
                page = await self.cluster.list(self.selection)
                self.objects = {item["metadata"]["name"]: item for item in page.items}
                self.version = page.resource_version
            try:
                async for event in self.cluster.watch(self.selection, self.version):
                    self._take(event)
            except ApiError as error:
                assert error.status in (0, 410)
                if error.status == 410:
                    self.version = ""

    def _take(self, event: WatchEvent) -> None:
        name, version = event.object["metadata"]["name"], event.object["metadata"]["resourceVersion"]
        assert int(version) > int(self.version)
        assert (name in self.objects) == (event.type != "ADDED")
        self.version = version
        if event.type == "DELETED":
            del self.objects[name]
        else:
            self.objects[name] = event.object


class Watching(RuleBasedStateMachine):
    """Changes, compactions and cuts in any order, with a follower of each selection that comes and goes."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.cluster = EmbeddedCluster(self.clock)
        self.followers = [Follower(self.cluster, selection) for selection in SELECTIONS]

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run to its end."""
        return self.runner.run(coroutine)

    def attempt(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run what the cluster may refuse."""
        try:
            self.run(coroutine)
        except ApiError as error:
            assert error.status in (404, 409, 422)

    @rule(name=NAMES, labels=LABELS, held=st.booleans())
    def create(self, name: str, labels: dict[str, str], held: bool) -> None:
        """Create an object, perhaps one with a finalizer."""
        finalizers = ["example.dev/hold"] if held else []
        self.attempt(self.cluster.create(CONFIG_MAP, "default", configmap(name, labels=labels, finalizers=finalizers)))

    @rule(name=NAMES, labels=LABELS)
    def relabel(self, name: str, labels: dict[str, str]) -> None:
        """Change labels, perhaps to what they are."""
        changed = {key: labels.get(key) for key in "xy"}
        self.attempt(self.cluster.patch(CONFIG_MAP, "default", name, {"metadata": {"labels": changed}}))

    @rule(name=NAMES)
    def release(self, name: str) -> None:
        """Take the finalizer away."""
        self.attempt(self.cluster.patch(CONFIG_MAP, "default", name, {"metadata": {"finalizers": None}}))

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        """Delete an object."""
        self.attempt(self.cluster.delete(CONFIG_MAP, "default", name))

    @rule()
    def compact(self) -> None:
        """Forget history."""
        self.cluster.compact()

    @rule()
    def cut(self) -> None:
        """Break connections."""
        self.cluster.cut_watches()

    @rule(which=FOLLOWERS)
    def start(self, which: int) -> None:
        """Let a follower follow."""
        self.run(self.followers[which].start())

    @rule(which=FOLLOWERS)
    def stop(self, which: int) -> None:
        """Let a follower miss what comes."""
        self.run(self.followers[which].stop())

    @rule()
    def settled(self) -> None:
        """Once all events have come, each follower holds what a list holds."""
        self.run(self.clock.settle())
        for follower in self.followers:
            if follower.task is not None:
                if follower.task.done():
                    follower.task.result()
                listed = self.run(self.cluster.list(follower.selection)).items
                assert follower.objects == {item["metadata"]["name"]: item for item in listed}

    def teardown(self) -> None:
        """Let every follower catch up, compare, and stop."""
        for follower in self.followers:
            self.run(follower.start())
        self.settled()
        for follower in self.followers:
            self.run(follower.stop())
        self.runner.close()


TestWatching = Watching.TestCase
TestWatching.settings = settings(max_examples=40, stateful_step_count=40)
