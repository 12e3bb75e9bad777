"""The least rights that rule packs need, as roles of Kubernetes' RBAC, with the rules that need them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.actions import Need
from engine.actions.event import EVENT
from engine.model.flags import Mode
from engine.model.objects import NAMESPACE, Kind, Resource, api_verb
from engine.model.plurals import guessed_resource
from engine.packs.pack import RulePack
from engine.packs.schema import API_VERSION

REVIEWS = Kind("authorization.k8s.io/v1", "SubjectAccessReview")
RULE_PACK, RULE_LIBRARY = Kind(API_VERSION, "RulePack"), Kind(API_VERSION, "RuleLibrary")
TOKEN_REVIEWS = Kind("authentication.k8s.io/v1", "TokenReview")
_LEASE, _CONFIG_MAP = Kind("coordination.k8s.io/v1", "Lease"), Kind("v1", "ConfigMap")
_ORDER = ("get", "list", "watch", "create", "update", "patch", "delete")

Plurals = Callable[[Kind], Resource]


class Account(NamedTuple):
    """The service account that an operator acts as; every way to install it gives it this name."""

    namespace: str
    name: str = "rulepack"


@dataclass(slots=True)
class Grants:
    """Verbs by API group and resource, each with what needs it."""

    by_resource: dict[tuple[str, str], dict[str, dict[str, None]]] = field(default_factory=dict)
    any_kind: dict[str, dict[str, None]] = field(default_factory=dict)
    """Verbs on kinds that only the running rule knows, each with what needs it."""
    cluster_wide: set[tuple[str, str]] = field(default_factory=set)
    """Those of `by_resource` that live in no namespace, so that no Role can grant them."""
    names: frozenset[str] = frozenset()
    """The only objects that `by_resource` is about; none: all of them."""

    def add(self, resource: Resource, verb: str, reason: str) -> None:
        """Add that something needs a verb; the verbs of rule packs for subresources become those of the API server."""
        verb, subresource = api_verb(verb)
        name = f"{resource.plural}/{subresource}" if subresource else resource.plural
        self.by_resource.setdefault((resource.kind.group, name), {}).setdefault(verb, {})[reason] = None
        if not resource.namespaced:
            self.cluster_wide.add((resource.kind.group, name))

    def joined(self, other: Grants) -> Grants:
        """Return the grants of both, which share no resource."""
        return Grants(
            self.by_resource | other.by_resource, self.any_kind | other.any_kind, self.cluster_wide | other.cluster_wide
        )


def granted(packs: Iterable[RulePack], plurals: Plurals = guessed_resource) -> Grants:
    """Return what the packs need in the namespaces that they watch and act in."""
    grants = Grants()
    for pack in sorted(packs, key=lambda pack: pack.identity):
        for kind, reason in _listed(pack):
            for verb in ("list", "watch"):
                grants.add(plurals(kind), verb, reason)
        for verb in ("create", "patch"):
            grants.add(plurals(EVENT), verb, f"{pack.identity}/rules that wait or fail")
        for rule in pack.rules:
            name = f"{pack.identity}/{rule.name}"
            for kind in pack.kinds(rule) if rule.writes_own() else ():
                grants.add(plurals(kind), "patch", name)
            for need in pack.rights(rule.needs()):
                _grant(grants, pack, need, name, plurals)
        if any(target.consent == "SubjectAccessReview" for target in pack.targets):
            grants.add(plurals(REVIEWS), "create", f"{pack.identity}/consent of other namespaces")
    return grants


def _listed(pack: RulePack) -> Iterator[tuple[Kind, str]]:
    """Yield the kinds that a pack lists and watches, lookups left aside, each with what needs it."""
    yield from ((kind, pack.identity) for kind in pack.watches)
    if pack.selects_namespaces:
        yield NAMESPACE, f"{pack.identity}/namespaceSelector"
    yield from ((discovery.kind, f"{pack.identity}/parameter {name}") for name, discovery in pack.discover.items())


def granted_by_name(pack: RulePack, plurals: Plurals = guessed_resource) -> Sequence[Grants]:
    """Return what a pack needs on single objects of its own namespace: by kind, with the names of all of them."""
    found: dict[Kind, Grants] = {}
    for rule in pack.rules:
        for need in rule.needs():
            if need.name and need.kind is not None:
                grants = found.setdefault(need.kind, Grants())
                grants.names |= {need.name}
                grants.add(plurals(need.kind), need.verb, f"{pack.identity}/{rule.name}")
    return [found[kind] for kind in sorted(found)]


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
    for kind, plural in ((RULE_PACK, "RulePacks"), (RULE_LIBRARY, "RuleLibraries")):
        for verb in ("list", "watch", "patch/status"):
            reason = f"to say on {plural} outside of the operator's namespace that they are not in force"
            grants.add(guessed_resource(kind), verb, reason)
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
    for kind, what, plural in ((RULE_PACK, "rule packs", "RulePacks"), (RULE_LIBRARY, "libraries", "RuleLibraries")):
        for verb in ("list", "watch"):
            grants.add(guessed_resource(kind), verb, what)
        grants.add(guessed_resource(kind), "patch/status", f"the status of {plural}")
    grants.add(guessed_resource(RULE_PACK), "create", "RulePacks that stand for shipped packs")
    return grants


def review_grants() -> Grants:
    """Return what the engine itself needs outside of all namespaces: to ask who reads its metrics, and whether they may."""
    grants = Grants()
    for kind in (TOKEN_REVIEWS, REVIEWS):
        grants.add(guessed_resource(kind), "create", "who reads metrics")
    return grants


def roles(packs: Collection[RulePack], plurals: Plurals, name: str, namespace: str) -> str:
    """Return the operator's own roles as a text of YAML, as it is installed with these packs.

    They are the ClusterRole for the packs, with what the engine itself can use in the namespaces that are watched, and the
    ClusterRole and the Role of the engine itself. Packs that are Off until somebody switches them on are left out.
    """
    chosen, comment = _chosen(packs, off=False)
    return "\n".join([
        *comment,
        *_role(granted(chosen, plurals).joined(elsewhere_grants()), "ClusterRole", name),
        "---",
        *_role(review_grants(), "ClusterRole", f"{name}-reviews"),
        "---",
        *_role(own_grants(), "Role", name, namespace),
    ])  # fmt: skip


def pack_roles(
    packs: Collection[RulePack], plurals: Plurals, account: Account, namespaces: Sequence[str] = (), *, off: bool = False
) -> str:
    """Return a ClusterRole for each pack, bound to the operator's account, as a text of YAML.

    They stand beside the operator's own roles, and are named after their pack, so that packs never take each other's rights
    away. With `namespaces` they are a Role and a RoleBinding in each of these. Packs that are Off until somebody switches
    them on are left out, and named in a comment, unless `off` asks for them. What a pack needs of Secrets of its own namespace is
    a Role there, by their names.
    """
    chosen, comment = _chosen(packs, off=off)
    documents = []
    for pack in sorted(chosen, key=lambda pack: pack.identity):
        grants, name = granted([pack], plurals), f"rulepack:{pack.identity.replace('/', ':')}"
        for namespace in namespaces:
            documents += [_role(grants, "Role", name, namespace), _binding("Role", name, account, namespace)]
        if not namespaces:
            documents += [_role(grants, "ClusterRole", name), _binding("ClusterRole", name, account)]
        home = pack.namespace or account.namespace
        for named in granted_by_name(pack, plurals):
            own = ":".join([name, *(resource for _, resource in named.by_resource)])
            documents += [_role(named, "Role", own, home), _binding("Role", own, account, home)]
    return "\n".join([*comment, "\n---\n".join("\n".join(lines) for lines in documents)])


def _chosen(packs: Collection[RulePack], *, off: bool) -> tuple[Sequence[RulePack], Sequence[str]]:
    """Return the packs that are not Off by default, all with `off`; and a comment that names those left out."""
    chosen = [pack for pack in packs if off or pack.default_mode is not Mode.OFF]
    left_out = ", ".join(sorted(pack.identity for pack in packs if pack not in chosen))
    return chosen, [f"# Left out, since they are Off by default: {left_out}. With --off they are in."] if left_out else []


def _role(grants: Grants, kind: str, name: str, namespace: str = "") -> Iterator[str]:
    """Yield a ClusterRole or Role as lines of YAML, with what needs each verb as a comment behind it."""
    yield from _head(kind, name, namespace)
    cluster_wide = grants.cluster_wide if namespace else set()
    by_resource = {key: verbs for key, verbs in sorted(grants.by_resource.items()) if key not in cluster_wide}
    yield "rules:" if by_resource else "rules: []"
    for (group, resource), verbs in by_resource.items():
        yield "  - apiGroups: [%s]" % (group or '""')
        yield f"    resources: [{resource}]"
        if grants.names:
            yield f"    resourceNames: {json.dumps(sorted(grants.names))}"  # quoted: a name may look like a number
        yield "    verbs:"
        for verb in in_order(verbs):
            yield f"      - {verb:<6} # {reasons(verbs[verb])}".rstrip()
    if grants.any_kind:
        yield "  # These rules act on any further kind that they are asked to; grant what of that you want, in a role of its own:"
    for verb, needing in sorted(grants.any_kind.items()):
        yield f"  # {verb}: {reasons(needing)}"
    if cluster_wide:
        yield "  # These live in no namespace, so no Role can grant them:"
    for key in sorted(cluster_wide):
        for verb in in_order(grants.by_resource[key]):
            yield f"  # {verb} {key[1]}: {reasons(grants.by_resource[key][verb])}"


def _binding(kind: str, name: str, account: Account, namespace: str = "") -> Iterator[str]:
    """Yield what grants a role to the operator's account, as lines of YAML."""
    yield from _head(f"{kind}Binding", name, namespace)
    yield from ("roleRef:", "  apiGroup: rbac.authorization.k8s.io", f"  kind: {kind}", f"  name: {name}")
    yield from ("subjects:", "  - kind: ServiceAccount", f"    name: {account.name}", f"    namespace: {account.namespace}")


def _head(kind: str, name: str, namespace: str) -> Iterator[str]:
    yield from ("apiVersion: rbac.authorization.k8s.io/v1", f"kind: {kind}", "metadata:", f"  name: {name}")
    if namespace:
        yield f"  namespace: {namespace}"


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
