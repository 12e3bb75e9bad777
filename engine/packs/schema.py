"""The schema of `kind: RulePack`: what users write, before anything in it is compiled."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from engine.model.spec import Spec
from engine.packs.fields import Identifier, MetricName, ModeName, Name, Selector, Text, Verb
from engine.packs.metrics import MetricDeclaration
from engine.packs.rule_schema import RuleSpec
from engine.packs.watches import WatchSpec

API_VERSION = "rules.mlops.dev/v1alpha1"


def _as_watches(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class DiscoverySpec(Spec):
    """Objects of the cluster that give a param its value, wherever they are; the param's default where there are none."""

    api_version: Text
    """apiVersion of the kind to look for."""
    kind: Text
    """The kind to look for."""
    name: Name | None = None
    """Only objects of this name; in any namespace."""
    label_selector: Selector = ""
    """Only objects with these labels."""
    value: Text
    """CEL over one of them, as `object`, that gives the value: that of the oldest."""
    key: Text | None = None
    """CEL over one of them that gives a text. Then the param is a mapping of the keys of all of them to their values."""


class PackTargetSpec(Spec):
    """A kind that the pack may touch. Nothing else is touched, whatever a rule or an annotation says."""

    api_version: Text
    """apiVersion of the kind; `*` with kind `*` stands for any kind."""
    kind: Text
    """The kind, or `*`."""
    verbs: list[Verb] = Field(min_length=1)
    """What the pack may do with it."""
    consent: Text = "SubjectAccessReview"
    """How an object in another namespace consents: `SubjectAccessReview`, `Never`, or CEL over the live `target`."""
    description: str = ""
    """For an expression: how an object consents, in words. A refusal says it."""


class InputSpec(Spec):
    """An annotation of the watched object that rules read as `inputs.<name>`, parsed and checked first."""

    annotation: Text
    """The annotation's key."""
    annotation_param: Identifier | None = None
    """The parameter of the pack, a text, that gives a cluster's own key for it."""
    format: Literal["yaml", "json"] = "yaml"
    """The language of its text."""
    schema_: dict[str, Any] = Field(default={}, alias="schema")
    """JSON Schema (2020-12) of its value. Where it does not fit, `inputErrors.<name>` says why."""
    default: Any = None
    """The value where the annotation is absent."""


class PackSpec(Spec):
    """The pack itself."""

    previous_names: list[Name] = Field(default=[], max_length=10)
    """Names that the pack had before: what is on record or was generated under them stays its own, and a mode or flag that is set
    for them counts."""
    description: str = ""
    """What the pack is for."""
    feature_flag: Text | None = None
    """The feature flag that sets its mode; the pack's name where left out."""
    default_mode: ModeName = "Enforce"
    """The mode where neither `mode` nor a flag says otherwise."""
    mode: ModeName | None = None
    """The mode. Where a flag gives one too, the stricter of both is in force: Disabled, Audit, Enforce."""
    params: dict[Identifier, dict[str, Any]] = Field(default={}, max_length=50)
    """Values that a cluster may override, read as `params.<name>`: each a JSON Schema with a `default`.

    Of type `number` it is always a double, and of type `integer` an int, whether 1 or 1.0 is written. The same holds for inputs.
    """
    discover: dict[Identifier, DiscoverySpec] = Field(default={}, max_length=10)
    """For some of `params`, what is in the cluster and says their value, where nobody has set one."""
    watch: Annotated[
        list[WatchSpec],
        BeforeValidator(_as_watches, json_schema_input_type=WatchSpec | Annotated[list[WatchSpec], Field(min_length=1)]),
        Field(min_length=1, max_length=20),
    ]
    """Which objects the pack is about: of one kind, or a list of kinds, each with its own selectors and fields.

    Rules are evaluated for objects of each kind; one that is for some kinds only says so: `when: object.kind == 'Secret'`.
    """
    targets: list[PackTargetSpec] = Field(default=[], max_length=50)
    """Everything that the pack may touch besides the watched object's own metadata."""
    vars: dict[Identifier, Text] = Field(default={}, max_length=50)
    """Named expressions that all rules share, read as `vars.<name>`; evaluated at most once for an object and its change."""
    inputs: dict[Identifier, InputSpec] = Field(default={}, max_length=20)
    """Annotations that users write on the watched objects, read as `inputs.<name>`; all together may hold 2,500 values."""
    metrics: dict[MetricName, MetricDeclaration] = Field(default={}, max_length=50)
    """Metrics that the pack's actions write."""
    rules: list[RuleSpec] = Field(min_length=1, max_length=100)
    """The rules."""


class MetadataSpec(Spec):
    """The pack's name, and labels and annotations that are for others."""

    name: Name
    """The pack's name."""
    labels: dict[str, str] = Field(default={})
    """Not read."""
    annotations: dict[str, str] = Field(default={})
    """Not read."""


class RulePackSpec(Spec):
    """A rule pack."""

    api_version: Literal["rules.mlops.dev/v1alpha1"]
    """`rules.mlops.dev/v1alpha1`."""
    kind: Literal["RulePack"]
    """`RulePack`."""
    metadata: MetadataSpec
    """Its name."""
    spec: PackSpec
    """The pack itself."""


class ReferenceSpec(Spec):
    """A pack whose text is elsewhere: how it is to run on this cluster."""

    shipped: Text | None = None
    """The name of a pack that the operator ships."""
    config_map: Text | None = None
    """The ConfigMap that holds the pack of the object's name."""
    mode: ModeName | None = None
    """The mode. Where a flag gives one too, the stricter of both is in force: Disabled, Audit, Enforce."""
    params: dict[Identifier, Any] = Field(default={}, max_length=50)
    """Values of its params; they go before those in ConfigMap `rulepack-params`."""


class RulePackReferenceSpec(Spec):
    """A RulePack that stands for a pack whose text is elsewhere."""

    api_version: Literal["rules.mlops.dev/v1alpha1"]
    """`rules.mlops.dev/v1alpha1`."""
    kind: Literal["RulePack"]
    """`RulePack`."""
    metadata: MetadataSpec
    """Its name."""
    spec: ReferenceSpec
    """Where the text is, and how the pack is to run."""
