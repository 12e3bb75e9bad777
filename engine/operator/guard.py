"""Who may read a path such as /metrics: whoever the API server knows by their token and allows to get the path."""

from __future__ import annotations

import logging
from http import HTTPStatus

from engine.errors import ApiError
from engine.operator.reviews import Reviews
from engine.operator.server import Reply

log = logging.getLogger(__name__)


class Readers:
    """Asks the API server about those who read, which is by default the verb get."""

    def __init__(self, reviews: Reviews, verb: str = "get") -> None:
        self._reviews, self._verb = reviews, verb
        self._problem = ""

    async def refusal(self, authorization: str, path: str) -> Reply | None:
        """Return what a request is refused with, None where it is allowed."""
        token = bearer(authorization)
        if not token:
            return Reply.text(f"send the token of somebody who may {self._verb} this path as 'Authorization: Bearer TOKEN'", 401)
        try:
            answer = await self._ask(token, path)
        except ApiError as error:
            if str(error) != self._problem:
                log.warning("nobody can read %s: the API server does not say who they are: %s", path, error)
            self._problem = str(error)
            return Reply.text(f"the API server does not say who you are: {error}", HTTPStatus.SERVICE_UNAVAILABLE)
        self._problem = ""
        return answer

    async def _ask(self, token: str, path: str) -> Reply | None:
        user = await self._reviews.user(token)
        if user is None:
            return Reply.text("the API server does not know this token, or it has expired", HTTPStatus.UNAUTHORIZED)
        if await self._reviews.may_on_path(user, self._verb, path):
            return None
        grant = f"a ClusterRole with nonResourceURLs: ['{path}'] and verbs: [{self._verb}] grants it"
        return Reply.text(f"{user.get('username')} may not {self._verb} {path}; {grant}", HTTPStatus.FORBIDDEN)


def bearer(authorization: str) -> str:
    """Return the token in a header Authorization, '' where there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
