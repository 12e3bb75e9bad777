"""Watches: replay, order, selection, bookmarks and their end."""

from __future__ import annotations

import asyncio

import pytest

from engine.errors import ApiError
from engine.kube.api import Api, Selection, WatchEvent
from engine.model.objects import Kind, Resource
from tests.contract.conftest import Subject
from tests.contract.support import CONFIG_MAP, NAMESPACE, configmap, events, named, refused, summary


async def test_a_watch_replays_what_it_missed(api: Api, namespace: str, probe: Resource) -> None:
    """A watch from a resourceVersion sends every later change, in order, each with the object as it was then."""
    selection = Selection(probe, namespace)
    await api.create(probe, namespace, named(probe, "before"))
    version = (await api.list(selection)).resource_version
    for x in (1, 2):
        await api.create(probe, namespace, named(probe, f"p{x}", spec={"x": x}))
    await api.patch(probe, namespace, "p1", {"spec": {"x": 10}})
    await api.patch(probe, namespace, "p1", {"status": {"phase": "Done"}}, subresource="status")
    await api.delete(probe, namespace, "p2")

    found = await events(api, selection, version, 5)

    assert summary(found) == [("ADDED", "p1"), ("ADDED", "p2"), ("MODIFIED", "p1"), ("MODIFIED", "p1"), ("DELETED", "p2")]
    assert [event.object["spec"]["x"] for event in found] == [1, 2, 10, 10, 2]
    assert found[3].object["status"] == {"phase": "Done"}
    versions = [int(event.object["metadata"]["resourceVersion"]) for event in found]
    assert versions == sorted(set(versions))
    assert versions[0] > int(version)


async def test_a_watch_resumes_within_history(api: Api, namespace: str) -> None:
    """A watch from the resourceVersion of an event sends what came after that event, and nothing of before."""
    selection = Selection(CONFIG_MAP, namespace)
    version = (await api.list(selection)).resource_version
    for name in "abc":
        await api.create(CONFIG_MAP, namespace, configmap(name))
    first = await events(api, selection, version, 1)

    rest = await events(api, selection, first[0].object["metadata"]["resourceVersion"], 2)

    assert summary(first + rest) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]


async def test_a_watch_goes_on_live(api: Api, namespace: str) -> None:
    """A watch that is already running sends changes as they are made, and several watches each send all of them."""
    selection = Selection(CONFIG_MAP, namespace)
    version = (await api.list(selection)).resource_version
    watches = [asyncio.create_task(events(api, selection, version, 3)) for _ in range(3)]
    await asyncio.sleep(0.05)

    await api.create(CONFIG_MAP, namespace, configmap("a"))
    await api.patch(CONFIG_MAP, namespace, "a", {"data": {"x": "1"}})
    await api.delete(CONFIG_MAP, namespace, "a")

    expected = [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert [summary(found) for found in await asyncio.gather(*watches)] == [expected] * 3


async def test_a_watch_sees_through_its_selector(api: Api, namespace: str) -> None:
    """An object that begins to fit the label selector is ADDED; one that ceases to is DELETED."""
    version = (await api.create(CONFIG_MAP, namespace, configmap("a")))["metadata"]["resourceVersion"]
    states = [{"w": "1"}, {"w": "1", "z": "1"}, {"w": "2"}, {"w": "1"}]
    versions = [
        (await api.patch(CONFIG_MAP, namespace, "a", {"metadata": {"labels": labels}}))["metadata"]["resourceVersion"]
        for labels in states
    ]
    await api.delete(CONFIG_MAP, namespace, "a")

    found = await events(api, Selection(CONFIG_MAP, namespace, labels="w=1"), version, 5)
    other = await events(api, Selection(CONFIG_MAP, namespace, fields="metadata.name=a"), version, 5)

    assert [event.type for event in found] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    assert [event.object["metadata"]["resourceVersion"] for event in found][:4] == versions
    assert found[2].object["metadata"]["labels"]["w"] == "1"
    assert [event.type for event in other] == ["MODIFIED"] * 4 + ["DELETED"]


async def test_a_watch_keeps_to_its_namespace(api: Api, namespace: str) -> None:
    """A watch of one namespace hears nothing of another; one of all namespaces hears of both."""
    other = (await api.create(NAMESPACE, "", {"metadata": {"name": f"{namespace}-z"}}))["metadata"]["name"]
    version = (await api.list(Selection(CONFIG_MAP))).resource_version
    await api.create(CONFIG_MAP, other, configmap("there", labels={"of": namespace}))
    await api.create(CONFIG_MAP, namespace, configmap("here", labels={"of": namespace}))

    assert summary(await events(api, Selection(CONFIG_MAP, namespace), version, 1)) == [("ADDED", "here")]
    everywhere = await events(api, Selection(CONFIG_MAP, labels=f"of={namespace}"), version, 2)
    assert summary(everywhere) == [("ADDED", "there"), ("ADDED", "here")]


async def test_a_finalized_object_is_reported_as_it_goes(api: Api, namespace: str, probe: Resource) -> None:
    """Asking for the deletion of an object with finalizers is MODIFIED; it is DELETED when the last finalizer goes."""
    created = await api.create(probe, namespace, named(probe, "a", {"finalizers": ["example.dev/hold"]}))
    await api.delete(probe, namespace, "a")
    await api.patch(probe, namespace, "a", {"metadata": {"finalizers": []}})

    found = await events(api, Selection(probe, namespace), created["metadata"]["resourceVersion"], 2)

    assert summary(found) == [("MODIFIED", "a"), ("DELETED", "a")]
    assert found[0].object["metadata"]["deletionTimestamp"]


async def test_a_watch_sends_a_bookmark_and_ends(api: Api, namespace: str) -> None:
    """Where there was news of its kind a watch sends a bookmark before its time is over, and then it ends without error.

    From the bookmark another watch can resume.
    """
    selection = Selection(CONFIG_MAP, namespace)
    version = (await api.list(selection)).resource_version
    watch = asyncio.create_task(to_the_end(api, selection, version, timeout=3))
    await asyncio.sleep(0.2)
    elsewhere = await api.create(CONFIG_MAP, "default", {"metadata": {"generateName": "elsewhere-"}})

    marks = await watch
    await api.create(CONFIG_MAP, namespace, configmap("b"))

    assert {event.type for event in marks} == {"BOOKMARK"}
    mark = marks[-1].object
    assert (mark["apiVersion"], mark["kind"]) == ("v1", "ConfigMap")
    assert "name" not in mark["metadata"]
    assert int(mark["metadata"]["resourceVersion"]) >= int(elsewhere["metadata"]["resourceVersion"])
    assert summary(await events(api, selection, mark["metadata"]["resourceVersion"], 1)) == [("ADDED", "b")]


async def to_the_end(api: Api, selection: Selection, version: str, timeout: float) -> list[WatchEvent]:
    """All events of a watch that is left to end by itself."""
    return [event async for event in api.watch(selection, version, timeout=timeout)]


async def test_a_watch_from_before_a_compaction_expires(subject: Subject, namespace: str) -> None:
    """After a compaction a watch from an older resourceVersion is answered with 410 Expired, one from a new list is not."""
    api, selection = subject.api, Selection(CONFIG_MAP, namespace)
    version = (await api.list(selection)).resource_version
    await api.create(CONFIG_MAP, namespace, configmap("a"))

    subject.forget()

    with refused(410, "Expired", "too old resource version"):
        await events(api, selection, version, 1)
    current = (await api.list(selection)).resource_version
    await api.create(CONFIG_MAP, namespace, configmap("b"))
    assert summary(await events(api, selection, current, 1)) == [("ADDED", "b")]


async def test_a_watch_of_what_is_not_served(api: Api, namespace: str) -> None:
    """A watch of a kind that is not served is answered with 404, one with a selector that does not parse with 400."""
    missing = Resource(Kind("example.rulepack.dev/v9", "Nothing"), "nothings", namespaced=True)

    with pytest.raises(ApiError) as caught:
        await events(api, Selection(missing, namespace), "1", 1)

    assert caught.value.status == 404
    with refused(400, "BadRequest"):
        await events(api, Selection(CONFIG_MAP, namespace, labels="a b"), "1", 1)
