"""Consent by SubjectAccessReview: what is asked, how long an answer counts, and what a refusal says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from engine.errors import ApiError
from engine.kube.access import TTL, AccessReviews, Question
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.kube.faults import InjectedFault
from engine.model.objects import Kind, Ref

POD = Ref(Kind("v1", "Pod"), "theirs", "web-0")
SPACE = Ref(Kind("v1", "Namespace"), "", "n1")
DEPLOYMENT = Ref(Kind("apps/v1", "Deployment"), "theirs", "web")


class Office:
    """Who answers: an embedded cluster whose answer a test sets, and what it was asked."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = EmbeddedCluster(self.clock)
        self.cluster.access = self._answer
        self.reviews = AccessReviews(self.cluster, self.clock)
        self.allowed = True
        self.asked: list[Mapping[str, Any]] = []

    def _answer(self, spec: Mapping[str, Any]) -> bool:
        self.asked.append(spec)
        return self.allowed

    async def refusal(self, verb: str = "delete", target: Ref = POD, account: str = "default", namespace: str = "mine") -> str:
        return await self.reviews.refusal([Question(namespace, account, verb, target)])


async def test_it_asks_for_that_very_thing_as_that_very_account() -> None:
    """The user and groups of the service account, the verb, and the object by name."""
    office = Office()
    await office.refusal("evict", account="trainer")

    assert office.asked == [
        {
            "user": "system:serviceaccount:mine:trainer",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:mine", "system:authenticated"],
            "resourceAttributes": {
                "verb": "create", "version": "v1", "resource": "pods", "subresource": "eviction", "namespace": "theirs",
                "name": "web-0",
            },
        }
    ]  # fmt: skip


async def test_an_answer_counts_for_half_a_minute() -> None:
    """A right that is taken away counts from then on; each verb, target and account is a question of its own."""
    office = Office()
    assert await office.refusal() == ""
    office.allowed = False
    await office.clock.advance(TTL - 1)
    assert await office.refusal() == ""
    assert await office.refusal("patch") != ""
    assert await office.refusal(account="other") != ""
    assert await office.refusal(target=DEPLOYMENT) != ""

    await office.clock.advance(1)
    assert await office.refusal() != ""
    assert len(office.asked) == 5


async def test_a_refusal_is_remembered_no_longer_than_a_consent() -> None:
    """A right that is granted counts after half a minute."""
    office = Office()
    office.allowed = False
    assert await office.refusal() != ""
    office.allowed = True
    await office.clock.advance(TTL)
    assert await office.refusal() == ""


async def test_the_answers_of_one_namespace_can_be_dropped() -> None:
    """After that its accounts are asked about anew, and those of other namespaces are not."""
    office = Office()
    await office.refusal()
    await office.refusal(namespace="other")

    office.reviews.forget("mine")
    office.allowed = False

    assert await office.refusal() != ""
    assert await office.refusal(namespace="other") == ""


@pytest.mark.parametrize("status", [0, 403, 500, 503])
async def test_no_answer_is_no_consent(status: int) -> None:
    """Where the API server does not answer, or the operator may not ask, that is an error, and is not remembered."""
    office = Office()
    office.cluster.faults.add(InjectedFault(status or 504, verb="create", kind="SubjectAccessReview"))
    with pytest.raises(ApiError):
        await office.refusal()
    assert await office.refusal() == ""


@pytest.mark.parametrize(
    ("verb", "target", "missing", "grant"),
    [
        ("delete", POD, "may not delete pods web-0 in namespace theirs",
         "kubectl create role NAME -n theirs --verb=delete --resource=pods --resource-name=web-0 && "
         "kubectl create rolebinding NAME -n theirs --role=NAME --serviceaccount=mine:default"),
        ("evict", POD, "may not create pods/eviction web-0 in namespace theirs",
         "kubectl create role NAME -n theirs --verb=create --resource=pods/eviction && "
         "kubectl create rolebinding NAME -n theirs --role=NAME --serviceaccount=mine:default"),
        ("list", Ref(Kind("v1", "Pod"), "theirs", ""), "may not list pods (any) in namespace theirs",
         "kubectl create role NAME -n theirs --verb=list --resource=pods && "
         "kubectl create rolebinding NAME -n theirs --role=NAME --serviceaccount=mine:default"),
        ("patch/status", DEPLOYMENT, "may not patch deployments.apps/status web in namespace theirs",
         "kubectl create role NAME -n theirs --verb=patch --resource=deployments.apps/status --resource-name=web && "
         "kubectl create rolebinding NAME -n theirs --role=NAME --serviceaccount=mine:default"),
        ("patch", SPACE, "may not patch namespaces n1 in namespace (cluster)",
         "kubectl create clusterrole NAME --verb=patch --resource=namespaces --resource-name=n1 && "
         "kubectl create clusterrolebinding NAME --clusterrole=NAME --serviceaccount=mine:default"),
    ],
)  # fmt: skip
async def test_a_refusal_says_what_is_missing_and_how_to_grant_it(verb: str, target: Ref, missing: str, grant: str) -> None:
    """The verb, the resource and the object, and the two commands that grant it."""
    office = Office()
    office.allowed = False

    text = await office.refusal(verb, target)

    assert f"service account mine/default {missing}" in text
    assert text.endswith(f"to grant it: {grant}")


async def test_an_object_without_a_namespace_is_advised_to_change_the_pack() -> None:
    """It has no service account to which a right could be granted."""
    office = Office()
    office.allowed = False

    text = await office.refusal("patch", DEPLOYMENT, namespace="")

    assert text == (
        "the object lives in no namespace, so it has no service account, and not every service account may patch "
        "deployments.apps web in namespace theirs; so Deployment theirs/web does not consent; to permit it, give the target in "
        "the pack another consent, such as consent: 'true', or name its namespace in the pack's parameter trustedNamespaces"
    )


async def test_a_refusal_names_all_that_is_missing() -> None:
    """Verbs on one object together, and kinds that need the same verbs; a right that is there is not reported."""
    office = Office()
    office.cluster.access = lambda spec: spec["resourceAttributes"]["verb"] == "watch"
    wanted = [
        ("get", DEPLOYMENT), ("patch", DEPLOYMENT), ("watch", DEPLOYMENT), ("list", everything_of(DEPLOYMENT)),
        ("list", everything_of(POD)),
    ]  # fmt: skip

    text = await office.reviews.refusal([Question("mine", "default", verb, target) for verb, target in wanted])

    assert text == (
        "service account mine/default may not get and patch deployments.apps web in namespace theirs, nor list "
        "deployments.apps and pods (any) in namespace theirs, so Deployment theirs/web does not consent; to grant it: "
        "kubectl create role NAME-1 -n theirs --verb=get,patch --resource=deployments.apps --resource-name=web && "
        "kubectl create rolebinding NAME-1 -n theirs --role=NAME-1 --serviceaccount=mine:default && "
        "kubectl create role NAME-2 -n theirs --verb=list --resource=deployments.apps,pods && "
        "kubectl create rolebinding NAME-2 -n theirs --role=NAME-2 --serviceaccount=mine:default"
    )


async def test_what_is_picked_by_labels_is_named_by_its_namespace() -> None:
    """No single object of it could consent."""
    office = Office()
    office.allowed = False
    assert "so namespace theirs does not consent" in await office.refusal("list", everything_of(POD))


def everything_of(target: Ref) -> Ref:
    """All objects of its kind and namespace."""
    return target._replace(name="")
