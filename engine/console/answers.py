"""What the console's answers have in common: their headers, the cookie with the token, forms, redirects and messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from engine.console import render
from engine.console.viewer import COOKIE, Viewer
from engine.operator.guard import bearer

FORM_BYTES = 16_384
"""How long a form may be."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
}  # fmt: skip


def token_of(request: web.BaseRequest) -> str:
    """Return the token of a request: of the header Authorization, which a proxy may add, else of the cookie."""
    if token := bearer(request.headers.get("Authorization", "")):
        return token
    return request.cookies.get(COOKIE, "")


def cookie(request: web.BaseRequest, token: str, lasts: int | None) -> str:
    """Return the header that sets the cookie, for as long as the token is good; without a path: that of the page."""
    made = SimpleCookie()
    made[COOKIE] = token
    attributes = {"httponly": True, "samesite": "Strict", "secure": request.secure, "max-age": "" if lasts is None else lasts}
    for name, value in attributes.items():
        made[COOKIE][name] = value
    return made[COOKIE].OutputString()


async def form_of(request: web.BaseRequest) -> Mapping[str, str]:
    """Return the fields of a form, '' of one that is too long."""
    body = b""
    async for piece in request.content.iter_chunked(4_096):
        body += piece
        if len(body) > FORM_BYTES:
            return {}
    return pairs(body.decode(errors="replace"))


def pairs(query: str) -> dict[str, str]:
    with suppress(ValueError):  # more fields than anybody needs
        return {name: values[0] for name, values in parse_qs(query, max_num_fields=20).items()}
    return {}


def message(title: str, text: str, viewer: Viewer | None = None) -> Iterable[bytes]:
    return render.page("message.html", title=title, text=text, viewer=viewer)


async def redirect(request: web.BaseRequest, where: str, *, cookie_header: str = "") -> web.StreamResponse:
    headers = {**HEADERS, "Location": where, **({"Set-Cookie": cookie_header} if cookie_header else {})}
    return await send(request, [], HTTPStatus.SEE_OTHER, headers=headers)


async def send(
    request: web.BaseRequest, body: Iterable[bytes], status: int = HTTPStatus.OK, *,
    content_type: str = "text/html; charset=utf-8", headers: Mapping[str, Any] = HEADERS,
) -> web.StreamResponse:  # fmt: skip
    """Send a page in pieces; others get a turn of the event loop after each."""
    response = web.StreamResponse(status=status, headers={**headers, "Content-Type": content_type})
    await response.prepare(request)
    for piece in body if request.method != "HEAD" else ():
        await response.write(piece)
        await asyncio.sleep(0)
    await response.write_eof()
    return response
