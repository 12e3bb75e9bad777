"""Who may read /metrics and /packs: whoever the API server knows by their token and allows to get the path."""

from __future__ import annotations

import logging
from http import HTTPStatus

from engine.errors import ApiError
from engine.operator.reviews import Reviews
from engine.operator.server import Reply

log = logging.getLogger(__name__)


class Readers:
    """Asks the API server about those who read."""

    def __init__(self, reviews: Reviews) -> None:
        self._reviews = reviews
        self._problem = ""

    async def refusal(self, authorization: str, path: str) -> Reply | None:
        """Return what a request is refused with, None where it is allowed."""
        token = bearer(authorization)
        if not token:
            return Reply.text("send the token of somebody who may get this path as 'Authorization: Bearer TOKEN'", 401)
        try:
            answer = await self._ask(token, path)
        except ApiError as error:
            if str(error) != self._problem:
                log.warning("nobody can read metrics: the API server does not say who they are: %s", error)
            self._problem = str(error)
            return Reply.text(f"the API server does not say who you are: {error}", HTTPStatus.SERVICE_UNAVAILABLE)
        self._problem = ""
        return answer

    async def _ask(self, token: str, path: str) -> Reply | None:
        user = await self._reviews.user(token)
        if user is None:
            return Reply.text("the API server does not know this token, or it has expired", HTTPStatus.UNAUTHORIZED)
        if await self._reviews.may_get_path(user, path):
            return None
        grant = f"a ClusterRole with nonResourceURLs: ['{path}'] and verbs: [get] grants it"
        return Reply.text(f"{user.get('username')} may not get {path}; {grant}", HTTPStatus.FORBIDDEN)


def bearer(authorization: str) -> str:
    """Return the token in a header Authorization, '' where there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
