"""The schema of `kind: RulePack`: what users write, before anything in it is compiled."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from engine.actions.target import TargetSpec
from engine.cel.documents import path_steps
from engine.cel.operators import Mismatch
from engine.model.names import bad_label
from engine.model.spec import Spec
from engine.rulepack.wording import found

API_VERSION = "rules.mlops.dev/v1alpha1"
RESERVED = (
    "object", "oldObject", "params", "inputs", "inputErrors", "vars", "flags", "target", "group", "groupKey", "results", "error",
    "lookup", "now", "true", "false", "null", "in",
)  # fmt: skip
"""Names that a loop variable cannot have: those of the built-in variables, and CEL's own words."""

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_METRIC_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*\Z")
_DURATION = r"([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+"
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 3660 * 86400.0
LONGEST_SELECTOR = 1000
LONGEST_PATH = 500


def refusal(message: str, expected: str) -> PydanticCustomError:
    """What a validator raises: what is wrong, and what was expected."""
    return PydanticCustomError("rulepack", "{message}", {"message": message, "expected": expected})


def seconds(value: Any) -> float:
    """A duration such as `1h30m` in seconds. Raises PydanticCustomError where it is none."""
    expected = "a duration such as 500ms, 2s, 5m, 1h30m or 7d"
    if not isinstance(value, str) or len(value) > 40 or not re.fullmatch(_DURATION, value):
        raise refusal(f"{found(value)} is not a duration", expected)
    total = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    if total > _LONGEST:
        raise refusal(f"the duration {value} is too long", "at most 3660d")
    return total


def _dns_label(value: str) -> str:
    if not _DNS_LABEL.match(value):
        raise refusal(f"{found(value)} cannot be a name", "lower case letters, digits and '-', at most 63, such as restart-pods")
    return value


def _identifier(value: str) -> str:
    if not IDENTIFIER.match(value) or len(value) > 63:
        raise refusal(f"{found(value)} cannot be named in an expression", "letters, digits and '_', no digit first, at most 63")
    return value


def _loop_variable(value: str) -> str:
    if value in RESERVED:
        raise refusal(f"{value!r} is a variable or a word of the language itself", "another name")
    return _identifier(value)


def _field_path(value: str) -> str:
    if len(value) > LONGEST_PATH:
        raise refusal(f"the path has {len(value)} characters", f"at most {LONGEST_PATH}")
    try:
        path_steps(value)
    except Mismatch as fault:
        raise refusal(str(fault), "a path such as status.phase or metadata.annotations['a/b']") from None
    return value


def _metric_name(value: str) -> str:
    if not _METRIC.match(value) or value.startswith("rulepack_"):
        raise refusal(f"{found(value)} cannot be a metric's name", "letters, digits, '_' and ':', and not rulepack_ first")
    return value


def _metric_label(value: str) -> str:
    if not _METRIC_LABEL.match(value):
        raise refusal(f"{found(value)} cannot be a metric's label", "letters, digits and '_', not a digit or '__' first")
    return value


#: One requirement: `key` or `!key`, `key=value` (also == and !=), `key in (a,b)` (also notin).
_REQUIREMENT = re.compile(
    r"\s*(?:!?\s*(?P<alone>[^\s!=,()]+)|(?P<key>[^\s!=,()]+)\s*(?:(?:==?|!=)\s*(?P<value>[^\s!=,()]*)"
    r"|\s(?:in|notin)\s*\((?P<values>[^()]*)\)))\s*(?:,|\Z)"
)


def _selector(value: Any) -> str:
    """A label selector as the API server takes it. Source: apimachinery/pkg/labels/selector.go."""
    expected = "a mapping of labels to values, or a text such as 'app=web,tier in (a,b),!old'"
    if isinstance(value, dict):
        for key, text in value.items():
            if not isinstance(text, str) or bad_label(key, text):
                why = bad_label(key, text) if isinstance(text, str) else f"the label {key} has {found(text)}, not a text"
                raise refusal(why, expected)
        return ",".join(f"{key}={text}" for key, text in sorted(value.items()))
    if not isinstance(value, str):
        raise refusal(f"{found(value)} is not a label selector", expected)
    if len(value) > LONGEST_SELECTOR:
        raise refusal(f"the label selector has {len(value)} characters", f"at most {LONGEST_SELECTOR}")
    at = 0
    text = value.strip()
    while at < len(text):
        match = _REQUIREMENT.match(text, at)
        if match is None:
            raise refusal(f"the label selector is not understood at {text[at:at + 40]!r}", expected)
        for each in (match["values"] or match["value"] or "").split(","):
            if why := bad_label(match["alone"] or match["key"], each.strip()):
                raise refusal(why, expected)
        at = match.end()
    if text.endswith(","):
        raise refusal("the label selector ends with ','", expected)
    return text


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_policy(value: Any) -> Any:
    return {"policy": value} if isinstance(value, str) else value


Name = Annotated[str, AfterValidator(_dns_label)]
Identifier = Annotated[str, AfterValidator(_identifier)]
Text = Annotated[str, Field(min_length=1)]
Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema({"type": "string", "pattern": f"^{_DURATION}$"})]
Period = Annotated[Duration, Field(gt=0)]
ModeName = Literal["Enforce", "Audit", "Off"]
Verb = Literal["get", "list", "watch", "create", "update", "patch", "patch/status", "delete", "evict"]
Selector = Annotated[str, BeforeValidator(_selector), WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]})]  # fmt: skip


class WatchSpec(Spec):
    """Which objects the pack is about."""

    api_version: Text
    """apiVersion of the watched kind, such as `apps/v1`."""
    kind: Text
    """The watched kind, such as `Deployment`."""
    label_selector: Selector = ""
    """Only objects with these labels, evaluated by the API server: a mapping, or a text such as `app=web,tier in (a,b)`."""
    fields_: list[Annotated[str, AfterValidator(_field_path)]] = Field(default=[], alias="fields", max_length=50)
    """An object is judged only when one of these changed, such as `status.phase`; without any, at every change."""


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


class InputSpec(Spec):
    """An annotation of the watched object that rules read as `inputs.<name>`, parsed and checked first."""

    annotation: Text
    """The annotation's key."""
    format: Literal["yaml", "json"] = "yaml"
    """The language of its text."""
    schema_: dict[str, Any] = Field(default={}, alias="schema")
    """JSON Schema (2020-12) of its value. Where it does not fit, `inputErrors.<name>` says why."""
    default: Any = None
    """The value where the annotation is absent."""


class MetricDeclaration(Spec):
    """A metric that the pack's `metric` actions write."""

    type: Literal["counter", "gauge", "histogram"]
    """`counter`, `gauge` or `histogram`."""
    help: Text
    """What it counts or measures."""
    labels: list[Annotated[str, AfterValidator(_metric_label)]] = Field(default=[], max_length=10)
    """Names of its labels."""
    buckets: list[float] = Field(default=[], max_length=50)
    """Upper bounds of a histogram's buckets, ascending."""


class ExistingSpec(Spec):
    """What becomes of objects that were already so when the engine started."""

    policy: Literal["CatchUp", "Ignore"] = "CatchUp"
    """`CatchUp` acts on them as if they had just become so; `Ignore` waits until they become so again."""
    max_age: Period | None = None
    """Only objects that are no older than this are caught up with."""
    age_from: Text | None = None
    """CEL that gives the time an object's age counts from; its creation where left out."""


class AggregateListSpec(Spec):
    """A list of a group."""

    value: Text
    """CEL that gives what the list holds of a member."""
    where: Text | None = None
    """CEL condition: which members are on it; all where left out."""
    limit: int = Field(default=50, ge=0, le=1000)
    """How many are shown, in order; `group.<list>LeftOut` says how many more there are."""


class AggregateSpec(Spec):
    """Counts objects in groups. The rule then acts once for a group, on its target, instead of once for each object."""

    by: Text
    """CEL that gives the key of the group that an object belongs to; '' for none. `when` says which objects count at all."""
    target: TargetSpec
    """The object that a group is about, found from `groupKey`. In the rule's actions it is `object`, and `target` too."""
    counts: dict[Identifier, Text] = Field(default={}, max_length=50)
    """For each count a CEL condition: how many members meet it is `group.<count>`."""
    lists: dict[Identifier, AggregateListSpec] = Field(default={}, max_length=20)
    """Lists of values of members, sorted: `group.<list>`."""
    max_: dict[Identifier, Text] = Field(default={}, alias="max", max_length=20)
    """For each maximum CEL that gives a number, a text or null: the largest of all members is `group.<maximum>`."""


class ThrottleSpec(Spec):
    """First at once, then at most once per interval; the last state always lands."""

    every: Period
    """The interval."""


class LimitsSpec(Spec):
    """How much one action may touch."""

    max_targets: int | None = Field(default=None, ge=1)
    """At most so many targets in one firing."""
    on_exceed: Literal["Fail", "Truncate"] = "Fail"
    """`Fail` touches none of them; `Truncate` touches the first ones."""


class RetrySpec(Spec):
    """How often actions that failed are tried again, with growing pauses."""

    limit: int = Field(default=5, ge=0, le=100)
    """At most so many further attempts."""
    backoff: Period = 2.0
    """The first pause; each further one is twice as long."""
    max_backoff: Period = 300.0
    """No pause is longer."""
    timeout: Period | None = None
    """How long an action may wait (for a guard, for readiness) before it counts as failed; for ever where left out."""


class RuleSpec(Spec):
    """When this is true of an object, do that."""

    name: Name
    """The rule's name; unique in the pack."""
    description: str = ""
    """What it is for."""
    vars: dict[Identifier, Text] = Field(default={}, max_length=50)
    """Named expressions, read as `vars.<name>`, evaluated when first needed. One may use those above it."""
    when: Annotated[list[Text], BeforeValidator(_as_list)] = Field(default=[], max_length=50)
    """CEL conditions that must all be true: a list, or a single one."""
    on: Literal["Change", "Delete"] = "Change"
    """`Change` judges objects as they are; `Delete` judges the last state of one that is gone."""
    hold: Duration = Field(default=0.0, alias="for")
    """The conditions must have held this long."""
    once_per: Text | None = None
    """CEL that names the occasion: the rule fires once for each value, however often the engine restarts."""
    existing: Annotated[ExistingSpec, BeforeValidator(_as_policy)] = ExistingSpec()
    """What becomes of objects that were already so when the engine started: a policy, or its short form `CatchUp` or `Ignore`."""
    lookup: dict[Identifier, TargetSpec] = Field(default={}, max_length=20)
    """Other objects to read, as `lookup.<name>`: one object or null by name, a list by labelSelector."""
    aggregate: AggregateSpec | None = None
    """Count the objects in groups, and act for each group."""
    loop: Text | None = None
    """CEL that gives a list: the actions run for each item."""
    loop_var: Annotated[str, AfterValidator(_loop_variable)] = "item"
    """What expressions call the item."""
    loop_key: Text | None = None
    """CEL that names an item on record; its whole content where left out."""
    throttle: ThrottleSpec | None = None
    """First at once, then at most once per interval; the last state always lands."""
    resync: Annotated[Duration, Field(ge=1)] | None = None
    """Judge again after this time, also without a change."""
    limits: LimitsSpec = LimitsSpec()
    """How much one action may touch."""
    actions: list[dict[str, Any]] = Field(min_length=1, max_length=50)
    """What to do, in order: each entry is one action, with an optional `when` and `register`."""
    retry: RetrySpec = RetrySpec()
    """How often actions that failed are tried again."""
    rescue: list[dict[str, Any]] = Field(default=[], max_length=50)
    """What to do where the actions have failed for good; expressions read why as `error`."""
    mode: ModeName | None = None
    """A mode of its own, where it is to be held back further than its pack."""


class PackSpec(Spec):
    """The pack itself."""

    description: str = ""
    """What the pack is for."""
    feature_flag: Text | None = None
    """The feature flag that sets its mode; the pack's name where left out."""
    default_mode: ModeName = "Enforce"
    """The mode where no flag says otherwise."""
    params: dict[Identifier, dict[str, Any]] = Field(default={}, max_length=50)
    """Values that a cluster may override, read as `params.<name>`: each a JSON Schema with a `default`."""
    watch: WatchSpec
    """Which objects the pack is about."""
    targets: list[PackTargetSpec] = Field(default=[], max_length=50)
    """Everything that the pack may touch besides the watched object's own metadata."""
    inputs: dict[Identifier, InputSpec] = Field(default={}, max_length=20)
    """Annotations that users write on the watched objects, read as `inputs.<name>`."""
    metrics: dict[Annotated[str, AfterValidator(_metric_name)], MetricDeclaration] = Field(default={}, max_length=50)
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
