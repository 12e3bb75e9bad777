"""An informer's cache stays equal to the cluster, and each difference is reported once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
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
from engine.operator.informer import Informer
from engine.operator.selection import InformerKey, State
from engine.reconcile.prune import pruner

WIDGET = Resource(Kind("example.com/v1", "Widget"), "widgets", True)


@dataclass
class Fixture:
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
        return {name: _size(entry.object) for (_, name), entry in self.informer.store.objects.items()}


def _size(obj: Object | None) -> Any:
    return None if obj is None else dig(obj, ("spec", "size"))


async def test_lists_then_follows() -> None:
    """What was there is reported as initial, then each creation, change and deletion once."""
    fixture = Fixture()
    await fixture.create("a")
    async with fixture.running() as informer:
        assert informer.synced.is_set()
        assert fixture.taken() == [("a", None, 1, True)]
        await fixture.create("b")
        await fixture.resize("a", 2)
        await fixture.delete("b")
        await fixture.clock.settle()
        assert fixture.taken() == [("b", None, 1, False), ("a", 1, 2, False), ("b", 1, None, False)]
        assert fixture.cached() == {"a": 2}
        assert not informer.store.objects["default", "a"].initial


async def test_lists_in_pages() -> None:
    """More objects than one page holds are all there, and one in the cache is initial until it changes."""
    fixture = Fixture()
    for number in range(1203):
        await fixture.create(f"w{number}")
    async with fixture.running() as informer:
        assert len(informer.store.objects) == 1203
        assert len([call for call in fixture.cluster.calls if call.verb == "list"]) == 3
        assert informer.store.objects["default", "w7"].initial


async def test_an_expired_page_token_starts_the_list_again() -> None:
    """A 410 between two pages neither loses objects nor reports any as deleted."""
    fixture = Fixture()
    for number in range(600):
        await fixture.create(f"w{number}")
    fixture.cluster.faults.add(InjectedFault(410, verb="list", after=1))
    async with fixture.running() as informer:
        await fixture.clock.advance(2)
        assert len(informer.store.objects) == 600
        assert len(fixture.taken()) == 600


async def test_the_same_resource_version_is_no_change() -> None:
    """A list after a lost history reports only what differs: new, changed, gone, and gone and made again."""
    fixture = Fixture()
    for name in ("same", "changed", "gone", "remade"):
        await fixture.create(name)
    async with fixture.running():
        fixture.taken()
        fixture.cluster.faults.add(InjectedFault(Effect.CUT_BEFORE, verb="watch", times=3))
        fixture.cluster.cut_watches()
        await fixture.clock.settle()
        await fixture.resize("changed", 2)
        await fixture.delete("gone")
        await fixture.delete("remade")
        await fixture.create("remade", 9)
        await fixture.create("new")
        fixture.cluster.compact()
        await fixture.clock.advance(30)
        assert sorted(fixture.taken(), key=lambda entry: entry[0]) == [
            ("changed", 1, 2, False),
            ("gone", 1, None, False),
            ("new", None, 1, False),
            ("remade", 1, None, False),
            ("remade", None, 9, False),
        ]
        assert fixture.cached() == {"same": 1, "changed": 2, "remade": 9, "new": 1}


@pytest.mark.parametrize("effect", [401, 403, 429, 500, 503, Effect.CUT_BEFORE, Effect.CUT_AFTER])
async def test_no_answer_of_the_server_loses_a_change(effect: Effect | int, caplog: pytest.LogCaptureFixture) -> None:
    """While the server refuses or is away nothing ends, it is said once, and afterwards the cache is right."""
    caplog.set_level(logging.INFO, "engine.operator.informer")
    fixture = Fixture()
    await fixture.create("a")
    async with fixture.running():
        caplog.clear()
        for verb in ("watch", "list"):
            fixture.cluster.faults.add(InjectedFault(effect, verb=verb, times=None))
        fixture.cluster.cut_watches()
        await fixture.clock.advance(120)
        assert fixture.state() is State.FAILING
        await fixture.resize("a", 2)
        await fixture.create("b")
        await fixture.clock.advance(120)
        fixture.cluster.faults.clear()
        await fixture.clock.advance(60)
        assert fixture.state() is State.WATCHING
        assert fixture.cached() == {"a": 2, "b": 1}
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) <= 3  # cut, refused, watching again
        assert "watching" in lines[-1]


async def test_nothing_can_be_listed_at_first() -> None:
    """A server that refuses at the start is asked again; what was there then still counts as initial."""
    fixture = Fixture()
    await fixture.create("a")
    fixture.cluster.faults.add(InjectedFault(403, verb="list", times=3))
    async with fixture.running() as informer:
        assert fixture.state() is State.FAILING
        assert "403" in informer.error
        assert not informer.synced.is_set()
        await fixture.clock.advance(10)
        assert informer.synced.is_set()
        assert fixture.taken() == [("a", None, 1, True)]


async def test_retry_after_is_honoured() -> None:
    """A server that asks for patience is not asked before."""
    fixture = Fixture()
    fixture.cluster.faults.add(InjectedFault(429, verb="list", retry_after=25.0))
    async with fixture.running():
        await fixture.clock.advance(24)
        assert fixture.state() is State.FAILING
        await fixture.clock.advance(2)
        assert fixture.state() is State.WATCHING


async def test_a_kind_that_appears_later() -> None:
    """Without its kind an informer waits, visibly; within 10 s of the kind's appearance it watches."""
    fixture = Fixture(served=False)
    async with fixture.running():
        await fixture.clock.advance(300)
        assert fixture.state() is State.WAITING
        fixture.cluster.register(WIDGET)
        await fixture.create("a")
        await fixture.clock.advance(10)
        assert fixture.state() is State.WATCHING
        assert fixture.taken() == [("a", None, 1, False)]


async def test_a_kind_that_disappears() -> None:
    """When the kind has been gone for a minute so are its objects, and when it is back they are new."""
    fixture = Fixture()
    await fixture.create("a")
    async with fixture.running():
        fixture.taken()
        not_served(fixture)
        await fixture.clock.advance(75)
        assert fixture.state() is State.WAITING
        assert fixture.taken() == [("a", 1, None, False)]
        assert fixture.cached() == {}
        fixture.cluster.faults.clear()
        await fixture.clock.advance(10)
        assert fixture.taken() == [("a", None, 1, False)]


async def test_a_flicker_of_a_kind_changes_nothing() -> None:
    """A kind that answers 404 for less than a minute, as while its CRD is replaced, keeps its objects; none is new."""
    fixture = Fixture()
    await fixture.create("a")
    async with fixture.running():
        fixture.taken()
        not_served(fixture)
        await fixture.clock.advance(45)
        assert fixture.state() is State.WAITING
        fixture.cluster.faults.clear()
        await fixture.clock.advance(10)
        assert fixture.state() is State.WATCHING
        assert fixture.taken() == []
        assert fixture.cached().keys() == {"a"}


def not_served(fixture: Fixture) -> None:
    """Have the cluster answer 404 to everything about the kind."""
    for verb in ("discover", "list", "watch"):
        fixture.cluster.faults.add(InjectedFault(404, verb=verb, times=None))
    fixture.cluster.cut_watches()


class Silent(EmbeddedCluster):
    """A cluster whose first watch is a connection that nobody answers on."""

    deaf = True

    async def watch(
        self, selection: Selection, resource_version: str, *, timeout: float = 300.0
    ) -> AsyncGenerator[WatchEvent, None]:
        """Nothing for ever, the first time."""
        if self.deaf:
            self.deaf = False
            await asyncio.Event().wait()
        async for event in super().watch(selection, resource_version, timeout=timeout):
            yield event


async def test_a_silent_watch_is_given_up() -> None:
    """A watch without an event or a bookmark for too long is replaced, from where it was, with no list."""
    fixture = Fixture()
    fixture.cluster = Silent(fixture.clock)
    fixture.cluster.register(WIDGET)
    fixture.informer = fixture.build(fixture.cluster)
    async with fixture.running():
        await fixture.create("a")
        await fixture.clock.advance(70)
        assert fixture.cached() == {}
        await fixture.clock.advance(20)
        assert fixture.cached() == {"a": 1}
        assert fixture.state() is State.WATCHING
        assert len([call for call in fixture.cluster.calls if call.verb == "list"]) == 1


async def test_watches_end_and_go_on() -> None:
    """Hours of watching need one list, however often the server closes the watch."""
    fixture = Fixture()
    async with fixture.running() as informer:
        await fixture.clock.advance(7200)
        await fixture.create("a")
        await fixture.clock.settle()
        assert fixture.cached() == {"a": 1}
        assert len([call for call in fixture.cluster.calls if call.verb == "list"]) == 1
        assert fixture.clock.monotonic() - informer.last_event <= 60
        assert not informer.stuck()


async def test_label_selector() -> None:
    """What no longer matches the selector is reported as gone."""
    fixture = Fixture()
    fixture.informer = fixture.build(fixture.cluster, labels="team=a")
    await fixture.create("a", labels={"team": "a"})
    await fixture.create("b", labels={"team": "b"})
    async with fixture.running():
        assert fixture.taken() == [("a", None, 1, True)]
        await fixture.cluster.patch(WIDGET, "default", "a", {"metadata": {"labels": {"team": "b"}}})
        await fixture.clock.settle()
        assert fixture.taken() == [("a", 1, None, False)]


async def test_refresh_reports_what_is_kept_anew() -> None:
    """Other parts of the objects are kept from the refresh on; each object is reported once, initial as before."""
    fixture = Fixture()
    await fixture.create("a")
    await fixture.create("b")
    async with fixture.running() as informer:
        await fixture.resize("b", 2)
        await fixture.clock.settle()
        fixture.taken()
        informer.refresh(pruner([]))
        await fixture.clock.settle()
        assert sorted(fixture.taken()) == [("a", 1, None, True), ("b", 2, None, False)]
        await fixture.create("c")
        await fixture.clock.settle()
        assert [name for name, *_ in fixture.taken()] == ["c"]


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
    """What is kept of an element may lie deep in it, in lists of its own. A mapping is kept whole: its elements are its keys."""
    keep = pruner([("spec", "[]", "a", "b"), ("spec", "[]", "c", "[]", "d"), ("spec", "k")])
    element = {"a": {"b": 1, "x": 2}, "c": [{"d": 3, "x": 4}, {"x": 5}], "x": 6}
    assert keep({"spec": [element, 7]}) == {"spec": [{"a": {"b": 1}, "c": [{"d": 3}, {}]}, 7]}
    assert keep({"spec": {"k": 1, "x": 2}}) == {"spec": {"k": 1, "x": 2}}
