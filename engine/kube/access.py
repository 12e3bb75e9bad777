"""Asking the API server what a service account may do, so that acting for an object never borrows rights."""

from __future__ import annotations

from dataclasses import dataclass

from cachetools import TTLCache

from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.model.objects import Kind, Ref, api_verb

TTL, LIMIT = 30.0, 10_000
"""Seconds for which an answer is kept, and how many are."""
ACCOUNT = "system:serviceaccount:"
"""What the user names of service accounts begin with."""
_REVIEW = Kind("authorization.k8s.io/v1", "SubjectAccessReview")


@dataclass(frozen=True, slots=True)
class Question:
    """May this service account do that, to this object (or, with no name, to all objects of the kind there)?"""

    namespace: str
    service_account: str
    verb: str
    target: Ref


class AccessReviews:
    """Answers questions by SubjectAccessReview, and keeps an answer for 30 seconds.

    Source of the user's and groups' names: kubernetes, apiserver/pkg/authentication/serviceaccount/util.go.
    """

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._answers: TTLCache[Question, str] = TTLCache(LIMIT, TTL, timer=clock.monotonic)

    def forget(self, namespace: str) -> None:
        """Ask again from now on what accounts of a namespace may do: a refused request says that rights have changed."""
        for question in [question for question in self._answers if question.namespace == namespace]:
            del self._answers[question]

    async def refusal(self, question: Question) -> str:
        """Return what right is missing and how to grant it, or '' where it is there. Raises ApiError."""
        answer = self._answers.get(question)
        if answer is None:
            answer = self._answers[question] = await self._ask(question)
        return answer

    async def _ask(self, question: Question) -> str:
        target = question.target
        resource = await self._api.discover(target.kind)
        verb, subresource = api_verb(question.verb)
        attributes = {
            "verb": verb,
            "group": target.kind.group,
            "version": target.kind.api_version.rpartition("/")[2],
            "resource": resource.plural,
            "subresource": subresource,
            "namespace": target.namespace,
            "name": target.name,
        }
        namespace, account = question.namespace, question.service_account
        user = f"{ACCOUNT}{namespace}:{account}"
        spec = {
            "user": user,
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
            "resourceAttributes": {key: value for key, value in attributes.items() if value},
        }
        body = {"apiVersion": _REVIEW.api_version, "kind": _REVIEW.kind, "spec": spec}
        review = await self._api.create(await self._api.discover(_REVIEW), "", body)
        if review.get("status", {}).get("allowed") is True:
            return ""
        what = (
            resource.plural + (f".{target.kind.group}" if target.kind.group else "") + (f"/{subresource}" if subresource else "")
        )
        command = grant(verb, what, user, target.namespace, target.name if verb != "create" else "")
        return (
            f"service account {namespace}/{account} may not {verb} {what} {target.name or '(any)'} in namespace "
            f"{target.namespace or '(cluster)'}, so {target} does not consent; to grant it: {command}"
        )


def grant(verb: str, what: str, user: str, namespace: str, name: str = "") -> str:
    """Return the kubectl command that grants a user a verb: in a namespace, or in the whole cluster where that is ''.

    `what` is the resource as kubectl takes it, such as deployments.apps or pods/eviction.
    """
    where = f"-n {namespace} " if namespace else ""
    role, binding = ("role", "rolebinding") if namespace else ("clusterrole", "clusterrolebinding")
    named = f" --resource-name={name}" if name else ""
    account = user.removeprefix(ACCOUNT)
    subject = f"--user={user}" if account == user else f"--serviceaccount={account}"
    return (
        f"kubectl create {role} NAME {where}--verb={verb} --resource={what}{named} && "
        f"kubectl create {binding} NAME {where}--{role}=NAME {subject}"
    )
