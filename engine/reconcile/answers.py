"""What the API server's refusals mean: what stands in the way for a while, what has to be read again, and what is final.

The wording is that of kube-apiserver; `tests/cluster/test_refusals.py` compares it with a real one.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from engine.errors import ApiError
from engine.kube.access import grant, resource_name
from engine.model.outcome import Obstacle
from engine.model.text import Quoting

_STATUSES = {
    0: Obstacle.NO_ANSWER,
    401: Obstacle.UNAUTHORIZED,
    408: Obstacle.TIMEOUT,
    409: Obstacle.CONFLICT,
    410: Obstacle.CONFLICT,
    429: Obstacle.TOO_MANY_REQUESTS,
    504: Obstacle.TIMEOUT,
}
#: How an answer begins that says no although the request is well-formed (kubernetes: apimachinery, errors.NewForbidden, and
#: apiserver/pkg/admission/plugin/webhook/errors/statuserror.go). What is malformed is "invalid" instead.
_FORBIDDEN = re.compile(r'[\w.-]+(?: "[^"]*")? is forbidden: ')
_DENIED = re.compile(r'admission webhook "[^"]*" denied the request')
_AWAY = "Internal error occurred: failed calling webhook"
#: What the authorizer says (kubernetes: apiserver/pkg/endpoints/handlers/responsewriters/errors.go).
_MISSING = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)" '
    r'(?:in the namespace "(?P<namespace>[^"]*)"|at the cluster scope)'
)
_JSON_PATCH = "the server rejected our request due to an error in our request"


def obstacle_of(error: ApiError) -> Obstacle | None:
    """Return what stands in the way until somebody or time removes it, None where a repeat would end in the same way."""
    if _DENIED.match(error.message):  # a webhook says no with whatever status it likes
        return Obstacle.ADMISSION_DENIED
    if _owned(error):
        return None
    if error.status in _STATUSES:
        return _STATUSES[error.status]
    if error.status >= 500:
        return Obstacle.WEBHOOK_UNAVAILABLE if error.message.startswith(_AWAY) else Obstacle.SERVER_ERROR
    if error.status == 404:
        return Obstacle.TARGET_MISSING if error.not_found else Obstacle.KIND_NOT_SERVED
    if error.status == 403:
        return _forbidden(error)
    return Obstacle.ADMISSION_DENIED if _FORBIDDEN.match(error.message) else None  # a policy may say 413 and 422


def _forbidden(error: ApiError) -> Obstacle | None:
    if "NamespaceTerminating" in _causes(error):
        return None
    said = error.message[found.end() :] if (found := _FORBIDDEN.match(error.message)) else error.message
    if said.startswith("exceeded quota: "):
        return Obstacle.QUOTA_EXCEEDED
    return Obstacle.MISSING_RIGHT if said.startswith(("User ", "user ")) else Obstacle.ADMISSION_DENIED


def _owned(error: ApiError) -> bool:
    """Whether a server-side apply names a field that another manager owns (kubernetes: apimachinery, NewApplyConflict)."""
    return error.status == 409 and "FieldManagerConflict" in _causes(error)


def _causes(error: ApiError) -> list[Any]:
    return [cause.get("reason") for cause in error.details.get("causes") or () if isinstance(cause, dict)]


def stale(error: ApiError) -> bool:
    """Return whether what was read has changed since, so that a repeat begins with reading it again.

    A patch that names the uid or resourceVersion it is for is refused with 409 or 422, a JSON patch with 422.
    """
    if _DENIED.match(error.message) or _owned(error):
        return False
    return error.status == 409 or error.not_found or (error.status == 422 and _says_stale(error.message))


def _says_stale(message: str) -> bool:
    return message.startswith(_JSON_PATCH) or "metadata.uid: " in message


class Missing(NamedTuple):
    """The right that a request lacked."""

    verb: str
    group: str
    resource: str
    subresource: str
    user: str
    namespace: str


def missing_right(error: ApiError) -> Missing | None:
    """Return the right that an error names as missing, None where it names none."""
    found = _MISSING.search(error.message) if error.status == 403 else None
    if found is None:
        return None
    resource, _, subresource = found["resource"].partition("/")
    return Missing(found["verb"], found["group"], resource, subresource, found["user"], found["namespace"] or "")


def explained(error: ApiError, verbs: Collection[str] = ()) -> str:
    """Return an error for people; a missing right with the command that grants it, and with it other verbs that are needed.

    What quotes no object has names of neither objects nor namespaces: expressions may make them.
    """
    lacks, answer = missing_right(error), f"{error.status} {error.reason}" if error.status else error.reason
    if lacks is None:
        return Quoting(str(error), answer)
    what, needed = resource_name(lacks.resource, lacks.group, lacks.subresource), sorted({lacks.verb, *verbs})
    return Quoting(
        f"{error}; to grant it: {grant(needed, what, lacks.user, lacks.namespace)}",
        f"{answer}: no right to {', '.join(needed)} {what}, see rulepack rbac",
    )
