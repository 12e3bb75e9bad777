"""The pages of the console: who may see what, and what is asked for.

All pages are at one depth and name each other by relative references, and the cookie has no path of its own, so that they work
behind any prefix that a proxy puts in front.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from engine.console import render
from engine.console.answers import HEADERS, cookie, form_of, message, pairs, redirect, send, token_of
from engine.console.audit import Audits
from engine.console.content import SHOWN, Content, Filter
from engine.console.firings import Firings
from engine.console.objects import Objects, Search
from engine.console.shared import Live
from engine.console.stream import Stream, digest
from engine.console.viewer import COOKIE_BYTES, Viewer, expires
from engine.errors import ApiError
from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.model.objects import Kind, Object, ObjectKey
from engine.model.observe import ActResult
from engine.operator.requestheader import Untrusted
from engine.operator.settings import Settings
from engine.operator.wiring import Operator

log = logging.getLogger(__name__)

PATH = "/console"
STATIC = {
    name: (kind, (Path(__file__).parent / "static" / name).read_bytes())
    for name, kind in {
        "htmx.min.js": "text/javascript; charset=utf-8", "sse.min.js": "text/javascript; charset=utf-8",
        "console.js": "text/javascript; charset=utf-8",
        "console.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml",
    }.items()
}  # fmt: skip
STREAM = "-stream"
"""How the names of streams end; before that stands the page that follows it."""
RENEWED = 10.0
"""Seconds after which the overview is made again: much of it depends on how long something waits."""
RESULTS = ("problem", *(each.value for each in ActResult if each is not ActResult.UNCHANGED))
"""By what firings can be filtered."""

Values = Mapping[str, Any]
Page = Callable[[web.BaseRequest, Viewer], Awaitable[web.StreamResponse]]
Part = tuple[Callable[[web.BaseRequest, Viewer], Awaitable[Values | None]], Callable[[ObjectKey], object]]
"""What a part of a page says, and what is another one once it may say something else; of an object where the page is of one."""


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
        self._live: Mapping[str, Part] = {
            "overview": (self._overview_values, lambda _: clock.monotonic() // RENEWED),
            "objects": (self._objects_values, lambda _: self.objects.names()),
            "object": (self._object_values, self.objects.state),
            "audit": (self._audit_values, lambda _: self._audits.state()),
        }
        self._pages: Mapping[str, Page] = {
            "": self._overview, "overview": self._overview, "packs": self._packs, "pack": self._pack, "activity": self._activity,
            "activity-stream": self._follow, "objects": self._objects, "object": self._object, "audit": self._audit,
            **{f"{name}{STREAM}": self._renew for name in self._live},
        }  # fmt: skip

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        slash, name = request.path.removeprefix(PATH)[:1], request.path.removeprefix(PATH)[1:]
        if not slash:
            return await redirect(request, f"{PATH.strip('/')}/")
        if name.startswith("static/"):
            return await self._static(request, name.removeprefix("static/"))
        try:
            if request.method == "POST":
                return await self._post(request, name)
            if request.method not in ("GET", "HEAD"):
                return await send(request, message("Only GET is answered here", ""), HTTPStatus.METHOD_NOT_ALLOWED)
            return await self._get(request, name)
        except ApiError as error:
            text = message("The API server does not say who you are", f"{error}; try again soon")
            return await send(request, text, HTTPStatus.SERVICE_UNAVAILABLE)

    async def _get(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        if name == "login":
            return await self._login_page(request)
        try:
            proxied = self._proxied(request)
        except Untrusted as error:
            return await send(request, message("You are not logged in", str(error)), HTTPStatus.UNAUTHORIZED)
        token = "" if proxied else token_of(request)
        user = await self._reviews.user(token) if token else proxied
        if user is None:
            if name.endswith(STREAM) and name in self._pages:
                return await self._stream.ended(request, HEADERS)
            query = {"next": name + (f"?{request.query_string}" if request.query_string else "")}
            if token:
                query["expired"] = "1"
            return await redirect(request, f"login?{urlencode(query)}")
        page = self._pages.get(name)
        viewer = Viewer(self._reviews, user, self._namespace, proxied=proxied is not None)
        if page is None:
            return await send(request, message("There is no such page", "", viewer), HTTPStatus.NOT_FOUND)
        return await page(request, viewer)

    def _proxied(self, request: web.BaseRequest) -> Object | None:
        """Return whom a trusted proxy names; that goes before a token, as in kube-apiserver. Raises Untrusted."""
        if self._request_header is None or request.transport is None:
            return None
        return self._request_header.user(request.transport.get_extra_info("peercert"), request.headers)

    async def _post(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return await send(request, message("Another site has sent this", ""), HTTPStatus.FORBIDDEN)
        if name == "logout":
            return await redirect(request, "login", cookie_header=cookie(request, "", 0))
        if name != "login":
            return await send(request, message("Only GET is answered here", ""), HTTPStatus.METHOD_NOT_ALLOWED)
        form = await form_of(request)
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
        return await redirect(request, self._target(form.get("next", "")), cookie_header=cookie(request, token, lasts))

    def _target(self, wanted: str) -> str:
        """Return the page to go to after logging in: one of this console's own."""
        name, _, query = wanted.partition("?")
        if name not in self._pages or name.endswith(STREAM):
            return "./"
        return (name or "./") + (f"?{urlencode(pairs(query))}" if query else "")

    async def _login_page(self, request: web.BaseRequest, problem: str = "", wanted: str | None = None) -> web.StreamResponse:
        if wanted is None:
            wanted = request.query.get("next", "")
        if not problem and request.query.get("expired"):
            problem = "your token has expired, or the API server does not know it any more"
        status = HTTPStatus.UNAUTHORIZED if problem else HTTPStatus.OK
        page = render.page("login.html", title="Log in", viewer=None, problem=problem, next=wanted, namespace=self._namespace)
        return await send(request, page, status)

    async def _static(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        if name not in STATIC:
            return await send(request, message("There is no such file", ""), HTTPStatus.NOT_FOUND)
        kind, body = STATIC[name]
        return await send(request, [body], content_type=kind)

    async def _overview(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        return await self._live_page(request, viewer, "Overview", await self._overview_values(request, viewer))

    async def _overview_values(self, _request: web.BaseRequest, viewer: Viewer) -> Values:
        return await self.content.overview(viewer)

    async def _packs(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        if not await viewer.sees_packs():
            return await self._refused(request, viewer)
        return await send(request, render.page("packs.html", title="Packs", viewer=viewer, **self.content.packs()))

    async def _pack(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        if not await viewer.sees_packs():
            return await self._refused(request, viewer)
        name = request.query.get("name", "")
        values = await self.content.pack(name, viewer)
        if values is None:
            text = message("There is no such pack", "it is not in force, or its name is another one", viewer)
            return await send(request, text, HTTPStatus.NOT_FOUND)
        return await send(request, render.page("pack.html", title=f"Pack {name}", viewer=viewer, **values))

    async def _refused(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        page = render.page("refused.html", title="Packs", viewer=viewer, namespace=self._namespace)
        return await send(request, page, HTTPStatus.FORBIDDEN)

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
        return await send(request, page)

    async def _objects(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        return await self._live_page(request, viewer, "Objects", await self._objects_values(request, viewer))

    async def _objects_values(self, request: web.BaseRequest, viewer: Viewer) -> Values:
        return await self.objects.search(viewer, Search(*_fields(request, Search._fields)))

    async def _object(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        try:
            values = await self._object_values(request, viewer)
        except ApiError as error:
            text = message("The object cannot be read", f"{error}; try again soon", viewer)
            return await send(request, text, HTTPStatus.BAD_GATEWAY)
        if values is None:
            why = "no pack watches its kind, it is gone, or you may not get it"
            return await send(request, message("There is no such object here", why, viewer), HTTPStatus.NOT_FOUND)
        return await self._live_page(request, viewer, str(values["object"]), values)

    async def _object_values(self, request: web.BaseRequest, viewer: Viewer) -> Values | None:
        pack, rule = _fields(request, ("pack", "rule"))
        return await self.objects.one(viewer, _key(request), {"pack": pack, "rule": rule})

    async def _audit(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        return await self._live_page(request, viewer, "Audit", await self._audit_values(request, viewer))

    async def _audit_values(self, request: web.BaseRequest, viewer: Viewer) -> Values:
        (pack,) = _fields(request, ("pack",))
        return await self._audits.page(viewer, pack)

    async def _live_page(self, request: web.BaseRequest, viewer: Viewer, title: str, values: Values) -> web.StreamResponse:
        """Send a page with the stream that keeps a part of it up to date."""
        name = request.path.removeprefix(f"{PATH}/") or "overview"
        part = await render.part(f"{name}-part.html", **values)
        live = request.query.get("live", "on") != "off"
        query = {key: value for key, value in request.query.items() if key not in ("live", "seen")}
        stream = f"{name}{STREAM}?{urlencode({**query, 'seen': digest(part)})}" if live else ""
        other = f"{name}?{urlencode({**query, 'live': 'off' if live else 'on'})}"
        page = render.page(
            f"{name}.html", title=title, viewer=viewer, part=part, live={"stream": stream, "other": other}, **values
        )
        return await send(request, page)

    async def _renew(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        """Send a part of a page whenever it has changed."""
        name = request.path.removeprefix(f"{PATH}/").removesuffix(STREAM)
        get, mark = self._live[name]

        async def part() -> str:
            values = await get(request, viewer)
            return render.gone() if values is None else await render.part(f"{name}-part.html", **values)

        key, query = _key(request), frozenset((field, value) for field, value in request.query.items() if field != "seen")
        followed = self.objects.following(key) if name == "object" else nullcontext()
        with followed:
            return await self._stream.follow(request, viewer, Live((name, query), part, lambda: mark(key)), HEADERS)

    async def _follow(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        return await self._stream.answer(request, viewer, _filter(request), HEADERS)


def _filter(request: web.BaseRequest) -> Filter:
    return Filter(*_fields(request, Filter._fields))


def _key(request: web.BaseRequest) -> ObjectKey:
    version, kind, namespace, name = _fields(request, ("apiVersion", "kind", "namespace", "name"))
    return ObjectKey(Kind(version, kind), namespace, name)


def _fields(request: web.BaseRequest, names: Iterable[str]) -> Iterator[str]:
    """Yield fields of a query, '' for those that it has not; no name in Kubernetes is longer."""
    return (request.query.get(name, "").strip()[:253] for name in names)
