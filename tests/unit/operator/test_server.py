"""What the HTTP servers answer, and whom they get rid of, asked over real sockets."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from engine.errors import UsageError
from engine.operator.server import LIMITS, Limits, Reply, Server, probe


@asynccontextmanager
async def serving(limits: Limits = LIMITS, **answers: Callable[[], Reply]) -> AsyncIterator[Server]:
    """A server on a free port."""
    server = Server("127.0.0.1", 0, "--port", {f"/{name}": answer for name, answer in answers.items()}, limits=limits)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def ask(server: Server, path: str, method: str = "GET") -> tuple[int, str, str]:
    """Status, content type and text."""
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        return response.status, response.content_type, await response.text()


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the other side ends a connection without a word, within 5 s."""
    try:
        return await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionResetError:
        return True


async def test_probes_say_ok_or_what_is_wrong() -> None:
    """200 ok while there is nothing to say, else 503 with the reasons."""
    problems: list[str] = []
    async with serving(healthz=lambda: probe(problems)) as server:
        assert (await ask(server, "/healthz"))[::2] == (200, "ok\n")
        problems.append("Widget.example.com/v1 in all namespaces: not listed yet")
        status, _, text = await ask(server, "/healthz")
        assert status == 503
        assert "Widget" in text


async def test_each_path_has_its_answer_and_others_have_none() -> None:
    """JSON where the answer is JSON, 404 for a path that nobody answers, 405 for anything but GET."""
    async with serving(packs=lambda: Reply((b'{"packs": ', b"[]}"), "application/json")) as server:
        assert await ask(server, "/packs") == (200, "application/json", '{"packs": []}')
        assert (await ask(server, "/other"))[0] == 404
        assert (await ask(server, "/packs", "POST"))[0] == 405


async def test_an_address_that_is_taken_is_a_usage_error() -> None:
    """The error names the address and what to do."""
    async with serving() as server:
        with pytest.raises(UsageError, match=rf"cannot listen on 127.0.0.1:{server.port}: .*--probe-port"):
            await Server("127.0.0.1", server.port, "--probe-port", {}).start()


async def test_no_address_stands_for_both_families_of_ip() -> None:
    """A pod may have an IPv4 address, an IPv6 address or both, and kubelet's probes come to any of them."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server("", port, "--port", {"/healthz": lambda: probe([])})
    await server.start()
    try:
        for host in ("127.0.0.1", "[::1]"):
            async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/healthz") as response:
                assert response.status == 200
    finally:
        await server.stop()


async def test_a_long_answer_lets_others_have_their_turn() -> None:
    """A probe is answered while a text of 2,000 pieces is under way, and not after it."""
    given: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(2_000):
            given.append(number)
            yield b"x" * 1_000

    async with serving(metrics=lambda: Reply(pieces()), healthz=lambda: probe([])) as server:
        reading = asyncio.create_task(ask(server, "/metrics"))
        while not given:
            await asyncio.sleep(0)
        assert (await ask(server, "/healthz"))[0] == 200
        assert len(given) < 2_000
        assert len((await reading)[2]) == 2_000_000


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: "])
async def test_a_connection_that_asks_for_nothing_ends(sent: bytes) -> None:
    """Neither a silent connection nor one whose headers never end is kept."""
    async with serving(Limits(begin=0.2), healthz=lambda: probe([])) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        assert await ended(reader)
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: "])
async def test_a_connection_that_asks_no_more_ends(sent: bytes) -> None:
    """After an answer it is kept for the next request, and not for ever, whether or not that has begun."""
    async with serving(Limits(begin=5, idle=0.3), healthz=lambda: probe([])) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(2):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"ok\n" in await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.write(sent)
        assert await ended(reader)
        writer.close()


async def test_idle_connections_make_room_for_one_that_asks() -> None:
    """Whoever opens more connections than there may be loses the oldest of them, and keeps nobody else out."""
    async with serving(Limits(connections=10), healthz=lambda: probe([])) as server:
        held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(30)]
        assert (await asyncio.wait_for(ask(server, "/healthz"), 5))[0] == 200
        assert await ended(held[0][0])
        for _, writer in held:
            writer.close()


async def test_an_answer_that_nobody_reads_ends(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks for a long answer and does not read it loses the connection, and puts nothing into the log."""

    def pieces() -> Iterator[bytes]:
        while True:
            yield b"x" * 65_536

    async with serving(Limits(answer=0.3), metrics=lambda: Reply(pieces())) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as lazy:
            lazy.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
            lazy.settimeout(5)
            await asyncio.sleep(1)
            held = sum(map(len, iter(lambda: lazy.recv(2**20), b"")))
    assert held > 0
    assert caplog.records == []


async def test_who_goes_away_puts_nothing_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A connection that is closed or reset before or in the middle of an answer is no error of the engine."""
    given: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(1_000):
            given.append(number)
            yield b"x" * 65_536

    async with serving(metrics=lambda: Reply(pieces())) as server:
        for linger in (struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)):
            given.clear()
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                client.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
                while not given:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            assert len(given) < 1_000
    assert caplog.records == []
