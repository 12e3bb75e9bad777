"""Several operators that share one cluster: who owns what, and what happens when their number changes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cel import backend
from engine.errors import UsageError
from engine.kube.api import Selection
from engine.kube.clock import cancel
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.kube.faults import Faults
from engine.model.objects import GroupKey, Kind, ObjectKey, Resource, annotations_of, metadata
from engine.operator.settings import Settings
from engine.operator.shards import Shard, bucket, own_shard
from engine.operator.wiring import Operator
from tests.unit.operator.test_operator import OPEN

JOB = Resource(Kind("example.com/v1", "Job"), "jobs", True)
TEAM = Resource(Kind("example.com/v1", "Team"), "teams", False)
NAMESPACE = Resource(Kind("v1", "Namespace"), "namespaces", False)
JOBS, NAMESPACES, TEAMS = 1000, 40, 8

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: jobs}
spec:
  description: Says on a job how often it has run, and on its team how many of its jobs have ended.
  watch: {apiVersion: example.com/v1, kind: Job, fields: [spec]}
  targets:
    - {apiVersion: example.com/v1, kind: Team, verbs: [get, list, patch], consent: 'true'}
  rules:
    - name: mark
      when: object.spec.run > 0
      oncePer: string(object.spec.run)
      actions:
        - annotate: {annotations: {example.com/run: '${string(object.spec.run)}'}}
    - name: count
      aggregate:
        by: object.spec.team
        target: {apiVersion: example.com/v1, kind: Team, name: '${groupKey}'}
        counts: {all: 'true', ended: object.spec.run > 0}
      actions:
        - annotate: {annotations: {example.com/ended: '${string(group.ended)}/${string(group.all)}'}}
"""


class Shared:
    """An embedded cluster with jobs of several teams in many namespaces, and operators that share it."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.cluster = EmbeddedCluster(self.clock)
        self.cluster.register(JOB)
        self.cluster.register(TEAM)
        self.doors: list[EmbeddedCluster] = []
        self._rules = folder / "pack.yaml"
        self._rules.write_text(PACK)

    async def fill(self) -> None:
        """Create all objects, every job having run once."""
        for number in range(NAMESPACES):
            await self.cluster.create(NAMESPACE, "", {"metadata": {"name": f"ns-{number}"}})
        await self.cluster.create(NAMESPACE, "", {"metadata": {"name": "system"}})
        kind = {"apiVersion": "example.com/v1", "kind": "Team"}
        for number in range(TEAMS):
            await self.cluster.create(TEAM, "", {**kind, "metadata": {"name": f"team-{number}"}})
        kind = {"apiVersion": "example.com/v1", "kind": "Job"}
        for number in range(JOBS):
            spec = {"run": 1, "team": f"team-{number % TEAMS}"}
            body = {**kind, "metadata": {"name": f"job-{number}"}, "spec": spec}
            await self.cluster.create(JOB, f"ns-{number % NAMESPACES}", body)

    async def run_all(self, run: int) -> None:
        """Let every job run again."""
        for number in range(JOBS):
            await self.cluster.patch(JOB, f"ns-{number % NAMESPACES}", f"job-{number}", {"spec": {"run": run}})

    @asynccontextmanager
    async def shards(self, count: int, *numbers: int) -> AsyncIterator[None]:
        """Operators of these shards, or of all, at work until the end; `doors` are what each sees of the cluster."""
        async with AsyncExitStack() as stack:
            self.doors = []
            for number in numbers or range(count):
                await stack.enter_async_context(self._operator(Shard(number, count)))
            await self.clock.advance(5)
            yield

    @asynccontextmanager
    async def _operator(self, shard: Shard) -> AsyncIterator[None]:
        door = copy(self.cluster)
        door.faults = Faults(self.clock.time)
        self.doors.append(door)
        settings = Settings("system", rules=(self._rules,), address="127.0.0.1", **OPEN, shard=shard)
        stop = asyncio.Event()
        task = asyncio.create_task(Operator(door, settings, self.clock, backend()).run(stop))
        await self.clock.settle()
        try:
            yield
        finally:
            stop.set()
            await self.clock.advance(30)
            await cancel(task)

    def written(self, kind: str) -> list[Counter[str]]:
        """By operator, how often it has written each object of a kind."""
        return [
            Counter(f"{call.ref.namespace}/{call.ref.name}" for call in door.writes if call.ref.kind.kind == kind)
            for door in self.doors
        ]

    async def all(self, resource: Resource, annotation: str) -> Counter[str]:
        """How many objects have which value of an annotation."""
        found = await self.cluster.list(Selection(resource, ""))
        return Counter(annotations_of(obj).get(annotation, "") for obj in found.items)


@pytest.fixture
async def shared(tmp_path: Path) -> Shared:
    """A filled cluster."""
    found = Shared(tmp_path)
    await found.fill()
    return found


async def test_every_change_is_one_operators(shared: Shared) -> None:
    """With three, then two, then four shards each job and each group is written once for each change, and by one of them."""
    for run, count in enumerate((3, 2, 4), start=1):
        async with shared.shards(count):
            if run > 1:
                assert not any(shared.written("Job")), "a start with nothing to do writes nothing"
                assert not any(shared.written("Team"))
                await shared.run_all(run)
                await shared.clock.advance(2)
            jobs, teams = shared.written("Job"), shared.written("Team")

        assert await shared.all(JOB, "example.com/run") == {str(run): JOBS}
        assert sum(map(len, jobs)) == JOBS and all(times == 1 for each in jobs for times in each.values())
        assert all(jobs), "every shard has a part of the work"
        owners = Counter(name for each in teams for name in each)
        assert all(times == 1 for times in owners.values()), "no group is written by two"
        assert await shared.all(TEAM, "example.com/ended") == {f"{JOBS // TEAMS}/{JOBS // TEAMS}": TEAMS}


async def test_two_layouts_never_act_together(shared: Shared) -> None:
    """While one shard of three is at work, none of two acts; once it has ended they do, and what it has done stays done."""
    async with shared.shards(3, 0):
        first = shared.written("Job")[0]
        async with shared.shards(2):
            await shared.clock.advance(120)
            waiting = shared.written("Job")
            old = shared.doors
        assert not any(waiting)
        assert first and old
    async with shared.shards(2):
        rest = shared.written("Job")

    assert await shared.all(JOB, "example.com/run") == {"1": JOBS}
    assert not set(first) & {name for each in rest for name in each}


async def test_a_shard_that_died_is_waited_for(shared: Shared) -> None:
    """A shard that did not release its Lease holds the next layout up until that has expired, and no longer."""
    async with shared.shards(1):
        lease = Resource(Kind("coordination.k8s.io/v1", "Lease"), "leases", True)
        held = await shared.cluster.get(lease, "system", "rulepack-0")
    await shared.cluster.patch(lease, "system", "rulepack-0", {"spec": held["spec"]})
    await shared.run_all(2)

    async with shared.shards(2):
        assert not any(shared.written("Job"))
        await shared.clock.advance(30)

        assert await shared.all(JOB, "example.com/run") == {"2": JOBS}


async def test_only_what_the_label_selector_picks(shared: Shared, tmp_path: Path) -> None:
    """With a label selector of its own an operator watches, and so writes, no other objects."""
    await shared.cluster.patch(JOB, "ns-7", "job-7", {"metadata": {"labels": {"part": "a"}}})
    settings = Settings(
        "system",
        rules=(tmp_path,),
        address="127.0.0.1",
        **OPEN,
        watch_label_selector="part=a",
    )
    stop = asyncio.Event()
    task = asyncio.create_task(Operator(shared.cluster, settings, shared.clock, backend()).run(stop))
    await shared.clock.advance(5)
    stop.set()
    await shared.clock.advance(30)
    await cancel(task)

    marked = [job for job in (await shared.cluster.list(Selection(JOB, ""))).items if annotations_of(job)]
    assert [metadata(job)["name"] for job in marked] == ["job-7"]


async def test_a_group_of_another_label_is_left_alone(shared: Shared, tmp_path: Path) -> None:
    """What stands on the target of a group of which an engine with a label selector watches nothing is not its own to remove."""
    async with shared.shards(1):
        whole = f"{JOBS // TEAMS}/{JOBS // TEAMS}"
        assert await shared.all(TEAM, "example.com/ended") == {whole: TEAMS}
    await shared.cluster.patch(JOB, "ns-7", "job-7", {"metadata": {"labels": {"part": "a"}}})
    settings = Settings(
        "system",
        rules=(tmp_path,),
        address="127.0.0.1",
        **OPEN,
        watch_label_selector="part=a",
    )
    stop = asyncio.Event()
    task = asyncio.create_task(Operator(shared.cluster, settings, shared.clock, backend()).run(stop))
    await shared.clock.advance(40)
    stop.set()
    await shared.clock.advance(30)
    await cancel(task)

    assert await shared.all(TEAM, "example.com/ended") == {whole: TEAMS - 1, "1/1": 1}


async def test_an_operator_says_which_shard_it_is(tmp_path: Path) -> None:
    """/packs and /metrics name the shard, and /packs whom it waits for."""
    shared = Shared(tmp_path)
    settings = Settings("system", rules=(tmp_path,), address="127.0.0.1", **OPEN, shard=Shard(1, 3))
    operator = Operator(shared.cluster, settings, shared.clock, backend())

    assert operator.overview()["shard"] == "shard 1 of 3"
    assert operator.overview()["waitsFor"] == ""
    assert b'rulepack_shard_info{shard="1",shards="3"} 1.0' in operator.metrics.text()


@given(st.text(min_size=1), st.integers(1, 200))
def test_a_bucket_more_moves_only_what_it_gets(text: str, count: int) -> None:
    """A namespace keeps its shard when there is one shard more, unless it goes to the new one."""
    assert bucket(text, count + 1) in (bucket(text, count), count)


@given(st.text(), st.text(), st.text(), st.integers(1, 50))
def test_everything_has_one_owner(namespace: str, name: str, group: str, count: int) -> None:
    """Of all shards exactly one owns an object, and exactly one a group."""
    shards = [Shard(number, count) for number in range(count)]

    assert sum(shard.owns(ObjectKey(JOB.kind, namespace, name)) for shard in shards) == 1
    assert not group or sum(shard.owns(GroupKey("pack", "rule", group)) for shard in shards) == 1


def test_shards_have_about_the_same() -> None:
    """Of 10,000 namespaces each of eight shards has an eighth, give or take a tenth of that."""
    sizes = Counter(bucket(f"team-{number}", 8) for number in range(10_000))

    assert all(1125 < size < 1375 for size in sizes.values())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((None, None, "rulepack-2"), None),
        ((3, None, "rulepack-2"), Shard(2, 3)),
        ((3, 1, "rulepack-2"), Shard(1, 3)),
        ((12, None, "my-rules-10"), Shard(10, 12)),
    ],
)
def test_own_shard(arguments: Any, expected: Shard | None) -> None:
    """A StatefulSet's pod knows its shard by its name; --shard goes before that."""
    assert own_shard(*arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, 1, "x-1"), "--shards"),
        ((3, None, "laptop"), "--shard"),
        ((3, None, "rulepack-3"), "from 0 to 2"),
        ((2, 5, "x"), "from 0 to 1"),
    ],
)
def test_own_shard_refused(arguments: Any, message: str) -> None:
    """Whatever does not say one shard among those there are is refused, with what was expected."""
    with pytest.raises(UsageError, match=message):
        own_shard(*arguments)
