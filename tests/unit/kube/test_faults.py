"""Injected faults and the log of calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from engine.errors import ApiError
from engine.kube.api import Selection
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.kube.faults import Crash, Effect, InjectedFault
from tests.contract.support import CONFIG_MAP, POD, configmap, events, named, names, refused, summary

DEFAULT = Selection(CONFIG_MAP, "default")


@pytest.fixture
def cluster() -> EmbeddedCluster:
    """A cluster whose clock stands still."""
    return EmbeddedCluster(FakeClock(0.0))


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "Unauthorized"), (403, "Forbidden"), (404, "NotFound"), (409, "Conflict"), (410, "Expired"),
        (429, "TooManyRequests"), (500, "InternalError"), (503, "ServiceUnavailable"), (504, "Timeout"),
    ],
)  # fmt: skip
async def test_a_status_refuses_the_call(cluster: EmbeddedCluster, status: int, reason: str) -> None:
    """A call that meets a status has no effect, and the next one passes."""
    cluster.faults.add(InjectedFault(status, verb="create", retry_after=7.0))

    with pytest.raises(ApiError) as caught:
        await cluster.create(CONFIG_MAP, "default", configmap("a"))

    assert (caught.value.status, caught.value.reason, caught.value.retry_after) == (status, reason, 7.0)
    assert await names(cluster, DEFAULT) == []
    await cluster.create(CONFIG_MAP, "default", configmap("a"))


@pytest.mark.parametrize(
    ("effect", "error", "expected"),
    [
        (Effect.CUT_BEFORE, ApiError, []),
        (Effect.CUT_AFTER, ApiError, ["a"]),
        (Effect.CRASH_BEFORE, Crash, []),
        (Effect.CRASH_AFTER, Crash, ["a"]),
    ],
)
async def test_a_call_is_lost_before_or_after_its_effect(
    cluster: EmbeddedCluster, effect: Effect, error: type[BaseException], expected: list[str]
) -> None:  # fmt: skip
    """A cut and a crash lose the answer; whether the call took effect depends on when. A crash is no Exception."""
    cluster.faults.add(InjectedFault(effect, verb="create"))

    with pytest.raises(error) as caught:
        await cluster.create(CONFIG_MAP, "default", configmap("a"))

    assert isinstance(caught.value, Exception) == (error is ApiError)
    assert await names(cluster, DEFAULT) == expected
    assert len(cluster.writes) == len(expected)


async def test_a_fault_meets_only_what_it_names(cluster: EmbeddedCluster) -> None:
    """Verb, kind, namespace, name and subresource each narrow a fault down."""
    await cluster.create(POD, "default", named(POD, "p"))
    await cluster.create(CONFIG_MAP, "default", configmap("a"))
    fault = InjectedFault(500, verb="patch", kind="Pod", namespace="default", name="p", subresource="status", times=None)
    cluster.faults.add(fault)

    await cluster.get(POD, "default", "p")
    await cluster.patch(POD, "default", "p", {"spec": {"x": 1}})
    await cluster.patch(CONFIG_MAP, "default", "a", {"data": {"x": "1"}})
    for _ in range(3):
        with refused(500, "InternalError"):
            await cluster.patch(POD, "default", "p", {"status": {"phase": "Running"}}, subresource="status")
    cluster.faults.clear()
    await cluster.patch(POD, "default", "p", {"status": {"phase": "Running"}}, subresource="status")


async def test_a_fault_waits_and_ends(cluster: EmbeddedCluster) -> None:
    """The first `after` matching calls pass, the next `times` meet the fault, and the rest pass."""
    cluster.faults.add(InjectedFault(500, verb="get", after=2, times=2))
    await cluster.create(CONFIG_MAP, "default", configmap("a"))

    outcomes = [await status_of(lambda: cluster.get(CONFIG_MAP, "default", "a")) for _ in range(6)]

    assert outcomes == [200, 200, 500, 500, 200, 200]


async def status_of(call: Callable[[], Awaitable[object]]) -> int:
    """The status of a call's answer."""
    try:
        await call()
    except ApiError as error:
        return error.status
    return 200


async def test_an_eviction_is_a_create_of_a_subresource(cluster: EmbeddedCluster) -> None:
    """A fault for evictions names the verb create and the subresource eviction, as rights do."""
    await cluster.create(POD, "default", named(POD, "p"))
    cluster.faults.add(InjectedFault(429, verb="create", kind="Pod", subresource="eviction", retry_after=1.0))

    with refused(429, "TooManyRequests"):
        await cluster.evict("default", "p")
    await cluster.evict("default", "p")

    assert [str(call) for call in cluster.calls] == [
        "create Pod default/p 200", "create Pod default/p/eviction 429", "create Pod default/p/eviction 200",
    ]  # fmt: skip


async def test_open_watches_can_be_cut(cluster: EmbeddedCluster) -> None:
    """A watch that is cut sends what came before, then ends with ApiError 0; one that resumes misses nothing."""
    version = (await cluster.list(DEFAULT)).resource_version
    watch = asyncio.create_task(events(cluster, DEFAULT, version, 2))
    await cluster.create(CONFIG_MAP, "default", configmap("a"))

    cluster.cut_watches()

    with refused(0, "ConnectionLost"):
        await watch
    await cluster.create(CONFIG_MAP, "default", configmap("b"))
    assert summary(await events(cluster, DEFAULT, version, 2)) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_watch_can_be_refused(cluster: EmbeddedCluster) -> None:
    """A fault for the verb watch meets the opening of a watch."""
    cluster.faults.add(InjectedFault(410, verb="watch"))

    with refused(410, "Expired"):
        await events(cluster, DEFAULT, "1", 1)


async def test_calls_are_logged(cluster: EmbeddedCluster) -> None:
    """Each call is logged with its answer's status, 0 where it never arrived; `writes` are the changes that were not refused."""
    await cluster.create(CONFIG_MAP, "default", configmap("a"), dry_run=True)
    await cluster.create(CONFIG_MAP, "default", configmap("a"))
    await status_of(lambda: cluster.create(CONFIG_MAP, "default", configmap("a")))
    cluster.faults.add(InjectedFault(Effect.CUT_BEFORE))
    await status_of(lambda: cluster.delete(CONFIG_MAP, "default", "a"))
    await cluster.get(CONFIG_MAP, "default", "a")

    logged = [(call.verb, call.ref.name, call.dry_run, call.status) for call in cluster.calls]
    assert logged == [
        ("create", "a", True, 200), ("create", "a", False, 200), ("create", "a", False, 409), ("delete", "a", False, 0),
        ("get", "a", False, 200),
    ]  # fmt: skip
    assert [str(call) for call in cluster.writes] == ["create ConfigMap default/a 200"]
