"""Lists of servers that stream and of those that do not: whole, and no more than a few MB at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from engine.errors import ApiError
from engine.kube import collections
from engine.kube.api import Page
from engine.kube.connection import REQUEST_SECONDS
from engine.kube.credentials import find
from engine.kube.kubernetes import KubernetesApi
from tests.cluster.fakes import IN_DEFAULT, config_map, connected, failure, serving, watch_line, write_kubeconfig
from tests.cluster.test_api_rotation import opened

END = {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}
MARK = watch_line("BOOKMARK", {"metadata": END})
Stream = Callable[[web.Request], web.StreamResponse]


def refusing(_: web.Request) -> web.StreamResponse:
    """Refuse as a server does that knows nothing of streaming lists."""
    message = 'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: is forbidden for watch'
    return web.json_response(failure(422, "Invalid", message), status=422)


def sending(*lines: bytes) -> Stream:
    """Stream these lines, and end."""
    return lambda _: web.Response(body=b"".join(lines))


@dataclass
class Fake:
    """A server with so many ConfigMaps, each of so many bytes; `limits` are the sizes of the pages that were asked for."""

    sizes: Iterable[int]
    stream: Stream = refusing
    limits: list[int] = field(default_factory=list)
    streams: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """List, or stream."""
        if "watch" in request.query:
            self.streams += 1
            assert request.query["sendInitialEvents"] == "true"
            return self.stream(request)
        sizes = [*self.sizes]
        start, limit = int(request.query.get("continue", 0)), int(request.query["limit"])
        self.limits.append(limit)
        items = [config_map(f"c{start + n}", data={"x": "x" * size}) for n, size in enumerate(sizes[start : start + limit])]
        rest = {"continue": str(start + limit)} if start + limit < len(sizes) else {}
        return web.json_response({"kind": "ConfigMapList", "metadata": {"resourceVersion": "7", **rest}, "items": items})


async def pages(api: KubernetesApi) -> list[Page]:
    """All pages."""
    async with aclosing(api.pages(IN_DEFAULT)) as found:
        return [page async for page in found]


def names(found: Iterable[Page]) -> list[Any]:
    """The names on pages."""
    return [item["metadata"]["name"] for page in found for item in page.items]


async def test_a_small_collection_is_one_request(tmp_path: Path) -> None:
    """What fits into the first page is not asked for again."""
    fake = Fake([10] * 50)
    async with serving(fake.answer) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        found = await pages(api)

    assert len(names(found)) == 50
    assert (fake.limits, fake.streams) == ([50], 0)


async def test_a_larger_one_is_streamed_object_by_object(tmp_path: Path) -> None:
    """Each object is a page of its own; what goes meanwhile is named, and the last page says where a watch goes on."""
    lines = [watch_line("ADDED", config_map(f"c{number}")) for number in range(60)]
    fake = Fake(
        [10] * 60, sending(*lines, watch_line("DELETED", config_map("c7")), MARK, watch_line("ADDED", config_map("later")))
    )
    async with serving(fake.answer) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        found = await pages(api)

    assert names(found) == [f"c{number}" for number in range(60)]
    assert max(len(page.items) for page in found) == 1
    assert [obj["metadata"]["name"] for page in found for obj in page.gone] == ["c7"]
    assert (found[-1].resource_version, fake.limits) == ("9", [50])


async def test_pages_go_by_weight_where_the_server_cannot_stream(tmp_path: Path) -> None:
    """A page has as many objects as make about a MB, and one that would have more than 4 MB is given up; nothing is missing."""
    fake = Fake([1000] * 300 + [900_000] * 20 + [10] * 600)
    async with serving(fake.answer) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        first = await pages(api)
        again = await pages(api)

    assert names(first) == names(again) == [f"c{number}" for number in range(920)]
    assert max(sum(len(item["data"]["x"]) for item in page.items) for page in first) <= collections.MOST
    assert fake.limits[:4] == [50, 200, 500, 62]
    assert (max(fake.limits), fake.streams) == (500, 1)


async def test_one_object_may_have_any_size(tmp_path: Path) -> None:
    """A single object is never too large for a page."""
    fake = Fake([collections.MOST + 1, 5] + [10] * 50)
    async with serving(fake.answer) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        found = await pages(api)

    assert names(found) == [f"c{number}" for number in range(52)]
    assert fake.limits[:3] == [50, 1, 1]


@pytest.mark.parametrize("lines", [(), (watch_line("ADDED", config_map("c0")),)], ids=["nothing", "no end"])
async def test_a_stream_without_an_end_is_not_tried_again(tmp_path: Path, lines: tuple[bytes, ...]) -> None:
    """A server that ignores what was asked for makes one list fail; the next one comes in pages."""
    fake = Fake([10] * 60, sending(*lines))
    async with serving(fake.answer) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        with pytest.raises(ApiError, match="ended before all of it had come"):
            await pages(api)
        assert len(names(await pages(api))) == 60

    assert fake.streams == 1


async def test_a_list_that_makes_progress_may_take_any_time(tmp_path: Path) -> None:
    """One page, and a stream, that come bit by bit for longer than any other answer may take."""
    parts = 8
    body = orjson.dumps({"metadata": {"resourceVersion": "7"}, "items": [config_map(f"c{number}") for number in range(40)]})
    lines = [watch_line("ADDED", config_map(f"c{number}")) for number in range(40)] + [MARK]

    async def slow(request: web.Request) -> web.StreamResponse:
        text = b"".join(lines) if "watch" in request.query else body
        size = -(-len(text) // parts)
        answer = web.StreamResponse()
        await answer.prepare(request)
        for start in range(0, len(text), size):
            await answer.write(text[start : start + size])
            await asyncio.sleep(1.1 * REQUEST_SECONDS / parts)
        return answer

    async with serving(slow) as url, opened(find(str(write_kubeconfig(tmp_path, url)))) as connection:
        path, opening = "/api/v1/configmaps", asyncio.Semaphore(1)

        async def streamed() -> int:
            return len([line async for line in connection.lines(f"{path}?watch=1", REQUEST_SECONDS, opening)])

        page, events = await asyncio.gather(connection.list(path), streamed())

    assert len(page.answer["items"]) == 40
    assert events == 41
