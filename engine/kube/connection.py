"""Requests to an API server over HTTP: connections, credentials, time limits, and errors as `ApiError`."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncGenerator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException
from yarl import URL

from engine import __version__
from engine.errors import ApiError, UsageError
from engine.kube.credentials import Credentials
from engine.model.text import found

log = logging.getLogger(__name__)

USER_AGENT = f"rulepack/{__version__}"
#: Connections at a time; a watch holds one for as long as it lasts.
MAX_CONNECTIONS = 64
CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
#: Bytes that aiohttp reads ahead of whoever takes them: one event of a watch may have a MB and more.
READ_BUFFER = 2**21
#: How much longer than it is to last a watch may be silent before its connection counts as dead.
SILENCE_GRACE = 30.0
#: Seconds of silence before the kernel probes a connection, and between two probes; three unanswered ones end it.
KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES = 30, 10, 3

_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)

_BROKEN = (aiohttp.ClientError, OSError)  # a TimeoutError is an OSError


class Connection:
    """Connections to one API server, in the name of one user. Paths start with '/' and are quoted already, with any query."""

    def __init__(self, credentials: Credentials, configuration: Configuration) -> None:
        """Raises UsageError where the certificates of the configuration cannot be used."""
        self._credentials = credentials
        self._refreshing = asyncio.Lock()
        self._refreshed = 0
        self._use(configuration)

    @classmethod
    async def open(cls, credentials: Credentials) -> Self:
        """Load credentials; nothing is sent yet, so a server that is away is no error here. Raises UsageError."""
        return cls(credentials, await credentials.load())

    async def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", accept: str = ""
    ) -> dict[str, Any]:
        """Send a request, with a body as JSON if any, and return the JSON object that comes back. Raises ApiError.

        `accept` is the media type to ask for, where plain JSON is more than is needed.
        """
        data, headers = (None, {}) if body is None else (orjson.dumps(body), {"Content-Type": content_type})
        if accept:
            headers["Accept"] = accept
        try:
            response = await self._ask(method, path, headers, data, _REQUEST_TIMEOUT)
            return self._decoded(await response.read())
        except _BROKEN as error:
            raise self._unreachable(error) from error

    async def lines(self, path: str, timeout: float) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the JSON of each line of an answer that comes bit by bit, for about `timeout` seconds. Raises ApiError."""
        patience = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=timeout + SILENCE_GRACE)
        try:
            async with await self._ask("GET", path, {}, None, patience) as response:
                parts: list[bytes] = []  # of a line that has not ended: one object may be several MB, which readline() refuses
                while chunk := await response.content.readany():
                    *ends, rest = chunk.split(b"\n")
                    for end in ends:
                        parts.append(end)
                        event = self._decoded(b"".join(parts))
                        if not isinstance(event.get("object"), dict):
                            raise self._undecodable("an event of a watch that has no object")
                        yield event
                        parts.clear()
                    parts.append(rest)
        except _BROKEN as error:
            raise self._unreachable(error) from error

    async def close(self) -> None:
        """Give connections back."""
        await self._session.close()

    def _use(self, configuration: Configuration) -> None:
        try:
            self._session = _session(configuration)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise UsageError(f"the certificates of {self._credentials.source} cannot be used: {error}") from error
        self._configuration, self._certificate = configuration, _certificate(configuration)
        self._host = str(configuration.host).rstrip("/")
        self._options: dict[str, Any] = {"allow_redirects": False}
        if proxy := configuration.proxy or _environment_proxy(self._host):
            self._options |= {"proxy": proxy, "proxy_headers": configuration.proxy_headers}
        if configuration.tls_server_name:
            self._options["server_hostname"] = configuration.tls_server_name

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], data: bytes | None, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Return a successful answer, not read yet."""
        refreshed = self._refreshed
        response = await self._send(method, path, headers, data, timeout)
        if response.status == HTTPStatus.UNAUTHORIZED and await self._refresh(refreshed):
            response.release()
            response = await self._send(method, path, headers, data, timeout)
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _error(response, await response.read())
        return response

    async def _send(
        self, method: str, path: str, headers: dict[str, str], data: bytes | None, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        try:  # a pod's token file is read again every minute (kubernetes.aio's hook does that)
            authorization = await self._configuration.get_api_key_with_prefix("BearerToken")
        except (OSError, ConfigException) as error:
            raise ApiError(HTTPStatus.UNAUTHORIZED, "Unauthorized", f"{self._credentials.source}: {error}") from error
        if authorization:
            headers["Authorization"] = authorization
        url = URL(self._host + path, encoded=True)
        return await self._session.request(method, url, headers=headers, data=data, timeout=timeout, **self._options)

    async def _refresh(self, known: int) -> bool:
        """Load credentials again, unless another request did since `known`; return whether there are other ones now."""
        async with self._refreshing:
            if self._refreshed != known:
                return True
            try:
                fresh = await self._credentials.load()
                if _certificate(fresh) != self._certificate:
                    # An open connection keeps the certificate it began with, so the connections are given up too.
                    old = self._session
                    self._use(fresh)
                    await old.close()
                elif fresh.api_key == self._configuration.api_key:
                    return False
                else:
                    self._configuration.api_key = fresh.api_key
                    self._configuration.refresh_api_key_hook = fresh.refresh_api_key_hook  # the old one would undo it
            except (UsageError, OSError) as error:
                log.warning("the API server refused the credentials, and there are no fresh ones: %s", error)
                return False
            self._refreshed += 1
            log.info("the API server refused the credentials; loaded them again from %s", self._credentials.source)
            return True

    def _decoded(self, text: bytes) -> dict[str, Any]:
        """Return a JSON object; raise ApiError where a text is none, whatever else it is."""
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise self._undecodable(f"something that is not JSON ({error})") from error
        if type(value) is not dict:
            raise self._undecodable(f"JSON that is no object but {found(value)}")
        return value

    def _undecodable(self, what: str) -> ApiError:
        return ApiError(0, "InvalidAnswer", f"{self._host} answered with {what}; expected a Kubernetes API server there")

    def _unreachable(self, error: Exception) -> ApiError:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            message = (f"the certificate of {self._host} is not trusted: {error.certificate_error}; "
                    "check certificate-authority in the kubeconfig")  # fmt: skip
        elif isinstance(error, TimeoutError):
            message = f"{self._host} did not answer in time; check that it runs and that no firewall or proxy drops connections"
        elif isinstance(error, aiohttp.ClientConnectorError):
            message = f"cannot connect to {self._host}: {error.os_error}; check its address in the kubeconfig and that it runs"
        else:
            message = f"the connection to {self._host} broke: {str(error) or type(error).__name__}; it may be restarting"
        return ApiError(0, "Unreachable", message)


def _session(configuration: Configuration) -> aiohttp.ClientSession:
    """Return a session with the TLS settings of a configuration. Raises OSError and ValueError for unusable certificates."""
    # With trust_env aiohttp would search a proxy and for a .netrc in two threads at every request, and a .netrc entry would
    # replace the token; the proxy of the environment is read once instead.
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=_tls(configuration), socket_factory=_socket),
        headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        read_bufsize=READ_BUFFER,
    )


def _tls(configuration: Configuration) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    # Since Python 3.13 OpenSSL is to refuse certificates that do not keep to all of RFC 5280, among them those that
    # kube-apiserver and many installers make for themselves; Go, and so kubectl, accepts them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:  # insecure-skip-tls-verify
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


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


def _certificate(configuration: Configuration) -> bytes:
    """Return the client certificate; its file may have another content under the same name by now."""
    return Path(configuration.cert_file).read_bytes() if configuration.cert_file else b""


def _environment_proxy(host: str) -> str | None:
    parts = urlsplit(host)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def _error(response: aiohttp.ClientResponse, text: bytes) -> ApiError:
    try:
        status = orjson.loads(text)
    except orjson.JSONDecodeError:
        status = None
    if not isinstance(status, dict):
        status = {"message": text[:200].decode(errors="replace").strip()}
    phrase = response.reason or "an error"
    details = status.get("details") or {}
    wait = response.headers.get("Retry-After") or str(details.get("retryAfterSeconds") or "")
    return ApiError(
        response.status,
        status.get("reason") or phrase.replace(" ", ""),
        status.get("message") or f"{response.method} {response.url.path}: the server answered {response.status} {phrase}",
        float(wait) if wait.isdecimal() else None,  # the API server sends seconds, never a date
        details if isinstance(details, dict) else None,
    )
