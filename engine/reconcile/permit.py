"""What a pack may touch: its `targets` bound kinds and verbs, and another namespace must consent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.cel import Program, Scope
from engine.errors import Refused, Unanswered
from engine.model.names import misnamed
from engine.model.objects import Kind, Object, Ref, annotations_of, metadata, ref_of
from engine.model.plan import Delete, Patch, Read, Step
from engine.model.text import shown
from engine.packs.pack import OTHER_NAMESPACES, TRUSTED_NAMESPACES, RulePack, Target

SERVICE_ACCOUNT = "mlops.dev/trigger-service-account"


def verb_of(step: Patch | Delete) -> str:
    """The verb that a step needs on its target."""
    if isinstance(step, Delete):
        return "evict" if step.evict else "delete"
    return "patch/status" if step.subresource else "patch"


def target_of(pack: RulePack, kind: Kind) -> Target | None:
    """The entry of a pack's `targets` for a kind; an exact one comes before one for any kind ('*')."""
    exact = [target for target in pack.targets if target.kind == kind]
    anything = [target for target in pack.targets if target.kind.kind == "*"]
    return next(iter(exact or anything), None)


def refused_read(pack: RulePack, read: Read, scope: Scope) -> str:
    """Why a pack must not even read a target, or '' where it may."""
    verb = "get" if read.label_selector is None else "list"
    if refusal := _undeclared(pack, read.ref.kind, verb):
        return refusal
    target = target_of(pack, read.ref.kind)
    if target is None or _at_home(read, scope):
        return ""
    where = f"{read.ref} is not in the namespace of {ref_of(scope.value('object'))}"
    if _param(scope, OTHER_NAMESPACES) == "Deny" and read.ref.namespace not in (_param(scope, TRUSTED_NAMESPACES) or ()):
        return f"{where}, and the parameter {OTHER_NAMESPACES} of pack {pack.name} denies that"
    if target.consent == "Never":
        return f"{where}, and pack {pack.name} never acts on a {read.ref.kind.kind} of another namespace"
    return ""


def needs_review(pack: RulePack, read: Read, scope: Scope) -> bool:
    """Whether the API server must be asked for the consent of a target in another namespace."""
    target = target_of(pack, read.ref.kind)
    if target is None or target.consent != "SubjectAccessReview" or _at_home(read, scope):
        return False
    return not read.ref.namespace or read.ref.namespace not in (_param(scope, TRUSTED_NAMESPACES) or ())


def service_account(obj: Object) -> tuple[str, str]:
    """The namespace and name of the service account that an object acts as: of its own namespace, `default` unless it says.

    Raises Refused where the annotation is no name.
    """
    ref = ref_of(obj)
    name = annotations_of(obj).get(SERVICE_ACCOUNT, "default")
    if misnamed(Ref(Kind("v1", "ServiceAccount"), ref.namespace, name)):
        raise Refused(f"annotation {SERVICE_ACCOUNT} of {ref} is {shown(name)}, not the name of a service account")
    return ref.namespace, name


def refused_targets(pack: RulePack, read: Read, found: Sequence[Object], scope: Scope) -> str:
    """Why a pack must not act on what it read in another namespace, or '' where each object consents."""
    target = target_of(pack, read.ref.kind)
    if target is None or _at_home(read, scope) or not isinstance(target.consent, Program):
        return ""
    for obj in found:
        try:
            consents = target.consent.condition(scope.child(target=obj))
        except Unanswered as unanswered:
            return f"{ref_of(obj)} is in another namespace, and whether it consents has no answer: {unanswered}"
        if not consents:
            how = target.description or f"the consent of pack {pack.name} is false: {shown(target.consent.source)}"
            return f"{ref_of(obj)} is in another namespace and does not consent: {how}"
    return ""


def refused_step(pack: RulePack, step: Step) -> str:
    """Why a pack must not take a step, or '' where it may."""
    if not isinstance(step, Patch | Delete):
        return ""
    creates = isinstance(step, Patch) and step.format == "apply" and step.before is None
    verbs = ["create", verb_of(step)] if creates else [verb_of(step)]
    return next(filter(None, (_undeclared(pack, step.target.kind, verb) for verb in verbs)), "")


def _undeclared(pack: RulePack, kind: Kind, verb: str) -> str:
    target = target_of(pack, kind)
    if target is None or verb not in target.verbs:
        return f"pack {pack.name} does not declare {verb} on {kind.kind} ({kind.api_version}) under targets"
    return ""


def _param(scope: Scope, name: str) -> Any:
    return scope.value("params").get(name)


def _at_home(read: Read, scope: Scope) -> bool:
    return read.ref.namespace == str(metadata(scope.value("object")).get("namespace") or "")
