"""The whole operator on an embedded cluster: packs come, change, break and go, and replicas take turns."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.cel import backend
from engine.errors import ApiError, UsageError
from engine.kube.api import Selection
from engine.kube.clock import cancel
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.kube.faults import InjectedFault
from engine.kube.leases import LEASE
from engine.model.flags import Mode
from engine.model.objects import Kind, Object, Resource, annotations_of
from engine.operator.settings import Settings
from engine.operator.wiring import Operator

WIDGET = Resource(Kind("example.com/v1", "Widget"), "widgets", True)
CONFIG_MAP = Resource(Kind("v1", "ConfigMap"), "configmaps", True)
NAMESPACE = Resource(Kind("v1", "Namespace"), "namespaces", False)
EVENT = Resource(Kind("v1", "Event"), "events", True)

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: marks}
spec:
  description: Mark what is big.
  params:
    mark: {type: string, default: big}
  watch: {apiVersion: example.com/v1, kind: Widget}
  rules:
    - name: mark
      when: object.spec.size > 10
      actions:
        - annotate: {annotations: {example.com/mark: '${params.mark}'}}
"""


OPEN: Mapping[str, Any] = {"port": 0, "probe_port": 0, "insecure_metrics": True}
HELD = PACK.replace("when: object.spec.size > 10", "when: object.spec.size > 10\n      for: 20s")


class Fixture:
    """An embedded cluster with widgets, a folder with one shipped pack, and operators on them."""

    def __init__(self, folder: Path, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.cluster = EmbeddedCluster(self.clock)
        self.cluster.register(WIDGET)
        self.rules = folder
        (folder / "pack.yaml").write_text(PACK)

    def operator(self, **settings: Any) -> Operator:
        """One replica."""
        own = {"operator_namespace": "system", "rules": (self.rules,), "address": "127.0.0.1", **OPEN, **settings}
        return Operator(self.cluster, Settings(**own), self.clock, backend())

    @asynccontextmanager
    async def running(self, *operators: Operator) -> AsyncIterator[list[asyncio.Event]]:
        """Run replicas; gives what stops each of them."""
        with suppress(ApiError):  # there already, after a restart
            await self.cluster.create(NAMESPACE, "", {"metadata": {"name": "system"}})
        async with AsyncExitStack() as stack:
            stops = []
            for operator in operators:
                stops.append(asyncio.Event())
                task = asyncio.create_task(operator.run(stops[-1]))
                stack.push_async_callback(self._end, task, stops[-1])
                await self.clock.advance(1)
            yield stops

    async def _end(self, task: asyncio.Task[None], stop: asyncio.Event) -> None:
        stop.set()
        await self.clock.advance(30)
        if task.done():
            task.result()
        await cancel(task)

    async def widget(self, name: str, size: int = 20) -> None:
        """Create a widget."""
        body = {
            "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": size, "note": "x"},
        }  # fmt: skip
        await self.cluster.create(WIDGET, "default", body)

    async def mark(self, name: str) -> str | None:
        """The mark that a widget has."""
        return annotations_of(await self.cluster.get(WIDGET, "default", name)).get("example.com/mark")

    async def config_map(self, name: str, data: Mapping[str, str], *, pack: bool = False) -> None:
        """Create or replace a ConfigMap in the operator's namespace."""
        labels = {"rules.mlops.dev/rule-pack": "true"} if pack else {}
        body = {"metadata": {"name": name, "namespace": "system", "labels": labels}, "data": dict(data)}
        try:
            await self.cluster.create(CONFIG_MAP, "system", body)
        except ApiError:
            await self.cluster.patch(CONFIG_MAP, "system", name, {"data": dict(data)})

    async def status(self, name: str) -> str | None:
        """What the operator has written on a ConfigMap."""
        return annotations_of(await self.cluster.get(CONFIG_MAP, "system", name)).get("rules.mlops.dev/status")

    async def events(self, namespace: str = "system") -> list[Object]:
        """The Events in a namespace."""
        return list((await self.cluster.list(Selection(EVENT, namespace))).items)

    def writes(self) -> list[str]:
        """What has been written to widgets, and how often."""
        return [str(call.ref) for call in self.cluster.writes if call.ref.kind == WIDGET.kind and call.verb == "patch"]


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    """A fixture of its own."""
    return Fixture(tmp_path)


async def ask(operator: Operator, path: str) -> tuple[int, str]:
    """Ask the operator's own servers."""
    server = operator.probes if path in ("/healthz", "/readyz") else operator.server
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_acts_on_what_was_there_and_on_what_comes(fixture: Fixture) -> None:
    """Objects from before and from after the start get their effect once; small ones none."""
    await fixture.widget("before")
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.widget("after")
        await fixture.widget("small", 1)
        await fixture.clock.advance(2)
        assert [await fixture.mark(name) for name in ("before", "after", "small")] == ["big", "big", None]
        await fixture.clock.advance(600)
        assert sorted(fixture.writes()) == ["Widget default/after", "Widget default/before"]
        assert (await ask(operator, "/readyz"))[0] == (await ask(operator, "/healthz"))[0] == 200


async def test_a_status_that_may_not_be_written_is_said_once(fixture: Fixture, caplog: pytest.LogCaptureFixture) -> None:
    """Without the right to patch a ConfigMap its pack is in force all the same; the status follows once there is the right."""
    fixture.cluster.faults.add(InjectedFault(403, verb="patch", kind="ConfigMap", times=5))
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": PACK.replace("default: big", "default: huge")}, pack=True)
        await fixture.widget("a")
        await fixture.clock.advance(30)
        assert await fixture.mark("a") == "huge"
        assert await fixture.status("own") is None
        assert len([text for text in caplog.messages if "status cannot be written" in text]) == 1

        await fixture.clock.advance(60)
        assert await fixture.status("own") == "ok"


async def test_a_pack_in_a_config_map_is_reloaded_broken_and_removed(fixture: Fixture) -> None:
    """It replaces the shipped one within 2 s; broken, its last good version stays; gone, the shipped one is back."""
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": PACK.replace("default: big", "default: huge")}, pack=True)
        await fixture.clock.advance(2)
        await fixture.widget("a")
        await fixture.clock.settle()
        assert await fixture.mark("a") == "huge"
        assert await fixture.status("own") == "ok"

        await fixture.config_map("own", {"pack.yaml": PACK.replace("object.spec.size > 10", "object.spec.size >")})
        await fixture.clock.advance(2)
        status = await fixture.status("own") or ""
        assert status.startswith("configmap/system/own/pack.yaml:11:")
        (event,) = await fixture.events()
        assert (event["type"], event["reason"], event["involvedObject"]["name"]) == ("Warning", "RulePackInvalid", "own")
        await fixture.widget("b")
        await fixture.clock.settle()
        assert await fixture.mark("b") == "huge"

        await fixture.cluster.delete(CONFIG_MAP, "system", "own")
        await fixture.clock.advance(2)
        assert [await fixture.mark(name) for name in "ab"] == ["big", "big"]


async def test_a_change_of_params_reaches_all_objects(fixture: Fixture) -> None:
    """The ConfigMap's value is in force within 2 s, for objects that have not changed as well."""
    await fixture.widget("a")
    async with fixture.running(fixture.operator()):
        await fixture.clock.advance(2)
        await fixture.config_map("rulepack-params", {"marks": "mark: vast"})
        await fixture.clock.advance(2)
        assert await fixture.mark("a") == "vast"


async def test_flags_switch_without_a_restart(fixture: Fixture) -> None:
    """Enforce, Audit and Off take effect within 2 s; in Audit and Off nothing is written."""
    operator = fixture.operator()
    async with fixture.running(operator):
        for number, (flag, marked) in enumerate([("Off", None), ("Audit", None), ("Enforce", "big")]):
            await fixture.config_map("rulepack-feature-flags", {"marks": flag})
            await fixture.clock.advance(2)
            await fixture.widget(f"w{number}")
            await fixture.clock.advance(1)
            assert await fixture.mark(f"w{number}") == marked
            packs = json.loads((await ask(operator, "/packs"))[1])["packs"]
            assert [pack["mode"] for pack in packs] == [flag]
        assert await fixture.mark("w0") == "big"


async def test_nothing_acts_before_the_flags_are_known(fixture: Fixture) -> None:
    """While ConfigMaps cannot be listed nothing is done, and /readyz says why."""
    await fixture.widget("a")
    fixture.cluster.faults.add(InjectedFault(403, verb="list", kind="ConfigMap", times=None))
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.clock.advance(60)
        status, text = await ask(operator, "/readyz")
        assert status == 503
        assert "not in force yet" in text
        assert "403" in text
        assert fixture.writes() == []
        fixture.cluster.faults.clear()
        await fixture.clock.advance(31)
        assert await fixture.mark("a") == "big"
        assert (await ask(operator, "/readyz"))[0] == 200


async def test_the_command_line_goes_before_the_config_map(fixture: Fixture) -> None:
    """A flag of the command line holds, whatever the ConfigMap says."""
    await fixture.widget("a")
    async with fixture.running(fixture.operator(flags={"marks": Mode.OFF})):
        await fixture.config_map("rulepack-feature-flags", {"marks": "Enforce"})
        await fixture.clock.advance(10)
        assert await fixture.mark("a") is None


async def test_a_dry_run_writes_nothing_at_all(fixture: Fixture) -> None:
    """No effect, no record, no status, no Event and no Lease."""
    await fixture.widget("a")
    async with fixture.running(fixture.operator(dry_run=True)):
        await fixture.config_map("own", {"pack.yaml": "nonsense: true"}, pack=True)
        before = len(fixture.cluster.writes)
        await fixture.clock.advance(60)
        assert fixture.cluster.writes[before:] == []
        assert await fixture.mark("a") is None
    assert [call for call in fixture.cluster.writes if call.ref.kind in (LEASE.kind, EVENT.kind)] == []


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_dry_run_of_a_folder_evaluates_its_text_and_not_the_one_of_the_cluster(
    fixture: Fixture, dry_run: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the folder's that people ask about, and the log names the text. What acts is the cluster's, as ever."""
    caplog.set_level(logging.INFO)
    async with fixture.running(operator := fixture.operator(dry_run=dry_run)):
        await fixture.config_map("own", {"pack.yaml": PACK}, pack=True)
        await fixture.clock.advance(10)
        pack = operator.reconciler.catalog.packs["marks"]

    assert pack.source.startswith("configmap/system/own/") is not dry_run
    assert f"pack marks from {pack.source}: " in caplog.text
    assert ("ConfigMaps of namespace system with packs are left out" in caplog.text) is dry_run


async def test_a_kind_that_is_not_served_yet_holds_nothing_up(fixture: Fixture) -> None:
    """A pack for another kind waits, visibly and without making the operator unready; the others act."""
    (fixture.rules / "other.yaml").write_text(PACK.replace("marks", "others").replace("kind: Widget", "kind: Gadget"))
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.widget("a")
        await fixture.clock.advance(2)
        assert await fixture.mark("a") == "big"
        assert (await ask(operator, "/readyz"))[0] == 200
        packs = {pack["name"]: pack for pack in json.loads((await ask(operator, "/packs"))[1])["packs"]}
        assert packs["others"]["waitingFor"] == "Gadget.example.com/v1"
        assert packs["marks"]["waitingFor"] is None
        _, metrics = await ask(operator, "/metrics")
        assert 'rulepack_pack_waiting{kind="Gadget.example.com/v1",pack="others"} 1.0' in metrics
        assert 'rulepack_pack_waiting{kind="Widget.example.com/v1",pack="marks"} 0.0' in metrics
        assert packs["marks"]["objects"] == 1
        assert packs["marks"]["rules"][0]["lastFiring"]["object"] == "Widget default/a"


async def test_a_standby_takes_over(fixture: Fixture) -> None:
    """One of two replicas acts; when it stops it releases the Lease and the other one goes on, repeating nothing."""
    first, second = fixture.operator(identity="first"), fixture.operator(identity="second")
    async with fixture.running(first, second) as stops:
        await fixture.widget("a")
        await fixture.clock.advance(5)
        assert (first.may_act(), second.may_act()) == (True, False)
        stops[0].set()
        await fixture.clock.advance(6)
        assert (first.may_act(), second.may_act()) == (False, True)
        await fixture.widget("b")
        await fixture.clock.advance(2)
        assert await fixture.mark("b") == "big"
        assert sorted(fixture.writes()) == ["Widget default/a", "Widget default/b"]


async def test_who_loses_the_lease_stops_and_takes_it_up_again(fixture: Fixture) -> None:
    """While the Lease cannot be renewed nothing is written; what changed meanwhile is done afterwards."""
    operator = fixture.operator()
    async with fixture.running(operator):
        fixture.cluster.faults.add(InjectedFault(500, verb="update", kind="Lease", times=None))
        await fixture.clock.advance(15)
        assert not operator.may_act()
        await fixture.widget("a")
        await fixture.clock.advance(5)
        assert await fixture.mark("a") is None
        fixture.cluster.faults.clear()
        await fixture.clock.advance(10)
        assert await fixture.mark("a") == "big"


async def test_metrics_have_packs_queue_and_leader(fixture: Fixture) -> None:
    """Packs with mode and source, refused texts, evaluations and actions."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.widget("a")
        await fixture.config_map("own", {"pack.yaml": "nonsense: true"}, pack=True)
        await fixture.clock.advance(2)
        text = (await ask(operator, "/metrics"))[1]
        assert f'rulepack_pack_info{{mode="Enforce",pack="marks",source="{fixture.rules}/pack.yaml"}} 1.0' in text
        assert "rulepack_pack_errors 1.0" in text
        assert "rulepack_leader 1.0" in text
        assert "rulepack_workqueue_depth 0.0" in text
        assert 'rulepack_evaluations_total{pack="marks",result="fired",rule="mark"} 1.0' in text
        assert 'rulepack_actions_total{action="annotate"' in text
        assert 'rulepack_watch_last_event_timestamp_seconds{kind="Widget.example.com/v1"}' in text


async def test_only_what_packs_read_is_cached(fixture: Fixture) -> None:
    """Of the spec only the size is kept, since no rule reads the note."""
    await fixture.widget("a")
    operator = fixture.operator()
    async with fixture.running(operator):
        (informer,) = operator.caches.informers.values()
        assert informer.store.objects["default", "a"].object["spec"] == {"size": 20}


async def test_a_deletion_is_acted_on_but_a_kind_that_goes_away_is_none(fixture: Fixture) -> None:
    """A rule on Delete sees the last state of a deleted object; a kind that is served no more deletes nothing."""
    farewell = "- emitEvent: {type: Normal, reason: Farewell, message: 'size ${string(object.spec.size)}'}"
    pack = PACK.replace("when:", "on: Delete\n      when:").replace(
        "- annotate: {annotations: {example.com/mark: '${params.mark}'}}", farewell
    )
    (fixture.rules / "pack.yaml").write_text(pack)
    await fixture.widget("a")
    await fixture.widget("b", 33)
    async with fixture.running(fixture.operator()):
        await fixture.cluster.delete(WIDGET, "default", "b")
        await fixture.clock.advance(2)
        assert [event["message"] for event in await fixture.events("default")] == ["size 33"]
        for verb in ("discover", "list", "watch"):
            fixture.cluster.faults.add(InjectedFault(404, verb=verb, kind="Widget", times=None))
        fixture.cluster.cut_watches()
        await fixture.clock.advance(30)
        assert len(await fixture.events("default")) == 1


async def test_only_the_named_namespaces_are_watched(fixture: Fixture) -> None:
    """Objects elsewhere are left alone."""
    await fixture.widget("a")
    async with fixture.running(fixture.operator(namespaces=("other",))):
        await fixture.clock.advance(5)
        assert await fixture.mark("a") is None


def test_a_folder_without_packs_is_a_usage_error(fixture: Fixture) -> None:
    """An operator with nothing to do says so at once."""
    (fixture.rules / "pack.yaml").unlink()
    with pytest.raises(UsageError, match="no rule pack in"):
        fixture.operator()


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
async def test_a_time_that_is_set_neither_fires_nor_starves_a_timer(tmp_path: Path, jump: float) -> None:
    """`for: 20s` takes 20 s where somebody sets the machine's time by an hour meanwhile, and where it is set back again too."""
    fixture = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(HELD)
    async with fixture.running(fixture.operator()):
        await fixture.clock.advance(5)
        for name, back in (("there", 0.0), ("back", -jump)):
            await fixture.widget(name)
            await fixture.clock.advance(10)
            fixture.clock.set_on(jump)
            await fixture.clock.advance(5)
            fixture.clock.set_on(back)
            await fixture.clock.advance(4)
            assert await fixture.mark(name) is None
            await fixture.clock.advance(2)
            assert await fixture.mark(name) == "big"


OLD = PACK.replace("object.spec.size > 10", "now - timestamp(object.metadata.creationTimestamp) > duration('1h')")


async def test_a_time_that_is_set_is_noticed(tmp_path: Path) -> None:
    """A condition that compares `now` goes by it within some seconds; less than five seconds is how clocks are kept right."""
    fixture = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(OLD)
    async with fixture.running(fixture.operator()):
        await fixture.widget("a")
        await fixture.clock.advance(5)
        fixture.clock.set_on(4)
        await fixture.clock.advance(11)
        early = await fixture.mark("a")
        fixture.clock.set_on(3600)
        await fixture.clock.advance(11)
        assert (early, await fixture.mark("a")) == (None, "big")


async def test_a_clock_that_was_ahead_when_a_rule_came_does_not_keep_it_from_acting(tmp_path: Path) -> None:
    """It came into force tomorrow: what comes once the time is right is new all the same, and what was there is not."""
    fixture = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(PACK.replace("      when:", "      existing: Ignore\n      when:"))
    fixture.clock.set_on(86_400)
    await fixture.widget("before")
    await fixture.clock.advance(60)
    async with fixture.running(fixture.operator()):
        await fixture.clock.advance(5)
        fixture.clock.set_on(-86_400)
        await fixture.clock.advance(20)
        await fixture.widget("after")
        await fixture.clock.advance(5)
        assert [await fixture.mark(name) for name in ("before", "after")] == [None, "big"]
