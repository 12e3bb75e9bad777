"""Since when rules are in force, as it is kept in the Lease `rulepack-state`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.kube.faults import InjectedFault
from engine.kube.leases import LEASE, Leases
from engine.model.flags import Mode
from engine.model.objects import Kind, Resource, annotations_of
from engine.operator.in_force import InForceTimes
from engine.packs.catalog import Catalog
from engine.packs.in_force import InForce
from tests.unit.packs.packs import pack, parsed, rule

NAMESPACE = Resource(Kind("v1", "Namespace"), "namespaces", False)
START = 1_769_292_000.0  # 2026-01-24T22:00:00Z


def catalog(*rules: str, mode: Mode = Mode.ENFORCE, **fields: Any) -> Catalog:
    """A catalog with one pack of rules with these names."""
    return Catalog({"p": parsed(pack("p", rules=[rule(name, **fields) for name in rules]))}, {"p": mode})


class Fixture:
    """An embedded cluster, and what keeps the times there, anew for each process."""

    def __init__(self, *, alone: bool = True) -> None:
        self.clock = FakeClock(START, alone=alone)
        self.cluster = EmbeddedCluster(self.clock)

    async def dated(self, catalog: Catalog, *, dry_run: bool = False) -> dict[str, str]:
        """What a process that starts now takes for the times of these rules."""
        await self.namespace()
        dated = await InForceTimes(Leases(self.cluster, "system"), self.clock, dry_run=dry_run).dated(catalog)
        return {name: time.text for name, time in dated.times.items()}

    async def namespace(self) -> None:
        """See to it that the operator's namespace is there."""
        if not self.cluster.calls:
            await self.cluster.create(NAMESPACE, "", {"metadata": {"name": "system"}})

    async def kept(self) -> dict[str, str]:
        """What the Lease says."""
        return dict(annotations_of(await self.cluster.get(LEASE, "system", "rulepack-state")))


async def test_a_time_outlives_the_process() -> None:
    """A rule that was there keeps its time; a new one gets that of now; nothing is written where nothing is new."""
    fixture = Fixture()
    assert await fixture.dated(catalog("a")) == {"p.a": "2026-01-24T22:00:00Z"}
    await fixture.clock.advance(3600)
    both = {"p.a": "2026-01-24T22:00:00Z", "p.b": "2026-01-24T23:00:00Z"}
    assert await fixture.dated(catalog("a", "b")) == both
    writes = len(fixture.cluster.writes)
    await fixture.clock.advance(3600)
    assert await fixture.dated(catalog("a", "b")) == both
    assert len(fixture.cluster.writes) == writes
    assert await fixture.kept() == {f"since.rules.mlops.dev/{name}": time for name, time in both.items()}


async def test_a_rule_comes_into_force_anew_when_its_mode_becomes_less_strict() -> None:
    """Each step is another process, so what it goes by is in the Lease. One that is Off at first is not in force yet."""
    fixture, dated = Fixture(), []
    for mode in (Mode.OFF, Mode.AUDIT, Mode.ENFORCE, Mode.ENFORCE, Mode.AUDIT, Mode.AUDIT, Mode.ENFORCE, Mode.OFF, Mode.AUDIT):
        dated.append((await fixture.dated(catalog("a", mode=mode))).get("p.a"))
        await fixture.clock.advance(3600)
    assert dated == [
        None,
        "2026-01-24T23:00:00Z Audit",
        "2026-01-25T00:00:00Z",
        "2026-01-25T00:00:00Z",
        "2026-01-25T00:00:00Z Audit",
        "2026-01-25T00:00:00Z Audit",
        "2026-01-25T04:00:00Z",
        "2026-01-25T04:00:00Z Off",
        "2026-01-25T06:00:00Z Audit",
    ]


async def test_a_rule_that_is_gone_is_remembered_for_ninety_days() -> None:
    """One that comes back within them has been in force since it first was."""
    fixture = Fixture()
    await fixture.dated(catalog("a", "b"))
    gone = {"p.a": "2026-01-24T22:00:00Z", "p.b": "2026-01-24T22:00:00Z/2026-01-24T23:00:00Z"}
    for hours in (1, 24 * 89):
        await fixture.clock.advance(hours * 3600)
        assert await fixture.dated(catalog("a")) == gone
    assert await fixture.dated(catalog("a", "b")) == {"p.a": "2026-01-24T22:00:00Z", "p.b": "2026-01-24T22:00:00Z"}
    await fixture.dated(catalog("a"))
    await fixture.clock.advance(90 * 86400)
    assert await fixture.dated(catalog("a")) == {"p.a": "2026-01-24T22:00:00Z"}


async def test_a_rename_keeps_the_time() -> None:
    """A rule counts from when it first came into force under any of its names."""
    fixture = Fixture()
    await fixture.dated(catalog("a"))
    await fixture.clock.advance(3600)
    assert (await fixture.dated(catalog("b", previousNames=["a"])))["p.b"] == "2026-01-24T22:00:00Z"


async def test_a_rename_that_is_taken_back_keeps_the_time() -> None:
    """Each step is another process. An earlier name is in force as the rule is, and Off as it is, for as long as it is named."""
    fixture = Fixture()
    renamed, back = catalog("b", previousNames=["a"]), catalog("a", previousNames=["b"])
    for step in (catalog("a"), renamed, back, renamed, catalog("a")):
        times = await fixture.dated(step)
        assert {time for name, time in times.items() if name in step_names(step)} == {"2026-01-24T22:00:00Z"}
        await fixture.clock.advance(3600)
    await fixture.dated(catalog("b", mode=Mode.OFF, previousNames=["a"]))
    assert (await fixture.dated(catalog("a")))["p.a"] == "2026-01-25T03:00:00Z"


def step_names(catalog: Catalog) -> set[str]:
    """The names under which the rules of a catalog are in force now."""
    return {pack.record_names[rule.name][0] for pack in catalog.packs.values() for rule in pack.rules}


@pytest.mark.parametrize("change", [True, False], ids=["with the next change of a pack", "within a minute"])
async def test_times_that_somebody_deletes_are_put_back(change: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A rule that was in force stays so, for this process and for the next one."""
    fixture = Fixture(alone=False)
    await fixture.namespace()
    times = InForceTimes(Leases(fixture.cluster, "system"), fixture.clock, dry_run=False)
    await times.dated(catalog("a"))
    await fixture.clock.advance(3600)
    await fixture.cluster.delete(LEASE, "system", "rulepack-state")

    running = asyncio.create_task(times.run())
    if change:
        assert (await times.dated(catalog("a", "b"))).times["p.a"].text == "2026-01-24T22:00:00Z"
    await fixture.clock.advance(61)

    assert (await fixture.kept())["since.rules.mlops.dev/p.a"] == "2026-01-24T22:00:00Z"
    assert (await fixture.dated(catalog("a")))["p.a"] == "2026-01-24T22:00:00Z"
    assert "Lease rulepack-state has lost since when 1 rules are in force; it is put back" in caplog.text
    running.cancel()


async def test_a_check_of_the_times_writes_nothing_where_they_are_there() -> None:
    """And an API server that does not answer ends nothing."""
    fixture = Fixture(alone=False)
    await fixture.namespace()
    times = InForceTimes(Leases(fixture.cluster, "system"), fixture.clock, dry_run=False)
    await times.dated(catalog("a"))
    writes = len(fixture.cluster.writes)
    fixture.cluster.faults.add(InjectedFault(503, verb="get", kind="Lease", times=2))
    running = asyncio.create_task(times.run())
    await fixture.clock.advance(300)
    assert (len(fixture.cluster.writes), running.done()) == (writes, False)
    running.cancel()


async def test_a_conflict_is_read_again() -> None:
    """Of two replicas that start together each keeps what the other has written."""
    fixture = Fixture()
    await fixture.dated(catalog("a"))
    fixture.cluster.faults.add(InjectedFault(409, verb="update", kind="Lease", times=1))
    assert set(await fixture.dated(catalog("a", "b"))) == {"p.a", "p.b"}
    assert len(await fixture.kept()) == 2


async def test_an_api_server_that_is_away_is_waited_for() -> None:
    """No rule takes the end of an outage for its beginning."""
    fixture = Fixture()
    await fixture.dated(catalog("a"))
    fixture.cluster.faults.add(InjectedFault(503, verb="get", kind="Lease", times=3))
    assert await fixture.dated(catalog("a")) == {"p.a": "2026-01-24T22:00:00Z"}
    assert fixture.clock.time() >= START + 15


async def test_without_the_right_the_times_are_those_of_the_process(caplog: pytest.LogCaptureFixture) -> None:
    """What is said in the log; rules work all the same."""
    fixture = Fixture()
    fixture.cluster.faults.add(InjectedFault(403, verb="create", kind="Lease", times=None))
    assert await fixture.dated(catalog("a")) == {"p.a": "2026-01-24T22:00:00Z"}
    assert "cannot keep in Lease rulepack-state since when rules are in force" in caplog.text


async def test_a_dry_run_writes_nothing() -> None:
    """It goes by what is written, and by its own start."""
    fixture = Fixture()
    assert await fixture.dated(catalog("a"), dry_run=True) == {"p.a": "2026-01-24T22:00:00Z"}
    assert [str(call.ref.kind.kind) for call in fixture.cluster.writes] == ["Namespace"]


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-01-24T22:00:00Z/x", "a/b/c", "2026-01-24/2026-01-25/x", "2026-01-24T22:00:00Z Aduit"],
)
def test_what_nobody_could_have_written_is_no_time(text: str) -> None:
    """Then the rule comes into force now."""
    assert InForce.parse(text) is None


def test_what_is_written_is_read() -> None:
    """A time, and an interval, with a mode or without."""
    since, gone = datetime(2026, 1, 24, 22, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    for time in (InForce(since), InForce(since, gone), InForce(since, mode=Mode.AUDIT), InForce(since, gone, Mode.OFF)):
        assert InForce.parse(time.text) == time
