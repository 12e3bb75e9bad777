"""Asking the API server what a service account may do, so that acting for an object never borrows rights."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cachetools import TTLCache

from engine.kube.api import Api
from engine.kube.clock import Clock
from engine.model.objects import Kind, Ref, Resource, api_verb
from engine.model.text import Quoting

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
        self._answers: TTLCache[Question, bool] = TTLCache(LIMIT, TTL, timer=clock.monotonic)

    def forget(self, namespace: str) -> None:
        """Ask again from now on what accounts of a namespace may do: a refused request says that rights have changed."""
        for question in [question for question in self._answers if question.namespace == namespace]:
            del self._answers[question]

    async def refusal(self, questions: Iterable[Question]) -> str:
        """Return which rights of one account are missing and how to grant them, or '' where all are there. Raises ApiError."""
        missing = [(each, await self._api.discover(each.target.kind)) for each in questions if not await self._may(each)]
        return _refusal(missing) if missing else ""

    async def _may(self, question: Question) -> bool:
        answer = self._answers.get(question)
        if answer is None:
            answer = self._answers[question] = await self._ask(question)
        return answer

    async def _ask(self, question: Question) -> bool:
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
        namespace = question.namespace
        spec = {
            "user": f"{ACCOUNT}{namespace}:{question.service_account}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
            "resourceAttributes": {key: value for key, value in attributes.items() if value},
        }
        body = {"apiVersion": _REVIEW.api_version, "kind": _REVIEW.kind, "spec": spec}
        review = await self._api.create(await self._api.discover(_REVIEW), "", body)
        return review.get("status", {}).get("allowed") is True


def _refusal(missing: Sequence[tuple[Question, Resource]]) -> str:
    """Return what an account may not do, in words, and the commands that grant it: a role for each set of verbs."""
    verbs: dict[tuple[str, str, str], list[str]] = {}
    for question, resource in missing:
        verb, subresource = api_verb(question.verb)
        what = resource_name(resource.plural, question.target.kind.group, subresource)
        verbs.setdefault((question.target.namespace, question.target.name, what), []).append(verb)
    roles: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (namespace, name, what), of_it in verbs.items():
        roles.setdefault((namespace, name, tuple(of_it)), []).append(what)
    first = missing[0][0]
    user, target = f"{ACCOUNT}{first.namespace}:{first.service_account}", first.target
    lacking, commands = [], []
    for number, ((namespace, name, needed), of) in enumerate(roles.items(), start=1):
        what = f"{' and '.join(needed)} {' and '.join(of)} {name or '(any)'}"
        lacking.append(f"{what} in namespace {namespace or '(cluster)'}")
        role = "NAME" if len(roles) == 1 else f"NAME-{number}"
        commands.append(grant(needed, ",".join(of), user, namespace, "" if "create" in needed else name, role))
    who = str(target) if target.name else f"namespace {target.namespace}" if target.namespace else "the cluster"
    if not first.namespace:
        return (
            f"the object lives in no namespace, so it has no service account, and not every service account may "
            f"{', nor '.join(lacking)}; so {who} does not consent; to permit it, give the target in the pack another consent, "
            "such as consent: 'true', or name its namespace in the pack's parameter trustedNamespaces"
        )
    account = f"service account {first.namespace}/{first.service_account} may not"
    kinds = [f"{' and '.join(needed)} {what}" for (_, _, what), needed in verbs.items()]
    return Quoting(
        f"{account} {', nor '.join(lacking)}, so {who} does not consent; to grant it: {' && '.join(commands)}",
        f"{account} {', nor '.join(kinds)}",
    )


def resource_name(plural: str, group: str, subresource: str = "") -> str:
    """Return a resource as kubectl takes it, such as deployments.apps or pods/eviction."""
    return plural + (f".{group}" if group else "") + (f"/{subresource}" if subresource else "")


def grant(verbs: Collection[str], what: str, user: str, namespace: str, name: str = "", role: str = "NAME") -> str:
    """Return the kubectl commands that grant a user verbs: in a namespace, or in the whole cluster where that is ''.

    `what` are resources as kubectl takes them, such as deployments.apps or pods/eviction, separated by commas.
    """
    where = f"-n {namespace} " if namespace else ""
    kind, binding = ("role", "rolebinding") if namespace else ("clusterrole", "clusterrolebinding")
    named = f" --resource-name={name}" if name else ""
    account = user.removeprefix(ACCOUNT)
    subject = f"--user={user}" if account == user else f"--serviceaccount={account}"
    return (
        f"kubectl create {kind} {role} {where}--verb={','.join(verbs)} --resource={what}{named} && "
        f"kubectl create {binding} {role} {where}--{kind}={role} {subject}"
    )
