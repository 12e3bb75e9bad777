"""What a pack may touch: `targets` bound kinds and verbs, another namespace must consent, `limits` bound the number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from engine.cel import Program, Scope
from engine.errors import EvaluationError
from engine.model.names import misnamed
from engine.model.objects import Kind, Object, Ref, annotations_of, metadata, ref_of
from engine.model.outcome import Done, Refused, Waiting
from engine.model.plan import Annotate, Create, Delete, Measure, Patch, Plan, Read, Step
from engine.model.send import Send
from engine.model.text import Quoting, plain, shown
from engine.packs.pack import OTHER_NAMESPACES, TRUSTED_NAMESPACES, RulePack
from engine.packs.rule import Limits

SERVICE_ACCOUNT = "mlops.dev/trigger-service-account"


def verb_of(step: Patch | Delete) -> str:
    """Return the verb that a step needs on its target."""
    if isinstance(step, Delete):
        return "evict" if step.evict else "delete"
    return "patch/status" if step.subresource else "patch"


def refused_read(pack: RulePack, read: Read, scope: Scope) -> Refused | None:
    """Return why a pack must not even read a target, None where it may."""
    followed = pack.follows(read.watch, across=read.namespaces is not None)
    verb = "get" if read.label_selector is None and not followed else "list"
    if refusal := _undeclared(pack, read.ref.kind, verb):
        return refusal
    target = pack.target(read.ref.kind)
    if target is None or _at_home(read, scope):
        return None
    where, apart = f"{read.ref} is not in the namespace of {ref_of(scope.value('object'))}", "the target is in another namespace"
    if _param(scope, OTHER_NAMESPACES) == "Deny" and read.ref.namespace not in (_param(scope, TRUSTED_NAMESPACES) or ()):
        denied = f"the parameter {OTHER_NAMESPACES} of pack {pack.identity} denies that"
        return Refused(Quoting(f"{where}, and {denied}", f"{apart}, and {denied}"))
    if target.consent == "Never":
        never = f"pack {pack.identity} never acts on a {read.ref.kind.kind} of another namespace"
        return Refused(Quoting(f"{where}, and {never}", never))
    return None


def needs_review(pack: RulePack, read: Read, scope: Scope) -> bool:
    """Return whether the API server must be asked for the consent of a target in another namespace."""
    target = pack.target(read.ref.kind)
    if target is None or target.consent != "SubjectAccessReview" or _at_home(read, scope):
        return False
    return not read.ref.namespace or read.ref.namespace not in (_param(scope, TRUSTED_NAMESPACES) or ())


def service_account(obj: Object) -> tuple[str, str] | Refused:
    """Return the namespace and name of the service account that an object acts as, or Refused.

    It is one of the object's own namespace, `default` unless an annotation names another one, which must be a name.
    """
    ref = ref_of(obj)
    name = annotations_of(obj).get(SERVICE_ACCOUNT, "default")
    if misnamed(Ref(Kind("v1", "ServiceAccount"), ref.namespace, name)):
        return Refused(f"annotation {SERVICE_ACCOUNT} of {ref} is {shown(name)}, not the name of a service account")
    return ref.namespace, name


def refused_targets(pack: RulePack, read: Read, found: Sequence[Object], scope: Scope) -> Refused | None:
    """Return why a pack must not act on what it read in another namespace, None where each object consents."""
    target = pack.target(read.ref.kind)
    if target is None or _at_home(read, scope) or not isinstance(target.consent, Program):
        return None
    for obj in found:
        try:
            consents = target.consent.condition(scope.child(target=obj))
        except EvaluationError:  # whose text would quote the target, to somebody who may not get it
            unknown = f"whether it consents has no answer: {shown(target.consent.source)}"
            return Refused(Quoting(f"{ref_of(obj)} is in another namespace, and {unknown}", unknown))
        if not consents:
            how = target.description or f"the consent of pack {pack.identity} is false: {shown(target.consent.source)}"
            refused = f"is in another namespace and does not consent: {how}"
            return Refused(Quoting(f"{ref_of(obj)} {refused}", f"the target {refused}"))
    return None


def refused_step(pack: RulePack, step: Step) -> Refused | None:
    """Return why a pack must not take a step, None where it may."""
    match step:
        case Create() | Measure() | Annotate() | Send():  # an Event, a metric, the watched object's own metadata, no object
            return None
        case Patch():
            verbs = ["create", verb_of(step)] if step.format == "apply" and step.before is None else [verb_of(step)]
        case Delete():
            verbs = [verb_of(step)]
        case _:
            assert_never(step)
    return next(filter(None, (_undeclared(pack, step.target.kind, verb) for verb in verbs)), None)


def limited(plan: Plan, limits: Limits, before: int) -> Plan:
    """Return the plan with no more steps than `limits` leaves, where `before` were taken already.

    Its outcome is Refused where it has more targets than that, and `onExceed` is Fail.
    """
    most = limits.max_targets
    if most is None:
        return plan
    if before + plan.targets > most and limits.on_exceed == "Fail":
        return Plan((), Refused(plain(f"{before + plan.targets} targets, and limits.maxTargets is {most}: none was touched")))
    steps = plan.steps[: most - before]
    ended = before + len(steps) >= most and isinstance(plan.outcome, Waiting)
    return plan._replace(steps=steps, outcome=Done() if ended else plan.outcome)


def _undeclared(pack: RulePack, kind: Kind, verb: str) -> Refused | None:
    target = pack.target(kind)
    if target is None or verb not in target.verbs:
        lacks = f"pack {pack.identity} does not declare {verb} on"
        return Refused(Quoting(f"{lacks} {kind.kind} ({kind.api_version}) under targets", f"{lacks} the target under targets"))
    return None


def _param(scope: Scope, name: str) -> Any:
    return scope.value("params").get(name)


def _at_home(read: Read, scope: Scope) -> bool:
    return read.ref.namespace == str(metadata(scope.value("object")).get("namespace") or "")
