"""The least rights that rule packs need, as roles of Kubernetes' RBAC, with the rules that need them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from engine.actions import Need
from engine.actions.event import EVENT
from engine.model.flags import Mode
from engine.model.objects import Kind, Resource, api_verb
from engine.model.plurals import guessed_resource
from engine.packs.pack import RulePack
from engine.packs.schema import API_VERSION

REVIEWS = Kind("authorization.k8s.io/v1", "SubjectAccessReview")
RULE_PACK = Kind(API_VERSION, "RulePack")
_ELSEWHERE = "to say on RulePacks outside of the operator's namespace that they are not in force"
TOKEN_REVIEWS = Kind("authentication.k8s.io/v1", "TokenReview")
_LEASE, _CONFIG_MAP = Kind("coordination.k8s.io/v1", "Lease"), Kind("v1", "ConfigMap")
_ORDER = ("get", "list", "watch", "create", "update", "patch", "delete")

Plurals = Callable[[Kind], Resource]


@dataclass(slots=True)
class Grants:
    """Verbs by API group and resource, each with what needs it."""

    by_resource: dict[tuple[str, str], dict[str, dict[str, None]]] = field(default_factory=dict)
    any_kind: dict[str, dict[str, None]] = field(default_factory=dict)
    """Verbs on kinds that only the running rule knows, each with what needs it."""

    def add(self, resource: Resource, verb: str, reason: str) -> None:
        """Add that something needs a verb; the verbs of rule packs for subresources become those of the API server."""
        verb, subresource = api_verb(verb)
        name = f"{resource.plural}/{subresource}" if subresource else resource.plural
        self.by_resource.setdefault((resource.kind.group, name), {}).setdefault(verb, {})[reason] = None

    def joined(self, other: Grants) -> Grants:
        """Return the grants of both, which share no resource."""
        return Grants(self.by_resource | other.by_resource, self.any_kind | other.any_kind)


def granted(packs: Iterable[RulePack], plurals: Plurals = guessed_resource) -> Grants:
    """Return what the packs need in the namespaces that they watch and act in."""
    grants = Grants()
    for pack in sorted(packs, key=lambda pack: pack.identity):
        watched = plurals(pack.watch.kind)
        for verb in ("list", "watch"):
            grants.add(watched, verb, pack.identity)
        for verb in ("create", "patch"):
            grants.add(plurals(EVENT), verb, f"{pack.identity}/rules that wait or fail")
        for rule in pack.rules:
            name = f"{pack.identity}/{rule.name}"
            if rule.writes_own():
                grants.add(watched, "patch", name)
            for need in pack.rights(rule.needs()):
                _grant(grants, pack, need, name, plurals)
        if any(target.consent == "SubjectAccessReview" for target in pack.targets):
            grants.add(plurals(REVIEWS), "create", f"{pack.identity}/consent of other namespaces")
    return grants


def _grant(grants: Grants, pack: RulePack, need: Need, name: str, plurals: Plurals) -> None:
    """Add the right on the kind, or, where only the running rule knows that, on each kind the pack declares it for."""
    if need.kind is not None:
        grants.add(plurals(need.kind), need.verb, name)
        return
    for target in pack.targets:
        if need.verb not in target.verbs:
            continue
        if target.kind.kind == "*":
            grants.any_kind.setdefault(need.verb, {})[name] = None
        else:
            grants.add(plurals(target.kind), need.verb, name)


def elsewhere_grants() -> Grants:
    """Return what the engine itself can use in the namespaces that it watches, whatever the packs; it works without."""
    grants = Grants()
    for verb in ("list", "watch", "patch/status"):
        grants.add(
            guessed_resource(RULE_PACK),
            verb,
            "to say on RulePacks outside of the operator's namespace that they are not in force",
        )
    return grants


def own_grants() -> Grants:
    """Return what the engine itself needs in its own namespace, whatever the packs."""
    grants = Grants()
    for verb in ("get", "create", "update"):
        grants.add(guessed_resource(_LEASE), verb, "of several replicas one acts")
    for verb in ("list", "watch"):
        grants.add(guessed_resource(_CONFIG_MAP), verb, "rule packs, feature flags and parameters")
    grants.add(guessed_resource(_CONFIG_MAP), "patch", "the status of a ConfigMap with rule packs, flags or params")
    grants.add(guessed_resource(EVENT), "create", "Events about a ConfigMap with rule packs that are refused")
    for verb in ("list", "watch"):
        grants.add(guessed_resource(RULE_PACK), verb, "rule packs")
    grants.add(guessed_resource(RULE_PACK), "create", "RulePacks that stand for shipped packs")
    grants.add(guessed_resource(RULE_PACK), "patch/status", "the status of RulePacks")
    return grants


def review_grants() -> Grants:
    """Return what the engine itself needs outside of all namespaces: to ask who reads its metrics, and whether they may."""
    grants = Grants()
    for kind in (TOKEN_REVIEWS, REVIEWS):
        grants.add(guessed_resource(kind), "create", "who reads metrics")
    return grants


def roles(
    packs: Collection[RulePack], plurals: Plurals, name: str, namespace: str, *, off: bool = False, elsewhere: bool = False
) -> str:
    """Return the ClusterRole for the packs, and the ClusterRole and the Role of the engine itself, as a text of YAML.

    With `elsewhere` the ClusterRole has what the engine itself can use in other namespaces too.

    Packs that are Off until somebody switches them on are left out, and named in a comment, unless `off` asks for them.
    """
    chosen = [pack for pack in packs if off or pack.default_mode is not Mode.OFF]
    left_out = sorted(pack.identity for pack in packs if pack not in chosen)
    return "\n".join([
        *([f"# Left out, since they are Off by default: {', '.join(left_out)}. With --off they are in."] if left_out else []),
        *_role(granted(chosen, plurals).joined(elsewhere_grants() if elsewhere else Grants()), "ClusterRole", name),
        "---",
        *_role(review_grants(), "ClusterRole", f"{name}-reviews"),
        "---",
        *_role(own_grants(), "Role", name, namespace),
    ])  # fmt: skip


def _role(grants: Grants, kind: str, name: str, namespace: str = "") -> Iterator[str]:
    """Yield a ClusterRole or Role as lines of YAML, with what needs each verb as a comment behind it."""
    yield "apiVersion: rbac.authorization.k8s.io/v1"
    yield f"kind: {kind}"
    yield "metadata:"
    yield f"  name: {name}"
    if namespace:
        yield f"  namespace: {namespace}"
    yield "rules:" if grants.by_resource else "rules: []"
    for (group, resource), verbs in sorted(grants.by_resource.items()):
        yield "  - apiGroups: [%s]" % (group or '""')
        yield f"    resources: [{resource}]"
        yield "    verbs:"
        for verb in in_order(verbs):
            yield f"      - {verb:<6} # {reasons(verbs[verb])}".rstrip()
    if grants.any_kind:
        yield "  # These rules act on any further kind that they are asked to; grant what of that you want, in a role of its own:"
    for verb, needing in sorted(grants.any_kind.items()):
        yield f"  # {verb}: {reasons(needing)}"


def in_order(verbs: Iterable[str]) -> list[str]:
    """Return verbs as people write them: reading first."""
    return sorted(verbs, key=_ORDER.index)


def reasons(needing: Mapping[str, None]) -> str:
    """Return who needs a verb; the rules of one pack together."""
    packs: dict[str, list[str]] = {}
    for reason in needing:
        pack, _, rule = reason.partition("/")
        packs.setdefault(pack, []).append(rule)
    return "; ".join(pack if "" in rules else f"{pack}: {', '.join(rules)}" for pack, rules in packs.items())
