"""Requests to an API server over HTTP: connections, credentials, time limits, and errors as `ApiError`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Self

import aiohttp
import orjson
from yarl import URL

from engine.errors import ApiError, UsageError
from engine.kube import failures, sessions
from engine.kube.credentials import Credentials, token_in
from engine.kube.decode import EXPECTED, Undecodable, decoded_event, decoded_list, undecodable
from engine.kube.kubeconfig import Access
from engine.model.objects import ref_of
from engine.model.text import found

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
#: Bytes of a list beyond which it is decoded item by item beside the event loop: orjson would hold that up for 0.1 s and more.
DECODED_AT_ONCE = 2**23
#: Seconds for which what a stream has already brought is worked off before other tasks run.
SLICE = 0.02
#: Seconds for which a token that was read from a file is used before it is read again; as long as in client-go.
TOKEN_SECONDS = 60.0
#: Seconds without any answer after which everything is set up anew: addresses, certificates, proxy, token.
SILENT_SECONDS = 300.0
#: Seconds between two times that credentials are loaded although the last time brought nothing new.
RELOAD_SECONDS = 5.0

_REQUEST_TIMEOUT = aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=CONNECT_SECONDS)

#: That of answers which may be large: any time, as long as something comes.
_PATIENT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=REQUEST_SECONDS)

_BROKEN = (aiohttp.ClientError, OSError)  # a TimeoutError is an OSError


class TooLarge(Exception):
    """An answer has more bytes than were asked for; what came of it is given up."""


class List(NamedTuple):
    """A list as decoded JSON, its items that cannot be decoded, and how many bytes it came in."""

    answer: dict[str, Any]
    undecodable: Sequence[Undecodable]
    size: int


class Connection:
    """Connections to one API server, in the name of one user. Paths start with '/' and are quoted already, with any query."""

    def __init__(self, credentials: Credentials, access: Access, silent_seconds: float = SILENT_SECONDS) -> None:
        """Raises UsageError where the certificates cannot be used."""
        self._credentials, self._silent_seconds = credentials, silent_seconds
        self._refreshing = asyncio.Lock()
        self._refreshed = 0
        self._fruitless_at = float("-inf")
        self._answered_at = time.monotonic()
        self._token, self._token_read_at = "", float("-inf")
        self._use(access)

    @classmethod
    async def open(cls, credentials: Credentials, silent_seconds: float = SILENT_SECONDS) -> Self:
        """Load credentials; nothing is sent yet, so a server that is away is no error here. Raises UsageError."""
        return cls(credentials, await credentials.load(), silent_seconds)

    async def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", accept: str = ""
    ) -> dict[str, Any]:
        """Send a request, with a body as JSON if any, and return the JSON object that comes back. Raises ApiError.

        `accept` is the media type to ask for, where plain JSON is more than is needed.
        """
        try:
            data, headers = (None, {}) if body is None else (orjson.dumps(body), {"Content-Type": content_type})
        except TypeError as error:  # such as a value of a rule that is nested deeper than 254 levels
            message = f"{method} {path}: the body cannot be written as JSON: {error}"
            raise ApiError(HTTPStatus.BAD_REQUEST, "BadRequest", message) from error
        if accept:
            headers["Accept"] = accept
        text = await self._read(method, path, headers, data)
        try:
            return self._decoded(text)
        except ApiError:
            broken = await asyncio.to_thread(undecodable, text)
            if broken is None:
                raise
            message = f"{ref_of(broken.object)} cannot be decoded: {broken.reason}; expected {EXPECTED}"
            raise ApiError(HTTPStatus.OK, "Undecodable", message) from None

    async def list(self, path: str, accept: str = "", most: int = 0) -> List:
        """Return a list, and those of its items that cannot be decoded and are not in it.

        Raises ApiError, and TooLarge where it has more than `most` bytes, unless that is 0.
        """
        headers = {"Accept": accept} if accept else {}
        text = await self._read("GET", path, headers, None, _PATIENT, most)
        if len(text) <= DECODED_AT_ONCE:
            try:
                return List(self._decoded(text), (), len(text))
            except ApiError:
                found = await asyncio.to_thread(decoded_list, text)
                if found is None:
                    raise
        else:
            found = await asyncio.to_thread(decoded_list, text)
            if found is None:
                return List(self._decoded(text), (), len(text))
        return List(*found, len(text))

    async def lines(
        self, path: str, silence: float, opening: asyncio.Semaphore, accept: str = ""
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield the JSON of each line of an answer that comes bit by bit. Raises ApiError, also after `silence` seconds.

        `opening` limits how many of them begin at a time. Of an object that cannot be decoded there is what names it, and beside
        it `undecodable` says why.
        """
        patience = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        loop = asyncio.get_running_loop()
        try:
            async with opening:
                answer = await self._ask("GET", path, {"Accept": accept} if accept else {}, None, patience, watch=True)
            async with sessions.left_at_any_time(answer) as response:
                since = loop.time()
                parts: list[bytes] = []  # of a line that has not ended: one object may be several MB, which readline() refuses
                while chunk := await response.content.readany():
                    *ends, rest = chunk.split(b"\n")
                    for end in ends:
                        parts.append(end)
                        event = self._event(b"".join(parts))
                        if not isinstance(event.get("object"), dict):
                            raise failures.invalid(self._host, "an event of a watch that has no object")
                        yield event
                        parts.clear()
                        if loop.time() - since > SLICE:  # what has been read ahead is taken without a pause
                            await asyncio.sleep(0)
                            since = loop.time()
                    parts.append(rest)
        except _BROKEN as error:
            raise failures.unreachable(self._host, error) from error

    async def close(self) -> None:
        """Give connections back."""
        await self._sessions.close()

    def _use(self, access: Access) -> None:
        try:
            opened = sessions.opened(access)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise UsageError(f"the certificates of {self._credentials.source} cannot be used: {error}") from error
        self._sessions, self._access, self._host = opened, access, access.server
        self._options: dict[str, Any] = {"allow_redirects": False}
        if access.proxy:
            self._options["proxy"] = access.proxy
        if access.server_name:
            self._options["server_hostname"] = access.server_name

    async def _ask(
        self, method: str, path: str, headers: dict[str, str], data: bytes | None, timeout: aiohttp.ClientTimeout,
        *, watch: bool = False,
    ) -> aiohttp.ClientResponse:  # fmt: skip
        """Return a successful answer, not read yet."""
        if 0 < self._access.credential.expires < time.time():
            await self._refresh(self._refreshed, "they have expired")
        refreshed = self._refreshed
        try:
            response = await self._send(method, path, headers, data, timeout, watch)
        except _BROKEN as error:
            if not await self._mended(error, refreshed):
                raise
            response = await self._send(method, path, headers, data, timeout, watch)  # no request has got through before
        self._answered_at = time.monotonic()
        if response.status == HTTPStatus.UNAUTHORIZED and await self._refresh(refreshed, "the API server refused them"):
            response.release()
            response = await self._send(method, path, headers, data, timeout, watch)
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise failures.refused(response, await response.read())
        return response

    async def _send(
        self, method: str, path: str, headers: dict[str, str], data: bytes | None, timeout: aiohttp.ClientTimeout, watch: bool
    ) -> aiohttp.ClientResponse:
        if token := self._current_token():
            headers["Authorization"] = f"Bearer {token}"
        url = URL(self._host + path, encoded=True)
        session = self._sessions.watches if watch else self._sessions.requests
        return await session.request(method, url, headers=headers, data=data, timeout=timeout, **self._options)

    @property
    def token(self) -> str:
        """The token that the next request carries, '' without one."""
        return self._current_token()

    def _current_token(self) -> str:
        """Return the token; one of a file is read again every minute, since kubelet and others renew it."""
        if self._access.token_file and time.monotonic() - self._token_read_at >= TOKEN_SECONDS:
            try:
                self._token = token_in(self._access)
            except (OSError, ValueError) as error:
                log.warning("the token of %s cannot be read again: %s", self._credentials.source, error)
            self._token_read_at = time.monotonic()
        return self._token or self._access.credential.token

    async def _mended(self, error: Exception, refreshed: int) -> bool:
        """Return whether what a request broke on is another now, and the request has not got through."""
        if sessions.is_of_certificates(error):
            return await self._refresh(refreshed, "a certificate is not trusted")
        if time.monotonic() - self._answered_at >= self._silent_seconds:
            self._answered_at = time.monotonic()  # so that it is done once in that time
            await self._refresh(refreshed, f"no answer for {self._silent_seconds:.0f} s", anew=True)
        elif not self._access.by_plugin:  # a client certificate that is not taken any more may look like any broken connection
            await self._refresh(refreshed, "the connection broke, and there are other ones")
        return False

    async def _refresh(self, known: int, reason: str, *, anew: bool = False) -> bool:
        """Load credentials again, unless another request did since `known`; return whether there are other ones now.

        With `anew` the connections are given up even where nothing has changed.
        """
        async with self._refreshing:
            if self._refreshed != known:
                return True
            if not anew and time.monotonic() - self._fruitless_at < RELOAD_SECONDS:
                return False
            used, self._token_read_at = self._current_token(), float("-inf")
            try:
                fresh = await self._credentials.load()
                if anew or sessions.settings(fresh) != sessions.settings(self._access):
                    # An open connection keeps the certificates it began with, so the connections are given up too.
                    old = self._sessions
                    self._use(fresh)
                    await old.close()
                elif fresh == self._access and self._current_token() == used:
                    self._fruitless_at = time.monotonic()
                    return False
                self._access = fresh
            except UsageError as error:
                self._fruitless_at = time.monotonic()
                log.warning("credentials: %s, and there are no fresh ones: %s", reason, error)
                return False
            self._refreshed += 1
            log.info("credentials: %s; loaded them again from %s", reason, self._credentials.source)
            return True

    async def _read(
        self, method: str, path: str, headers: dict[str, str], data: bytes | None,
        timeout: aiohttp.ClientTimeout = _REQUEST_TIMEOUT, most: int = 0,
    ) -> bytes:  # fmt: skip
        try:
            async with await self._ask(method, path, headers, data, timeout) as response:
                if not most:
                    return await response.read()
                parts: list[bytes] = []
                while chunk := await response.content.readany():
                    parts.append(chunk)
                    if (most := most - len(chunk)) < 0:
                        response.close()
                        raise TooLarge
                return b"".join(parts)
        except _BROKEN as error:
            raise failures.unreachable(self._host, error) from error

    def _event(self, text: bytes) -> dict[str, Any]:
        try:
            return self._decoded(text)
        except ApiError:
            found = decoded_event(text)
            if found is None:
                raise
            return {"type": found[0], "object": found[1].object, "undecodable": found[1].reason}

    def _decoded(self, text: bytes) -> dict[str, Any]:
        """Return a JSON object; raise ApiError where a text is none, whatever else it is."""
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise failures.invalid(self._host, f"something that is not JSON ({error})") from error
        if type(value) is not dict:
            raise failures.invalid(self._host, f"JSON that is no object but {found(value)}")
        return value
