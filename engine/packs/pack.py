"""A rule pack, bound and compiled: frozen, ready to be evaluated, equal only to itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.actions import Need
from engine.actions.lookup import Lookup
from engine.cel import Program
from engine.errors import Location
from engine.model.fieldselectors import of_name
from engine.model.flags import Mode
from engine.model.objects import NAMESPACE, Kind
from engine.model.plan import LookupWatch
from engine.packs import identity
from engine.packs.inputs import Input
from engine.packs.metrics import MetricSpec
from engine.packs.parts import instances
from engine.packs.rule import Rule
from engine.packs.secrets import reads_secrets
from engine.packs.watches import Watch, kinds_left

OTHER_NAMESPACES, TRUSTED_NAMESPACES = "otherNamespaces", "trustedNamespaces"
"""Parameters of every pack with targets: what of targets in other namespaces than the object's own."""
DISRUPTIONS = "disruptionsPerMinute"
"""A parameter of every pack with targets: how many disruptive steps it may take in a minute."""
FOLLOWING = frozenset({"list", "watch"})
"""The verbs that an informer needs."""
RESUME = "rules.mlops.dev/resume"
"""The annotation of ConfigMap rulepack-params whose change has what is suspended go on."""


@dataclass(frozen=True, slots=True)
class Target:
    """A kind that a pack may touch (`*` in both parts: any), the verbs on it, and how another namespace's object consents."""

    kind: Kind
    verbs: frozenset[str]
    consent: Literal["SubjectAccessReview", "Never"] | Program = "SubjectAccessReview"
    description: str = ""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter that a cluster may override, with the JSON Schema its value must fit."""

    name: str
    schema: Mapping[str, Any]
    default: Any


@dataclass(frozen=True, slots=True)
class Discovery:
    """The objects that give a param its value: of a kind, by name and labels ('': any), in all namespaces.

    `value` is that of the oldest; with `key` the param is a mapping of the keys of all of them to their values.
    """

    kind: Kind
    name: str
    labels: str
    value: Program
    key: Program | None = None

    @property
    def fields(self) -> str:
        """Return the field selector of these objects."""
        return of_name(self.name) if self.name else ""


@dataclass(frozen=True, slots=True, eq=False)
class RulePack:
    """A bound rule pack; `location` is where it begins in the text it came from."""

    name: str
    description: str
    feature_flag: str
    default_mode: Mode
    watches: Mapping[Kind, Watch]
    location: Location
    mode: Mode | None = None
    params: Mapping[str, Param] = field(default_factory=dict)
    discover: Mapping[str, Discovery] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    vars: Mapping[str, Program] = field(default_factory=dict)
    inputs: Mapping[str, Input] = field(default_factory=dict)
    metrics: Mapping[str, MetricSpec] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    previous_names: tuple[str, ...] = ()
    namespace: str = ""
    """The namespace that it is of; '' for the operator's own and for what is shipped."""
    reads_old: bool = True
    """Whether an expression may name `oldObject`, so that objects must be kept as they were last evaluated."""
    libraries: frozenset[str] = frozenset()
    """The libraries whose functions its expressions call, also by way of other functions."""
    identity: str = field(init=False)
    """By what everything that belongs to it is kept and shown: `name`, or `namespace/name`."""
    numbers: Mapping[str, int] = field(init=False)
    """The index of each rule in `rules`, by its name."""
    record_names: Mapping[str, tuple[str, ...]] = field(init=False)
    """For each rule the names of its firing record: that of today, and those of the names that it and its pack had before."""
    holds: tuple[int, ...] = field(init=False)
    """The indexes of the rules that put on record for how long their conditions have held."""
    counts: bool = field(init=False)
    """Whether a rule counts objects in groups."""
    ends: bool = field(init=False)
    """Whether a rule is about objects that are gone."""
    followed: tuple[tuple[Rule, Lookup], ...] = field(init=False)
    """The lookups whose changes are followed, those of actions included, each with its rule."""
    reads_secrets: frozenset[str] = field(init=False)
    """The names of the rules that read Secrets."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", identity.identity(self.namespace, self.name))
        object.__setattr__(self, "counts", any(rule.aggregate is not None for rule in self.rules))
        object.__setattr__(self, "ends", any(rule.on == "Delete" for rule in self.rules))
        object.__setattr__(self, "holds", tuple(number for number, rule in enumerate(self.rules) if rule.durable_hold))
        object.__setattr__(self, "record_names", {rule.name: self._record_names(rule) for rule in self.rules})
        object.__setattr__(self, "numbers", {rule.name: number for number, rule in enumerate(self.rules)})
        object.__setattr__(self, "reads_secrets", frozenset(rule.name for rule in self.rules if reads_secrets(self, rule)))
        lookups = ((rule, lookup) for rule in self.rules for lookup in instances(rule, Lookup))
        object.__setattr__(
            self, "followed", tuple(pair for pair in lookups if self.follows(pair[1].watch, across=pair[1].selects_namespaces))
        )

    def _record_names(self, rule: Rule) -> tuple[str, ...]:
        return tuple(dict.fromkeys(identity.record_name(self.namespace, *each) for each in self._names(rule)))

    def _names(self, rule: Rule) -> list[tuple[str, str]]:
        here = [name for name in (rule.name, *rule.previous_names) if "/" not in name]
        names = [(pack, name) for pack in (self.name, *self.previous_names) for name in here]
        return names + [(pack, moved) for name in rule.previous_names for pack, slash, moved in [name.partition("/")] if slash]

    def origins(self, rule: Rule) -> tuple[tuple[str, str], ...]:
        """Return under which packs, by their identities, and names a rule generates: that of today, and those it had before."""
        return tuple((identity.identity(self.namespace, pack), name) for pack, name in self._names(rule))

    @property
    def config_key(self) -> str:
        """Return the key that it has in ConfigMap `rulepack-params`."""
        return identity.config_key(self.namespace, self.name)

    def rule(self, name: str) -> Rule:
        """Return one of its rules."""
        return self.rules[self.numbers[name]]

    def kinds(self, rule: Rule) -> tuple[Kind, ...]:
        """Return the watched kinds that a rule can be about: those that its conditions do not rule out."""
        return kinds_left(self.watches, rule.when, rule.vars)

    @property
    def selects_namespaces(self) -> bool:
        """Return whether it watches objects by the labels of their namespaces."""
        return any(watch.selection.namespaces is not None for watch in self.watches.values())

    def target(self, kind: Kind) -> Target | None:
        """Return the entry of `targets` for a kind; an exact one comes before that for any kind (`*`)."""
        wanted = (kind, Kind("*", "*"))
        return next((target for each in wanted for target in self.targets if target.kind == each), None)

    def grants(self, need: Need) -> bool:
        """Return whether `targets` grant a right; one on a kind that only the running rule knows, on any of them."""
        if need.kind is None:
            return any(need.verb in target.verbs for target in self.targets)
        target = self.target(need.kind)
        return target is not None and need.verb in target.verbs

    def follows(self, watch: LookupWatch | None, *, across: bool = False) -> bool:
        """Return whether `targets` grant what informers need for a lookup, `across` namespaces that it selects by labels.

        A target of any kind grants it for none.
        """
        kinds = {watch.kind, *([NAMESPACE] if across else [])} if watch is not None else {None}
        return kinds <= {each.kind for each in self.targets if each.verbs >= FOLLOWING}

    def unfollowed(self, kind: Kind) -> list[str]:
        """Return the verbs that the entry of a kind lacks for lookups of it to be followed."""
        return sorted(FOLLOWING.difference(*(each.verbs for each in self.targets if each.kind == kind)))

    def rights(self, needs: Iterable[Need]) -> Iterator[Need]:
        """Yield the rights on targets that needs come to: to follow a lookup where the pack grants that, else to read it."""
        for need in needs:
            if need.name:
                continue
            if need.followed and need.kind is not None and self.follows(LookupWatch(need.kind)):
                yield from (Need(need.kind, verb) for verb in sorted(FOLLOWING))
            else:
                yield need._replace(followed=False)

    @property
    def source(self) -> str:
        """Return the name of the text it came from."""
        return self.location.file
