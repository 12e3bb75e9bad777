"""An informer's cache stays equal to the cluster, and each difference is reported once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.kube.api import Api, Selection, WatchEvent
from engine.kube.clock import cancel
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.kube.faults import Effect, InjectedFault
from engine.model.objects import Kind, Object, Resource, dig
from engine.operator.informer import Informer, InformerKey, State
from engine.reconcile.prune import pruner

WIDGET = Resource(Kind("example.com/v1", "Widget"), "widgets", True)


@dataclass
class Lab:
    """An informer of widgets on an embedded cluster, and what it has reported."""

    served: bool = True
    clock: FakeClock = field(default_factory=FakeClock)
    seen: list[tuple[str, Any, Any, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cluster = EmbeddedCluster(self.clock)
        if self.served:
            self.cluster.register(WIDGET)
        self.informer = self.build(self.cluster)

    def build(self, api: Api, labels: str = "") -> Informer:
        """An informer of all widgets."""
        return Informer(api, InformerKey(WIDGET.kind, labels=labels), self.clock, pruner(None), self.changed)

    def changed(self, namespace: str, name: str, old: Object | None, new: Object | None, initial: bool) -> None:
        """Note what the informer reports: name, old size, new size, initial."""
        self.seen.append((name, _size(old), _size(new), initial))

    def taken(self) -> list[tuple[str, Any, Any, bool]]:
        """What was reported since the last call."""
        seen, self.seen = self.seen, []
        return seen

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Informer]:
        """Run the informer; it must not have ended by itself."""
        task = asyncio.create_task(self.informer.run())
        await self.clock.settle()
        try:
            yield self.informer
            assert not task.done()
        finally:
            await cancel(task)

    async def create(self, name: str, size: int = 1, labels: Mapping[str, str] | None = None) -> Object:
        """Create a widget."""
        body = {
            "apiVersion": WIDGET.kind.api_version, "kind": WIDGET.kind.kind,
            "metadata": {"name": name, "labels": dict(labels or {})}, "spec": {"size": size},
        }  # fmt: skip
        return await self.cluster.create(WIDGET, "default", body)

    async def resize(self, name: str, size: int) -> None:
        """Change a widget."""
        await self.cluster.patch(WIDGET, "default", name, {"spec": {"size": size}})

    async def delete(self, name: str) -> None:
        """Delete a widget."""
        await self.cluster.delete(WIDGET, "default", name)

    def state(self) -> State:
        """What the informer is doing now."""
        return self.informer.state

    def cached(self) -> dict[str, Any]:
        """The sizes by name in the cache."""
        return {name: _size(entry.object) for (_, name), entry in self.informer.cache.items()}


def _size(obj: Object | None) -> Any:
    return None if obj is None else dig(obj, ("spec", "size"))


async def test_lists_then_follows() -> None:
    """What was there is reported as initial, then each creation, change and deletion once."""
    lab = Lab()
    await lab.create("a")
    async with lab.running() as informer:
        assert informer.synced.is_set()
        assert lab.taken() == [("a", None, 1, True)]
        await lab.create("b")
        await lab.resize("a", 2)
        await lab.delete("b")
        await lab.clock.settle()
        assert lab.taken() == [("b", None, 1, False), ("a", 1, 2, False), ("b", 1, None, False)]
        assert lab.cached() == {"a": 2}
        assert not informer.cache["default", "a"].initial


async def test_lists_in_pages() -> None:
    """More objects than one page holds are all there, and one in the cache is initial until it changes."""
    lab = Lab()
    for number in range(1203):
        await lab.create(f"w{number}")
    async with lab.running() as informer:
        assert len(informer.cache) == 1203
        assert len([call for call in lab.cluster.calls if call.verb == "list"]) == 3
        assert informer.cache["default", "w7"].initial


async def test_an_expired_page_token_starts_the_list_again() -> None:
    """A 410 between two pages neither loses objects nor reports any as deleted."""
    lab = Lab()
    for number in range(600):
        await lab.create(f"w{number}")
    lab.cluster.faults.add(InjectedFault(410, verb="list", after=1))
    async with lab.running() as informer:
        assert len(informer.cache) == 600
        assert len(lab.taken()) == 600


async def test_the_same_resource_version_is_no_change() -> None:
    """A list after a lost history reports only what differs: new, changed, gone, and gone and made again."""
    lab = Lab()
    for name in ("same", "changed", "gone", "remade"):
        await lab.create(name)
    async with lab.running():
        lab.taken()
        lab.cluster.faults.add(InjectedFault(Effect.CUT_BEFORE, verb="watch", times=3))
        lab.cluster.cut_watches()
        await lab.clock.settle()
        await lab.resize("changed", 2)
        await lab.delete("gone")
        await lab.delete("remade")
        await lab.create("remade", 9)
        await lab.create("new")
        lab.cluster.compact()
        await lab.clock.advance(30)
        assert sorted(lab.taken(), key=lambda entry: entry[0]) == [
            ("changed", 1, 2, False),
            ("gone", 1, None, False),
            ("new", None, 1, False),
            ("remade", 1, None, False),
            ("remade", None, 9, False),
        ]
        assert lab.cached() == {"same": 1, "changed": 2, "remade": 9, "new": 1}


@pytest.mark.parametrize("effect", [401, 403, 429, 500, 503, Effect.CUT_BEFORE, Effect.CUT_AFTER])
async def test_no_answer_of_the_server_loses_a_change(effect: Effect | int, caplog: pytest.LogCaptureFixture) -> None:
    """While the server refuses or is away nothing ends, it is said once, and afterwards the cache is right."""
    caplog.set_level(logging.INFO, "engine.operator.informer")
    lab = Lab()
    await lab.create("a")
    async with lab.running():
        caplog.clear()
        for verb in ("watch", "list"):
            lab.cluster.faults.add(InjectedFault(effect, verb=verb, times=None))
        lab.cluster.cut_watches()
        await lab.clock.advance(120)
        assert lab.state() is State.FAILING
        await lab.resize("a", 2)
        await lab.create("b")
        await lab.clock.advance(120)
        lab.cluster.faults.clear()
        await lab.clock.advance(60)
        assert lab.state() is State.WATCHING
        assert lab.cached() == {"a": 2, "b": 1}
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) <= 3  # cut, refused, watching again
        assert "watching" in lines[-1]


async def test_nothing_can_be_listed_at_first() -> None:
    """A server that refuses at the start is asked again; what was there then still counts as initial."""
    lab = Lab()
    await lab.create("a")
    lab.cluster.faults.add(InjectedFault(403, verb="list", times=3))
    async with lab.running() as informer:
        assert lab.state() is State.FAILING
        assert "403" in informer.error
        assert not informer.synced.is_set()
        await lab.clock.advance(10)
        assert informer.synced.is_set()
        assert lab.taken() == [("a", None, 1, True)]


async def test_retry_after_is_honoured() -> None:
    """A server that asks for patience is not asked before."""
    lab = Lab()
    lab.cluster.faults.add(InjectedFault(429, verb="list", retry_after=25.0))
    async with lab.running():
        await lab.clock.advance(24)
        assert lab.state() is State.FAILING
        await lab.clock.advance(2)
        assert lab.state() is State.WATCHING


async def test_a_kind_that_appears_later() -> None:
    """Without its kind an informer waits, visibly; within 10 s of the kind's appearance it watches."""
    lab = Lab(served=False)
    async with lab.running():
        await lab.clock.advance(300)
        assert lab.state() is State.WAITING
        lab.cluster.register(WIDGET)
        await lab.create("a")
        await lab.clock.advance(10)
        assert lab.state() is State.WATCHING
        assert lab.taken() == [("a", None, 1, False)]


async def test_a_kind_that_disappears() -> None:
    """When the kind is gone so are its objects, and when it is back they are new."""
    lab = Lab()
    await lab.create("a")
    async with lab.running():
        lab.taken()
        for verb in ("discover", "list", "watch"):
            lab.cluster.faults.add(InjectedFault(404, verb=verb, times=None))
        lab.cluster.cut_watches()
        await lab.clock.advance(10)
        assert lab.state() is State.WAITING
        assert lab.taken() == [("a", 1, None, False)]
        assert lab.cached() == {}
        lab.cluster.faults.clear()
        await lab.clock.advance(10)
        assert lab.taken() == [("a", None, 1, False)]


class Silent(EmbeddedCluster):
    """A cluster whose first watch is a connection that nobody answers on."""

    deaf = True

    async def watch(self, selection: Selection, resource_version: str, *, timeout: float = 300.0) -> AsyncIterator[WatchEvent]:
        """Nothing for ever, the first time."""
        if self.deaf:
            self.deaf = False
            await asyncio.Event().wait()
        async for event in super().watch(selection, resource_version, timeout=timeout):
            yield event


async def test_a_silent_watch_is_given_up() -> None:
    """A watch without an event or a bookmark for too long is replaced, from where it was, with no list."""
    lab = Lab()
    lab.cluster = Silent(lab.clock)
    lab.cluster.register(WIDGET)
    lab.informer = lab.build(lab.cluster)
    async with lab.running():
        await lab.create("a")
        await lab.clock.advance(70)
        assert lab.cached() == {}
        await lab.clock.advance(20)
        assert lab.cached() == {"a": 1}
        assert lab.state() is State.WATCHING
        assert len([call for call in lab.cluster.calls if call.verb == "list"]) == 1


async def test_watches_end_and_go_on() -> None:
    """Hours of watching need one list, however often the server closes the watch."""
    lab = Lab()
    async with lab.running() as informer:
        await lab.clock.advance(7200)
        await lab.create("a")
        await lab.clock.settle()
        assert lab.cached() == {"a": 1}
        assert len([call for call in lab.cluster.calls if call.verb == "list"]) == 1
        assert lab.clock.time() - informer.last_event <= 60
        assert not informer.stuck()


async def test_label_selector() -> None:
    """What no longer matches the selector is reported as gone."""
    lab = Lab()
    lab.informer = lab.build(lab.cluster, labels="team=a")
    await lab.create("a", labels={"team": "a"})
    await lab.create("b", labels={"team": "b"})
    async with lab.running():
        assert lab.taken() == [("a", None, 1, True)]
        await lab.cluster.patch(WIDGET, "default", "a", {"metadata": {"labels": {"team": "b"}}})
        await lab.clock.settle()
        assert lab.taken() == [("a", 1, None, False)]


async def test_refresh_reports_what_is_kept_anew() -> None:
    """Other parts of the objects are kept from the refresh on; each object is reported once, initial as before."""
    lab = Lab()
    await lab.create("a")
    await lab.create("b")
    async with lab.running() as informer:
        await lab.resize("b", 2)
        await lab.clock.settle()
        lab.taken()
        informer.refresh(pruner([]))
        await lab.clock.settle()
        assert sorted(lab.taken()) == [("a", 1, None, True), ("b", 2, None, False)]
        await lab.create("c")
        await lab.clock.settle()
        assert [name for name, *_ in lab.taken()] == ["c"]


def test_prune_keeps_metadata_and_what_is_read() -> None:
    """managedFields always go; of the rest only the given paths stay, lists whole."""
    obj = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "annotations": {"k": "v"}, "managedFields": [{}]},
        "spec": {"size": 1, "other": 2, "list": [{"x": 1}]}, "status": {"phase": "Running", "deep": {"a": 1, "b": 2}}, "data": {},
    }  # fmt: skip
    kept = pruner([("spec", "size"), ("spec", "list", "x"), ("status", "deep", "a"), ("status", "deep")])(obj)
    assert kept == {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "annotations": {"k": "v"}},
        "spec": {"size": 1, "list": [{"x": 1}]}, "status": {"deep": {"a": 1, "b": 2}},
    }  # fmt: skip
    assert pruner(None)(obj) == {**obj, "metadata": {"name": "a", "annotations": {"k": "v"}}}
    assert "managedFields" in obj["metadata"]


def test_prune_keeps_of_elements_what_is_read_and_those_alike_once() -> None:
    """Alike are those with the same scalars of the same types; null is not the same as nothing, and 1 is neither 1.0 nor true."""
    values: list[Any] = [1, 1.0, True, "1", None]
    lists: list[list[Any]] = [
        [*({"x": value, "text": str(number)} for number, value in enumerate(values)), {"text": "none"}, {}],
        [{"x": [1]}, {"x": {"y": 2}, "z": 3}, "text", ["list"], None, {"x": 1}],
        [],
    ]
    expected = [
        [*({"x": value} for value in values), {}, {}],
        [{"x": [1]}, {"x": {"y": 2}}, "text", ["list"], None, {"x": 1}],
        [],
    ]
    keep = pruner([("spec", "list", "[]", "x")])

    kept = [keep({"spec": {"list": elements}})["spec"]["list"] for elements in lists * 2]

    assert repr(kept) == repr(expected * 2)
    first, again = kept[0], kept[3]
    assert [id(each) for each in first] == [id(each) for each in again]
    assert len({id(each) for each in first}) == len(values) + 1


def test_prune_goes_into_elements() -> None:
    """What is kept of an element may lie deep in it, in lists of its own, and a mapping is kept by its keys."""
    keep = pruner([("spec", "[]", "a", "b"), ("spec", "[]", "c", "[]", "d"), ("spec", "k")])
    element = {"a": {"b": 1, "x": 2}, "c": [{"d": 3, "x": 4}, {"x": 5}], "x": 6}
    assert keep({"spec": [element, 7]}) == {"spec": [{"a": {"b": 1}, "c": [{"d": 3}, {}]}, 7]}
    assert keep({"spec": {"k": 1, "x": 2}}) == {"spec": {"k": 1}}
