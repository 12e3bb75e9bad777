"""The disruption budgets of all packs, and the Events about what they hold back."""

from __future__ import annotations

from collections.abc import Sequence

from cachetools import LRUCache

from engine.actions import Cause
from engine.actions.event import Content, event
from engine.cel import Scope
from engine.errors import ApiError
from engine.kube.act import Actor
from engine.model.objects import flow_of
from engine.model.observe import Observer
from engine.model.outcome import DONE, Obstacle, Outcome, Waiting
from engine.model.plan import Delete, Patch, Step
from engine.model.text import plain
from engine.packs.pack import DISRUPTIONS, RESUME
from engine.reconcile.budget import MANY, PAUSE, Admission, Budget, Terms
from engine.reconcile.caches import Replica
from engine.reconcile.silent import logger

REMEMBERED = 10_000
"""Objects of which is remembered that they have an Event; one that is forgotten gets the same Event, which changes nothing."""
log = logger(__name__)


def disruptive(step: Step) -> bool:
    """Return whether a step counts: each patch and each deletion. Events, metrics and own metadata do not."""
    return isinstance(step, Patch | Delete)


class Budgets:
    """The budgets of all packs. They are kept in memory only: a new engine begins with whole budgets.

    `resume` is what people last said to have what is suspended go on; the replica has a share of each budget.
    """

    def __init__(self, actor: Actor, observer: Observer, replica: Replica) -> None:
        self._actor, self._observer, self._share, self.resume = actor, observer, replica.budget_share, ""
        self._namespace = replica.namespace
        self._budgets: dict[str, Budget] = {}
        self._reported: LRUCache[tuple[str, ...], None] = LRUCache(REMEMBERED)

    async def begin(self, cause: Cause, scope: Scope) -> Outcome:
        """Return Done where a rule may begin with an object, else Waiting."""
        budget = self._budgets.get(cause.pack)
        if budget is None:  # it has taken no step, so nothing of it is suspended
            return DONE
        admission, self._budgets[cause.pack] = budget.begin(flow_of(cause.ref), self._terms(scope), scope.now)
        return await self._outcome(admission, cause, scope)

    async def take(self, cause: Cause, scope: Scope) -> Outcome:
        """Return Done where a rule may take one disruptive step, else Waiting; say of each object that it is held back."""
        flow, before = flow_of(cause.ref), self._budgets.get(cause.pack, Budget())
        admission, after = before.take(flow, self._terms(scope), scope.now)
        self._budgets[cause.pack] = after
        if flow in after.suspended and flow not in before.suspended:
            self._observer.suspended(cause.pack, flow, cause.ref)
        return await self._outcome(admission, cause, scope)

    def give_back(self, cause: Cause) -> None:
        """Give back the step that was taken last, since nothing was done."""
        if (budget := self._budgets.get(cause.pack)) is not None:
            self._budgets[cause.pack] = budget.given_back(flow_of(cause.ref))

    def _terms(self, scope: Scope) -> Terms:
        return Terms(_limit(scope), self.resume, self._share)

    async def _outcome(self, admission: Admission, cause: Cause, scope: Scope) -> Outcome:
        limit, flow, retry_at = _limit(scope), flow_of(cause.ref), scope.now + PAUSE
        obstacle = Obstacle.PACK_BUDGET if admission is Admission.PACED else Obstacle.SUSPENDED
        match admission:
            case Admission.GRANTED:
                return DONE
            case Admission.PACED:
                retry_at = self._budgets[cause.pack].slots[flow]
                reason = f"pack {cause.pack} takes {limit} disruptive steps a minute ({DISRUPTIONS}), and has taken them"
            case Admission.SUSPENDED:
                reason = f"{described(flow)} is suspended: pack {cause.pack} would exceed {DISRUPTIONS}, {limit}, for it"
                await self._report(cause, scope, "NamespaceSuspended", f"Pack {cause.pack} is suspended for {described(flow)}")
            case Admission.PACK_SUSPENDED:
                reason = f"pack {cause.pack} is suspended: {MANY} namespaces would have it exceed {DISRUPTIONS}, {limit}"
                because = f"Pack {cause.pack} is suspended, since {MANY} namespaces want more than it may do"
                await self._report(cause, scope, "PackSuspended", because)
        return Waiting(plain(reason), retry_at, obstacle)

    async def _report(self, cause: Cause, scope: Scope, reason: str, what: str) -> None:
        """Emit one Event about an object that is held back by a suspension; where that fails, with the next evaluation."""
        word = f"{reason} {self.resume} {_limit(scope)}"
        key = cause.pack, cause.ref.uid, word
        if key in self._reported:
            return
        message = (
            f"{what}: it has spent its budget of {_limit(scope)} disruptive steps a minute (parameter {DISRUPTIONS}). "
            f"What rule {cause.rule} has still to do for this object is kept. "
            f"To have it done, at that pace: {resume_command(self._namespace)}. That resumes every pack. "
            "To drop it: set the pack's feature flag to Disabled."
        )
        reported = Cause(cause.pack, "", cause.object, cause.ref, word)
        step = event(reported, cause.object, Content("Warning", reason, message, {}), scope.value("now"))
        self._reported[key] = None
        try:
            await self._actor.perform(step, dry_run=False)
        except ApiError as error:
            self._reported.pop(key, None)
            log.warning("cannot emit an Event that %s is held back by pack %s: %s", cause.ref, cause.pack, error)


def resume_command(namespace: str) -> str:
    """Return what to type to have all that is suspended go on."""
    return (
        f'kubectl annotate configmap rulepack-params -n {namespace} --overwrite {RESUME}="$(date)" '
        f"(where there is none, first: kubectl create configmap rulepack-params -n {namespace})"
    )


def resumes_also(others: Sequence[str]) -> str:
    """Return what to add to that command of what goes on in other packs, '' where nothing does."""
    return f" (this resumes every pack, also {'; '.join(others)})" if others else ""


def described(flow: str) -> str:
    """Return what a flow of watched objects is, as people call it."""
    return f"kind {flow}" if "." in flow else f"namespace {flow}"


def _limit(scope: Scope) -> int:
    return int(scope.value("params").get(DISRUPTIONS, 0))
