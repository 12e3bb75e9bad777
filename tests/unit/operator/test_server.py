"""What the HTTP server answers, asked over a real socket."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from engine.errors import UsageError
from engine.operator.server import Server


class Report:
    """A reporter that says what a test wants."""

    def __init__(self) -> None:
        self.sick: list[str] = []
        self.waiting: list[str] = []

    def unhealthy(self) -> Sequence[str]:
        """As set."""
        return self.sick

    def unready(self) -> Sequence[str]:
        """As set."""
        return self.waiting

    def metrics_text(self) -> bytes:
        """One metric."""
        return b"# TYPE x gauge\nx 1.0\n"

    def packs(self) -> Any:
        """One pack."""
        return {"packs": [{"name": "a"}]}


@asynccontextmanager
async def serving(report: Report) -> AsyncIterator[str]:
    """A server on a free port; gives its URL."""
    server = Server(report, "127.0.0.1", 0)
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()


async def ask(url: str) -> tuple[int, str, str]:
    """Status, content type and text."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, response.content_type, await response.text()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_say_ok_or_what_is_wrong(path: str) -> None:
    """200 ok while there is nothing to say, else 503 with the reasons."""
    report = Report()
    async with serving(report) as url:
        assert (await ask(url + path))[::2] == (200, "ok\n")
        report.sick = report.waiting = ["Widget.example.com/v1 in all namespaces: not listed yet"]
        status, _, text = await ask(url + path)
        assert status == 503
        assert "Widget" in text


async def test_metrics_and_packs() -> None:
    """Prometheus text and JSON."""
    async with serving(Report()) as url:
        assert await ask(url + "/metrics") == (200, "text/plain", "# TYPE x gauge\nx 1.0\n")
        assert await ask(url + "/packs") == (200, "application/json", '{"packs": [{"name": "a"}]}')


async def test_an_address_that_is_taken_is_a_usage_error() -> None:
    """The error names the address and what to do."""
    async with serving(Report()) as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(UsageError, match=rf"cannot listen on 127.0.0.1:{port}: .*--port"):
            await Server(Report(), "127.0.0.1", port).start()


async def test_no_address_stands_for_both_families_of_ip() -> None:
    """A pod may have an IPv4 address, an IPv6 address or both, and kubelet's probes come to any of them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(Report(), "", port)
    await server.start()
    try:
        for host in ("127.0.0.1", "[::1]"):
            assert (await ask(f"http://{host}:{port}/healthz"))[0] == 200
    finally:
        await server.stop()
