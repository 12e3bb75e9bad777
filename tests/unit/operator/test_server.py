"""What the HTTP server answers, asked over a real socket."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from engine.errors import UsageError
from engine.operator.server import Server, probe


@asynccontextmanager
async def serving(problems: list[str]) -> AsyncIterator[str]:
    """A server on a free port with a probe and a page; gives its URL."""
    answers = {"/healthz": lambda: probe(problems), "/packs": lambda: web.json_response({"packs": [{"name": "a"}]})}
    server = Server("127.0.0.1", 0, answers)
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


async def ask(url: str) -> tuple[int, str, str]:
    """Status, content type and text."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, response.content_type, await response.text()


async def test_probes_say_ok_or_what_is_wrong() -> None:
    """200 ok while there is nothing to say, else 503 with the reasons."""
    problems: list[str] = []
    async with serving(problems) as url:
        assert (await ask(url + "/healthz"))[::2] == (200, "ok\n")
        problems.append("Widget.example.com/v1 in all namespaces: not listed yet")
        status, _, text = await ask(url + "/healthz")
        assert status == 503
        assert "Widget" in text


async def test_each_path_has_its_answer_and_others_have_none() -> None:
    """JSON where the answer is JSON, and 404 for a path that nobody answers."""
    async with serving([]) as url:
        assert await ask(url + "/packs") == (200, "application/json", '{"packs": [{"name": "a"}]}')
        assert (await ask(url + "/other"))[0] == 404


async def test_an_address_that_is_taken_is_a_usage_error() -> None:
    """The error names the address and what to do."""
    async with serving([]) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(UsageError, match=rf"cannot listen on 127.0.0.1:{port}: .*--port"):
            await Server("127.0.0.1", port, {}).start()


async def test_no_address_stands_for_both_families_of_ip() -> None:
    """A pod may have an IPv4 address, an IPv6 address or both, and kubelet's probes come to any of them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server("", port, {"/healthz": lambda: probe([])})
    await server.start()
    try:
        for host in ("127.0.0.1", "[::1]"):
            assert (await ask(f"http://{host}:{port}/healthz"))[0] == 200
    finally:
        await server.stop()
