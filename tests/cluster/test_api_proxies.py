"""Which requests go through a proxy, by a real proxy process and by Go's rules."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from engine.errors import ApiError, UsageError
from engine.kube.connection import RELOAD_SECONDS
from engine.kube.credentials import find
from engine.kube.proxies import is_direct, proxy_of
from tests.cluster.fakes import CONFIG_MAPS, config_map, connected, serving, write_kubeconfig
from tests.cluster.test_api_rotation import PATH, eventually_answered, in_pod, opened, plugin, secured
from tests.cluster.test_api_tls import Secured, certificate
from tests.controlplane.processes import free_ports


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a tinyproxy that serves loopback only, and its log."""
    with proxying(tmp_path, "proxy") as running:
        yield running


@contextmanager
def proxying(folder: Path, name: str, port: int = 0, settings: str = "") -> Iterator[tuple[str, Path]]:
    """A tinyproxy on a port of loopback, a free one unless it is given; yields its URL, and its log, called after `name`."""
    port = port or free_ports(1)[0]
    log, file = folder / f"{name}.log", folder / f"{name}.conf"
    file.write_text(f'Port {port}\nListen 127.0.0.1\nLogFile "{log}"\nLogLevel Connect\n{settings}')
    process = subprocess.Popen(["tinyproxy", "-d", "-c", file], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", log
    finally:
        process.terminate()
        process.wait()


async def answer(request: web.Request) -> web.StreamResponse:
    """A ConfigMap."""
    return web.json_response(config_map("a"))


async def test_the_kubeconfigs_proxy_carries_tls(tmp_path: Path, proxy: tuple[str, Path]) -> None:
    """A proxy-url holds for every server, loopback too: the proxy opens a tunnel, and TLS goes through it."""
    url, log = proxy
    server = Secured(tmp_path)
    trusted = {"certificate-authority": str(server.authority), "tls-server-name": "example.test", "proxy-url": url}
    async with server.running() as there:
        assert await server.get(there, trusted) == config_map("a")
    assert f"CONNECT 127.0.0.1:{there.rpartition(':')[2]}" in log.read_text()


@pytest.mark.parametrize("later", ["", "ConnectPort 1\n"], ids=["gone", "refusing"])
async def test_a_changed_proxy_url_is_read_again(tmp_path: Path, later: str) -> None:
    """Where the proxy has gone, or connects nobody any more, the one that the kubeconfig names by then carries the requests."""
    own, (port, old) = certificate(tmp_path, "server", "127.0.0.1"), free_ports(2)
    async with secured(own, port) as url, opened(find(str(naming(tmp_path, url, own[0], old)))) as connection:
        with proxying(tmp_path, "old", old):
            assert await connection.request("GET", PATH) == config_map("a")
        with proxying(tmp_path, "later", old, later) if later else nullcontext():
            for _ in range(2):  # the first one on the connection that there was
                with pytest.raises(ApiError):
                    await connection.request("GET", PATH)
            with proxying(tmp_path, "new") as (new, log):
                naming(tmp_path, url, own[0], URL(new).port)
                await asyncio.sleep(RELOAD_SECONDS + 0.1)  # what has brought nothing is not tried again at once
                assert await eventually_answered(connection) == config_map("a")
    assert f"CONNECT 127.0.0.1:{port}" in log.read_text()


def naming(folder: Path, url: str, authority: Path, proxy: int | None, **user: Any) -> Path:
    """A kubeconfig with a proxy on a port of loopback."""
    cluster = {"certificate-authority": str(authority), "proxy-url": f"http://127.0.0.1:{proxy}"}
    return write_kubeconfig(folder, url, user or None, cluster)


async def test_a_changed_proxy_url_beside_a_plugin_is_read_after_a_silence(tmp_path: Path) -> None:
    """A broken connection alone runs no credential plugin; a time without any answer does, and reads all of the kubeconfig."""
    status = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "secret"}}
    plugin(tmp_path, f"print({json.dumps(status)!r})")
    log_in = {"apiVersion": status["apiVersion"], "command": "./bin/log-in"}
    own, (port, nobody) = certificate(tmp_path, "server", "127.0.0.1"), free_ports(2)
    kubeconfig = naming(tmp_path, f"https://127.0.0.1:{port}", own[0], nobody, exec=log_in)
    async with secured(own, port) as url, opened(find(str(kubeconfig)), silent_seconds=0.2) as connection:
        with proxying(tmp_path, "new") as (new, log):
            naming(tmp_path, url, own[0], URL(new).port, exec=log_in)
            await asyncio.sleep(0.3)
            assert await eventually_answered(connection) == config_map("a")
    assert f"CONNECT 127.0.0.1:{port}" in log.read_text()


@pytest.mark.parametrize(
    "proxy", ["socks5://user:secret@proxy.test:1080", "proxy.test:3128", "http://proxy.test:port", "http://"]
)
async def test_a_proxy_that_cannot_be_used_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """That of a kubeconfig and that of the environment, without its password."""
    expected = r"the proxy \S* cannot be used; expected one for HTTP: http://HOST:PORT"
    with pytest.raises(UsageError, match=expected) as refused:
        await find(str(write_kubeconfig(tmp_path, "https://api.test", cluster={"proxy-url": proxy}))).load()
    assert "secret" not in str(refused.value)
    if "://" in proxy:  # a variable may do without, as in Go
        through(monkeypatch, proxy, "")
        with pytest.raises(UsageError, match=expected):
            await find(str(write_kubeconfig(tmp_path, "https://api.test"))).load()


@pytest.mark.parametrize("server", ["https://api.test:port", "https://", "ftp://api.test"])
async def test_a_server_that_cannot_be_used_is_refused_in_words(tmp_path: Path, server: str) -> None:
    """At start, by its URL, not by the first request."""
    with pytest.raises(UsageError, match=r"the server \S* cannot be used; expected https://HOST:PORT"):
        await find(str(write_kubeconfig(tmp_path, server))).load()


async def test_a_changed_proxy_url_that_cannot_be_used_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The proxy that there was is kept, and nothing goes past it."""
    own, (port, old) = certificate(tmp_path, "server", "127.0.0.1"), free_ports(2)
    async with secured(own, port) as url, opened(find(str(naming(tmp_path, url, own[0], old)))) as connection:
        trusted = {"certificate-authority": str(own[0]), "proxy-url": "socks5://127.0.0.1:1080"}
        write_kubeconfig(tmp_path, url, cluster=trusted)
        for _ in range(2):
            with pytest.raises(ApiError, match=f"cannot connect to .*{old}"):
                await connection.request("GET", PATH)
        with proxying(tmp_path, "old", old):
            assert await connection.request("GET", PATH) == config_map("a")
    assert "the proxy socks5://127.0.0.1:1080 cannot be used" in caplog.text


async def test_loopback_never_goes_to_the_proxy_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the variable names a proxy at which nobody answers."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with serving(answer) as url, connected(write_kubeconfig(tmp_path, url)) as api:
        assert await api.get(CONFIG_MAPS, "default", "a") == config_map("a")


def through(monkeypatch: pytest.MonkeyPatch, proxy: str, without: str) -> None:
    """Have the environment name a proxy, and what is reached without it."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("NO_PROXY", without)


@pytest.mark.parametrize("without", ["", "10.0.0.0/8", "0.0.0.0/8,10.0.0.0/8", "0.0.0.0:1", "0.0.0.0"])
async def test_no_proxy_is_obeyed(tmp_path: Path, proxy: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, without: str) -> None:
    """A kubeconfig's server, and that of a pod, by TLS, go past the proxy where an entry fits, and through it where none does.

    0.0.0.0 is no loopback address by its number, and yet leads to this machine.
    """
    url, log = proxy
    through(monkeypatch, url, without)
    own, (port,) = certificate(tmp_path, "server", "0.0.0.0"), free_ports(1)
    direct = without.startswith("0.0.0.0") and not without.endswith(":1")
    async with secured(own, port):
        kubeconfig = write_kubeconfig(tmp_path, f"https://0.0.0.0:{port}", cluster={"certificate-authority": str(own[0])})
        for credentials in (find(str(kubeconfig)), in_pod(tmp_path, monkeypatch, "0.0.0.0", port, own[0])):
            async with opened(credentials) as connection:
                assert await connection.request("GET", PATH) == config_map("a")
    assert log.read_text().count(f"CONNECT 0.0.0.0:{port}") == (0 if direct else 2)


# Each is what golang.org/x/net/http/httpproxy does (proxy_test.go has these forms).
@pytest.mark.parametrize(
    ("host", "port", "without", "direct"),
    [
        ("localhost", 443, "", True), ("127.8.9.1", 443, "", True), ("::1", 443, "", True), ("::ffff:127.0.0.1", 443, "", True),
        ("10.96.0.1", 443, "10.96.0.0/12", True), ("10.112.0.1", 443, "10.96.0.0/12", False),
        ("10.96.0.1", 443, "10.96.0.1", True),
        ("10.96.0.1", 443, "10.96.0.1:6443", False), ("10.96.0.1", 6443, "10.96.0.1:6443", True),
        ("fd00::1", 443, "fd00::/8", True), ("fd00::1", 443, "[fd00::1]:443", True), ("fd00::1", 443, "FD00:0::1", True),
        ("kubernetes.default.svc", 443, ".svc", True), ("kubernetes.default.svc", 443, "svc", True),
        ("kubernetes.default.svc", 443, "*.default.svc", True), ("default.svc", 443, "*.default.svc", False),
        ("example.com", 443, ".example.com", False), ("example.com", 443, "example.com", True),
        ("api.example.com", 443, "example.com", True), ("badexample.com", 443, "example.com", False),
        ("api.example.com", 6443, "api.example.com:443", False), ("API.example.com", 443, " a.test , EXAMPLE.com ", True),
        ("api.example.com", 443, "*", True), ("api.example.com", 443, "", False), ("api.example.com", 443, ",,", False),
        ("api.example.com", 443, "10.0.0.0/8", False), ("10.0.0.1", 443, "nonsense/8", False),
    ],
)  # fmt: skip
def test_no_proxy_is_read_as_go_reads_it(host: str, port: int, without: str, direct: bool) -> None:
    """Addresses, CIDRs, names and those below them, ports, and loopback always."""
    assert is_direct(host, port, without) is direct


def test_the_variable_is_chosen_by_the_scheme() -> None:
    """Upper case first; a proxy without a scheme is one for HTTP."""
    environ = {"HTTPS_PROXY": "proxy.test:3128", "https_proxy": "http://other.test", "HTTP_PROXY": "http://plain.test"}
    assert proxy_of("https://api.test:6443", environ) == "http://proxy.test:3128"
    assert proxy_of("http://api.test", environ) == "http://plain.test"
    assert proxy_of("https://api.test", {**environ, "no_proxy": "api.test"}) == ""
    assert proxy_of("https://api.test", {}) == ""
