"""Evictions and PodDisruptionBudgets.

No controller runs beside the real kube-apiserver, so the budgets' status is written by hand there, as the disruption
controller would; the embedded cluster counts by itself.
"""

from __future__ import annotations

from engine.kube.api import Api, Selection
from tests.contract.support import BUDGET, POD, named, names, refused

LABELS = {"app": "a"}


async def pods(api: Api, namespace: str, ready: str, pending: str = "") -> None:
    """Pods by one-letter names, running and ready, or pending."""
    for name in ready + pending:
        spec = {"containers": [{"name": "c", "image": "i"}]}
        await api.create(POD, namespace, named(POD, name, {"labels": LABELS}, spec=spec))
    for name in ready:
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await api.patch(POD, namespace, name, {"status": status}, subresource="status")


async def budget(api: Api, namespace: str, name: str, healthy: int, desired: int, **spec: int) -> None:
    """A budget over the pods, with the status that its controller would give it."""
    selector = {"matchLabels": LABELS}
    await api.create(BUDGET, namespace, named(BUDGET, name, spec={"selector": selector, **spec}))
    status = {
        "disruptionsAllowed": max(healthy - desired, 0), "currentHealthy": healthy, "desiredHealthy": desired,
        "expectedPods": healthy, "observedGeneration": 1,
    }  # fmt: skip
    await api.patch(BUDGET, namespace, name, {"status": status}, subresource="status")


async def test_an_evicted_pod_is_gone(api: Api, namespace: str) -> None:
    """Without a budget an eviction deletes the pod; a pod that is not there is 404."""
    await pods(api, namespace, "ab")

    await api.evict(namespace, "a")

    assert await names(api, Selection(POD, namespace)) == ["b"]
    with refused(404, "NotFound", 'pods "a" not found'):
        await api.evict(namespace, "a")


async def test_an_eviction_can_name_the_uid(api: Api, namespace: str) -> None:
    """An eviction that names another uid is refused with 409 and leaves the pod."""
    await pods(api, namespace, "a")
    uid = (await api.get(POD, namespace, "a"))["metadata"]["uid"]

    with refused(409, "Conflict", "the UID in the precondition (other) does not match the UID in record"):
        await api.evict(namespace, "a", uid="other")
    await api.evict(namespace, "a", uid=uid)

    assert await names(api, Selection(POD, namespace)) == []


async def test_a_budget_holds_an_eviction_back(api: Api, namespace: str) -> None:
    """Where the budget's minAvailable would be broken an eviction is refused with 429 TooManyRequests."""
    await pods(api, namespace, "ab")
    await budget(api, namespace, "two", healthy=2, desired=2, minAvailable=2)

    with refused(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget."):
        await api.evict(namespace, "a")
    with refused(429, "TooManyRequests"):
        await api.evict(namespace, "a", dry_run=True)

    assert await names(api, Selection(POD, namespace)) == ["a", "b"]


async def test_a_budget_allows_so_many(api: Api, namespace: str) -> None:
    """With one pod more than the budget needs, the first eviction succeeds and the next is refused with 429."""
    await pods(api, namespace, "abc")
    await budget(api, namespace, "two", healthy=3, desired=2, minAvailable=2)

    await api.evict(namespace, "a", dry_run=True)
    await api.evict(namespace, "b")

    with refused(429, "TooManyRequests"):
        await api.evict(namespace, "c")
    assert await names(api, Selection(POD, namespace)) == ["a", "c"]


async def test_a_budget_that_allows_none(api: Api, namespace: str) -> None:
    """With maxUnavailable 0 no ready pod can be evicted, and one that has not started yet can."""
    await pods(api, namespace, "ab", pending="c")
    await budget(api, namespace, "none", healthy=2, desired=3, maxUnavailable=0)

    with refused(429, "TooManyRequests"):
        await api.evict(namespace, "a")
    await api.evict(namespace, "c")

    assert await names(api, Selection(POD, namespace)) == ["a", "b"]


async def test_two_budgets_are_too_many(api: Api, namespace: str) -> None:
    """A pod that two budgets cover cannot be evicted: 500, and it says so."""
    await pods(api, namespace, "ab")
    await budget(api, namespace, "one", healthy=2, desired=1, minAvailable=1)
    await budget(api, namespace, "two", healthy=2, desired=1, maxUnavailable=1)

    with refused(500, "InternalServerError", "This pod has more than one PodDisruptionBudget"):
        await api.evict(namespace, "a")
