"""What each refusal of the API server means, in its own words; tests/cluster/test_refusals.py asks a real one."""

from __future__ import annotations

import pytest

from engine.errors import ApiError
from engine.model.outcome import Obstacle
from engine.reconcile.answers import explained, obstacle_of, stale

FORBIDDEN = 'pods "x" is forbidden: '
USER = 'User "system:serviceaccount:team:robot" cannot '
DEPLOYMENTS = 'patch resource "deployments" in API group "apps" in the namespace "team"'
POLICY = FORBIDDEN + "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: not today"
WEBHOOK = 'admission webhook "w.example.com" denied the request: not today'
TERMINATING = {"name": "x", "causes": [{"reason": "NamespaceTerminating", "message": "…", "field": "metadata.namespace"}]}
OWNED = {"causes": [{"reason": "FieldManagerConflict", "message": "conflict with kubectl", "field": ".data.a"}]}


def answer(status: int, message: str = "", reason: str = "", **details: object) -> ApiError:
    """An answer as the API server gives it."""
    return ApiError(status, reason, message, details=details)


WAITS = [
    (answer(0, "no route to host"), Obstacle.NO_ANSWER),
    (answer(401, "Unauthorized"), Obstacle.UNAUTHORIZED),
    (answer(403, FORBIDDEN + USER + 'patch resource "pods" in API group "" in the namespace "team"'), Obstacle.MISSING_RIGHT),
    (answer(403, FORBIDDEN + "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"), Obstacle.QUOTA_EXCEEDED),
    (answer(403, FORBIDDEN + 'violates PodSecurity "restricted:latest": privileged'), Obstacle.ADMISSION_DENIED),
    (answer(403, FORBIDDEN + "maximum cpu usage per Container is 1, but limit is 2"), Obstacle.ADMISSION_DENIED),
    *((answer(status, POLICY), Obstacle.ADMISSION_DENIED) for status in (403, 413, 422)),
    *((answer(status, WEBHOOK), Obstacle.ADMISSION_DENIED) for status in (400, 403, 404, 409, 422, 500)),
    (answer(400, 'admission webhook "w.example.com" denied the request without explanation'), Obstacle.ADMISSION_DENIED),
    (answer(404, "404 page not found"), Obstacle.KIND_NOT_SERVED),
    (answer(404, "the server could not find the requested resource"), Obstacle.KIND_NOT_SERVED),
    (answer(404, 'pods "x" not found', name="x", kind="pods"), Obstacle.TARGET_MISSING),
    (answer(404, 'namespaces "team" not found', name="team", kind="namespaces"), Obstacle.TARGET_MISSING),
    (answer(408), Obstacle.TIMEOUT),
    (answer(409, "the object has been modified"), Obstacle.CONFLICT),
    (answer(429), Obstacle.TOO_MANY_REQUESTS),
    (answer(500, 'Internal error occurred: failed calling webhook "w": connection refused'), Obstacle.WEBHOOK_UNAVAILABLE),
    *((answer(status), Obstacle.SERVER_ERROR) for status in (500, 502, 503)),
    (answer(504), Obstacle.TIMEOUT),
]
FINAL = [
    ApiError(403, "Forbidden", FORBIDDEN + "unable to create new content in namespace team", details=TERMINATING),
    answer(400, 'ConfigMap in version "v1" cannot be handled as a ConfigMap'),
    ApiError(409, "Conflict", "Apply failed with 1 conflict: conflict with kubectl", details=OWNED),
    answer(405, "the server does not allow this method on the requested resource"),
    answer(413, "Request entity too large: limit is 3145728"),
    answer(415),
    answer(422, 'ConfigMap "B_C" is invalid: metadata.name: Invalid value: "B_C"'),
    # what users write is quoted, so that it cannot pass for a denial
    answer(422, f"""ConfigMap "b" is invalid: data: Invalid value: '{POLICY}'"""),
    answer(422, f"""ConfigMap "b" is invalid: data: Invalid value: '{WEBHOOK}'"""),
]


@pytest.mark.parametrize(("error", "obstacle"), WAITS, ids=lambda value: str(value)[:60])
def test_what_stands_in_the_way_for_a_while(error: ApiError, obstacle: Obstacle) -> None:
    """Somebody or time removes it, so it is tried again."""
    assert obstacle_of(error) is obstacle


@pytest.mark.parametrize("error", FINAL, ids=lambda value: str(value)[:60])
def test_what_is_final(error: ApiError) -> None:
    """A repeat would end in the same way."""
    assert obstacle_of(error) is None


def test_what_has_changed_is_read_again_at_once() -> None:
    """A conflict, an object that is gone or another one now, a JSON patch whose test fails; no denial, whatever its status."""
    assert stale(answer(409, "the object has been modified"))
    assert stale(answer(404, 'pods "x" not found', name="x"))
    assert stale(answer(422, "the server rejected our request due to an error in our request"))
    assert stale(answer(422, 'Pod "x" is invalid: metadata.uid: Invalid value: "1": field is immutable'))
    assert not stale(answer(409, WEBHOOK))
    assert not stale(ApiError(409, "Conflict", "Apply failed with 1 conflict: conflict with kubectl", details=OWNED))
    assert not stale(answer(404, "404 page not found"))
    assert not stale(answer(422, 'Pod "x" is invalid: spec: Forbidden'))


@pytest.mark.parametrize(
    ("message", "command"),
    [
        (
            'deployments.apps "x" is forbidden: '
            + USER
            + 'patch resource "deployments" in API group "apps" in the namespace "team"',
            "kubectl create role NAME -n team --verb=patch --resource=deployments.apps && "
            "kubectl create rolebinding NAME -n team --role=NAME --serviceaccount=team:robot",
        ),
        (
            'nodes "x" is forbidden: ' + USER + 'patch resource "nodes" in API group "" at the cluster scope',
            "kubectl create clusterrole NAME --verb=patch --resource=nodes && "
            "kubectl create clusterrolebinding NAME --clusterrole=NAME --serviceaccount=team:robot",
        ),
        (
            'pods "x" is forbidden: User "eve" cannot create resource "pods/eviction" in API group "" in the namespace "team"',
            "kubectl create role NAME -n team --verb=create --resource=pods/eviction && "
            "kubectl create rolebinding NAME -n team --role=NAME --user=eve",
        ),
    ],
)
def test_a_missing_right_is_named_with_the_command_that_grants_it(message: str, command: str) -> None:
    """As the API server names it: the verb, the resource, and where."""
    assert explained(answer(403, message, "Forbidden")) == f"403 Forbidden: {message}; to grant it: {command}"
