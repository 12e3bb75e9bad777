"""Sending requests to servers that an administrator has listed, and to no other address.

A name is resolved once for each request, each of its addresses is checked, and the connection is made to one of these. The name
stays what TLS and the header Host go by. Nothing is shared between two requests: no connection, no cookie, no redirect, no proxy.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from ipaddress import ip_address
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from engine.kube.clock import Clock
from engine.model.outcome import Failed, Obstacle, Outcome, Refused, Unavailable, Waiting
from engine.model.send import SecretKey, Send, in_json, opened
from engine.model.urls import UrlFault, literal, read_url
from engine.outbound.allowed import Allowed, allowed, reachable
from engine.outbound.answers import LARGEST, Answer, outcome_of
from engine.outbound.sender import LISTED_LATER, Reveal

MOST, MOST_OF_ONE = 8, 4
"""How many requests are under way at the same time, and how many to one host and port: fewer than there are workers."""
BUSY = 1.0
"""Seconds until it is tried again where there are that many."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host, for a port. Raises OSError."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses that the system's resolver knows for a host. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class HttpClient:
    """Sends to the hosts and ports of `entries`. `trust` gives what TLS certificates are checked by, made when first needed."""

    def __init__(
        self, entries: Sequence[Allowed], clock: Clock,
        *, resolve: Resolve = resolve, trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:  # fmt: skip
        self._entries, self._clock, self._resolve, self._trust = entries, clock, resolve, trust
        self._context: ssl.SSLContext | None = None
        self._under_way = Counter[tuple[str, int]]()

    def refusal(self, send: Send) -> str:
        """See `Sender.refusal`."""
        if any(isinstance(part, SecretKey) for part in send.url):
            return ""
        found = self._permitted(send, {})
        return "" if isinstance(found, _Permitted) else found.reason

    async def send(self, send: Send, reveal: Reveal, check_lease: Callable[[], None]) -> Outcome:
        """See `Sender.send`."""
        if not any(isinstance(part, SecretKey) for part in send.url):
            known = self._permitted(send, {})
            if not isinstance(known, _Permitted):  # before a Secret is read for nothing
                return known
        if self._under_way.total() >= MOST:
            return self._busy(send)
        values = {key: await reveal(key) for key in _secrets_of(send)}
        permitted = self._permitted(send, values)
        if not isinstance(permitted, _Permitted):
            return permitted
        if fault := _header_fault(send, values):
            return Failed(f"{send}: {fault}")
        place = permitted.entry.host, permitted.entry.port
        if self._under_way.total() >= MOST or self._under_way[place] >= MOST_OF_ONE:
            return self._busy(send)
        with self._counted(place):
            return await self._exchanged(_Request(send, permitted.url, permitted.entry, values, check_lease))

    def _busy(self, send: Send) -> Waiting:
        reason = f"{send} waits for {self._under_way.total()} requests that are under way"
        return Waiting(reason, self._clock.monotonic() + BUSY, Obstacle.REQUESTS_UNDER_WAY)

    def _permitted(self, send: Send, values: Mapping[SecretKey, str]) -> _Permitted | Refused | Unavailable:
        """Return the URL with the entry that lets it be reached.

        Else return Refused where no list would let it, Unavailable where this one does not.
        """
        url = read_url(opened(send.url, lambda key: values[key]))
        if isinstance(url, UrlFault):
            return Refused(f"{send} {url}")
        entry = allowed(self._entries, url)
        return self._not_listed(send, entry) if isinstance(entry, str) else _Permitted(url, entry)

    def _not_listed(self, send: Send, why: str) -> Unavailable:
        return Unavailable(f"{send} {why}", self._clock.monotonic() + LISTED_LATER, Obstacle.NOT_LISTED)

    @contextmanager
    def _counted(self, place: tuple[str, int]) -> Iterator[None]:
        self._under_way[place] += 1
        try:
            yield
        finally:
            self._under_way[place] -= 1

    async def _exchanged(self, request: _Request) -> Outcome:
        """Send a request that may be sent, and take its answer. What fails on the way becomes an outcome, in words of its own."""
        send, obstacle = request.send, Obstacle.NO_ANSWER
        try:
            async with asyncio.timeout(send.timeout):
                addresses = await self._addresses(request.entry)
                if isinstance(addresses, str):
                    return self._not_listed(send, addresses)
                answer = await self._answer(request, addresses)
                return outcome_of(send, answer, self._clock.monotonic(), self._clock.time())
        except TimeoutError:
            obstacle, why = Obstacle.TIMEOUT, f"has no answer within {send.timeout:g} s"
        except (OSError, aiohttp.ClientError) as error:
            why = _words(error)
        return Unavailable(f"{send} {why}", self._clock.monotonic(), obstacle)

    async def _addresses(self, entry: Allowed) -> Sequence[str] | str:
        """Return the addresses of a host, or why one of them may not be reached. Raises OSError."""
        found = [entry.host] if literal(entry.host) is not None else await self._resolve(entry.host, entry.port)
        addresses = list(dict.fromkeys(found))
        if wrong := next((each for each in addresses if not reachable(entry, ip_address(each))), None):
            return f"goes to a host with the address {wrong}, which is not public; the setting --http-allow can list its network"
        if not addresses:
            raise socket.gaierror("no address")
        return addresses

    async def _answer(self, request: _Request, addresses: Sequence[str]) -> Answer:
        """Send a request to one of these addresses. Raises TimeoutError, OSError and aiohttp's ClientError."""
        self._context = self._context or self._trust()
        connector = aiohttp.TCPConnector(resolver=_Pinned(addresses), use_dns_cache=False, force_close=True, ssl=self._context)
        async with (
            aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None), skip_auto_headers=("Content-Type",), read_bufsize=LARGEST,
                headers={"Accept-Encoding": "identity", "User-Agent": "rulepack"},
            ) as session,
            self._sent(session, request) as response,
        ):  # fmt: skip
            text = (await _beginning(response.content)).decode(errors="replace")
            return Answer(response.status, _redacted(text, request.values), response.headers.get("Retry-After", "").strip())

    @staticmethod
    def _sent(session: aiohttp.ClientSession, request: _Request) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        send, values = request.send, request.values
        headers = {name: opened(value, values.__getitem__) for name, value in send.headers.items()}
        body = opened(send.body, lambda key: in_json(values[key]) if send.as_json else values[key])
        request.check_lease()
        return session.request(
            send.method, request.url, headers=headers, data=body.encode(errors="replace") or None, allow_redirects=False
        )


def client_of(entries: Sequence[Allowed], clock: Clock) -> HttpClient | None:
    """Return what sends to the entries; None where there are none, so that nothing may be sent."""
    return HttpClient(entries, clock) if entries else None


class _Permitted(NamedTuple):
    """A URL, and the entry that lets it be reached."""

    url: URL
    entry: Allowed


class _Request(NamedTuple):
    """A request that may be sent: to the host and port of an entry, with the values of its secrets."""

    send: Send
    url: URL
    entry: Allowed
    values: Mapping[SecretKey, str]
    check_lease: Callable[[], None]


class _Pinned(AbstractResolver):
    """Answers with addresses that are checked already."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Return the addresses, whatever the host."""
        return [
            ResolveResult(
                hostname=host, host=each, port=port, proto=0, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                family=socket.AF_INET6 if ":" in each else socket.AF_INET,
            )
            for each in self._addresses
        ]  # fmt: skip

    async def close(self) -> None:
        """Do nothing: nothing is open."""


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """Return what is in an answer, as far as it is read."""
    read = bytearray()
    while len(read) < LARGEST and (piece := await content.read(LARGEST - len(read))):
        read += piece
    return bytes(read)


def _secrets_of(send: Send) -> list[SecretKey]:
    """Return the secrets of a request, each once, in order."""
    texts = (send.url, *send.headers.values(), send.body)
    return list(dict.fromkeys(part for text in texts for part in text if isinstance(part, SecretKey)))


def _header_fault(send: Send, values: Mapping[SecretKey, str]) -> str:
    """Return which header a secret would break, '' where none: a line break begins another header."""
    for name, sealed in send.headers.items():
        for key in (part for part in sealed if isinstance(part, SecretKey)):
            if any((char < " " and char != "\t") or char == "\x7f" for char in values[key]):
                return f"{key} holds a line break or a control character, which the header {name} cannot have"
    return ""


def _redacted(text: str, values: Mapping[SecretKey, str]) -> str:
    """Return an answer without the secrets that it repeats."""
    for key, value in values.items():
        for form in filter(None, (value, in_json(value))):
            text = text.replace(form, str(key))
    return text.encode()[:LARGEST].decode(errors="ignore")


def _words(error: Exception) -> str:
    """Return what came of a request that has no answer, in words that follow it: errors of libraries may quote the URL."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            cause = error.certificate_error
            why = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else "it is not for this host"
            return f"reaches a server whose certificate is not trusted: {why}"
        case aiohttp.ClientSSLError():
            return "reaches a server with which TLS cannot be agreed on"
        case socket.gaierror():
            return "goes to a host whose name is not resolved"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "has no answer: the server has closed the connection"
        case OSError():
            return f"has no answer: {error.strerror or 'the connection is lost'}"
    return "has no answer that is HTTP"
