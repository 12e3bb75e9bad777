"""The pages of the console: who may see what, and what is asked for.

All pages are at one depth and name each other by relative references, and the cookie has no path of its own, so that they work
behind any prefix that a proxy puts in front.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from aiohttp import web

from engine.console import render
from engine.console.audit import Audits
from engine.console.content import SHOWN, Content, Filter
from engine.console.firings import Firings
from engine.console.objects import Objects, Search
from engine.console.stream import Stream
from engine.console.viewer import COOKIE, COOKIE_BYTES, Viewer, expires
from engine.errors import ApiError
from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.model.objects import Kind, Object, ObjectKey
from engine.model.observe import ActResult
from engine.operator.guard import bearer
from engine.operator.requestheader import Untrusted
from engine.operator.settings import Settings
from engine.operator.wiring import Operator

log = logging.getLogger(__name__)

PATH = "/console"
FORM_BYTES = 16_384
"""How long a form may be."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
}  # fmt: skip
STATIC = {
    name: (kind, (Path(__file__).parent / "static" / name).read_bytes())
    for name, kind in {
        "htmx.min.js": "text/javascript; charset=utf-8", "sse.min.js": "text/javascript; charset=utf-8",
        "console.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml",
    }.items()
}  # fmt: skip
RESULTS = ("problem", *(each.value for each in ActResult if each is not ActResult.UNCHANGED))
"""By what firings can be filtered."""

Page = Callable[[web.BaseRequest, Viewer], Awaitable[web.StreamResponse]]


class Console:
    """Answers what is asked below /console; from `content` and `objects` others can answer as well."""

    def __init__(self, api: Api, operator: Operator, firings: Firings, clock: Clock, settings: Settings) -> None:
        self._reviews, self._namespace, self._clock = operator.reviews, settings.operator_namespace, clock
        self.content = Content(operator, firings, clock)
        self.objects = Objects(api, operator, self.content, firings, clock)
        self._request_header = settings.request_header
        self._stream = Stream(self.content, firings)
        self._audits = Audits(operator, self.content, settings)
        firings.catalog = lambda: operator.reconciler.catalog
        self._pages: Mapping[str, Page] = {
            "": self._overview, "packs": self._packs, "pack": self._pack, "activity": self._activity,
            "activity-stream": self._follow, "objects": self._objects, "object": self._object, "audit": self._audit,
        }  # fmt: skip

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        slash, name = request.path.removeprefix(PATH)[:1], request.path.removeprefix(PATH)[1:]
        if not slash:
            return await _redirect(request, f"{PATH.strip('/')}/")
        if name.startswith("static/"):
            return await self._static(request, name.removeprefix("static/"))
        try:
            if request.method == "POST":
                return await self._post(request, name)
            if request.method not in ("GET", "HEAD"):
                return await _send(request, _message("Only GET is answered here", ""), HTTPStatus.METHOD_NOT_ALLOWED)
            return await self._get(request, name)
        except ApiError as error:
            message = _message("The API server does not say who you are", f"{error}; try again soon")
            return await _send(request, message, HTTPStatus.SERVICE_UNAVAILABLE)

    async def _get(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        if name == "login":
            return await self._login_page(request)
        try:
            proxied = self._proxied(request)
        except Untrusted as error:
            return await _send(request, _message("You are not logged in", str(error)), HTTPStatus.UNAUTHORIZED)
        token = "" if proxied else _token(request)
        user = await self._reviews.user(token) if token else proxied
        if user is None:
            if name == "activity-stream":
                return await self._stream.ended(request, HEADERS)
            query = {"next": name + (f"?{request.query_string}" if request.query_string else "")}
            if token:
                query["expired"] = "1"
            return await _redirect(request, f"login?{urlencode(query)}")
        page = self._pages.get(name)
        viewer = Viewer(self._reviews, user, self._namespace, proxied=proxied is not None)
        if page is None:
            return await _send(request, _message("There is no such page", "", viewer), HTTPStatus.NOT_FOUND)
        return await page(request, viewer)

    def _proxied(self, request: web.BaseRequest) -> Object | None:
        """Return whom a trusted proxy names; that goes before a token, as in kube-apiserver. Raises Untrusted."""
        if self._request_header is None or request.transport is None:
            return None
        return self._request_header.user(request.transport.get_extra_info("peercert"), request.headers)

    async def _post(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return await _send(request, _message("Another site has sent this", ""), HTTPStatus.FORBIDDEN)
        if name == "logout":
            return await _redirect(request, "login", cookie=_cookie(request, "", 0))
        if name != "login":
            return await _send(request, _message("Only GET is answered here", ""), HTTPStatus.METHOD_NOT_ALLOWED)
        form = await _form(request)
        token = "".join(form.get("token", "").split())  # people copy line breaks of a terminal with it
        problem, lasts = "", None
        if not token:
            problem = "paste a token"
        elif len(token) > COOKIE_BYTES or not token.isascii() or any(char in token for char in ';,"\\'):
            problem = f"this is no token: expected at most {COOKIE_BYTES} characters as `kubectl create token` prints them"
        elif await self._reviews.user(token) is None:
            problem = "the API server does not know this token, or it has expired"
        else:
            at = expires(token)
            lasts = None if at is None else max(0, int(at - self._clock.time()))
        if problem:
            return await self._login_page(request, problem, form.get("next", ""))
        return await _redirect(request, self._target(form.get("next", "")), cookie=_cookie(request, token, lasts))

    def _target(self, wanted: str) -> str:
        """Return the page to go to after logging in: one of this console's own."""
        name, _, query = wanted.partition("?")
        if name not in self._pages or name == "activity-stream":
            return "./"
        return (name or "./") + (f"?{urlencode(_pairs(query))}" if query else "")

    async def _login_page(self, request: web.BaseRequest, problem: str = "", wanted: str | None = None) -> web.StreamResponse:
        if wanted is None:
            wanted = request.query.get("next", "")
        if not problem and request.query.get("expired"):
            problem = "your token has expired, or the API server does not know it any more"
        status = HTTPStatus.UNAUTHORIZED if problem else HTTPStatus.OK
        page = render.page("login.html", title="Log in", viewer=None, problem=problem, next=wanted, namespace=self._namespace)
        return await _send(request, page, status)

    async def _static(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        if name not in STATIC:
            return await _send(request, _message("There is no such file", ""), HTTPStatus.NOT_FOUND)
        kind, body = STATIC[name]
        return await _send(request, [body], content_type=kind)

    async def _overview(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        values = await self.content.overview(viewer)
        return await _send(request, render.page("overview.html", title="Overview", viewer=viewer, **values))

    async def _packs(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        if not await viewer.sees_packs():
            return await self._refused(request, viewer)
        return await _send(request, render.page("packs.html", title="Packs", viewer=viewer, **self.content.packs()))

    async def _pack(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        if not await viewer.sees_packs():
            return await self._refused(request, viewer)
        name = request.query.get("name", "")
        values = await self.content.pack(name, viewer)
        if values is None:
            message = _message("There is no such pack", "it is not in force, or its name is another one", viewer)
            return await _send(request, message, HTTPStatus.NOT_FOUND)
        return await _send(request, render.page("pack.html", title=f"Pack {name}", viewer=viewer, **values))

    async def _refused(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        page = render.page("refused.html", title="Packs", viewer=viewer, namespace=self._namespace)
        return await _send(request, page, HTTPStatus.FORBIDDEN)

    async def _activity(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        only, version = _filter(request), self.content.version
        found = [each async for each in self.content.visible(viewer, only, SHOWN)]
        items = [render.firing(each, await self.content.hidden(viewer, each)) for each in found]
        live = request.query.get("live", "on") != "off"
        query = {key: value for key, value in only._asdict().items() if value}
        page = render.page(
            "activity.html", title="Activity", viewer=viewer, items=items, only=only, live=live, results=RESULTS,
            stream=f"activity-stream?{urlencode({**query, 'after': str(version)})}",
            other=f"activity?{urlencode({**query, 'live': 'off' if live else 'on'})}",
        )  # fmt: skip
        return await _send(request, page)

    async def _objects(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        values = await self.objects.search(viewer, Search(*_fields(request, Search._fields)))
        return await _send(request, render.page("objects.html", title="Objects", viewer=viewer, **values))

    async def _object(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        version, kind, namespace, name, pack, rule = _fields(request, ("apiVersion", "kind", "namespace", "name", "pack", "rule"))
        key = ObjectKey(Kind(version, kind), namespace, name)
        try:
            values = await self.objects.one(viewer, key, {"pack": pack, "rule": rule})
        except ApiError as error:
            message = _message("The object cannot be read", f"{error}; try again soon", viewer)
            return await _send(request, message, HTTPStatus.BAD_GATEWAY)
        if values is None:
            why = "no pack watches its kind, it is gone, or you may not get it"
            return await _send(request, _message("There is no such object here", why, viewer), HTTPStatus.NOT_FOUND)
        page = render.page("object.html", title=str(values["object"]), viewer=viewer, **values)
        return await _send(request, page)

    async def _audit(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        (pack,) = _fields(request, ("pack",))
        values = await self._audits.page(viewer, pack)
        return await _send(request, render.page("audit.html", title="Audit", viewer=viewer, **values))

    async def _follow(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        return await self._stream.answer(request, viewer, _filter(request), HEADERS)


def _filter(request: web.BaseRequest) -> Filter:
    return Filter(*_fields(request, Filter._fields))


def _fields(request: web.BaseRequest, names: Iterable[str]) -> Iterator[str]:
    """Yield fields of a query, '' for those that it has not; no name in Kubernetes is longer."""
    return (request.query.get(name, "").strip()[:253] for name in names)


def _token(request: web.BaseRequest) -> str:
    """Return the token of a request: of the header Authorization, which a proxy may add, else of the cookie."""
    if token := bearer(request.headers.get("Authorization", "")):
        return token
    return request.cookies.get(COOKIE, "")


def _cookie(request: web.BaseRequest, token: str, lasts: int | None) -> str:
    """Return the header that sets the cookie, for as long as the token is good; without a path: that of the page."""
    cookie = SimpleCookie()
    cookie[COOKIE] = token
    attributes = {"httponly": True, "samesite": "Strict", "secure": request.secure, "max-age": "" if lasts is None else lasts}
    for name, value in attributes.items():
        cookie[COOKIE][name] = value
    return cookie[COOKIE].OutputString()


async def _form(request: web.BaseRequest) -> Mapping[str, str]:
    """Return the fields of a form, '' of one that is too long."""
    body = b""
    async for piece in request.content.iter_chunked(4_096):
        body += piece
        if len(body) > FORM_BYTES:
            return {}
    return _pairs(body.decode(errors="replace"))


def _pairs(query: str) -> dict[str, str]:
    with suppress(ValueError):  # more fields than anybody needs
        return {name: values[0] for name, values in parse_qs(query, max_num_fields=20).items()}
    return {}


def _message(title: str, text: str, viewer: Viewer | None = None) -> Iterable[bytes]:
    return render.page("message.html", title=title, text=text, viewer=viewer)


async def _redirect(request: web.BaseRequest, where: str, *, cookie: str = "") -> web.StreamResponse:
    headers = {**HEADERS, "Location": where, **({"Set-Cookie": cookie} if cookie else {})}
    return await _send(request, [], HTTPStatus.SEE_OTHER, headers=headers)


async def _send(
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
