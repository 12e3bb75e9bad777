"""Sessions of HTTP with an API server: TLS, sockets, limits."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import NamedTuple

import aiohttp

from engine import __version__
from engine.kube import pem
from engine.kube.kubeconfig import Access

USER_AGENT = f"rulepack/{__version__}"
#: Connections at a time of requests; those of watches have no limit, since each holds one for as long as it lasts.
MAX_CONNECTIONS = 64
#: Bytes that aiohttp reads ahead of whoever takes them: one event of a watch may have a MB and more.
READ_BUFFER = 2**21
#: Seconds of silence before the kernel probes a connection, and between two probes; three unanswered ones end it.
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES = 30, 10, 3


class Sessions(NamedTuple):
    """One for requests, and one for watches, which never take the connections of requests."""

    requests: aiohttp.ClientSession
    watches: aiohttp.ClientSession

    async def close(self) -> None:
        """Give all connections back."""
        await self.requests.close()
        await self.watches.close()


def opened(access: Access) -> Sessions:
    """Return sessions with the TLS settings of an access. Raises OSError and ValueError for unusable certificates."""
    context = _tls(access)
    return Sessions(_session(context, MAX_CONNECTIONS), _session(context, 0))


def _session(context: ssl.SSLContext, limit: int) -> aiohttp.ClientSession:
    # With trust_env aiohttp would search a proxy and for a .netrc in two threads at every request, and a .netrc entry would
    # replace the token; the proxy of the environment is read once instead.
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit, ssl=context, socket_factory=_socket),
        headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        read_bufsize=READ_BUFFER,
    )


def _tls(access: Access) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=access.authority.decode() or None)
    # Since Python 3.13 OpenSSL is to refuse certificates that do not keep to all of RFC 5280, among them those that
    # kube-apiserver and many installers make for themselves; Go, and so kubectl, accepts them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if access.credential.certificate:
        pem.load(context, access.credential.certificate, access.credential.key)
    if not access.verify:  # insecure-skip-tls-verify
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@asynccontextmanager
async def left_at_any_time(answer: aiohttp.ClientResponse) -> AsyncIterator[aiohttp.ClientResponse]:
    """Have an answer's connection dropped where it has not ended: a graceful end of TLS waits up to 30 s for the server."""
    async with answer as response:
        try:
            yield response
        finally:
            if response.connection is not None and response.connection.transport is not None:
                response.connection.transport.abort()


def settings(access: Access) -> Access:
    """Return what connections are made with; a token goes along with each request instead."""
    return replace(access, credential=replace(access.credential, token="", expires=0.0))


def is_of_certificates(error: BaseException | None) -> bool:
    """Return whether one side does not accept the other's certificate, or the like; then nothing has been answered."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or getattr(error, "os_error", None) or error.__context__
    return False


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket whose other end is probed, so that a watch notices in about a minute that its server is gone."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    settings = {"TCP_KEEPIDLE": KEEPALIVE_IDLE, "TCP_KEEPINTVL": KEEPALIVE_INTERVAL, "TCP_KEEPCNT": KEEPALIVE_PROBES}
    for name, value in settings.items():
        if hasattr(socket, name):  # not every system has all three
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
