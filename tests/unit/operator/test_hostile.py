"""Objects and packs that are as bad as an API server lets them be: the others are served, and nothing is tried for ever."""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from engine.cel import Backend, backend
from engine.cli.run import collect_rarely
from engine.kube.api import Selection
from engine.kube.clock import SystemClock
from engine.kube.embedded import EmbeddedCluster
from engine.model.objects import Kind, Object, Resource, annotations_of, metadata
from engine.operator.settings import Settings
from engine.operator.wiring import Operator
from tests.unit.operator.test_operator import OPEN

WIDGET = Resource(Kind("example.com/v1", "Widget"), "widgets", True)
EVENT = Resource(Kind("v1", "Event"), "events", True)
NAMESPACE = Resource(Kind("v1", "Namespace"), "namespaces", False)
LONG = "object.metadata.annotations.long"
EACH = "object.spec.items.all(i, {})"
HOSTILE = [
    EACH.format(f"hash({LONG}) != ''"),
    EACH.format(f"!{LONG}.matches('(x+x+)+y')"),
    EACH.format("toJson(object.spec.items) != ''"),
    EACH.format("object.spec == object.spec"),
    EACH.format(f"{LONG}.split('') != []"),
    "jmespath(object.spec.items, '@" + "|[@,@][]" * 20 + "') != null",
]


def widget(name: str, **spec: Any) -> Object:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def rule(name: str, when: str | list[str], *actions: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "when": when, "actions": list(actions), **more}


def mark(value: str = "yes", key: str = "example.com/mark") -> dict[str, Any]:
    return {"annotate": {"annotations": {key: value}}}


class Fixture:
    """An embedded cluster, an operator on it, and the longest CPU time between two turns of its loop."""

    def __init__(self, folder: Path, cel: Backend, *rules: dict[str, Any]) -> None:
        clock = SystemClock()
        self.cluster = EmbeddedCluster(clock)
        self.cluster.register(WIDGET)
        pack = {
            "apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "p"},
            "spec": {"watch": {"apiVersion": "example.com/v1", "kind": "Widget"}, "rules": list(rules)},
        }  # fmt: skip
        (folder / "pack.yaml").write_text(yaml.safe_dump(pack))
        own: dict[str, Any] = {"operator_namespace": "system", "rules": (folder,), "address": "127.0.0.1", **OPEN}
        self.operator = Operator(self.cluster, Settings(**own), clock, cel)
        self.longest = 0.0

    async def create(self, *objects: Object) -> None:
        for obj in objects:
            await self.cluster.create(WIDGET, "default", obj)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.cluster.create(NAMESPACE, "", {"metadata": {"name": "system"}})
        stop = asyncio.Event()
        running, watching = asyncio.create_task(self.operator.run(stop)), asyncio.create_task(self._pauses())
        try:
            yield
        finally:
            watching.cancel()
            stop.set()
            await running

    async def _pauses(self) -> None:
        while True:
            before = time.thread_time()  # not wall time: others on the machine must not count
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.thread_time() - before)

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not done():
                await asyncio.sleep(0.01)

    async def widgets(self) -> dict[str, Object]:
        found = await self.cluster.list(Selection(WIDGET, "default"))
        return {metadata(obj)["name"]: obj for obj in found.items}

    def evaluations(self, result: str) -> float:
        families = text_string_to_metric_families(self.operator.metrics.text().decode())
        samples = [one for family in families for one in family.samples if one.name == "rulepack_evaluations_total"]
        return sum(one.value for one in samples if one.labels["result"] == result)

    def writes(self) -> list[str]:
        return [str(call) for call in self.cluster.calls if call.ref.kind == WIDGET.kind and call.verb == "patch"]


@pytest.fixture
def cel() -> Backend:
    """What compiles expressions."""
    return backend()


@pytest.fixture(autouse=True)
def garbage_collection() -> Iterator[None]:
    """As `rulepack run` has it."""
    before = gc.get_threshold()
    collect_rarely()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


async def test_expensive_packs_and_large_objects_hold_nobody_up(
    tmp_path: Path, cel: Backend, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rules that would take minutes on objects of 1.5 MB have no answer; other rules and other objects have their effects."""
    rules = [rule(f"hostile-{number}", ["has(object.spec.items)", when], mark()) for number, when in enumerate(HOSTILE)]
    fixture = Fixture(tmp_path, cel, *rules, rule("honest", "has(object.spec.size)", mark("small", "example.com/honest")))
    items = [{"index": number, "text": "x" * 80} for number in range(9000)]
    for number in range(8):
        large = widget(f"large-{number}", size=1, items=items)
        await fixture.create({**large, "metadata": {**large["metadata"], "annotations": {"long": "x" * 250_000}}})
    await fixture.create(*(widget(f"small-{number}", size=1) for number in range(100)))

    async with fixture.running():
        await fixture.until(lambda: len(fixture.writes()) >= 108)
        widgets = await fixture.widgets()

    assert all(annotations_of(obj).get("example.com/honest") == "small" for obj in widgets.values())
    assert not any("example.com/mark" in annotations_of(obj) for obj in widgets.values())
    assert fixture.evaluations("unknown") >= 8 * len(HOSTILE)
    with capsys.disabled():
        print(f"\nLongest CPU time between two turns under hostile packs and objects: {fixture.longest * 1000:.0f} ms")


async def test_fifty_thousand_objects_of_one_kind(tmp_path: Path, cel: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    """All are evaluated, and the few that a rule is about have their effect."""
    fixture = Fixture(tmp_path, cel, rule("mark", "object.spec.size > 49990", mark()))
    await fixture.create(*(widget(f"w-{number}", size=number, note="x" * 100) for number in range(50_000)))
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()

    async with fixture.running():
        await fixture.until(lambda: fixture.evaluations("skipped") + fixture.evaluations("fired") >= 50_000)
        await fixture.until(lambda: len(fixture.writes()) >= 9)
    took, used = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert len(fixture.writes()) == 9
    turn = f"{fixture.longest * 1000:.0f} ms CPU between two turns at most"
    with capsys.disabled():
        print(f"\n50,000 objects: evaluated in {took:.1f} s, {used / 1024:.0f} MB more, {turn}")


async def test_annotations_that_leave_no_room_are_reported_and_not_fought_over(tmp_path: Path, cel: Backend) -> None:
    """Where 256 KiB of annotations leave no room for others there is one Event, and another attempt only ever more rarely."""
    fixture = Fixture(tmp_path, cel, rule("mark", "object.spec.size > 0", mark("m" * 2000), oncePer="object.metadata.uid"))
    full = widget("full", size=1)
    await fixture.create({**full, "metadata": {"name": "full", "annotations": {"long": "x" * (256 * 1024 - 100)}}})
    await fixture.create(widget("other", size=1))

    async with fixture.running():
        await fixture.until(lambda: len(fixture.writes()) >= 2)
        await asyncio.sleep(1.0)
        events = list((await fixture.cluster.list(Selection(EVENT, "default"))).items)
        widgets = await fixture.widgets()

    assert "example.com/mark" in annotations_of(widgets["other"])
    assert [(event["reason"], event["involvedObject"]["name"]) for event in events] == [("RecordRefused", "full")]
    assert "metadata.annotations: Too long" in events[0]["message"]
    assert sum("full" in write for write in fixture.writes()) == 1


@pytest.mark.parametrize("value", ["x" * 64, "two words", "-a", "a/b"])
async def test_a_label_value_that_none_can_be_is_refused_once(tmp_path: Path, cel: Backend, value: str) -> None:
    """A text that becomes a label is checked before it is sent: the rule has failed, with one Event that says why."""
    act = {"label": {"labels": {"example.com/team": "${object.spec.team}"}}}
    fixture = Fixture(tmp_path, cel, rule("team", "has(object.spec.team)", act, oncePer="object.metadata.uid"))
    await fixture.create(widget("a", team=value))

    async with fixture.running():
        await fixture.until(lambda: len(fixture.writes()) >= 1)
        await asyncio.sleep(0.2)
        events = list((await fixture.cluster.list(Selection(EVENT, "default"))).items)

    assert [event["reason"] for event in events] == ["RuleFailed"]
    assert "label value" in events[0]["message"]
    assert len(fixture.writes()) == 1  # of the firing record
