"""Watches, where they are hardest: huge objects, broken connections, a server that restarts."""

from __future__ import annotations

import asyncio
import gc
import warnings
from contextlib import aclosing
from http import HTTPStatus
from pathlib import Path

import pytest
from aiohttp import web

from engine.errors import ApiError
from engine.kube.act import Actor
from engine.kube.api import Selection
from engine.kube.credentials import find
from engine.kube.kubernetes import KubernetesApi
from engine.model.objects import Kind, Ref, Resource
from tests.cluster.fakes import CONFIG_MAPS, IN_DEFAULT, config_map, connected, failure, serving, watch_line, write_kubeconfig
from tests.cluster.test_api_rotation import opened
from tests.controlplane.plane import ControlPlane

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


async def eventually_served(api: KubernetesApi, kind: Kind) -> Resource:
    """The resource of a kind whose CRD was just created: the server takes a moment to serve it."""
    while True:
        try:
            return await api.discover(kind)
        except ApiError as error:
            assert error.status == HTTPStatus.NOT_FOUND
            await asyncio.sleep(0.05)


async def eventually_gone(api: KubernetesApi, selection: Selection) -> None:
    """Return once a list says that the server does not serve the resource any more."""
    while True:
        try:
            await api.list(selection)
            await asyncio.sleep(0.05)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return


async def test_a_stream_that_goes_on_is_read_however_long_it_takes_and_one_that_stops_is_not(tmp_path: Path) -> None:
    """Only silence ends it: 20 objects that come in 2 s, where 0.5 s without any are the most, and then nothing."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(20):
            await response.write(watch_line("ADDED", config_map(f"c{number}")))
            await asyncio.sleep(0.1)
        await asyncio.sleep(10)
        return response

    found: list[str] = []
    async with serving(drip) as url, opened(find(str(write_kubeconfig(tmp_path, url)))) as connection:
        with pytest.raises(ApiError):
            async with aclosing(connection.lines("/api/v1/configmaps?watch=true", 0.5, asyncio.Semaphore())) as lines:
                async for event in lines:
                    found.append(event["object"]["metadata"]["name"])
    assert len(found) == 20


async def test_an_object_of_several_megabytes_is_one_event(tmp_path: Path) -> None:
    """The length of a line does not matter, nor where the network cuts it."""
    big = config_map("big", data={"text": "x" * 4_000_000})
    text = watch_line("ADDED", config_map("small")) + watch_line("MODIFIED", big) + watch_line("DELETED", config_map("small"))

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for start in range(0, len(text), 700_001):
            await response.write(text[start : start + 700_001])
        return response

    async with serving(stream) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        events = [event async for event in api.watch(IN_DEFAULT, "1")]

    assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[1].object == big


async def test_an_error_event_is_raised_with_its_code(tmp_path: Path) -> None:
    """What the server reports inside a watch is raised like any other error, after the events before it."""
    text = watch_line("BOOKMARK", config_map("")) + watch_line(
        "ERROR", failure(410, "Expired", "too old resource version: 1 (9)")
    )

    async def stream(_: web.Request) -> web.StreamResponse:
        return web.Response(body=text)

    seen = []
    async with serving(stream) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        with pytest.raises(ApiError) as failed:
            async for event in api.watch(IN_DEFAULT, "1"):
                seen.append(event.type)

    assert seen == ["BOOKMARK"]
    assert (failed.value.status, failed.value.reason, failed.value.message) == (410, "Expired", "too old resource version: 1 (9)")


async def test_a_broken_connection_is_an_error(tmp_path: Path) -> None:
    """A watch whose connection is cut in the middle ends with an error, not as if the server had closed it."""

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(watch_line("ADDED", config_map("a")))
        assert request.transport is not None
        request.transport.abort()
        return response

    seen = []
    async with serving(cut) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        with pytest.raises(ApiError) as failed:
            async for event in api.watch(IN_DEFAULT, "1"):
                seen.append(event.type)

    assert (seen, failed.value.status) == (["ADDED"], 0)


async def test_a_watch_breaks_when_the_api_server_dies_and_can_be_resumed(control_plane: ControlPlane, namespace: str) -> None:
    """The watch ends with status 0; the same KubernetesApi goes on once a server is there again, on new connections."""
    selection = Selection(CONFIG_MAPS, namespace)
    async with connected(control_plane.kubeconfig) as api:
        version = (await api.list(selection)).resource_version
        await api.create(CONFIG_MAPS, namespace, config_map("before"))
        async with aclosing(api.watch(selection, version)) as events:
            first = await anext(events)
            control_plane.stop_apiserver()
            with pytest.raises(ApiError) as broken:
                async for _ in events:
                    pass
        with pytest.raises(ApiError) as away:
            await api.list(selection)
        control_plane.start_apiserver()
        page = await api.list(selection)
        await api.create(CONFIG_MAPS, namespace, config_map("after"))
        async with aclosing(api.watch(selection, page.resource_version)) as events:
            second = await anext(events)

    assert (broken.value.status, away.value.status) == (0, 0)
    assert control_plane.url in away.value.message
    assert [first.object["metadata"]["name"], second.object["metadata"]["name"]] == ["before", "after"]


def test_a_watch_that_is_left_leaves_no_connection(control_plane: ControlPlane, namespace: str) -> None:
    """Its socket is closed when the loop ends, although the server has not answered the end of TLS yet."""
    selection = Selection(CONFIG_MAPS, namespace)

    async def leave(name: str) -> None:
        async with connected(control_plane.kubeconfig) as api:
            version = (await api.list(selection)).resource_version
            await api.create(CONFIG_MAPS, namespace, config_map(name))
            async with aclosing(api.watch(selection, version)) as events:
                await anext(events)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for number in range(10):  # the server answers in time in two of three cases
            asyncio.run(leave(f"left-{number}"))
        gc.collect()

    assert [str(each.message) for each in warned] == []


async def test_a_resource_version_from_before_a_restart_is_expired(control_plane: ControlPlane, namespace: str) -> None:
    """A server that has started since then answers 410 to a watch from an old resourceVersion."""
    selection = Selection(CONFIG_MAPS, namespace)
    async with connected(control_plane.kubeconfig) as api:
        version = (await api.create(CONFIG_MAPS, namespace, config_map("a")))["metadata"]["resourceVersion"]
        await api.create(CONFIG_MAPS, namespace, config_map("b"))
        control_plane.compact()
        control_plane.restart_apiserver()

        with pytest.raises(ApiError) as expired:
            async for _ in api.watch(selection, version, timeout=5):
                pass

    assert (expired.value.status, expired.value.reason) == (410, "Expired")


@pytest.mark.parametrize("name", ["a=b", "back\\slash", "a,b", "q?a=b&c=d#e"])
async def test_an_object_is_found_by_whatever_name_it_has(control_plane: ControlPlane, namespace: str, name: str) -> None:
    """RBAC's kinds take signs that a field selector has for itself."""
    kind = Kind("rbac.authorization.k8s.io/v1", "Role")
    async with connected(control_plane.kubeconfig) as api:
        await api.create(await api.discover(kind), namespace, {"metadata": {"name": name}, "rules": []})
        found = await Actor(api, lambda: True).by_name(Ref(kind, namespace, name))
    assert found is not None
    assert found["metadata"]["name"] == name


async def test_a_kind_appears_and_goes_with_its_crd(control_plane: ControlPlane) -> None:
    """A kind is found as soon as its CRD is served, and not found again once a list said 404."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    crd = {
        "metadata": {"name": "gadgets.api.test"},
        "spec": {
            "group": "api.test", "scope": "Namespaced", "names": {"plural": "gadgets", "kind": "Gadget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }  # fmt: skip
    gadget = Kind("api.test/v1", "Gadget")
    async with connected(control_plane.kubeconfig) as api:
        with pytest.raises(ApiError, match="does not serve Gadget") as before:
            await api.discover(gadget)
        control_plane.request("POST", CRDS, crd)
        resource = await eventually_served(api, gadget)
        control_plane.request("DELETE", f"{CRDS}/gadgets.api.test")
        await eventually_gone(api, Selection(resource))
        with pytest.raises(ApiError) as after:
            await api.discover(gadget)

    assert (resource.plural, resource.namespaced) == ("gadgets", True)
    assert (before.value.status, after.value.status) == (404, 404)


async def test_the_answer_to_a_service_account_without_rights_names_what_it_lacks(
    control_plane: ControlPlane, namespace: str
) -> None:
    """A 403 carries the API server's own message, and is not worth another try."""
    async with connected(control_plane.kubeconfig_for(namespace, "nobody")) as api:
        with pytest.raises(ApiError) as refused:
            await api.list(Selection(CONFIG_MAPS, namespace))

    assert (refused.value.status, refused.value.retryable) == (403, False)
    assert f'User "system:serviceaccount:{namespace}:nobody" cannot list resource "configmaps"' in refused.value.message


async def test_writes_are_counted_by_user_and_dry_runs_are_not(control_plane: ControlPlane, namespace: str) -> None:
    """The control plane's audit log shows each write of an engine, and none where it only asks what would happen."""
    async with connected(control_plane.kubeconfig) as api:
        await api.create(CONFIG_MAPS, namespace, config_map("a"))
        await api.patch(CONFIG_MAPS, namespace, "a", {"data": {"x": "1"}}, dry_run=True)
        await api.delete(CONFIG_MAPS, namespace, "a", dry_run=True)
        await api.get(CONFIG_MAPS, namespace, "a")
        await api.delete(CONFIG_MAPS, namespace, "a")

    written = [
        write.partition("?")[0] for write in control_plane.writes(user="admin", user_agent="rulepack/") if namespace in write
    ]
    root = f"/api/v1/namespaces/{namespace}/configmaps"
    assert written == [f"create {root}", f"delete {root}/a"]
