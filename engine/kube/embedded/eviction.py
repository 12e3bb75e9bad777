"""Whether a PodDisruptionBudget allows an eviction now (kubernetes: pkg/registry/core/pod/storage/eviction.go).

On a real cluster the disruption controller counts and writes the budget's status; here the pods are counted on the spot.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from engine.errors import ApiError
from engine.kube.selectors import selector_of
from engine.model.objects import Object, dig, metadata

#: How many replicas a controller is meant to have, by a pod's reference to it and the namespace; None where that is not known.
Replicas = Callable[[Object, str], int | None]


def check(pod: Object, pods: Iterable[Object], budgets: Iterable[Object], replicas: Replicas) -> None:
    """Raise ApiError 429 where a budget does not allow it, and 500 where several budgets cover the pod.

    `pods` and `budgets` are those of the pod's namespace.
    """
    if metadata(pod).get("deletionTimestamp") or dig(pod, ("status", "phase")) in ("Pending", "Succeeded", "Failed"):
        return
    covering = [(budget, fits) for budget in budgets if (fits := selector_of(dig(budget, ("spec", "selector"), {})))(pod)]
    if not covering:
        return
    if len(covering) > 1:
        message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise ApiError(500, "InternalServerError", message)
    budget, fits = covering[0]
    covered = [each for each in pods if fits(each)]
    healthy = sum(_ready(each) for each in covered)
    wanted = _desired_healthy(budget, _expected(covered, replicas))
    if healthy > wanted or (not _ready(pod) and healthy >= wanted > 0):
        return
    raise ApiError(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")


def _ready(pod: Object) -> bool:
    conditions = dig(pod, ("status", "conditions"), ())
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def _desired_healthy(budget: Object, expected: int) -> int:
    spec = budget["spec"]
    if "maxUnavailable" in spec:
        return max(expected - _scaled(spec["maxUnavailable"], expected), 0)
    return _scaled(spec.get("minAvailable", 1), expected)


def _scaled(amount: int | str, total: int) -> int:
    return math.ceil(int(amount.removesuffix("%")) * total / 100) if isinstance(amount, str) else amount


def _expected(pods: Sequence[Object], replicas: Replicas) -> int:
    """Return how many pods there should be: what their controllers are meant to have, one for each pod without a controller."""
    by_controller: dict[str, list[Object]] = {}
    for pod in pods:
        by_controller.setdefault(_controller(pod).get("uid", ""), []).append(pod)
    lone = len(by_controller.pop("", []))
    groups = by_controller.values()
    return lone + sum(replicas(_controller(pods[0]), metadata(pods[0])["namespace"]) or len(pods) for pods in groups)


def _controller(pod: Object) -> Object:
    return next((owner for owner in dig(pod, ("metadata", "ownerReferences"), ()) if owner.get("controller")), {})
