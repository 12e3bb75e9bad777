"""The API server's refusals, in its own words (kubernetes: apimachinery/pkg/api/errors; tried on v1.34)."""

from __future__ import annotations

from engine.errors import ApiError
from engine.model.objects import Kind, Resource

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def unserved() -> ApiError:
    """404: no such kind or subresource."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def not_found(resource: Resource, name: str) -> ApiError:
    """404: no such object."""
    details = {"name": name, "group": resource.kind.group, "kind": resource.plural}
    return ApiError(404, "NotFound", f'{_plural(resource)} "{name}" not found', details=details)


def already_exists(resource: Resource, name: str, *, terminating: bool = False) -> ApiError:
    """409 AlreadyExists; an object that waits for its finalizers still occupies its name."""
    message = f'{_plural(resource)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", f"object is being deleted: {message}" if terminating else message)


def conflict(resource: Resource, name: str, message: str = MODIFIED) -> ApiError:
    """409 Conflict: the resourceVersion or the uid is not the current one."""
    return ApiError(409, "Conflict", f'Operation cannot be fulfilled on {_plural(resource)} "{name}": {message}')


def wrong_uid(kind: Kind, name: str, given: str, actual: str) -> ApiError:
    """409 Conflict of a delete or an eviction that names another uid."""
    return ApiError(
        409, "Conflict",
        f'Operation cannot be fulfilled on {_kind(kind)} "{name}": the UID in the precondition ({given}) does not match the '
        f"UID in record ({actual}). The object might have been deleted and then recreated",
    )  # fmt: skip


def wrong_version(resource: Resource, name: str, given: str, actual: str) -> ApiError:
    """409 Conflict of a delete that names another resourceVersion."""
    what = f"the ResourceVersion in the precondition ({given}) does not match the ResourceVersion in record ({actual})"
    return conflict(resource, name, f"{what}. The object might have been modified")


def invalid(kind: Kind, name: str, *causes: str) -> ApiError:
    """422 Invalid; each cause is 'field: what'."""
    text = causes[0] if len(causes) == 1 else f"[{', '.join(causes)}]"
    return ApiError(422, "Invalid", f'{_kind(kind)} "{name}" is invalid: {text}')


def unconditional(resource: Resource, name: str) -> ApiError:
    """422: a change of a custom object must say which resourceVersion it is of."""
    fault = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    return ApiError(422, "Invalid", f'{_plural(resource)} "{name}" is invalid: {fault}')


def unprocessable() -> ApiError:
    """422: a JSON patch that does not fit the object, `test` included; the server does not say which operation it was."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request")


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def expired(message: str) -> ApiError:
    """410 Expired: history from before a compaction was asked for."""
    return ApiError(410, "Expired", message)


def _plural(resource: Resource) -> str:
    return f"{resource.plural}.{resource.kind.group}" if resource.kind.group else resource.plural


def _kind(kind: Kind) -> str:
    return f"{kind.kind}.{kind.group}" if kind.group else kind.kind
