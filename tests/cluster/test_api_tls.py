"""TLS as a kubeconfig says it: authority, client certificate, server name, and no check at all."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from engine.errors import ApiError
from tests.cluster.fakes import CONFIG_MAPS, config_map, connected, write_kubeconfig


def certificate(folder: Path, name: str, subject: str) -> tuple[Path, Path]:
    """A certificate that signs itself, for a server of that DNS name or IP address or a client, and its key."""
    try:
        name_type = f"IP:{ip_address(subject)}"
    except ValueError:
        name_type = f"DNS:{subject}"
    made, key = folder / f"{name}.crt", folder / f"{name}.key"
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", f"/CN={subject}", "-addext", f"subjectAltName={name_type}", "-out", str(made), "-keyout", str(key),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return made, key


class Secured:
    """A server with TLS on 127.0.0.1, whose certificate is for example.test; it asks for a client's certificate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority, key = certificate(folder, "server", "example.test")
        self.client = certificate(folder, "client", "rulepack.test")
        self.clients: list[Any] = []
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(self.authority, key)
        self._tls.verify_mode = ssl.CERT_OPTIONAL
        self._tls.load_verify_locations(self.client[0])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve one ConfigMap; yields the URL."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        server = TestServer(application, scheme="https")
        await server.start_server(ssl=self._tls)
        try:
            yield f"https://127.0.0.1:{server.port}"
        finally:
            await server.close()

    async def get(self, url: str, cluster: Mapping[str, Any], user: Mapping[str, Any] | None = None) -> Any:
        """The ConfigMap, asked for with what a kubeconfig says of cluster and user."""
        async with connected(write_kubeconfig(self.folder, url, user, cluster)) as api:
            return await api.get(CONFIG_MAPS, "default", "a")

    async def _answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.clients.append(request.transport.get_extra_info("peercert"))
        return web.json_response(config_map("a"))


@pytest.fixture
def server(tmp_path: Path) -> Secured:
    """A server that is not running yet."""
    return Secured(tmp_path)


async def test_the_server_name_is_checked_against_the_certificate(server: Secured) -> None:
    """Without tls-server-name the address is, which the certificate is not for; with it all is well."""
    trusted = {"certificate-authority": str(server.authority)}
    async with server.running() as url:
        with pytest.raises(ApiError, match=f"the certificate of {url} is not trusted"):
            await server.get(url, trusted)

        assert await server.get(url, {**trusted, "tls-server-name": "example.test"}) == config_map("a")


async def test_another_authority_is_not_trusted(server: Secured) -> None:
    """A certificate that the kubeconfig's authority has not signed is refused, with what to check."""
    other = {"certificate-authority": str(server.client[0]), "tls-server-name": "example.test"}
    async with server.running() as url:
        with pytest.raises(ApiError, match=r"is not trusted: .*; check certificate-authority in the kubeconfig") as refused:
            await server.get(url, other)

    assert refused.value.status == 0
    assert server.clients == []


async def test_nothing_is_checked_where_the_kubeconfig_says_so(server: Secured) -> None:
    """With insecure-skip-tls-verify neither name nor authority matters."""
    async with server.running() as url:
        assert await server.get(url, {"insecure-skip-tls-verify": True}) == config_map("a")


async def test_the_client_certificate_is_shown(server: Secured) -> None:
    """A user with client-certificate and client-key is known to the server by its subject."""
    made, key = server.client
    trusted = {"certificate-authority": str(server.authority), "tls-server-name": "example.test"}
    async with server.running() as url:
        await server.get(url, trusted, {"client-certificate": str(made), "client-key": str(key)})

    (shown,) = server.clients
    assert shown["subject"] == ((("commonName", "rulepack.test"),),)
