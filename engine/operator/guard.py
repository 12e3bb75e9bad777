"""Who may read /metrics and /packs: whoever the API server knows by their token and allows to get the path.

The way of controller-runtime's filter (pkg/metrics/filters): a TokenReview, then a SubjectAccessReview of the verb `get` on the
path as a nonResourceURL.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from http import HTTPStatus
from typing import Any

from cachetools import TTLCache

from engine.errors import ApiError
from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.model.objects import Kind, Object, dig
from engine.operator.server import Reply
from engine.packs.rbac import REVIEWS, TOKEN_REVIEWS

log = logging.getLogger(__name__)

TTL, LIMIT = 30.0, 1_000
"""Seconds for which an answer is kept, and how many are."""
AT_ONCE = 4
"""How many reviews may be under way: whoever sends many tokens must not take the connections that the packs need."""


class Readers:
    """Asks the API server about those who read, and keeps each answer for 30 seconds."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._answers: TTLCache[tuple[bytes, str], Reply | None] = TTLCache(LIMIT, TTL, timer=clock.monotonic)
        self._under_way = asyncio.Semaphore(AT_ONCE)
        self._problem = ""

    async def refusal(self, authorization: str, path: str) -> Reply | None:
        """Return what a request is refused with, None where it is allowed."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return Reply.text("send the token of somebody who may get this path as 'Authorization: Bearer TOKEN'", 401)
        key = hashlib.sha256(token.encode(errors="surrogateescape")).digest(), path
        if key in self._answers:
            return self._answers[key]
        async with self._under_way:
            try:
                answer = await self._ask(token.strip(), path)
            except ApiError as error:
                if str(error) != self._problem:
                    log.warning("nobody can read metrics: the API server does not say who they are: %s", error)
                self._problem = str(error)
                return Reply.text(f"the API server does not say who you are: {error}", HTTPStatus.SERVICE_UNAVAILABLE)
        self._problem = ""
        self._answers[key] = answer
        return answer

    async def _ask(self, token: str, path: str) -> Reply | None:
        status = await self._review(TOKEN_REVIEWS, {"token": token})
        if status.get("authenticated") is not True:
            return Reply.text("the API server does not know this token, or it has expired", HTTPStatus.UNAUTHORIZED)
        user: Object = dig(status, ("user",), {})
        spec = {"user": user.get("username", ""), "nonResourceAttributes": {"path": path, "verb": "get"}}
        spec |= {name: user[name] for name in ("uid", "groups", "extra") if user.get(name)}
        if (await self._review(REVIEWS, spec)).get("allowed") is True:
            return None
        grant = f"a ClusterRole with nonResourceURLs: ['{path}'] and verbs: [get] grants it"
        return Reply.text(f"{user.get('username')} may not get {path}; {grant}", HTTPStatus.FORBIDDEN)

    async def _review(self, kind: Kind, spec: dict[str, Any]) -> Object:
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "spec": spec}
        answer = await self._api.create(await self._api.discover(kind), "", body)
        status: Object = dig(answer, ("status",), {})
        return status
