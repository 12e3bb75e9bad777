"""What rules do for the objects of one application, as JSON data for an extension of another user interface.

A proxy of that interface has authenticated and authorized its user, and names in a header the application that they may see.
Whether that header counts is decided by the token of the proxy's own account, which the API server must allow to vouch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from engine.console import render
from engine.console.app import Console
from engine.console.content import SHOWN, Filter, Waiting
from engine.console.firings import BAD, KEPT, Firing, Hidden, StepTaken
from engine.console.vouched import VouchedViewer
from engine.errors import ApiError, EvaluationError
from engine.kube.api import Api
from engine.model.flags import Mode
from engine.model.objects import Kind, ObjectKey, Ref
from engine.model.observe import ActResult
from engine.model.send import HIDDEN
from engine.operator.extension import Applications, Named
from engine.operator.guard import Readers, bearer
from engine.operator.settings import Settings
from engine.operator.wiring import Operator

PATH, VERB = "/extension", "vouch"
"""Where the routes are, and what an account must be allowed to do there, beside nonResourceURLs in a ClusterRole."""
EVENT = "Event"
HEADERS = {"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_COUNTED = {
    ActResult.DONE: "acted", ActResult.AUDITED: "audited", ActResult.FAILED: "failed", ActResult.REFUSED: "failed",
}  # fmt: skip
"""As what the last firing of a rule for an object counts; one that goes on is among what waits."""


class Answer(NamedTuple):
    """A status and JSON data."""

    status: int
    data: Mapping[str, Any]

    @classmethod
    def error(cls, status: int, text: str, **data: Any) -> Answer:
        """Return what is wrong."""
        return cls(status, {"error": text, **data})


class Extension:
    """Answers /extension/object and /extension/summary."""

    def __init__(self, api: Api, operator: Operator, console: Console, settings: Settings, applications: Applications) -> None:
        self._api, self._operator, self._console, self._applications = api, operator, console, applications
        self._namespace, self._shard = settings.operator_namespace, settings.shard
        self._readers = Readers(operator.reviews, VERB)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        try:
            answer = await self._answer(request)
        except ApiError as error:
            answer = Answer.error(HTTPStatus.SERVICE_UNAVAILABLE, f"the API server does not let the operator answer: {error}")
        response = web.Response(
            body=orjson.dumps(_plain(answer.data)), status=answer.status, headers=HEADERS, content_type="application/json"
        )
        if answer.data.get("standby"):
            response.force_close()  # so that whoever asks again may get to another replica
        await response.prepare(request)
        await response.write_eof()
        return response

    async def _answer(self, request: web.BaseRequest) -> Answer:
        if request.method != "GET":
            return Answer.error(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered here")
        authorization = _authorization(request)
        if refusal := await self._readers.refusal(authorization, PATH):
            return Answer.error(refusal.status, b"".join(refusal.body).decode().strip())
        route = {f"{PATH}/object": self._object, f"{PATH}/summary": self._summary}.get(request.path)
        if route is None:
            return Answer.error(HTTPStatus.NOT_FOUND, f"only {PATH}/object and {PATH}/summary are answered here")
        if not self._operator.may_act():
            return self._standby()
        found = await self._viewer(request, bearer(authorization))
        return found if isinstance(found, Answer) else await route(request, found)

    def _standby(self) -> Answer:
        leader = self._operator.leader.holder or "nobody"
        text = f"this replica stands by: {leader} acts, and only that one knows what rules do; ask again"
        return Answer.error(HTTPStatus.SERVICE_UNAVAILABLE, text, standby=True)

    async def _viewer(self, request: web.BaseRequest, token: str) -> VouchedViewer | Answer:
        """Return who sees the application that a request names, or what is wrong with that."""
        header, kind = self._applications.header, self._applications.kind
        given = request.headers.getall(header, [])
        namespace, _, name = "".join(given[:1]).partition(":")
        if len(given) != 1 or not namespace or not name or ":" in name or "/" in namespace + name:  # the proxy has checked one
            return Answer.error(HTTPStatus.BAD_REQUEST, f"the header {header} is missing or wrong; expected NAMESPACE:NAME, once")
        try:
            application = await self._api.get(await self._api.discover(kind), namespace, name)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return Answer.error(HTTPStatus.NOT_FOUND, f"there is no {kind.kind} {namespace}/{name} in this cluster")
            raise
        try:
            objects = self._applications.objects_of(application)
        except EvaluationError as error:
            return Answer.error(HTTPStatus.BAD_GATEWAY, f"which objects {kind.kind} {namespace}/{name} has is not known: {error}")
        own = Named(kind.group, kind.kind, namespace, name)
        proxy = await self._operator.reviews.user(token)
        return VouchedViewer(self._operator.reviews, proxy or {}, self._namespace, objects | {own})

    async def _object(self, request: web.BaseRequest, viewer: VouchedViewer) -> Answer:
        """Return why rules act for an object or do not, and what they did for it lately."""
        named = Named(*(request.query.get(field, "")[:253] for field in Named._fields))
        text = str(Ref(Kind("", named.kind), named.namespace, named.name))
        if named not in viewer.objects:
            return Answer.error(HTTPStatus.FORBIDDEN, f"{text} is none of the application's own resources in this cluster")
        kind = self._watched(named)
        if kind is None:
            return Answer(HTTPStatus.OK, {"object": text, "watched": False, "packs": [], "firings": []})
        key = ObjectKey(kind, named.namespace, named.name)
        if not self._owns(key):
            return Answer.error(HTTPStatus.SERVICE_UNAVAILABLE, f"{text} is another shard's; ask again", standby=True)
        values = await self._console.objects.one(viewer, key, {"pack": "", "rule": ""})
        if values is None:
            return Answer.error(HTTPStatus.NOT_FOUND, f"there is no {text} in this cluster")
        firings = [each async for each in self._console.content.visible(viewer, Filter(object=text), KEPT)]
        own = [each for each in firings if each.object[:3] == key][:SHOWN]
        return Answer(HTTPStatus.OK, {
            "object": text, "watched": True, "secret": values["secret"], "conditions": values["sees_packs"],
            "packs": values["packs"], "more": values["more"],
            "firings": [_firing(each, await self._console.content.hidden(viewer, each)) for each in own],
        })  # fmt: skip

    def _watched(self, named: Named) -> Kind | None:
        """Return the kind, in the version in which packs watch it, of an object; None where none does."""
        kinds = {kind for pack in self._operator.reconciler.catalog.packs.values() for kind in pack.watches}
        return min((kind for kind in kinds if (kind.group, kind.kind) == named[:2]), default=None)

    def _owns(self, key: ObjectKey) -> bool:
        return self._shard is None or self._shard.owns(key)

    async def _summary(self, request: web.BaseRequest, viewer: VouchedViewer) -> Answer:
        """Return of each rule for how many objects of the application it acted, failed and waits, and what is suspended there."""
        counts: dict[tuple[str, str], dict[str, int]] = {}
        seen = set[tuple[object, ...]]()
        async for firing in self._console.content.visible(viewer, Filter(), KEPT):
            last = firing.pack, firing.rule, firing.object[:3]
            if last not in seen:
                seen.add(last)
                _count(counts, firing.pack, firing.rule, _COUNTED.get(firing.result))
        waiting = await self._console.content.waiting(viewer)
        for wait in waiting:
            _count(counts, wait.pack, wait.rule, "waiting", wait.items)
        namespaces = {named.namespace for named in viewer.objects if named.namespace}
        suspended = [
            {"pack": pack, "namespace": flow, "since": since}
            for pack, flows in sorted(self._operator.activity.suspensions.items())
            for flow, since in sorted(flows.items()) if flow in namespaces
        ]  # fmt: skip
        rules = [{"pack": pack, "rule": rule, **each} for (pack, rule), each in sorted(counts.items())]
        return Answer(HTTPStatus.OK, {
            "objects": len(viewer.objects) - 1, "rules": rules, "waiting": [_waiting(each) for each in waiting],
            "suspended": suspended, "shard": str(self._shard) if self._shard else "",
        })  # fmt: skip


def _authorization(request: web.BaseRequest) -> str:
    """Return the header Authorization; a proxy that takes it from a Secret can put no scheme before the token there."""
    value = request.headers.get("Authorization", "").strip()
    return f"Bearer {value}" if value and " " not in value else value


def _count(counts: dict[tuple[str, str], dict[str, int]], pack: str, rule: str, result: str | None, by: int = 1) -> None:
    if result is not None:
        found = counts.setdefault((pack, rule), {"acted": 0, "audited": 0, "failed": 0, "waiting": 0})
        found[result] += by


def _waiting(wait: Waiting) -> dict[str, Any]:
    return {
        "pack": wait.pack, "rule": wait.rule, "obstacle": wait.obstacle, "items": wait.items, "since": wait.since,
        "example": wait.example, "reason": wait.reason,
    }  # fmt: skip


def _firing(firing: Firing, hidden: Hidden) -> dict[str, Any]:
    shown = [
        _step(step, hidden=number in hidden.steps, texts=number not in hidden.texts, audit=firing.mode is Mode.AUDIT)
        for number, step in enumerate(firing.steps)
    ]
    return {
        "pack": firing.pack, "rule": firing.rule, "key": HIDDEN if hidden.key and firing.key else firing.key,
        "mode": firing.mode.word, "result": firing.result.value,
        "bad": firing.result in BAD, "began": firing.began, "changed": firing.changed,
        "steps": shown, "more": firing.more,
    }  # fmt: skip


def _step(step: StepTaken, *, hidden: bool, texts: bool, audit: bool) -> dict[str, Any]:
    """Return a step: on an object that is none of the application's only that there was one, of an Event there its reason.

    Without `texts` its messages are hidden, and what it sends, or would write in Audit: all may hold what the rule has read.
    """
    shown: dict[str, Any] = {"what": step.what, "detail": step.detail, "diff": step.diff}
    if not texts:
        shown["detail"] = HIDDEN if step.detail else ""
    if not texts and (audit or step.sends):
        shown |= {"what": HIDDEN, "diff": ()}
    if hidden:
        shown = {"what": step.what} if step.target and step.target.kind.kind == EVENT else {"hidden": True}
    item = step.item if texts or not step.item else HIDDEN
    common = {"action": step.action, "item": item, "result": step.result.value, "attempts": step.attempts}
    return {**common, "bad": step.result in BAD, **shown}


def _plain(value: Any) -> Any:
    """Return data with each text as pages show it: without control characters and marks of direction, and not too long."""
    if isinstance(value, str):
        return render.text(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, Sequence) else value
