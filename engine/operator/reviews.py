"""Who somebody is and what they may do, as the API server knows them by their token.

The way of controller-runtime's filter (pkg/metrics/filters): a TokenReview, then a SubjectAccessReview for each question.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from cachetools import TTLCache

from engine.errors import ApiError
from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.model.merge import canonical
from engine.model.objects import Kind, Object, dig
from engine.packs.rbac import REVIEWS, TOKEN_REVIEWS

TTL, LIMIT = 30.0, 1_000
"""Seconds for which the answer about a token is kept, and how many are."""
ANSWERS = 10_000
"""How many answers about rights are kept."""
AT_ONCE = 4
"""How many reviews may be under way: whoever sends many tokens must not take the connections that the packs need."""


class Reviews:
    """Asks the API server, and keeps each answer for 30 seconds."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._users: TTLCache[bytes, Object | None] = TTLCache(LIMIT, TTL, timer=clock.monotonic)
        self._answers: TTLCache[str, bool] = TTLCache(ANSWERS, TTL, timer=clock.monotonic)
        self._under_way = asyncio.Semaphore(AT_ONCE)

    async def user(self, token: str) -> Object | None:
        """Return whose a token is: `username`, `groups` and so on; None where nobody is known by it. Raises ApiError."""
        key = hashlib.sha256(token.encode(errors="surrogateescape")).digest()
        if key in self._users:
            return self._users.get(key)
        status = await self._review(TOKEN_REVIEWS, {"token": token})
        user = self._users[key] = dig(status, ("user",), {}) if status.get("authenticated") is True else None
        return user

    async def may_on_path(self, user: Object, verb: str, path: str) -> bool:
        """Return whether a user may do that to a path of a server, such as get it. Raises ApiError."""
        return await self._may(user, {"nonResourceAttributes": {"path": path, "verb": verb}})

    async def may(self, user: Object, verb: str, kind: Kind, namespace: str = "") -> bool:
        """Return whether a user may do that to every object of a kind in a namespace, '' for all of them. Raises ApiError."""
        plural = await self._plural(kind)
        attributes = {
            "verb": verb, "group": kind.group, "version": kind.api_version.rpartition("/")[2], "resource": plural,
            "namespace": namespace,
        }  # fmt: skip
        return await self._may(user, {"resourceAttributes": {key: value for key, value in attributes.items() if value}})

    async def _plural(self, kind: Kind) -> str:
        """Return the plural of a kind; of one that is not served the usual one, so that who may all may that too.

        Source: kubernetes, apimachinery/pkg/api/meta/restmapper.go, UnsafeGuessKindToResource.
        """
        try:
            return (await self._api.discover(kind)).plural
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
        name = kind.kind.lower()
        if name.endswith("s"):
            return f"{name}es"
        return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"

    async def _may(self, user: Object, what: Mapping[str, Any]) -> bool:
        spec = {"user": user.get("username", ""), **what}
        spec |= {name: user[name] for name in ("uid", "groups", "extra") if user.get(name)}
        key = canonical(spec)
        if key in self._answers:
            return self._answers.get(key, False)
        allowed = self._answers[key] = (await self._review(REVIEWS, spec)).get("allowed") is True
        return allowed

    async def _review(self, kind: Kind, spec: Mapping[str, Any]) -> Object:
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "spec": spec}
        async with self._under_way:
            answer = await self._api.create(await self._api.discover(kind), "", body)
        status: Object = dig(answer, ("status",), {})
        return status
